"""What is checked before a checkpoint is registered: its numbers, its name, and whether it is there already."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from decortex.data.tables import WIDE
from decortex.errors import CheckpointError
from decortex.models import checkpoints
from decortex_schemas.tables import Dataset, ModelTask, is_registered


def check_name(name: str, content: str, order: str) -> None:
    """Refuse a name that other neurons have, and point to that dataset where they may be the same neurons.

    Raises
    ------
    CheckpointError
        If a dataset of this name came from another checkpoint with the same sessions and numbers of neurons.
    DatasetError
        If it holds something else.
    """
    found = (Dataset & {"dataset": name}).to_dicts()
    row = found[0] if found else None
    if row is not None and row["content_sha256"] != content and row["neuron_order_sha256"] == order:
        taken = (ModelTask & {"dataset": name}).to_arrays("model_seed")
        seed = int(max(taken, default=-1)) + 1
        raise CheckpointError(
            f"dataset {name!r} came from another checkpoint with the same sessions and numbers of neurons. If this is"
            f" another seed of that network, register it for the same neurons, so that the two are compared: --dataset"
            f" {name} --name {name} --seed {seed} (another network of these neurons: --dataset {name} and a --name of"
            " its own), without --neuron-map and --own-responses. If its neurons are others, give another --name."
        )
    is_registered(name, content, order)


def check_embedding(path: Path, readout: checkpoints.CheckpointReadout) -> None:
    """Refuse an embedding that no clustering can divide, and name neurons whose features are all one number.

    A matrix that was named by its key and is much wider than long is named, too: it may lie on its side.

    Raises
    ------
    CheckpointError
        If all neurons have the same features (zeros, or a readout as it was initialised).
    """
    x = readout.embedding
    if not x.any():
        raise CheckpointError(
            f"all features of the {len(x)} neurons of {path} are zero: these are no trained weights (a momentum or"
            " gradient buffer, or a readout that nobody trained). Register the trained network's state dict."
        )
    if len(x) > 1 and (x == x[0]).all():
        raise CheckpointError(
            f"the {len(x)} neurons of {path} all have the same features: the readout is as it was initialised, and"
            " there is nothing to cluster. Register the trained network's state dict."
        )
    if readout.kind == "named_key" and x.shape[1] > WIDE * len(x):
        warnings.warn(
            f"{path} gives {len(x)} neurons x {x.shape[1]} features: one row per neuron is expected, this looks like"
            " one column per neuron. If it is, save the tensor turned (tensor.T).",
            UserWarning,
            stacklevel=3,
        )
    constant = np.equal(x.min(axis=1), x.max(axis=1) if x.shape[1] > 1 else 0)
    if constant.any():
        counts = {one: int(constant[readout.session == one].sum()) for one in readout.sessions}
        by_session = ", ".join(f"{n} of {one!r}" for one, n in counts.items() if n)
        n_zero = int((~x.any(axis=1)).sum())
        warnings.warn(
            f"{int(constant.sum())} of the {len(x)} neurons of {path} have one number for all their features"
            f" ({n_zero} of them zero): {by_session}; the first is neuron {int(np.flatnonzero(constant)[0])}. Such a"
            " neuron was silent in training or its weights were never set; it will be clustered by this row.",
            UserWarning,
            stacklevel=3,
        )


def known_task(key: dict[str, Any], sha256: str, task: dict[str, Any], name: str) -> bool:
    """Whether the very same is registered already.

    Raises
    ------
    CheckpointError
        If another checkpoint, or the same one read otherwise, is.
    """
    found = (ModelTask & key).proj("checkpoint_sha256", *(c for c in task if c != "model_seed")).to_dicts()
    if not found:
        return False
    if found[0]["checkpoint_sha256"] != sha256:
        raise CheckpointError(
            f"{name!r} with seed {key['model_seed']} is registered for dataset {key['dataset']!r} with another "
            f"checkpoint (sha256 {str(found[0]['checkpoint_sha256'])[:12]}). Give another name or seed."
        )
    other = [column for column in task if column != "model_seed" and found[0][column] != task[column]]
    if other:
        raise CheckpointError(
            f"{name!r} with seed {key['model_seed']} is registered for dataset {key['dataset']!r} with embedding_key "
            f"{found[0]['embedding_key']!r} and mask_key {found[0]['mask_key']!r}, and differs in {', '.join(other)}. "
            "Give another name or seed, or delete that row of ModelTask."
        )
    return True
