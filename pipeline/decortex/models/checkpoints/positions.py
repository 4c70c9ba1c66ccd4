"""Where the neurons of other projects' readouts read and lie, and tensors by name. No files here."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from decortex.errors import CheckpointError


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


def positions_of(parts: NamedTensors, n_neurons: int, session: str) -> Tensor | None:
    """Learned positions of a session's neurons, clamped to the map as the readouts do.

    Parameters
    ----------
    parts : NamedTensors
        Of the session's readout.
    n_neurons : int
    session : str

    Returns
    -------
    Tensor of shape (n_neurons, 2), or None
        -1..1 over the feature map, x then y; None where the tensors do not tell.

    Raises
    ------
    CheckpointError
        If they have other shapes, are not of so many neurons, or are not finite.
    """
    found = _positions(parts, n_neurons, session)
    if found is not None:
        refuse_not_finite(found, "the positions", session)
    return found


def cortical_of(parts: NamedTensors, session: str) -> Tensor | None:
    """Where a session's neurons lie in cortex, (n_neurons, n_dimensions), or None.

    Raises
    ------
    CheckpointError
        If the tensor has another shape or is not finite.
    """
    found = parts.get("source_grid")
    if found is None:
        return None
    if found.ndim != 2:
        raise CheckpointError(
            f"readout.{session}.source_grid has shape {tuple(found.shape)}; where neurons lie in cortex is (n_neurons,"
            " n_dimensions). Save the state dict again."
        )
    refuse_not_finite(found, "the positions in cortex (source_grid)", session)
    return found


def refuse_not_finite(rows: Tensor, what: str, session: str) -> None:
    """Refuse numbers per neuron of which some are NaN or infinite.

    Raises
    ------
    CheckpointError
        With how many neurons, and the first.
    """
    bad = torch.nonzero(~torch.isfinite(rows.detach().float()).all(dim=1)).flatten()
    if len(bad):
        raise CheckpointError(
            f"{what} of {len(bad)} of {len(rows)} neurons of {session!r} are NaN or infinite (first: neuron"
            f" {int(bad[0])}). The training that wrote it diverged; take an earlier state."
        )


def _positions(parts: NamedTensors, n_neurons: int, session: str) -> Tensor | None:
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
    # Gaussian3d's third coordinate is the channel
    if held.ndim < 2 or held.shape[-1] not in (2, 3):
        raise CheckpointError(
            f"readout.{session}.{name} has shape {tuple(held.shape)}; positions are (..., 2), x and y of each neuron."
        )
    position = held.reshape(-1, held.shape[-1])[:, :2]
    if "mu_transform.weight" in parts:  # a grid shared with another session, and how this one turns it
        position = _linear(position.float(), parts, "mu_transform")
    if "grid_sharing_index" in parts:
        position = position[shared_index(parts, "grid_sharing_index", len(position), "positions")]
    if len(position) != n_neurons:
        raise CheckpointError(
            f"readout.{session}.{name} has {len(position)} positions for {n_neurons} neurons. Save the state dict"
            " again."
        )
    return _two(position, parts).float().clamp(-1.0, 1.0)


def _predicted_positions(parts: NamedTensors) -> Tensor:
    """Positions that a small network predicts from cortical ones: linear layers, ELU between, tanh last.

    Whether the last tanh was on is not in the tensors; it is in Sensorium's models, and elsewhere positions
    are clamped to -1..1.
    """
    x = parts["source_grid"].float()
    layers = sorted(
        int(name.split(".")[1]) for name in parts if re.fullmatch(r"mu_transform\.\d{1,4}\.weight", name)
    )
    for layer in layers:
        x = _linear(x, parts, f"mu_transform.{layer}")
        if layer != layers[-1]:
            x = functional.elu(x)
    return torch.tanh(_two(x, parts))


def _two(position: Tensor, parts: NamedTensors) -> Tensor:
    if position.shape[1] != 2:
        raise CheckpointError(
            f"{parts.stem}mu_transform gives {position.shape[1]} coordinates per neuron; expected 2."
        )
    return position


def _linear(x: Tensor, parts: NamedTensors, name: str) -> Tensor:
    """Apply a linear layer of a checkpoint to (n_neurons, n_inputs)."""
    weight, bias = parts[f"{name}.weight"].float(), parts[f"{name}.bias"].float()
    if x.ndim != 2 or weight.ndim != 2 or weight.shape[1] != x.shape[1] or bias.shape != weight.shape[:1]:
        raise CheckpointError(
            f"{parts.stem}{name} has weights {tuple(weight.shape)} and a bias {tuple(bias.shape)}, which do not apply"
            f" to {tuple(x.shape)}: expected (n_outputs, n_inputs) and (n_outputs,). Save the state dict again."
        )
    return functional.linear(x, weight, bias)


def shared_index(parts: NamedTensors, name: str, n: int, what: str) -> Tensor:
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
