"""Workers as processes: two fill the database as one does, and each takes what it should. Faults: test_faults.py."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from tiny_chain import DECLARE as DECLARE_TINY
from tiny_chain import declare_tiny, dump, jobs

DECLARE = """
from decortex.data.simulation.simulate import SimulationConfig
from decortex_schemas.register.plans.defaults import register_defaults
from decortex_schemas.register.plans import declare_plan
from decortex_schemas.tables.datasets import register_simulation
from small_lab import SCHEDULE, SMALL, plan_for
register_defaults()
register_simulation('small', SimulationConfig.from_params({**SMALL, 'n_train': 96}), seed=3)
start = dict(schedule=SCHEDULE, counts=[2], seeds=[0], methods=['kmeans'])
declare_plan('study', plan_for('small', counts=[2], seeds=[0], finetunings=[
    dict(name='dec', params=dict(kind='dec'), **start),
]))
"""
FILL = "from small_lab import fill; fill()\n"
FREEZE = "from decortex_schemas.tables.studies.frozen import freeze_study; freeze_study('study')\n"
# The scheduler of two workers: until nothing is queued, in work or about to be.
SCHEDULE = """
import time
from decortex_ops.workers.scheduler import queues_empty, sweep
from decortex_schemas.database import KeySources, computed_tables
sources = KeySources(computed_tables())
while True:
    empty = queues_empty()
    if not sweep(None if empty else sources).added and empty:
        break
    time.sleep(0.5)
"""


def fill_with_two(lab: ForkedLab) -> None:
    """Fill with two workers and a scheduler, before and after the study is frozen; all three are processes."""
    workers = [lab.start("work", "--quiet") for _ in range(2)]
    try:
        lab.python(SCHEDULE + FREEZE + SCHEDULE)
    finally:
        for worker in workers:
            worker.terminate()
    assert [worker.wait() for worker in workers] == [0, 0], [worker.stderr for worker in workers]


def fill_with_the_scripts(lab: ForkedLab) -> None:
    """Fill with DataJoint's own `populate`, a few stages at a time."""
    script = str(Path(__file__).resolve().parents[2] / "populate_scripts" / "populate.py")
    run = "import runpy, sys; sys.argv = {!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    for stages in (["networks"], ["embeddings", "clustering"], []):
        lab.python(run.format([script, *stages]))
    with pytest.raises(AssertionError, match="no such stage"):
        lab.python(run.format([script, "models"]))
    for table in ("d_e_c_finetune", "cluster_performance", "cluster_quality"):
        assert lab.query(f"SELECT COUNT(*) FROM `__{table}`") == [(6,)]
    assert jobs(lab) == {}


def test_two_workers_fill_the_database_as_the_scripts_do(
    make_declared_lab: Callable[[str], ForkedLab], yard: Yard
) -> None:
    """Without a worker the scripts compute what is asked for, and one worker what compares a frozen study's members."""
    yard.load("torch._dynamo")  # by whichever process trains
    scripts, two = make_declared_lab("scripts"), make_declared_lab("with-2")
    for lab in (scripts, two):
        lab.python(DECLARE)
    fill_with_the_scripts(scripts)
    scripts.python(FREEZE + FILL)
    fill_with_two(two)
    assert jobs(scripts) == jobs(two) == {}
    found, other = dump(scripts), dump(two)
    assert set(found) == set(other)
    assert (len(found["DECFinetune"]), len(found["RetainedPerformance"]), len(found["SeedAgreement"])) == (
        6,
        2,
        3,
    )
    for table, rows in found.items():
        assert rows == other[table], table


def test_what_is_declared_is_queued_before_the_next_round_and_a_local_fleet_empties_all_queues(
    make_declared_lab: Callable[[str], ForkedLab],
) -> None:
    """A round an hour: a scheduler that slept through the pause would queue it then. The fleet's worker starts anew."""
    lab = make_declared_lab("pausing")
    quick = "from decortex_ops.workers import scheduler\nscheduler.SETTLE_SECONDS = 0.5\n"
    scheduler = lab.start("schedule", "--every", "3600", code=quick)
    try:
        for n_networks, name in enumerate(("first", "second"), 1):  # the second is not of its first round
            code = DECLARE_TINY.format(folder=str(lab.folder)).replace("'tiny'", f"'{name}'")
            lab.python(code.replace("default_rng(7)", f"default_rng({n_networks})"))
            deadline = time.monotonic() + 300
            while jobs(lab).get("pending", 0) < n_networks:
                assert scheduler.poll() is None, scheduler.communicate()[0]
                assert time.monotonic() < deadline, f"{name} was not queued"
                time.sleep(0.2)
    finally:
        scheduler.kill()
    lab.python("from decortex_ops.workers.local_pool import run_until_empty\nrun_until_empty(workers=1)")
    assert jobs(lab) == {}
    assert lab.query("SELECT COUNT(*) FROM `__d_e_c_finetune`") == [(16,)]


def test_a_worker_takes_what_it_has_memory_for_and_what_is_urgent(
    make_declared_lab: Callable[[str], ForkedLab],
) -> None:
    lab = make_declared_lab("choosy")
    declare_tiny(lab)
    lab.python(
        "from decortex_ops.workers.scheduler import sweep\n"
        "from decortex_ops.workers.worker import work\n"
        "for table in (schemas.TrainedModel, schemas.Embedding):\n"
        "    sweep()\n"
        "    work([table], stop_when_idle=0.0)\n"
        "sweep()\n"
    )

    # Memory: a process that loaded torch holds more than 100 MB already.
    small = lab.run("work", "--tables", "Clustering", "--stop-when-idle", "0", "--max-memory", "100M")
    assert "0 done, 0 failed" in small.stdout
    assert small.stderr.count("left to others: Clustering") == 8
    assert "this worker may hold 100 MiB" in small.stderr
    assert lab.query("SELECT status, COUNT(*) FROM `~~clustering` GROUP BY status") == [("pending", 8)]

    # A GPU is kept for keys that run a network; where there is none, that is said.
    refused = lab.run("work", "--device", "cuda", check=False, CUDA_VISIBLE_DEVICES="")
    assert refused.returncode == 1
    assert "shows torch" in refused.stderr
    assert lab.run("work", "--device", "abacus", check=False).returncode == 2
    assert lab.run("work", "--max-memory", "much", check=False).returncode == 1

    # Urgency: half of the queue belongs to a study that is urgent.
    plan = lab.folder / "urgent.json"
    plan.write_text(
        json.dumps(
            {
                "networks": [{"dataset": "tiny", "imported": "tiny"}],
                "embeddings": [{"name": "l2", "params": {"kind": "l2"}}],
                "methods": [{"method": "gmm", "params": {"covariance": "diag"}}],
                "counts": [3],
            }
        )
    )
    lab.run("study", "create", "urgent", str(plan))
    assert "has priority 1" in lab.run("study", "priority", "urgent", "1").stdout
    lab.run("schedule")
    urgent = ("SELECT COUNT(*), MIN(k), MAX(k), MIN(method) FROM `~~clustering` WHERE priority = 1",)
    assert lab.query(*urgent) == [(1, 3, 3, "gmm")]

    # What it says, for machines: one JSON object per line.
    done = lab.run(
        "work", "--tables", "Clustering", "--max-calls", "1", "--max-memory", "64G", "--log", "json"
    )
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events] == ["started", "made", "batch", "stopped"]
    made = events[1]
    assert (made["table"], made["key"]["method"], made["key"]["k"]) == ("Clustering", "gmm", 3)
    assert {"time", "host", "pid", "seconds"} <= set(made)
    assert lab.environment["DJ_PASS"] not in done.stderr + done.stdout

    # Usual again: nothing is urgent any more, and what is left is done.
    lab.run("study", "priority", "urgent", "5")
    lab.run("schedule")
    assert lab.query("SELECT DISTINCT priority FROM `~~clustering`") == [(5,)]
    assert lab.run("study", "priority", "nobody", "1", check=False).returncode == 1
