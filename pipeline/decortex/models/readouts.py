"""Readouts of one session: maps in, a drive a neuron out. The rows of ``features`` are the embedding."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from decortex.config import Config

ReadoutKind = Literal["point", "mask", "factorised"]
MapShape = tuple[int, int, int]


class ReadoutConfig(Config):
    """How each neuron looks at the feature maps."""

    kind: ReadoutKind = Field(
        default="point",
        description="one learned point; a Gaussian mask (position, width); or a free mask, each x features",
    )
    start: Literal["correlation", "centre"] = Field(
        default="correlation",
        description="positions start where response and local contrast correlate most, or at the centre",
    )
    width: float = Field(
        default=0.35, gt=0, le=4, description="standard deviation a mask starts with, in half map sides"
    )
    feature_start: float = Field(
        default=0.05,
        gt=0,
        le=10,
        description="standard deviation of the starting features times sqrt(channels)",
    )


class Readout(nn.Module, ABC):
    """What all readouts share: features, bias, and that a neuron sees one feature vector an image.

    Parameters
    ----------
    n_neurons : int
        Neurons of the session.
    map_shape : tuple of int
        (n_features, height, width) of the core's output.

    Attributes
    ----------
    features : Parameter, shape (n_neurons, n_features)
        The neurons' embedding.
    bias : Parameter, shape (n_neurons,)
        Drive without stimulus.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape) -> None:
        super().__init__()
        self.features = nn.Parameter(torch.zeros(n_neurons, map_shape[0]))
        self.bias = nn.Parameter(torch.zeros(n_neurons))

    @abstractmethod
    def start_at(self, position: Tensor) -> None:
        """Put every neuron at a position, (n_neurons, 2), x then y, -1..1 over the cells' centres."""

    @abstractmethod
    def place_parameters(self) -> list[nn.Parameter]:
        """Parameters that say where, not what, a neuron reads."""

    @abstractmethod
    def centre(self) -> Tensor:
        """Where each neuron reads, (n_neurons, 2), x then y, -1..1 over the cells' centres."""

    @abstractmethod
    def pooled(self, maps: Tensor) -> Tensor:
        """Features that each neuron sees, (batch, n_neurons, n_features)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Drive of every neuron, (batch, n_neurons), from maps (batch, n_features, height, width)."""
        return (self.pooled(maps) * self.features).sum(dim=-1) + self.bias


class PointReadout(Readout):
    """Each neuron reads one learned point, bilinearly interpolated between cells (Lurz et al., ICLR 2021).

    The position is a parameter, not sampled: its gradient comes through the interpolation. Positions outside
    the map read its border.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape) -> None:
        super().__init__(n_neurons, map_shape)
        self.position = nn.Parameter(torch.zeros(n_neurons, 2))

    def start_at(self, position: Tensor) -> None:
        """Put every neuron at a position, (n_neurons, 2)."""
        with torch.no_grad():
            self.position.copy_(position)

    def place_parameters(self) -> list[nn.Parameter]:
        """Return the positions."""
        return [self.position]

    def centre(self) -> Tensor:
        """Return the positions, inside the map."""
        return self.position.clamp(-1.0, 1.0)

    def pooled(self, maps: Tensor) -> Tensor:
        """Features at each neuron's point, (batch, n_neurons, n_features)."""
        # One grid for all images: fold the batch into the channels, so that it is built and read once.
        n_images, n_features, height, width = maps.shape
        folded = maps.reshape(1, n_images * n_features, height, width)
        grid = self.position[None, :, None, :]  # (1, n_neurons, 1, 2)
        read = functional.grid_sample(folded, grid, padding_mode="border", align_corners=True)
        return read.view(n_images, n_features, -1).transpose(1, 2)


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

    def pooled(self, maps: Tensor) -> Tensor:
        """Mean of the features under each neuron's mask, (batch, n_neurons, n_features)."""
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


def build_readout(config: ReadoutConfig, n_neurons: int, map_shape: MapShape) -> Readout:
    """Build the readout of one session; features are zero until the network starts them."""
    if config.kind == "point":
        return PointReadout(n_neurons, map_shape)
    if config.kind == "mask":
        return GaussianMaskReadout(n_neurons, map_shape, config.width)
    return FactorisedReadout(n_neurons, map_shape, config.width)


def _cells(size: tuple[int, int]) -> Tensor:
    """Coordinates of the map's cells, (height * width, 2), x then y, -1..1 over the centres."""
    height, width = size
    ys = torch.linspace(-1, 1, height) if height > 1 else torch.zeros(1)
    xs = torch.linspace(-1, 1, width) if width > 1 else torch.zeros(1)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x.flatten(), grid_y.flatten()], dim=1)
