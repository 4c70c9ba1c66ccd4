"""How well networks predict every neuron, on one tier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datajoint as dj
import numpy as np

from decortex import models
from decortex.evaluation.performance import Scores
from decortex_schemas.database import STAMP, Computation, Environment, Made, run_state, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, load_recordings, mapped_recordings
from decortex_schemas.tables.networks.networks import ModelTask, TrainedModel
from decortex_schemas.tables.networks.stored_networks import (
    TASK_COLUMNS,
    allowed_builders,
    build_task,
    load_network,
    order_of,
    read_task,
    score_foreign,
)
from decortex_schemas.tables.specs import (
    Metric,  # noqa: F401  (foreign key)
    Seed,  # noqa: F401  (foreign key)
    Tier,
)

SCORED_TIERS = ("validation", "test")
PREDICTING_KINDS = ("decortex", "builder")
QUANTILE_COLUMNS = {
    "quantile05": 0.05,
    "quantile25": 0.25,
    "median": 0.5,
    "quantile75": 0.75,
    "quantile95": 0.95,
}
SCORE_COLUMNS = """
score_values : <blob>            # float64[n_neurons], NaN where undefined; order of Dataset.Neuron
n_defined : int32                # neurons with a defined score
mean = null : float64            # over the defined ones
quantile05 = null : float64
quantile25 = null : float64
median = null : float64
quantile75 = null : float64
quantile95 = null : float64
undefined : json                 # reason -> number of neurons
"""


@schema
class Performance(Computation):
    """How well a network predicts every neuron on one tier, in one forward pass."""

    runs_network = True
    memory = "recordings"

    definition = f"""
    # Predictive performance of a network on one tier
    -> TrainedModel
    -> Tier
    ---
    n_trials : int32
    frames_skipped = null : int32        # of movies: frames at the start of every clip that are not scored
    {STAMP}
    """

    class Score(dj.Part):
        """One metric for all neurons."""

        definition = f"""
        -> master
        -> Metric
        ---
        {SCORE_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """Networks that predict, on validation and test trials of datasets with recordings."""
        predicting = TrainedModel & [{"source_kind": kind} for kind in PREDICTING_KINDS]
        asked = (predicting & (Dataset & "kind != 'neurons_only'").proj()).proj() * Tier.proj()
        # nobody has test responses of any session: those of single ones have scores that are NaN
        withheld = (Dataset & (Dataset.Session & "n_test = 0 AND n_train > 0")) - (
            Dataset.Session & "n_test > 0"
        )
        without = withheld.proj() * (Tier & {"tier": "test"}).proj()
        return (asked & [{"tier": tier} for tier in SCORED_TIERS]) - without

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digest of the checkpoint."""
        return ((TrainedModel & key).fetch1("checkpoint_sha256"),)

    def compute(self, key: dict[str, Any], sha256: str) -> Made:
        """Predict and score."""
        scores, n_trials = score_task(key, key["tier"])
        row = {"n_trials": n_trials, "frames_skipped": skipped_frames(key)}
        return Made(row, {"Score": score_rows(scores)})


def score_rows(scores: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Rows of a Score part, without the master's key."""
    rows = []
    for metric, score in scores.items():
        summary = score.summary
        reasons, counts = np.unique(score.reasons[score.reasons != ""], return_counts=True)
        rows.append(
            {
                "metric": metric,
                "score_values": score.values,
                "n_defined": summary.n_defined,
                "mean": summary.mean,
                **{column: summary.quantiles.get(level) for column, level in QUANTILE_COLUMNS.items()},
                "undefined": {str(reason): int(count) for reason, count in zip(reasons, counts, strict=True)},
            }
        )
    return rows


def skipped_frames(key: dict[str, Any]) -> int | None:
    """Frames at the start of every clip that a row's network is not scored on; None where it takes images."""
    row = TrainedModel & key
    if row.fetch1("source_kind") != "decortex" or (Dataset & key).fetch1("frame_rate") is None:
        return None
    return models.frames_skipped(load_network(row))


def score_task(key: dict[str, Any], tier: str) -> tuple[dict[str, Scores], int]:
    """Score one row of `TrainedModel` on one tier of its dataset's recordings."""
    row = TrainedModel & key
    recorded_in = (Dataset & key).fetch1("recorded_in")
    if row.fetch1("source_kind") == "decortex":
        network = load_network(row)
        if recorded_in is None:
            return models.score_recordings(network, load_recordings(key["dataset"]), tier)
        return score_foreign(network, order_of(network), *mapped_recordings(key["dataset"]), tier)
    task = (ModelTask & key).proj(*TASK_COLUMNS).fetch1()
    data = row.fetch1("checkpoint")
    readout = read_task(task, data)
    recordings, places = mapped_recordings(key["dataset"])
    built = build_task(task, data, readout, image_shape=recordings.image_shape, allowed=allowed_builders())
    return score_foreign(built, (readout.session, readout.index), recordings, places, tier)
