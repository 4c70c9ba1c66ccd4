"""Where other projects' readouts keep the features of their neurons, by key and shape. No files here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from decortex.errors import CheckpointError

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


class NamedTensors(dict[str, Tensor]):
    """Tensors below a stem, by what follows it; one that is needed and not there is named in full.

    Parameters
    ----------
    stem : str
        What their keys in the checkpoint begin with.
    tensors : mapping of str to Tensor
        By the rest of the key.
    """

    def __init__(self, stem: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.stem = stem

    def __missing__(self, name: str) -> Tensor:
        """Say which tensor is missing."""
        raise CheckpointError(
            f"the checkpoint has no tensor {self.stem + name!r}, which goes with {[*self][:4]} of {self.stem!r}."
            " Save the whole state dict."
        )

    def take(self, name: str) -> Tensor:
        """Give a tensor out and forget it."""
        value = self[name]
        del self[name]
        return value


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
        If a session has features twice, or tensors have shapes that fit no known readout or contradict each other
        on how many neurons there are.
    """
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
    features = parts[leaf].T if layout == "openretina_factorised" else _rows(parts[leaf], parts, where)
    if "feature_sharing_index" in parts:
        features = _shared(features, parts, where)
    n_neurons = len(features)
    _check_counts(parts, n_neurons, f"readout.{session}", leaf)
    if layout == "factorised_2d" and masks == "free":
        spatial = parts["spatial"].float()
        if spatial.ndim < 2:
            raise CheckpointError(
                f"readout.{session}.spatial has shape {tuple(spatial.shape)}; masks are (n_neurons, height, width)."
            )
        norm = spatial.flatten(1).norm(dim=1)
        features = features * _per_neuron(norm, n_neurons, f"readout.{session}.spatial")
    if layout == "openretina_factorised" and masks == "free":
        norm = parts["mask_weights"].float().norm(dim=0)
        features = features * _per_neuron(norm, n_neurons, f"readout.{session}.mask_weights")
    if layout == "openretina_gaussian_mask" and "scale_param" in parts:
        scale = parts["scale_param"].flatten()
        features = features * _per_neuron(scale, n_neurons, f"readout.{session}.scale_param")
    positions, cortical = _positions(parts, n_neurons, session), parts.get("source_grid")
    return SessionReadout(
        layout=layout,
        features=_array(features),
        positions=None if positions is None else _array(positions),
        cortical=None if cortical is None else _array(cortical),
    )


def _rows(features: Tensor, parts: Mapping[str, Tensor], where: str) -> Tensor:
    """Features as (n_neurons, n_features); neuralpredictors' attention readout keeps (1, n_features, n_neurons)."""
    counted = [parts[name].numel() for name in ("bias", "scales") if name in parts]
    attention = any(name.startswith("neuron_query") for name in parts)
    if features.ndim == 3 and features.shape[0] == 1 and (attention or features.shape[2] in counted):
        return features[0].T
    return as_rows(features, where=where)


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
    index = _index(parts, "feature_sharing_index", len(features), "feature vectors")
    gathered = features[index]
    if "scales" not in parts:
        return gathered
    return gathered * _per_neuron(parts["scales"].flatten(), len(index), where.rpartition(".")[0] + ".scales")


def _index(parts: NamedTensors, name: str, n: int, what: str) -> Tensor:
    """Which of the shared ones each neuron has."""
    given = parts[name].flatten()
    index = given.long()
    wrong = given[(index != given) | (index < 0) | (index >= n)]
    if len(wrong):
        raise CheckpointError(
            f"{parts.stem}{name} asks for number {wrong[0].item():g}, but there are {n} shared {what}, numbered from 0."
            " Save the state dict again."
        )
    return index


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
        raise CheckpointError(f"{where} has {values.numel()} values for {n_neurons} neurons.")
    return values.reshape(-1, 1)


def _positions(parts: NamedTensors, n_neurons: int, session: str) -> Tensor | None:
    """Learned positions, clamped to the map as the readouts do; None where they cannot be told."""
    if "source_grid" in parts and "mu_transform.0.weight" in parts:
        return _predicted_positions(parts)
    if "mask_log_var" in parts:
        return None  # its mean is in units of a scale that the tensors do not tell
    for name in ("_mu", "mu", "grid"):
        if name in parts:
            return _own_positions(parts, name, n_neurons, session)
    return None


def _own_positions(parts: NamedTensors, name: str, n_neurons: int, session: str) -> Tensor:
    """Positions that the tensor of this name holds, or that a session with a shared grid takes from it."""
    held = parts[name]
    if held.ndim < 2 or held.shape[-1] < 2:
        raise CheckpointError(
            f"readout.{session}.{name} has shape {tuple(held.shape)}; positions are (..., 2), x and y of each neuron."
        )
    # Gaussian3d's third coordinate is the channel
    position = held.reshape(-1, held.shape[-1])[:, :2]
    if "mu_transform.weight" in parts:  # a grid shared with another session, and how this one turns it
        position = _linear(position.float(), parts, "mu_transform")
    if "grid_sharing_index" in parts:
        position = position[_index(parts, "grid_sharing_index", len(position), "positions")]
    if len(position) != n_neurons:
        raise CheckpointError(
            f"readout.{session}.{name} has {len(position)} positions for {n_neurons} neurons. Save the state dict"
            " again."
        )
    if position.shape[1] != 2:
        raise CheckpointError(
            f"{parts.stem}mu_transform gives {position.shape[1]} coordinates per neuron; expected 2."
        )
    return position.float().clamp(-1.0, 1.0)


def _predicted_positions(parts: NamedTensors) -> Tensor:
    """Positions that a small network predicts from cortical ones: linear layers, ELU between, tanh last.

    Whether the last tanh was on is not in the tensors; it is in Sensorium's models, and elsewhere positions
    are clamped to -1..1.
    """
    x = parts["source_grid"].float()
    layers = sorted(
        int(name.split(".")[1]) for name in parts if re.fullmatch(r"mu_transform\.\d+\.weight", name)
    )
    for layer in layers:
        x = _linear(x, parts, f"mu_transform.{layer}")
        if layer != layers[-1]:
            x = functional.elu(x)
    if x.shape[1] != 2:
        raise CheckpointError(
            f"{parts.stem}mu_transform gives {x.shape[1]} coordinates per neuron; expected 2."
        )
    return torch.tanh(x)


def _linear(x: Tensor, parts: NamedTensors, name: str) -> Tensor:
    """Apply a linear layer of a checkpoint to (n_neurons, n_inputs)."""
    weight, bias = parts[f"{name}.weight"].float(), parts[f"{name}.bias"].float()
    if x.ndim != 2 or weight.ndim != 2 or weight.shape[1] != x.shape[1] or bias.shape != weight.shape[:1]:
        raise CheckpointError(
            f"{parts.stem}{name} has weights {tuple(weight.shape)} and a bias {tuple(bias.shape)}, which do not apply"
            f" to {tuple(x.shape)}: expected (n_outputs, n_inputs) and (n_outputs,). Save the state dict again."
        )
    return functional.linear(x, weight, bias)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    result: NDArray[np.float32] = tensor.detach().float().cpu().contiguous().numpy().copy()
    return result
