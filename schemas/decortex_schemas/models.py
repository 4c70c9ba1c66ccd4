"""Networks: which to train or import, the trained ones, and how well they predict every neuron."""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import torch
from numpy.typing import NDArray

from decortex.data.recordings import Recordings
from decortex.errors import CheckpointError, InputError
from decortex.evaluation import Scores, concatenate_scores, score_neurons
from decortex.finetune.null import readout_on_core
from decortex.models.checkpoints import CheckpointReadout, read_checkpoint
from decortex.models.network import Network, NetworkConfig
from decortex.models.predict import predict
from decortex.models.run_state import StateFile
from decortex.models.training import EpochRecord, TrainingOutcome, fit_network
from decortex.models.training_config import TrainingConfig
from decortex_schemas.database import schema
from decortex_schemas.datasets import (
    Dataset,
    checkpoint_order_sha256,
    load_recordings,
    register_neurons_only,
)
from decortex_schemas.leases import confirm_reservation
from decortex_schemas.provenance import STAMP, Environment, run_stamp  # noqa: F401  (foreign key)
from decortex_schemas.specs import (
    Metric,  # noqa: F401  (foreign key)
    ModelSpec,
    Seed,  # noqa: F401  (foreign key)
    Tier,
    register_imported_spec,
    register_seeds,
)
from decortex_schemas.states import run_state

SCORED_TIERS = ("validation", "test")
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
    embedding_key = '' : varchar(255)    # dotted path of the embedding, where the readout is not recognised
    mask_key = '' : varchar(255)         # dotted path of its masks: neurons are turned so that these are positive
    """


@schema
class TrainedModel(dj.Computed):
    """A network, trained here or imported."""

    definition = f"""
    # A trained network
    -> ModelTask
    ---
    checkpoint : <sealed_bytes@main>     # torch file, loads with weights_only=True
    checkpoint_sha256 : char(64)
    source_kind : varchar(48)            # 'decortex', or the readout of an imported checkpoint
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

    @property
    def key_source(self) -> Any:
        """Every task, but those on null datasets only once their responses are drawn and their core is trained."""
        from decortex_schemas.null_networks import tasks_to_wait_for  # noqa: PLC0415  (it rests on this table)

        return ModelTask.proj() - tasks_to_wait_for()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the task: digest of a checkpoint, or the configurations to train and where the core comes from."""
        from decortex_schemas.null_networks import core_donor  # noqa: PLC0415  (it rests on this table)

        sha256, *where = (ModelTask & key).fetch1("checkpoint_sha256", "embedding_key", "mask_key")
        network, training = (ModelSpec & key).fetch1("network", "training")
        content = (Dataset & key).fetch1("content_sha256")
        return sha256, where, network, training, content, core_donor(key)

    def make_compute(
        self,
        key: dict[str, Any],
        sha256: str | None,
        where: list[str],
        network: Any,
        training: Any,
        content: str,
        donor: dict[str, Any] | None,
    ) -> tuple[Any, ...]:
        """Train, or take the checkpoint as it is."""
        started = time.time()
        if sha256 is not None:
            data = (ModelTask & key).fetch1("checkpoint")
            readout = read_checkpoint_bytes(data, *where)
            row = {"source_kind": readout.kind, "n_epochs": 0, "kept_epoch": 0, "stop_reason": "imported"}
            return {**row, "checkpoint": data}, [], started, None
        recordings = load_recordings(key["dataset"])
        how = TrainingConfig.from_params(training)
        if donor is None:
            model = Network.build(NetworkConfig.from_params(network), recordings, seed=key["model_seed"])
        else:
            core = load_network(TrainedModel & donor["key"])
            model, how = readout_on_core(core, recordings, how, seed=key["model_seed"])
        state = run_state(
            "TrainedModel",
            key,
            network=network,
            training=training,
            recordings=recordings.content_sha256,
            core=None if donor is None else donor["checkpoint_sha256"],
        )
        outcome = fit_network(model, recordings, how, seed=key["model_seed"], state=state)
        row = {
            "checkpoint": checkpoint_bytes(model),
            "source_kind": "decortex",
            "n_epochs": len(outcome.epochs),
            "kept_epoch": outcome.best_epoch,
            "stop_reason": outcome.stop_reason,
            "validation_correlation": validation_at(outcome),
        }
        return row, epoch_rows(outcome.epochs), started, state

    def make_insert(
        self,
        key: dict[str, Any],
        row: dict[str, Any],
        epochs: list[dict[str, Any]],
        started: float,
        state: StateFile | None,
    ) -> None:
        """Insert the network and its curve."""
        confirm_reservation(self, key)
        digest = hashlib.sha256(row["checkpoint"]).hexdigest()
        self.insert1({**key, **row, "checkpoint_sha256": digest, **run_stamp(started)})
        self.Epoch.insert({**key, **epoch} for epoch in epochs)
        if state is not None:
            state.discard()


@schema
class Performance(dj.Computed):
    """How well a network predicts every neuron on one tier, in one forward pass."""

    definition = f"""
    # Predictive performance of a network on one tier
    -> TrainedModel
    -> Tier
    ---
    n_trials : int32
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
        """Networks trained here, on validation and test trials."""
        asked = (TrainedModel & {"source_kind": "decortex"}).proj() * Tier.proj()
        return asked & [{"tier": tier} for tier in SCORED_TIERS]

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digest of the checkpoint."""
        return ((TrainedModel & key).fetch1("checkpoint_sha256"),)

    def make_compute(self, key: dict[str, Any], sha256: str) -> tuple[Any, ...]:
        """Predict and score."""
        started = time.time()
        recordings = load_recordings(key["dataset"])
        scores, n_trials = score_network(load_network(TrainedModel & key), recordings, key["tier"])
        return n_trials, score_rows(scores), started

    def make_insert(
        self, key: dict[str, Any], n_trials: int, scores: list[dict[str, Any]], started: float
    ) -> None:
        """Insert the scores of all metrics."""
        confirm_reservation(self, key)
        self.insert1({**key, "n_trials": n_trials, **run_stamp(started)})
        self.Score.insert({**key, **score} for score in scores)


def register_checkpoint(
    path: Path,
    *,
    dataset: str | None = None,
    name: str | None = None,
    seed: int = 0,
    embedding_key: str | None = None,
    mask_key: str | None = None,
) -> dict[str, Any]:
    """Register a trained checkpoint so that its readout embedding can be clustered.

    Parameters
    ----------
    path : Path
        Torch file with a state dict.
    dataset : str, optional
        Registered dataset whose neurons these are, in the same order. Default: the checkpoint's own neurons
        are registered as a dataset without recordings, named after the file.
    name : str, optional
        Name of the model family (default: the file's stem).
    seed : int
        The seed it was trained with, to tell members of a family apart.
    embedding_key : str, optional
        Dotted path of the (n_neurons, n_features) tensor, where the readout is not a known one.
    mask_key : str, optional
        Dotted path of the masks (n_neurons, ...) that multiply it, where their sign is free: every neuron is
        turned so that its mask's sum is not negative.

    Returns
    -------
    dict
        Primary key of the task.

    Raises
    ------
    CheckpointError
        If it cannot be read, or its neurons are not as many as the dataset's. Nothing is registered then.
    """
    readout = read_checkpoint(Path(path), embedding_key=embedding_key, mask_key=mask_key)
    data = Path(path).read_bytes()
    name = name or Path(path).stem
    if dataset is None:
        dataset = name
        register_neurons_only(dataset, readout)
    else:
        _check_neurons(path, readout, dataset)
    register_seeds([seed])
    key = {
        "dataset": dataset,
        "model_spec_id": register_imported_spec(name, readout.kind),
        "model_seed": seed,
    }
    known = (ModelTask & key).to_dicts()
    if known:
        if known[0]["checkpoint_sha256"] != readout.sha256:
            raise CheckpointError(
                f"{name!r} with seed {seed} is registered for dataset {dataset!r} with another checkpoint "
                f"(sha256 {str(known[0]['checkpoint_sha256'])[:12]}). Give another name or seed."
            )
        if (known[0]["embedding_key"], known[0]["mask_key"]) != (embedding_key or "", mask_key or ""):
            raise CheckpointError(
                f"{name!r} with seed {seed} is registered for dataset {dataset!r} with embedding_key "
                f"{known[0]['embedding_key']!r} and mask_key {known[0]['mask_key']!r}. Give another name or seed."
            )
        return key
    ModelTask.insert1(
        {
            **key,
            "checkpoint": data,
            "checkpoint_sha256": readout.sha256,
            "source": str(Path(path).resolve()),
            "embedding_key": embedding_key or "",
            "mask_key": mask_key or "",
        }
    )
    return key


def _check_neurons(path: Path, readout: CheckpointReadout, dataset: str) -> None:
    """Refuse a checkpoint whose neurons are not a dataset's, as far as the two can be compared."""
    found = (Dataset & {"dataset": dataset}).to_dicts()
    if not found:
        raise CheckpointError(f"no dataset {dataset!r} is registered; `decortex register dataset` does.")
    n_neurons = int(found[0]["n_neurons"])
    if n_neurons != len(readout.embedding):
        raise CheckpointError(
            f"{path} holds {len(readout.embedding)} neurons, dataset {dataset!r} {n_neurons}: they must be the "
            "same neurons in the same order. Register the checkpoint without a dataset to cluster its neurons "
            "alone."
        )
    own = found[0]["kind"] == "neurons_only"
    if own and found[0]["neuron_order_sha256"] != checkpoint_order_sha256(readout):
        raise CheckpointError(
            f"the sessions of {path} or the order of their neurons are not those of dataset {dataset!r}, which "
            "came from another checkpoint; register it under a name of its own."
        )


def score_network(network: Network, recordings: Recordings, tier: str) -> tuple[dict[str, Scores], int]:
    """Score every neuron of every session on one tier; returns the scores and the number of trials."""
    found = predict(network, recordings, tier)
    parts = [score_neurons(one.responses, one.predictions, one.image_ids) for one in found.values()]
    return concatenate_scores(parts), sum(len(one.image_ids) for one in found.values())


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


def validation_at(outcome: TrainingOutcome) -> float | None:
    """Validation correlation of the kept epoch; None if no epoch was kept."""
    return next((r.validation_correlation for r in outcome.epochs if r.epoch == outcome.best_epoch), None)


def epoch_rows(epochs: Sequence[EpochRecord]) -> list[dict[str, Any]]:
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


def checkpoint_bytes(network: Network) -> bytes:
    """Serialise a network so that it loads with ``weights_only=True``."""
    buffer = io.BytesIO()
    torch.save(network.checkpoint(), buffer)
    return buffer.getvalue()


def network_from_bytes(data: bytes) -> Network:
    """Rebuild one of our networks from the bytes of its checkpoint."""
    return Network.from_checkpoint(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))


def load_network(row: Any) -> Network:
    """Rebuild the network of one row that has a ``checkpoint``."""
    return network_from_bytes(row.fetch1("checkpoint"))


def check_order(row: Any, neuron_order_sha256: str) -> None:
    """Refuse a network of ours whose neurons are not the dataset's, in the same order.

    Raises
    ------
    InputError
        If the network was built for other neurons. A foreign checkpoint names none; its number is checked.
    """
    if row.fetch1("source_kind") != "decortex":
        return
    own = load_network(row).geometry.neuron_order_sha256
    if own != neuron_order_sha256:
        raise InputError(
            f"the network was built for other neurons ({own[:12]}) than its dataset holds "
            f"({neuron_order_sha256[:12]}); delete its row and train it again."
        )


def raw_embedding(row: Any) -> NDArray[np.float32]:
    """Readout weights of one `TrainedModel` row: (n_neurons, n_features), order of Dataset.Neuron."""
    kind, data = row.fetch1("source_kind", "checkpoint")
    if kind == "decortex":
        weights: NDArray[np.float32] = network_from_bytes(data).embedding().detach().numpy()
        return weights
    return read_checkpoint_bytes(
        data, *(ModelTask & row.proj()).fetch1("embedding_key", "mask_key")
    ).embedding


def read_checkpoint_bytes(data: bytes, embedding_key: str, mask_key: str) -> CheckpointReadout:
    """Read an imported checkpoint from its bytes; a key that is '' was not given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pth"
        path.write_bytes(data)
        return read_checkpoint(path, embedding_key=embedding_key or None, mask_key=mask_key or None)
