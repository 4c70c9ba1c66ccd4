"""Stored checkpoints as networks and embeddings, trained here, rebuilt or built. No table is defined here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex import data as data_sources
from decortex import models
from decortex.errors import InputError
from decortex.evaluation.performance import Scores
from decortex.models import checkpoints

# Columns of `ModelTask` that say how a checkpoint is read; its bytes are not among them.
TASK_COLUMNS = (
    "state_dict",
    "embedding_key",
    "mask_key",
    "masks",
    "sessions",
    "rebuild",
    "builder",
    "builder_config",
)


def allowed_builders() -> frozenset[str]:
    """Modules whose builders this process may run: ``DECORTEX_BUILDERS``, separated by commas; none by default."""
    names = os.environ.get("DECORTEX_BUILDERS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def checkpoint_bytes(network: models.Network) -> bytes:
    """Serialise a network so that it loads with ``weights_only=True``."""
    return checkpoints.content_bytes(network.checkpoint())


def checkpoint_columns(data: bytes) -> dict[str, Any]:
    """Columns of a checkpoint: its bytes and their digest."""
    return {"checkpoint": data, "checkpoint_sha256": hashlib.sha256(data).hexdigest()}


def network_from_bytes(data: bytes) -> models.Network:
    """Rebuild one of our networks from the bytes of its checkpoint."""
    return models.Network.from_checkpoint(checkpoints.load_bounded(data))


def load_network(row: Any) -> models.Network:
    """Rebuild the network of one row that has a ``checkpoint`` of ours."""
    return network_from_bytes(row.fetch1("checkpoint"))


def read_task(task: dict[str, Any], data: bytes) -> checkpoints.CheckpointReadout:
    """Read the readout of an imported checkpoint as its row of `ModelTask` says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pth"
        path.write_bytes(data)
        readout = checkpoints.read_checkpoint(
            path,
            state_dict=task["state_dict"] or None,
            embedding_key=task["embedding_key"] or None,
            mask_key=task["mask_key"] or None,
            masks=task["masks"],
        )
    return readout if task["sessions"] is None else readout.arranged(task["sessions"])


def rebuild_task(
    task: dict[str, Any], data: bytes, *, order: str, image_shape: tuple[int, int, int] | None
) -> models.Network:
    """Rebuild the whole network of an imported checkpoint as its row of `ModelTask` says."""
    return checkpoints.rebuild_network(
        checkpoints.tensors_of(checkpoints.load_tensors(data), task["state_dict"] or None),
        checkpoints.RebuildConfig.from_params(task["rebuild"]),
        neuron_order_sha256=order,
        image_shape=image_shape,
        sessions=task["sessions"],
    )


def build_task(
    task: dict[str, Any],
    data: bytes,
    readout: checkpoints.CheckpointReadout,
    *,
    image_shape: tuple[int, int, int],
    allowed: frozenset[str],
) -> checkpoints.BuiltNetwork:
    """Build the network of an imported checkpoint by its builder, if this process may run it."""
    counts = {name: int((readout.session == name).sum()) for name in readout.sessions}
    geometry = models.Geometry(
        image_shape=image_shape,
        sessions=tuple(models.SessionGeometry(name=name, n_neurons=n) for name, n in counts.items()),
        neuron_order_sha256="",
    )
    return checkpoints.build_network(
        task["builder"],
        task["builder_config"] or {},
        checkpoints.saved_tensors(
            checkpoints.load_tensors(data),
            state_dict=task["state_dict"] or None,
            embedding_key=task["embedding_key"] or None,
        ),
        geometry,
        seed=int(task["model_seed"]),
        allowed=allowed,
    )


def score_foreign(
    network: models.Network | checkpoints.BuiltNetwork,
    readout_order: tuple[NDArray[np.str_], NDArray[np.int64]],
    recordings: data_sources.Recordings,
    places: NDArray[np.int64],
    tier: str,
) -> tuple[dict[str, Scores], int]:
    """Score a network whose neurons a map finds among the recorded ones."""

    def predict(name: str, session: data_sources.Session, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        return models.predictions(network, session, trials, name=name)

    session_of, index_of = readout_order
    return checkpoints.score_mapped(
        predict,
        recordings,
        tier,
        session_of=session_of,
        index_of=index_of,
        places=places,
        skipped=models.frames_skipped(network),
    )


def order_of(
    network: models.Network | checkpoints.BuiltNetwork,
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Session of every neuron of a network, and its index there."""
    counts = [own.stop - own.start for own in network.slices.values()]
    return (
        np.repeat(np.array(list(network.slices)), counts),
        np.concatenate([np.arange(n, dtype=np.int64) for n in counts]),
    )


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
