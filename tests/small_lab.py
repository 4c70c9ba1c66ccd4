"""A lab small enough for tests: a tiny simulated cortex, tiny networks, and a study of every kind of step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import datajoint as dj

import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex_ops.workers import queues_empty, sweep, work
from decortex_schemas.database import computed_tables, queue_missing, queue_of, schema
from decortex_schemas.register import PlanFile, declare_plan, register_defaults
from decortex_schemas.tables import freeze_study, register_simulation

SMALL = {
    "n_neurons": 36,
    "n_animals": 2,
    "n_train": 160,
    "n_validation": 40,
    "n_test": 16,
    "n_repeats": 3,
}
NETWORK = {
    "layers": [{"channels": 6, "kernel": 9, "pool": 2}, {"channels": 6, "kernel": 5}],
    "readout": {"kind": "point"},
}
TRAINING = {"max_epochs": 2, "batch_size": 32}
CHOICE = {"nulls": ["gaussian", "permuted"], "surrogates": 2}  # of K; too few surrogates to make one
PRIORITY = 5  # as the scheduler queues what nobody finds urgent
# Computed for every partition, network and set of covariates, and read by the tests of these tables.
TESTS = (
    schemas.ClusterPerformance,
    schemas.ClusterAssociation,
    schemas.ClusterConfound,
    schemas.GridAssociation,
)
ONE_OF = {"model_seed", "k", "seed", "covariate_set_id", "metric"}
SCHEDULE = {"max_epochs": 2, "batch_size": 32, "learning_rate": 0.001, "schedule": "constant", "keep": "last"}


def plan_for(dataset: str, **changed: Any) -> PlanFile:
    """A study of every kind of step, small enough for a test."""
    start = {"schedule": SCHEDULE, "counts": [3], "seeds": [0], "methods": ["kmeans"]}
    plan = {
        "networks": [{"dataset": dataset, "network": NETWORK, "training": TRAINING, "seeds": [0, 1]}],
        "embeddings": [{"name": "l2", "params": {"kind": "l2"}}],
        "methods": [{"method": "kmeans"}, {"method": "gmm", "params": {"covariance": "diag"}}],
        "counts": [2, 3],
        "seeds": [0, 1],
        "finetunings": [
            {"name": "dec", "params": {"kind": "dec"}, **start},
            {"name": "dec_joint", "params": {"kind": "dec_joint", "beta": 0.1}, **start},
        ],
    }
    return PlanFile.from_params({**plan, **changed})


def declare_small_study(dataset: str, study: str) -> None:
    """Register the tiny cortex and declare its study."""
    register_simulation(dataset, SimulationConfig.from_params(SMALL), seed=3)
    declare_plan(study, plan_for(dataset))


def compute_lab(*, selection: bool) -> None:
    """A study that has been computed, frozen and compared, and one with a choice of K if asked for."""
    register_defaults()
    declare_small_study("small", "small-study")
    complete("small-study")
    if selection:
        plan = plan_for("small", methods=[{"method": "kmeans"}], selection=CHOICE, finetunings=[])
        declare_plan("selection-study", plan)
        complete("selection-study")
    let_ten_minutes_pass()


def complete(study: str) -> None:
    """Compute a study, freeze it, and compute what compares its partitions."""
    fill()
    freeze_study(study)
    fill()


def let_ten_minutes_pass() -> None:
    """Let every row have been computed ten minutes ago, as most rows that a lab reads were earlier.

    What is computed in the minute of a freezing counts as computed after it: every question then compares digests.
    """
    for table in computed_tables():
        schema.connection.query(
            f"UPDATE {table().full_table_name} SET started_at = started_at - INTERVAL 10 MINUTE"
        )


def fill(*, few: Collection[type[dj.Computed]] = ()) -> None:
    """Queue and compute until nothing is left, in this process.

    Table after table in the order of the chain, so that one pass computes all that rests on what it computed; a round
    of the scheduler that queues nothing ends it.

    Parameters
    ----------
    few : collection of Computed
        Of these, one key of every specification is computed, such as every method and fine-tuning, and the others
        are left out for good: nobody asks for them, and what comes of each specification is seen to be taken.
    """
    while True:
        compute(computed_tables(), few=few)
        if not sweep().added and queues_empty():
            return


def compute(tables: Sequence[type[dj.Computed]], *, few: Collection[type[dj.Computed]] = ()) -> None:
    """Queue and compute what is missing of these tables, one after the other; `few` as in `fill`."""
    for table in tables:
        queue_missing(table, priority=PRIORITY)
        if table in few:
            leave_out(table)
        if queue_of(table) & "status = 'pending'":
            summary = work([table], stop_when_idle=0.0)
            assert summary.failed == [], summary.failed


def leave_out(table: type[dj.Computed]) -> None:
    """Mark the queued keys of a table as ignored, but for the first of every specification."""
    jobs = queue_of(table)
    names = table().primary_key
    specification = ", ".join(name for name in names if name not in ONE_OF)
    schema.connection.query(
        f"UPDATE {jobs.full_table_name} JOIN (SELECT {', '.join(names)}, ROW_NUMBER() OVER (PARTITION BY "
        f"{specification} ORDER BY {', '.join(names)}) AS place FROM {jobs.full_table_name} "
        f"WHERE status = 'pending') AS numbered USING ({', '.join(names)}) SET status = 'ignore' WHERE place > 1"
    )
