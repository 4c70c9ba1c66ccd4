"""Networks: which to train or import, the trained ones, and how well they predict every neuron."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import finetune, models
from decortex.errors import InputError
from decortex.evaluation.performance import Scores
from decortex.models import training as network_training
from decortex.models.training import TrainingConfig
from decortex_schemas.database import STAMP, Computation, Environment, Made, run_state, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, load_recordings, mapped_recordings
from decortex_schemas.tables.networks.stored_networks import (
    TASK_COLUMNS,
    allowed_builders,
    build_task,
    check_order,
    checkpoint_bytes,
    checkpoint_columns,
    load_network,
    network_from_bytes,
    order_of,
    read_task,
    rebuild_task,
    score_foreign,
)
from decortex_schemas.tables.specs import (
    Metric,  # noqa: F401  (foreign key)
    ModelSpec,
    Seed,  # noqa: F401  (foreign key)
    Tier,
)

__all__ = [
    "ModelTask",
    "Performance",
    "TrainedModel",
    "check_order",
    "checkpoint_bytes",
    "load_network",
    "network_from_bytes",
    "raw_embedding",
    "score_rows",
]

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
class ModelTask(dj.Manual):
    """A network that somebody wants: to be trained here, or imported from a checkpoint."""

    definition = """
    # A network to train or to import
    -> Dataset
    -> ModelSpec
    -> Seed.proj(model_seed='seed')
    ---
    checkpoint = null : <sealed_bytes@main># bytes of the checkpoint to import; null: train here
    checkpoint_sha256 = null : char(64)
    source = '' : varchar(1024)          # where the checkpoint came from
    state_dict = '' : varchar(255)       # dotted path of the state dict, where the file holds several
    embedding_key = '' : varchar(255)    # dotted path of the embedding, where the readout is not recognised
    mask_key = '' : varchar(255)         # dotted path of its masks: neurons are turned so that these are positive
    masks = 'free' : varchar(16)         # 'free' or 'normalised': of factorised readouts
    sessions = null : json               # the checkpoint's sessions -> the dataset's, in the dataset's order
    rebuild = null : json                # resolved RebuildConfig; null: the readout alone, or a builder
    builder = '' : varchar(255)          # 'module:function'; runs only where DECORTEX_BUILDERS names the module
    builder_config = null : json         # its keyword arguments
    family = null : json                 # where it comes from: an nnfabrik row with its configs and hashes
    """


@schema
class TrainedModel(Computation):
    """A network, trained here or imported."""

    runs_network = True
    memory = "recordings"

    definition = f"""
    # A trained network
    -> ModelTask
    ---
    checkpoint : <sealed_bytes@main>     # torch file, loads with weights_only=True
    checkpoint_sha256 : char(64)
    source_kind : varchar(48)            # 'decortex' (trained or rebuilt), 'builder', or an imported readout
    n_epochs : int32
    kept_epoch : int32
    stop_reason : varchar(24)
    validation_correlation = null : float64
    {STAMP}
    """

    class Epoch(dj.Part):
        """One epoch of training."""

        definition = """
        -> master
        epoch : int32
        ---
        train_loss = null : float64
        validation_loss = null : float64
        validation_correlation = null : float64
        epoch_seconds : float64
        """

    class Handover(dj.Part):
        """The training of a state after an epoch, to go on from there."""

        definition = """
        # A training run handed over after an epoch
        -> master
        ---
        run : <sealed_bytes@main>        # weights, optimiser, rates, average; loads with weights_only=True
        run_sha256 : char(64)
        """

    @property
    def key_source(self) -> Any:
        """Every task; on null datasets, and of states of networks, once what they come from is there."""
        # Both rest on this table.
        from decortex_schemas.tables.networks.network_states import states_to_wait_for  # noqa: PLC0415
        from decortex_schemas.tables.networks.null_networks import tasks_to_wait_for  # noqa: PLC0415

        ready = ModelTask.proj() - tasks_to_wait_for()
        for waiting in states_to_wait_for():
            ready = ready - waiting
        return ready

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the task: digest of a checkpoint, or the configurations to train and what it is a state of."""
        from decortex_schemas.tables.networks.network_states import source_of  # noqa: PLC0415  (both rest on this table)
        from decortex_schemas.tables.networks.null_networks import core_donor  # noqa: PLC0415

        sha256 = (ModelTask & key).fetch1("checkpoint_sha256")
        network, training = (ModelSpec & key).fetch1("network", "training")
        content = (Dataset & key).fetch1("content_sha256")
        return sha256, network, training, content, core_donor(key), source_of(key)

    def compute(
        self,
        key: dict[str, Any],
        sha256: str | None,
        network: Any,
        training: Any,
        content: str,
        donor: dict[str, Any] | None,
        source: dict[str, Any] | None,
    ) -> Made:
        """Train, to the end or to an epoch, or take the network as it is."""
        from decortex_schemas.tables.networks.network_states import state_row  # noqa: PLC0415  (it rests on this table)

        if sha256 is not None:
            return Made(imported_row(key))
        if source is not None and source["state"] != "epoch":
            return Made(state_row(source))
        until = None if source is None else source["epoch"]
        recordings = load_recordings(key["dataset"])
        how = TrainingConfig.from_params(training)
        if donor is None:
            model = models.Network.build(
                models.NetworkConfig.from_params(network), recordings, seed=key["model_seed"]
            )
        else:
            core = load_network(TrainedModel & donor["key"])
            model, how = finetune.readout_on_core(core, recordings, how, seed=key["model_seed"])
        state = run_state(
            "TrainedModel",
            key,
            network=network,
            training=training,
            recordings=recordings.content_sha256,
            core=None if donor is None else donor["checkpoint_sha256"],
            **({} if until is None else {"until": until}),
        )
        outcome = network_training.fit_network(
            model, recordings, how, seed=key["model_seed"], state=state, until=until
        )
        if until is not None and outcome.handover is None:
            raise InputError(
                f"training ended after epoch {len(outcome.epochs)} ({outcome.stop_reason}), before epoch {until} from "
                "which another should go on; name an earlier epoch."
            )
        row = {
            **checkpoint_columns(checkpoint_bytes(model)),
            "source_kind": "decortex",
            "n_epochs": len(outcome.epochs),
            "kept_epoch": outcome.best_epoch,
            "stop_reason": outcome.stop_reason,
            "validation_correlation": validation_at(outcome),
        }
        parts: dict[str, list[dict[str, Any]]] = {"Epoch": epoch_rows(outcome.epochs)}
        if outcome.handover is not None:
            run = outcome.handover.to_bytes()
            parts["Handover"] = [{"run": run, "run_sha256": hashlib.sha256(run).hexdigest()}]
        return Made(row, parts, state=state)


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


def validation_at(outcome: network_training.TrainingOutcome) -> float | None:
    """Validation correlation of the kept epoch; None if no epoch was kept."""
    return next((r.validation_correlation for r in outcome.epochs if r.epoch == outcome.best_epoch), None)


def epoch_rows(epochs: Sequence[network_training.EpochRecord]) -> list[dict[str, Any]]:
    """Rows of an Epoch part, without the master's key."""
    return [
        {
            "epoch": record.epoch,
            "train_loss": record.train_loss,
            "validation_loss": record.validation_loss,
            "validation_correlation": record.validation_correlation,
            "epoch_seconds": record.seconds,
        }
        for record in epochs
    ]


def imported_row(key: dict[str, Any]) -> dict[str, Any]:
    """Columns of `TrainedModel` for a checkpoint that was registered: rebuilt if its task says how, else as it is."""
    task = (ModelTask & key).proj(*TASK_COLUMNS).fetch1()
    data = (ModelTask & key).fetch1("checkpoint")
    row = {"n_epochs": 0, "kept_epoch": 0, "stop_reason": "imported"}
    if task["rebuild"] is not None:
        order, shape = (Dataset & key).fetch1("neuron_order_sha256", "image_shape")
        network = rebuild_task(task, data, order=order, image_shape=None if shape is None else tuple(shape))
        return {**row, "source_kind": "decortex", **checkpoint_columns(checkpoint_bytes(network))}
    kind = "builder" if task["builder"] else read_task(task, data).kind
    return {**row, "source_kind": kind, **checkpoint_columns(data)}


def raw_embedding(row: Any) -> NDArray[np.float32]:
    """Readout weights of one `TrainedModel` row: (n_neurons, n_features), order of Dataset.Neuron."""
    kind, data = row.fetch1("source_kind", "checkpoint")
    if kind == "decortex":
        weights: NDArray[np.float32] = network_from_bytes(data).embedding().detach().numpy()
        return weights
    return read_task((ModelTask & row.proj()).proj(*TASK_COLUMNS).fetch1(), data).embedding


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
