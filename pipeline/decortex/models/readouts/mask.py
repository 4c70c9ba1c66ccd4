"""Readouts that average the maps under a mask per neuron: a Gaussian, a free one of sum one, one of any sign."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from decortex.errors import ConfigError
from decortex.models.readouts.base import MapShape, Readout


class MaskReadout(Readout):
    """Base of the readouts that average the maps under a mask.

    Masks are not negative and of sum one: they cannot trade scale or sign against the features, so that the
    features alone are the embedding.
    """

    cells: Tensor

    def __init__(self, n_neurons: int, map_shape: MapShape) -> None:
        super().__init__(n_neurons, map_shape)
        self.register_buffer("cells", _cells(map_shape[1:]), persistent=False)

    @abstractmethod
    def masks(self) -> Tensor:
        """Weights over the map's cells, (n_neurons, n_cells), rows of sum one."""

    def centre(self) -> Tensor:
        """Centre of mass of each mask, (n_neurons, 2)."""
        return self.masks() @ self.cells

    def pooled(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Mean of the features under each neuron's mask, (batch, n_neurons, n_features)."""
        if shift is not None:
            raise ConfigError(
                "a mask cannot be moved by a shifter; use a readout of kind 'point' or 'gaussian'."
            )
        cells_first = maps.flatten(2).transpose(1, 2)  # (batch, n_cells, n_features)
        return torch.matmul(self.masks(), cells_first)


class GaussianMaskReadout(MaskReadout):
    """Each neuron averages under a Gaussian whose position and width are learned."""

    def __init__(self, n_neurons: int, map_shape: MapShape, width: float) -> None:
        super().__init__(n_neurons, map_shape)
        self.position = nn.Parameter(torch.zeros(n_neurons, 2))
        self.log_width = nn.Parameter(torch.full((n_neurons,), math.log(width)))

    def start_at(self, position: Tensor) -> None:
        """Put every neuron's Gaussian at a position, (n_neurons, 2)."""
        with torch.no_grad():
            self.position.copy_(position)

    def place_parameters(self) -> list[nn.Parameter]:
        """Return positions and log widths."""
        return [self.position, self.log_width]

    def masks(self) -> Tensor:
        """Softmax over cells of the log Gaussian, (n_neurons, n_cells)."""
        distance = (self.cells[None] - self.position[:, None]).square().sum(dim=-1)
        return torch.softmax(-0.5 * distance * torch.exp(-2.0 * self.log_width)[:, None], dim=1)


class FactorisedReadout(MaskReadout):
    """Each neuron averages under a free mask (Klindt et al., NeurIPS 2017), here a softmax over cells."""

    def __init__(self, n_neurons: int, map_shape: MapShape, width: float) -> None:
        super().__init__(n_neurons, map_shape)
        self.width = width
        self.mask_logits = nn.Parameter(torch.zeros(n_neurons, len(self.cells)))

    def start_at(self, position: Tensor) -> None:
        """Start every mask as a Gaussian at a position, (n_neurons, 2)."""
        with torch.no_grad():
            distance = (self.cells[None] - position[:, None]).square().sum(dim=-1)
            self.mask_logits.copy_(-0.5 * distance / self.width**2)

    def place_parameters(self) -> list[nn.Parameter]:
        """Return the masks' logits."""
        return [self.mask_logits]

    def masks(self) -> Tensor:
        """Softmax over cells, (n_neurons, n_cells)."""
        return torch.softmax(self.mask_logits, dim=1)


class FreeMaskReadout(MaskReadout):
    """Each neuron sums under a mask of any sign and scale, as neuralpredictors' factorised readouts do.

    The mask's norm belongs to the features, and the masks of a network that is rebuilt come with norm one.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape, width: float) -> None:
        super().__init__(n_neurons, map_shape)
        self.width = width
        self.mask = nn.Parameter(torch.zeros(n_neurons, len(self.cells)))

    def start_at(self, position: Tensor) -> None:
        """Start every mask as a Gaussian of norm one at a position, (n_neurons, 2)."""
        with torch.no_grad():
            distance = (self.cells[None] - position[:, None]).square().sum(dim=-1)
            masks = torch.exp(-0.5 * distance / self.width**2)
            self.mask.copy_(masks / masks.norm(dim=1, keepdim=True).clamp_min(1e-12))

    def place_parameters(self) -> list[nn.Parameter]:
        """Return the masks."""
        return [self.mask]

    def masks(self) -> Tensor:
        """The masks as they are, (n_neurons, n_cells); neither their sign nor their sum is bound."""
        return self.mask

    def centre(self) -> Tensor:
        """Centre of mass of each mask's magnitude, (n_neurons, 2)."""
        weight = self.mask.abs()
        return (weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-12)) @ self.cells


def _cells(size: tuple[int, int]) -> Tensor:
    """Coordinates of the map's cells, (height * width, 2), x then y, -1..1 over the centres."""
    height, width = size
    ys = torch.linspace(-1, 1, height) if height > 1 else torch.zeros(1)
    xs = torch.linspace(-1, 1, width) if width > 1 else torch.zeros(1)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x.flatten(), grid_y.flatten()], dim=1)
