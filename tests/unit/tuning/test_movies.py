"""Tuning and fields of a network of movies whose filters are known: direction, and space times time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import decortex
from decortex.models import Geometry, Network, NetworkConfig, SessionGeometry
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig
from decortex.models.readouts import ReadoutConfig
from decortex.tuning import TuningConfig, linear_fields

SIDE, KERNEL, FRAMES = 21, 11, 16
DIRECTION, PERIOD, RATE = 5 * np.pi / 4, 6.0, 0.125  # radians, pixels, cycles per frame


def moving_filter(direction: float) -> np.ndarray:
    """A filter (FRAMES, KERNEL, KERNEL) of unit length that follows a grating in this direction."""
    frames, rows, columns = np.indices((FRAMES, KERNEL, KERNEL)).astype(float)
    rows, columns = rows - (KERNEL - 1) / 2, columns - (KERNEL - 1) / 2
    along = columns * np.cos(direction) + rows * np.sin(direction)
    wave = np.cos(2 * np.pi * (along / PERIOD - RATE * frames))
    kernel = wave * np.exp(-(rows**2 + columns**2) / (2 * 2.5**2))
    kernel -= kernel.mean()
    return kernel / np.linalg.norm(kernel)


def blinking_filter() -> np.ndarray:
    """A filter that is a product of space and time: the last frame against the one before."""
    rows, columns = np.indices((KERNEL, KERNEL)) - (KERNEL - 1) / 2
    kernel = np.zeros((FRAMES, KERNEL, KERNEL))
    kernel[-1] = np.exp(-(rows**2 + columns**2) / (2 * 1.5**2))
    kernel[-2] = -0.5 * kernel[-1]
    return kernel / np.linalg.norm(kernel)


@pytest.fixture
def network() -> Network:
    """Three neurons: one follows a direction, one the same axis both ways, one blinks."""
    filters = np.stack([moving_filter(DIRECTION), moving_filter(DIRECTION + np.pi), blinking_filter()])
    layer = SpaceTimeLayerConfig(
        channels=3, kernel=KERNEL, frames=FRAMES, form="full", norm="none", nonlinearity="relu"
    )
    config = NetworkConfig(
        space_time=SpaceTimeConfig(layers=(layer,)),
        readout=ReadoutConfig(kind="point", start="centre"),
        output="linear",
        response_scale="none",
    )
    made = Network(
        config,
        Geometry(
            image_shape=(1, SIDE, SIDE),
            sessions=(SessionGeometry(name="a", n_neurons=3),),
            neuron_order_sha256="0" * 64,
            frame_rate=30.0,
        ),
    )
    (convolution,) = [one for one in made.core.modules() if isinstance(one, torch.nn.Conv3d)]
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(filters[:, None]).float())
        features = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        made.readout("a").features.copy_(features)
    return made


def test_the_direction_of_a_known_filter_is_found(network: Network) -> None:
    config = TuningConfig(n_angles=16, n_periods=5, n_radii=3, n_phases=4)
    found = decortex.measure_tuning(network, config).indices
    off = np.angle(np.exp(1j * (found.direction[0] - DIRECTION)))
    assert abs(np.rad2deg(off)) < 3
    assert found.direction_selectivity[0] > 0.8
    assert found.direction_selectivity[1] < 0.05  # both ways alike
    for neuron in (0, 1):
        axis = abs(found.orientation[neuron] - DIRECTION) % np.pi
        assert np.rad2deg(min(axis, np.pi - axis)) < 3
        assert abs(found.period[neuron] - PERIOD) < 1.5
    assert found.orientation_selectivity[2] < 0.15
    assert found.sign[2] > 0.5  # a standing light spot leaves half of its onset


def test_fields_are_the_filters_in_space_and_time(network: Network) -> None:
    (convolution,) = [one for one in network.core.modules() if isinstance(one, torch.nn.Conv3d)]
    convolution.bias = torch.nn.Parameter(torch.full((3,), 0.1))  # rectifiers are open at grey
    found = linear_fields(network)
    assert found.spatial.shape == (3, SIDE, SIDE)
    assert found.temporal.shape == (3, FRAMES)
    kernel = blinking_filter()
    first = (SIDE - KERNEL) // 2
    inside = found.spatial[2, first : first + KERNEL, first : first + KERNEL]
    np.testing.assert_allclose(found.temporal[2][:, None, None] * inside, kernel, atol=1e-5)
    assert found.separable[2] == pytest.approx(1.0)
    assert (
        found.temporal[2, -1] > 0 > found.temporal[2, -2]
    )  # the last entry is the frame that is answered to
    assert found.separable[0] < 0.7  # what follows a direction is no product of space and time
