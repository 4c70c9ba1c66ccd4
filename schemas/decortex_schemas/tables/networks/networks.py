"""Networks: which to train or import, and the trained ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import finetune, models
from decortex.errors import ConfigError, InputError
from decortex.least_recently_used import LeastRecentlyUsed
from decortex.models import training as network_training
from decortex.models.training import TrainingConfig
from decortex_schemas.database import STAMP, Computation, Environment, Made, run_state, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, load_recordings
from decortex_schemas.tables.networks.network_states import (
    STATE_NAMES,
    STATE_TABLES,
    NetworkState,
    source_of,
    state_row,
    states_to_wait_for,
)
from decortex_schemas.tables.networks.stored_networks import (
    TASK_COLUMNS,
    checkpoint_bytes,
    checkpoint_columns,
    load_network,
    network_from_bytes,
    read_task,
    rebuild_task,
)
from decortex_schemas.tables.specs import (
    Metric,  # noqa: F401  (foreign key)
    ModelSpec,
    Seed,  # noqa: F401  (foreign key)
)

# Readout weights by the digest of the checkpoint and by how it is read.
_EMBEDDINGS: LeastRecentlyUsed[NDArray[np.float32]] = LeastRecentlyUsed(
    max_bytes=256 * 2**20, size=lambda weights: weights.nbytes
)


@schema
class ModelTask(dj.Manual):
    """A network that somebody wants: to be trained here, or imported from a checkpoint."""

    author_rights = ("INSERT", "UPDATE (dataset)")

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


@dataclass(frozen=True)
class CoreDonors:
    """Networks that take their core from another network.

    Attributes
    ----------
    waiting : callable
        Returns the keys of `ModelTask` that must wait: what they take their core from, or are shown, is not there yet.
    donor : callable
        Takes the key of a network; returns ``key`` and ``checkpoint_sha256`` of the row of `TrainedModel` whose core
        it takes, or None.
    """

    waiting: Callable[[], Any]
    donor: Callable[[dict[str, Any]], dict[str, Any] | None]


# Whoever lends cores rests on networks, and adds itself.
CORE_DONORS: list[CoreDonors] = []


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
        ready = ModelTask.proj()
        for waiting in [*(one.waiting() for one in CORE_DONORS), *states_to_wait_for(ready)]:
            ready = ready - waiting
        return ready

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the task: digest of a checkpoint, or the configurations to train and what it is a state of."""
        sha256 = (ModelTask & key).fetch1("checkpoint_sha256")
        network, training = (ModelSpec & key).fetch1("network", "training")
        content = (Dataset & key).fetch1("content_sha256")
        donor = next((found for one in CORE_DONORS if (found := one.donor(key)) is not None), None)
        return sha256, network, training, content, donor, source_of(key)

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
    """Readout weights of one `TrainedModel` row: (n_neurons, n_features), order of Dataset.Neuron.

    A worker reads those of one network for every partition that it tests: the last ones stay in memory.
    """
    kind, sha256 = row.fetch1("source_kind", "checkpoint_sha256")
    task = None if kind == "decortex" else (ModelTask & row.proj()).proj(*TASK_COLUMNS).fetch1()

    def read() -> NDArray[np.float32]:
        data = row.fetch1("checkpoint")
        if task is not None:
            return read_task(task, data).embedding
        weights: NDArray[np.float32] = network_from_bytes(data).embedding().detach().numpy()
        return weights

    return _EMBEDDINGS.recall((sha256, str(task)), read).copy()


def check_no_state(table: str, key: Mapping[str, Any], sha256: str | None) -> None:
    """Refuse to insert a control or a fine-tuning anew while networks that hold its earlier state are there.

    Raises
    ------
    ConfigError
        If so: they must go first, since what hangs on them is of another network.
    """
    state = "control" if table == "ContinuedTraining" else "fine_tuned"
    if len(STATE_TABLES[state] & {name: key[name] for name in STATE_TABLES[state]().primary_key}):
        return  # a recomputation compares with what is there
    at = {name: key[name] for name in STATE_NAMES[state]}
    specs = NetworkState & {"state": state, "parent_spec_id": key["model_spec_id"], **at}
    networks = TrainedModel & specs.proj() & {"dataset": key["dataset"], "model_seed": key["model_seed"]}
    other = (networks & f"checkpoint_sha256 != '{sha256}'").keys()
    if other:
        raise ConfigError(
            f"the network {dict(other[0])} holds an earlier result of this {table}: delete it, `decortex delete "
            "TrainedModel`, and let workers compute both again."
        )


def handover_of(key: Mapping[str, Any]) -> network_training.Handover:
    """Training of a network that was handed over after an epoch, to go on with.

    Raises
    ------
    ConfigError
        If the network is no state of an epoch.
    """
    network = {name: key[name] for name in TrainedModel().primary_key}
    found = TrainedModel.Handover & network
    if not len(found):
        raise ConfigError(
            f"network {network} is no state of an epoch, so that no training goes on from it: name its networks with "
            "joint_from in the plan, or leave the schedule's optimiser_state 'new'."
        )
    return network_training.Handover.from_bytes(found.fetch1("run"))
