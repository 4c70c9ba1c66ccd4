"""What readouts share: their configuration, and maps in, a drive a neuron out. The kinds are elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from decortex.config import Config

ReadoutKind = Literal["point", "mask", "factorised", "gaussian", "point_pooled", "free_mask"]
Covariance = Literal["full", "uncorrelated", "isotropic"]
MapShape = tuple[int, int, int]


class GridPredictorConfig(Config):
    """A small network that says from where a neuron lies in cortex where it looks (Lurz et al., ICLR 2021)."""

    input_dimensions: int = Field(
        default=2, ge=1, le=3, description="cortical coordinates per neuron: x, y, z"
    )
    hidden_layers: int = Field(default=1, ge=0, le=8, description="hidden layers, ELU between them")
    hidden_features: int = Field(default=30, ge=1, le=1024, description="their width")
    final_tanh: bool = Field(default=True, description="whether a tanh keeps positions on the map")


class ReadoutConfig(Config):
    """How each neuron looks at the feature maps."""

    kind: ReadoutKind = Field(
        default="point",
        description="one learned point; a Gaussian mask (position, width); a free mask of sum one; a point drawn"
        " from a learned Gaussian in training; a point on maps pooled repeatedly; a mask of any sign, each x features",
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
    covariance: Covariance = Field(
        default="full", description="of the Gaussian that 'gaussian' draws positions from in training"
    )
    sigma_start: float = Field(
        default=0.1, gt=0, le=4, description="its standard deviation at the start, in half map sides"
    )
    grid_predictor: GridPredictorConfig | None = Field(
        default=None, description="'gaussian' only: positions come from cortical ones; null: each its own"
    )
    pool_steps: int = Field(
        default=0, ge=0, le=8, description="'point_pooled' only: times the maps are pooled"
    )
    pool_kernel: int = Field(
        default=2, ge=1, le=16, description="'point_pooled' only: side and stride of pooling"
    )

    adaptive_penalty: bool = Field(
        default=False, description="a learned scale a neuron for the adaptive log-norm penalty of training"
    )

    @model_validator(mode="after")
    def _belongs(self) -> ReadoutConfig:
        if self.grid_predictor is not None and self.kind != "gaussian":
            raise ValueError(f"a grid_predictor belongs to kind 'gaussian', not {self.kind!r}")
        if self.pool_steps and self.kind != "point_pooled":
            raise ValueError(f"pool_steps belongs to kind 'point_pooled', not {self.kind!r}")
        return self

    @property
    def reads_points(self) -> bool:
        """Whether each neuron reads a point, which a shifter can move."""
        return self.kind in ("point", "gaussian", "point_pooled")


class Readout(nn.Module, ABC):
    """What all readouts share: features, bias, and that a neuron sees one feature vector per image.

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
    def pooled(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Features that each neuron sees, (batch, n_neurons, n_features).

        ``shift``, (batch, 2), moves where all neurons look, in half map sides; of readouts at a point only.
        """

    def forward(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Drive of every neuron, (batch, n_neurons), from maps (batch, n_features, height, width)."""
        return (self.pooled(maps, shift) * self.features).sum(dim=-1) + self.bias
