"""Where other projects' readouts keep the features of their neurons, by key and shape. No files here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.positions import (
    NamedTensors,
    cortical_of,
    positions_of,
    shared_index,
)

Layout = Literal[
    "full_gaussian_2d",
    "gaussian_2d",
    "point_pooled_2d",
    "factorised_2d",
    "openretina_gaussian_mask",
    "openretina_factorised",
    "named_key",
    "decortex",
]
Masks = Literal["free", "normalised"]

# neuralpredictors' and openretina's names: readout.<session>.<leaf>; a session's name may hold dots.
_FEATURE_KEY = re.compile(r"^readout\.(?P<session>.+)\.(?P<leaf>_features|features|feature_weights)$")
# Tensors with one entry for each neuron: the axis that counts neurons, None where all its numbers do.
_PER_NEURON: dict[str, int | None] = {
    "bias": None,
    "scales": None,
    "scale_param": None,
    "feature_sharing_index": None,
    "grid_sharing_index": None,
    "source_grid": 0,
    "spatial": 0,
    "mask_mean": 0,
    "mask_log_var": 0,
    "mask_weights": 1,
    "sigma": 1,
}


@dataclass(frozen=True)
class ReadoutTensors:
    """The tensors of one session's readout, as they lie in a checkpoint.

    Parameters
    ----------
    leaf : str
        Name of the features among them.
    parts : NamedTensors
        By what comes after ``readout.<session>.``.
    """

    leaf: str
    parts: NamedTensors

    @property
    def layout(self) -> Layout:
        """Which readout class wrote them."""
        return layout_of(self.leaf, self.parts)


@dataclass(frozen=True)
class SessionReadout:
    """The readout of one session of somebody's checkpoint.

    Parameters
    ----------
    layout : str
        Which readout class wrote it, 'named_key' or 'decortex'.
    features : ndarray of float32, shape (n_neurons, n_features)
        The neurons' embedding.
    positions : ndarray of float32, shape (n_neurons, 2), or None
        Where each neuron reads, -1..1 over the feature map, x then y.
    cortical : ndarray of float32, shape (n_neurons, n_dimensions), or None
        Where each neuron lies in cortex (``source_grid``), in the units its authors chose.
    """

    layout: Layout
    features: NDArray[np.float32]
    positions: NDArray[np.float32] | None
    cortical: NDArray[np.float32] | None


def find_readouts(state: Mapping[str, Tensor], *, masks: Masks) -> dict[str, SessionReadout]:
    """Find the readout of every session among a checkpoint's tensors.

    Parameters
    ----------
    state : mapping of str to Tensor
        One network's, by keys without prefix (`StateDict.tensors`).
    masks : {'free', 'normalised'}
        For factorised readouts: whether the network used its masks as they are, so that their norm belongs to
        the features, or divided them by their norm. The tensors do not tell.

    Returns
    -------
    dict of str to SessionReadout
        By session, in the checkpoint's order; empty where nothing looks like a readout.

    Raises
    ------
    CheckpointError
        If a session has features twice, or tensors have shapes that fit no known readout, contradict each other
        on how many neurons there are, or are not finite.
    ConfigError
        If ``masks`` is another word.
    """
    if masks not in get_args(Masks):
        raise ConfigError(f"masks should be one of {', '.join(get_args(Masks))}, but is {masks!r}.")
    return {
        session: _read_session(session, tensors.leaf, tensors.parts, masks)
        for session, tensors in readout_tensors(state).items()
    }


def readout_tensors(state: Mapping[str, Tensor]) -> dict[str, ReadoutTensors]:
    """Sort out which tensors belong to which session's readout, in the checkpoint's order.

    Raises
    ------
    CheckpointError
        If a session has features twice.
    """
    found: dict[str, ReadoutTensors] = {}
    for key in state:
        match = _FEATURE_KEY.match(key)
        if match is None:
            continue
        session = match["session"]
        if session in found:
            raise CheckpointError(
                f"session {session!r} has features twice, {found[session].leaf!r} and {match['leaf']!r}. Save the"
                " state dict of one readout for each session."
            )
        stem = key[: -len(match["leaf"])]
        parts = NamedTensors(
            stem, {name[len(stem) :]: one for name, one in state.items() if name.startswith(stem)}
        )
        found[session] = ReadoutTensors(leaf=match["leaf"], parts=parts)
    return found


def readout_like_keys(state: Iterable[str], limit: int = 8) -> list[str]:
    """Keys that speak of readouts or features, for an error message."""
    return [key for key in state if re.search(r"readout|feature|feat|embed", key)][:limit]


def as_rows(features: Tensor, *, where: str) -> Tensor:
    """Bring features to (n_neurons, n_features).

    Parameters
    ----------
    features : Tensor
        (n_neurons, n_features), neuralpredictors' (1, n_features, 1, n_neurons), fnn's (n_neurons, n_readouts,
        n_features), whose readouts become columns one after another, or a convolution's (n_neurons, n_features, 1).
    where : str
        Key, for the error message.

    Raises
    ------
    CheckpointError
        If the shape is neither.
    """
    if features.ndim == 2:
        return features
    if features.ndim == 4 and features.shape[0] == 1 and features.shape[2] == 1:
        return features[0, :, 0, :].T
    if features.ndim == 3:
        return features.flatten(1)
    raise CheckpointError(
        f"{where} has shape {tuple(features.shape)}; features are (n_neurons, n_features), (1, n_features, 1,"
        " n_neurons), (n_neurons, n_readouts, n_features) or (n_neurons, n_features, 1)."
    )


def refuse_grouped_readout(keys: Iterable[str], *, where: str) -> None:
    """Refuse DwiseNeuro, whose readout is a convolution in two groups behind a pooled core.

    Raises
    ------
    CheckpointError
        If the keys are those of such a network.
    """
    names = list(keys)
    readouts = [name for name in names if re.search(r"(^|\.)readouts\.\d+\.layer\.\d+\.weight$", name)]
    if readouts and any(re.search(r"(^|\.)cortex\.", name) for name in names):
        raise CheckpointError(
            f"{where} is a network of the kind of DwiseNeuro (a 'cortex' and {readouts[0]!r}): its core is pooled over"
            " space, so that where and what a neuron reads are mixed in its weights, and the two groups of its readout"
            " read different channels: rows of one half of a session cannot be compared with those of the other. They"
            " are not clustered. Save the rows of one group as a matrix of their own if you know what you do."
        )


def _read_session(session: str, leaf: str, parts: NamedTensors, masks: Masks) -> SessionReadout:
    where = f"readout.{session}.{leaf}"
    layout = layout_of(leaf, parts)
    features = _rows(parts[leaf], parts, where, layout)
    if "feature_sharing_index" in parts:
        features = _shared(features, parts, where)
    n_neurons = len(features)
    _check_counts(parts, n_neurons, f"readout.{session}", leaf)
    if layout == "factorised_2d":
        spatial = spatial_masks(parts)
        if masks == "free":
            features = features * _per_neuron(spatial.norm(dim=1), n_neurons, f"readout.{session}.spatial")
    if layout == "openretina_factorised" and masks == "free":
        norm = parts["mask_weights"].float().norm(dim=0)
        features = features * _per_neuron(norm, n_neurons, f"readout.{session}.mask_weights")
    if layout == "openretina_gaussian_mask" and "scale_param" in parts:
        scale = parts["scale_param"].flatten()
        features = features * _per_neuron(scale, n_neurons, f"readout.{session}.scale_param")
    positions, cortical = positions_of(parts, n_neurons, session), cortical_of(parts, session)
    return SessionReadout(
        layout=layout,
        features=_array(features),
        positions=None if positions is None else _array(positions),
        cortical=None if cortical is None else _array(cortical),
    )


def _rows(features: Tensor, parts: Mapping[str, Tensor], where: str, layout: Layout) -> Tensor:
    """Features as (n_neurons, n_features); neuralpredictors' attention readout keeps (1, n_features, n_neurons)."""
    if layout == "openretina_factorised":
        if features.ndim != 2:
            raise CheckpointError(
                f"{where} has shape {tuple(features.shape)}; features of this readout are (n_features, n_neurons)."
            )
        return features.T
    counted = [parts[name].numel() for name in ("bias", "scales") if name in parts]
    attention = any(name.startswith("neuron_query") for name in parts)
    if features.ndim == 3 and features.shape[0] == 1 and (attention or features.shape[2] in counted):
        return features[0].T
    return as_rows(features, where=where)


def spatial_masks(parts: NamedTensors) -> Tensor:
    """Masks of a factorised readout, (n_neurons, height * width).

    Raises
    ------
    CheckpointError
        If they are not (n_neurons, height, width).
    """
    spatial = parts["spatial"].float()
    if spatial.ndim < 2:
        raise CheckpointError(
            f"{parts.stem}spatial has shape {tuple(spatial.shape)}; masks are (n_neurons, height, width)."
        )
    return spatial.flatten(1)


def layout_of(leaf: str, parts: Mapping[str, Tensor]) -> Layout:
    """Which readout class wrote these tensors."""
    if leaf == "feature_weights":
        return "openretina_factorised"
    if "mask_log_var" in parts:
        return "openretina_gaussian_mask"
    if "spatial" in parts:
        return "factorised_2d"
    if "grid" in parts:
        return "point_pooled_2d"
    return "full_gaussian_2d" if leaf == "_features" else "gaussian_2d"


def _shared(features: Tensor, parts: NamedTensors, where: str) -> Tensor:
    """Features of matched neurons, times each neuron's own scale: ``scales * _features[sharing_index]``."""
    index = shared_index(parts, "feature_sharing_index", len(features), "feature vectors")
    gathered = features[index]
    if "scales" not in parts:
        return gathered
    return gathered * _per_neuron(parts["scales"].flatten(), len(index), where.rpartition(".")[0] + ".scales")


def _check_counts(parts: Mapping[str, Tensor], n_neurons: int, stem: str, leaf: str) -> None:
    """Compare the number of neurons by the features with that of every other tensor of the session."""
    for name, axis in _PER_NEURON.items():
        if name not in parts:
            continue
        shape = parts[name].shape
        count = parts[name].numel() if axis is None or len(shape) <= axis else shape[axis]
        if count != n_neurons:
            features = tuple(parts[leaf].shape)
            turned = (
                f" If they are (n_features, n_neurons), save {leaf}.T."
                if len(features) == 2 and features[1] == count
                else " The file is of two networks, or was changed after training; save the state dict again."
            )
            raise CheckpointError(
                f"{stem}.{name} has {count} values for {n_neurons} neurons: its shape is {tuple(shape)}, that of"
                f" {stem}.{leaf} {features}.{turned}"
            )


def _per_neuron(values: Tensor, n_neurons: int, where: str) -> Tensor:
    if values.numel() != n_neurons:
        raise CheckpointError(
            f"{where} has {values.numel()} values for {n_neurons} neurons; expected one each. Save the state dict"
            " again."
        )
    return values.reshape(-1, 1)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    result: NDArray[np.float32] = tensor.detach().float().cpu().contiguous().numpy().copy()
    return result
