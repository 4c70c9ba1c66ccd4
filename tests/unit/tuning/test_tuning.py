"""Tuning of networks whose filters are known, and indices against slow literal definitions."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch

import decortex
from decortex.errors import InputError
from decortex.models import Network
from decortex.tuning import TuningConfig, discs, grating_indices, gratings, sign_index, size_indices

from .conftest import ANGLE, PERIOD, BuildNetwork, centre_surround, gabor

FEW = TuningConfig(n_angles=24, n_periods=6, n_radii=5)


def off(found: float, truth: float) -> float:
    """Angle between two axes, degrees."""
    between = abs(found - truth) % np.pi
    return float(np.rad2deg(min(between, np.pi - between)))


@pytest.fixture
def known(network_of: BuildNetwork) -> Network:
    """A simple cell, its partner of opposite phase, a complex cell, an ON and an OFF centre, and one that is silent."""
    quadrature = [gabor(phase) for phase in (0, np.pi / 2, np.pi, 3 * np.pi / 2)]
    filters = np.stack([*quadrature, centre_surround(), -centre_surround()])
    features = np.zeros((6, 6))
    features[0, 0] = features[1, 2] = features[3, 4] = features[4, 5] = 1.0
    features[2, :4] = 1.0
    return network_of(filters, features)


def test_known_filters_are_found(known: Network) -> None:
    found = decortex.measure_tuning(known, FEW).indices
    for neuron in (0, 1, 2):
        assert off(found.orientation[neuron], ANGLE) < 2
        assert found.orientation_selectivity[neuron] > 0.5
        assert abs(found.period[neuron] - PERIOD) < 1.2
    assert found.modulation[0] == pytest.approx(np.pi / 2, abs=0.1)  # half-wave rectified, eight phases
    assert found.modulation[2] < 0.1
    assert (found.orientation_selectivity[3:5] < 0.1).all()
    assert found.sign[3] > 0.5
    assert found.sign[4] < -0.5
    assert np.isnan(found.direction[:5]).all()


def test_a_silent_neuron_has_no_tuning(known: Network) -> None:
    found = decortex.measure_tuning(known, FEW)
    assert found.indices.peak[5] == 0
    for name in (
        "orientation",
        "orientation_selectivity",
        "period",
        "modulation",
        "radius",
        "suppression",
        "sign",
    ):
        assert np.isnan(getattr(found.indices, name)[5]), name
    assert found.curves.shape == (6, 24)


def test_the_network_is_left_as_it_was_and_the_same_call_gives_the_same_bits(known: Network) -> None:
    known.train()
    before = {name: value.clone() for name, value in known.state_dict().items()}
    one, two = (decortex.measure_tuning(known, FEW) for _ in range(2))
    assert known.training
    assert all(torch.equal(value, before[name]) for name, value in known.state_dict().items())
    np.testing.assert_array_equal(one.curves, two.curves)


def test_progress_ends_at_all_steps(known: Network) -> None:
    told: list[tuple[int, int]] = []
    decortex.measure_tuning(known, FEW, progress=lambda done, n: told.append((done, n)))
    assert told[-1][0] == told[-1][1] == 24 * 6 + 6


def test_images_too_small_for_a_grating_are_refused(known: Network) -> None:
    with pytest.raises(InputError, match="give a smaller shortest_period"):
        decortex.measure_tuning(known, TuningConfig(shortest_period=13.0))


def literal(
    mean: np.ndarray, f1: np.ndarray, grey: np.ndarray, angles: np.ndarray, periods: np.ndarray
) -> list:
    """Orientation, selectivity, period and modulation, written out neuron by neuron."""
    rows = []
    for n in range(len(grey)):
        best, at = -1.0, (0, 0, 0)
        for i, j, r in np.ndindex(mean.shape[:3]):
            value = max(mean[i, j, r, n] - grey[n], f1[i, j, r, n], 0.0)
            if value > best:
                best, at = value, (i, j, r)
        total, axial = 0.0, 0j
        for i, angle in enumerate(angles):
            value = max(mean[i, at[1], at[2], n] - grey[n], f1[i, at[1], at[2], n], 0.0)
            total += value
            axial += value * cmath.exp(2j * angle)
        f0 = max(mean[(*at, n)] - grey[n], 0.0, f1[(*at, n)] / 2)
        rows.append((cmath.phase(axial) / 2 % math.pi, abs(axial) / total, periods[at[1]], f1[(*at, n)] / f0))
    return rows


def test_indices_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    angles, periods = np.arange(8) * np.pi / 4, np.array([3.0, 5.0, 9.0])
    mean, f1 = rng.gamma(1.0, size=(8, 3, 2, 20)), rng.gamma(1.0, size=(8, 3, 2, 20))
    grey = rng.gamma(1.0, size=20)
    found = grating_indices(mean, f1, grey, angles=angles, periods=periods, moving=True)
    table = np.array(literal(mean, f1, grey, angles, periods))
    for column, name in enumerate(("orientation", "orientation_selectivity", "period", "modulation")):
        np.testing.assert_allclose(getattr(found, name), table[:, column], atol=1e-12, err_msg=name)
    amplitude = np.maximum(np.maximum(mean - grey, 0), f1)
    opposite = np.roll(amplitude, 4, axis=0)
    n = 7
    i, j, r = np.unravel_index(amplitude[..., n].argmax(), amplitude.shape[:3])
    best, other = amplitude[i, j, r, n], opposite[i, j, r, n]
    assert found.direction_selectivity[n] == pytest.approx((best - other) / (best + other))


def test_responses_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected F0 and F1 of shape \(8, 3"):
        grating_indices(
            np.ones((8, 2, 1, 4)),
            np.ones((8, 2, 1, 4)),
            np.ones(4),
            angles=np.arange(8.0),
            periods=np.arange(3.0),
            moving=False,
        )


def test_a_grating_has_its_period_angle_and_contrast() -> None:
    (wave,) = gratings((48, 48), np.array([np.pi / 2]), np.array([8.0]), np.array([0.0]))
    assert wave.std() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(wave[:, :1].repeat(48, axis=1), wave, atol=1e-5)  # varies down the rows only
    np.testing.assert_allclose(wave[8:], wave[:-8], atol=1e-4)
    later = gratings((48, 48), np.array([0.0]), np.array([8.0]), np.array([2 * np.pi / 8]))[0]
    first = gratings((48, 48), np.array([0.0]), np.array([8.0]), np.array([0.0]))[0]
    np.testing.assert_allclose(
        later[:, 1:], first[:, :-1], atol=1e-4
    )  # a later phase lies further along the wave


def test_a_disc_has_its_area_and_place() -> None:
    (disc,) = discs((41, 41), np.array([[20.0, 12.0]]), np.array([6.0]))
    assert disc.sum() == pytest.approx(np.pi * 36, rel=0.01)
    rows, columns = np.indices(disc.shape)
    assert (disc * rows).sum() / disc.sum() == pytest.approx(20, abs=0.01)
    assert (disc * columns).sum() / disc.sum() == pytest.approx(12, abs=0.01)


def test_sizes_and_signs_by_hand() -> None:
    grey = np.array([1.0, 1.0, 2.0])
    patches = np.array([[1.5, 0.5, 2.0], [3.0, 0.9, 1.0], [2.0, 0.2, 2.0]])
    radius, suppression = size_indices(patches, grey, np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(radius, [2.0, np.nan, np.nan])
    np.testing.assert_array_equal(suppression, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(
        sign_index(grey[None] + [[2.0, 0, 1]], grey[None] - 1, grey), [1.0, np.nan, 1.0]
    )
