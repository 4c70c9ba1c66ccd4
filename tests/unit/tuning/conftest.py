"""Networks whose filters are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from decortex.models import Geometry, Network, NetworkConfig, SessionGeometry
from decortex.models.cores import LayerConfig
from decortex.models.readouts import ReadoutConfig

SIDE, KERNEL = 25, 13
ANGLE, PERIOD, SIGMA = np.pi / 6, 6.0, 2.2

BuildNetwork = Callable[[np.ndarray, np.ndarray], Network]


def gabor(phase: float, angle: float = ANGLE, period: float = PERIOD) -> np.ndarray:
    """A filter (KERNEL, KERNEL) of mean zero and unit length; a correlation with it peaks at its own phase."""
    rows, columns = np.indices((KERNEL, KERNEL)) - (KERNEL - 1) / 2
    wave = np.cos(2 * np.pi * (columns * np.cos(angle) + rows * np.sin(angle)) / period - phase)
    envelope = np.exp(-(rows**2 + columns**2) / (2 * SIGMA**2))
    kernel = envelope * (wave - (envelope * wave).sum() / envelope.sum())
    return kernel / np.linalg.norm(kernel)


def centre_surround() -> np.ndarray:
    rows, columns = np.indices((KERNEL, KERNEL)) - (KERNEL - 1) / 2
    distance = rows**2 + columns**2
    centre, surround = np.exp(-distance / (2 * 1.4**2)), np.exp(-distance / (2 * 2.8**2))
    kernel = centre / centre.sum() - surround / surround.sum()
    return kernel / np.linalg.norm(kernel)


@pytest.fixture
def network_of() -> BuildNetwork:
    """Build a network: rectified filters (n_filters, KERNEL, KERNEL), read at the middle (n_neurons, n_filters)."""

    def build(filters: np.ndarray, features: np.ndarray) -> Network:
        config = NetworkConfig(
            layers=(LayerConfig(channels=len(filters), kernel=KERNEL, norm="none", nonlinearity="relu"),),
            readout=ReadoutConfig(kind="point", start="centre"),
            output="linear",
            response_scale="none",
        )
        half = len(features) // 2
        sessions = (
            SessionGeometry(name="a", n_neurons=half),
            SessionGeometry(name="b", n_neurons=len(features) - half),
        )
        network = Network(
            config, Geometry(image_shape=(1, SIDE, SIDE), sessions=sessions, neuron_order_sha256="0" * 64)
        )
        (convolution,) = [one for one in network.core.modules() if isinstance(one, torch.nn.Conv2d)]
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(filters[:, None]).float())
            if convolution.bias is not None:
                convolution.bias.zero_()
            for name, rows in (("a", features[:half]), ("b", features[half:])):
                network.readout(name).features.copy_(torch.from_numpy(rows).float())
            network.pixel_mean.fill_(110.0)
            network.pixel_std.fill_(40.0)
        return network

    return build
