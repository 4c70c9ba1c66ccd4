"""Readouts of one session by their configuration. The rows of a readout's ``features`` are the embedding."""

from __future__ import annotations

import torch
from torch import nn

from decortex.models.readouts.base import GridPredictorConfig, MapShape, Readout, ReadoutConfig
from decortex.models.readouts.mask import FactorisedReadout, FreeMaskReadout, GaussianMaskReadout
from decortex.models.readouts.point import GaussianReadout, PointReadout, PooledPointReadout

__all__ = ["GridPredictorConfig", "Readout", "ReadoutConfig", "build_readout"]


def build_readout(config: ReadoutConfig, n_neurons: int, map_shape: MapShape) -> Readout:
    """Build the readout of one session; features are zero until the network starts them."""
    readout = _of_kind(config, n_neurons, map_shape)
    if config.adaptive_penalty:
        readout.register_parameter("penalty_scale", nn.Parameter(torch.ones(n_neurons)))
    return readout


def _of_kind(config: ReadoutConfig, n_neurons: int, map_shape: MapShape) -> Readout:
    if config.kind == "point":
        return PointReadout(n_neurons, map_shape)
    if config.kind == "gaussian":
        return GaussianReadout(
            n_neurons, map_shape, config.covariance, config.sigma_start, config.grid_predictor
        )
    if config.kind == "point_pooled":
        return PooledPointReadout(n_neurons, map_shape, config.pool_steps, config.pool_kernel)
    if config.kind == "mask":
        return GaussianMaskReadout(n_neurons, map_shape, config.width)
    if config.kind == "factorised":
        return FactorisedReadout(n_neurons, map_shape, config.width)
    return FreeMaskReadout(n_neurons, map_shape, config.width)
