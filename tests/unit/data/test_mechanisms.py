"""The mechanisms against stimuli whose right answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from decortex.data.simulation import (
    CLIP,
    EDGE_HIGH_WEIGHT,
    HIGH_PERIOD,
    HIGH_SIGMA,
    LOW_PERIOD,
    MECHANISMS,
    ReceptiveFields,
    difference_of_gaussians,
    gabor_pair,
    mechanism_drives,
    raw_drives,
)

SIZE = 36
CENTRE = (SIZE - 1) / 2
EVERYTHING = slice(None)
INDEX = {name: place for place, name in enumerate(MECHANISMS)}


def fields(
    n: int = 1, *, orientation: float = 0.0, row: float = CENTRE, column: float = CENTRE
) -> ReceptiveFields:
    ones = np.ones(n)
    return ReceptiveFields(row * ones, column * ones, orientation * ones, ones, ones, ones)


def grating(orientation: float, period: float, phase: float) -> NDArray[np.float32]:
    rows, columns = np.indices((SIZE, SIZE)) - CENTRE
    wave = 2 * np.pi * (columns * np.cos(orientation) + rows * np.sin(orientation)) / period
    return np.cos(wave + phase).astype(np.float32)


def noise(n: int = 60, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, SIZE, SIZE)).astype(np.float32)


def raw(images: NDArray[np.float32], at: ReceptiveFields) -> dict[str, NDArray[np.float64]]:
    """Mechanisms of the last len(images) images, scaled by their spread over noise, (n_images, n_neurons)."""
    reference = noise()
    both = raw_drives(np.concatenate([reference, images]), at, reference=slice(0, len(reference)))
    return {name: both[place, len(reference) :] for name, place in INDEX.items()}


@pytest.mark.parametrize(("name", "period"), [("complex_high", HIGH_PERIOD), ("complex_low", LOW_PERIOD)])
@pytest.mark.parametrize("orientation", [0.0, 0.7])
def test_a_complex_cell_does_not_see_phase_but_orientation(
    name: str, period: float, orientation: float
) -> None:
    phases = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    at = fields(orientation=orientation)
    preferred = raw(np.stack([grating(orientation, period, phase) for phase in phases]), at)[name]
    crossed = raw(np.stack([grating(orientation + np.pi / 2, period, phase) for phase in phases]), at)[name]
    assert preferred.std() / preferred.mean() < 0.02
    assert crossed.mean() < 0.05 * preferred.mean()


def test_an_edge_cell_sees_phase() -> None:
    phases = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    drive = raw(np.stack([grating(0.0, LOW_PERIOD, phase) for phase in phases]), fields())["edge_iso"][:, 0]
    assert drive.max() > 5 * drive.min()  # the rest is high-frequency energy
    # light on the right, dark on the left: sin, which is cos a quarter period later
    assert phases[drive.argmax()] == pytest.approx(1.5 * np.pi)
    turned = raw(np.stack([grating(0.0, LOW_PERIOD, phase) for phase in phases]), fields(orientation=np.pi))
    assert phases[turned["edge_iso"][:, 0].argmax()] == pytest.approx(0.5 * np.pi)


def test_centre_surround_cells_respond_to_spots_of_their_sign() -> None:
    rows, columns = np.indices((SIZE, SIZE)) - CENTRE
    spot = np.exp(-0.5 * (rows**2 + columns**2) / 1.6**2).astype(np.float32)
    flat = np.ones_like(spot)
    drives = raw(np.stack([spot, -spot, flat]), fields())
    on, off = drives["centre_on"][:, 0], drives["centre_off"][:, 0]
    assert on[0] > 0
    assert on[1] == 0
    assert off[1] == pytest.approx(on[0])
    assert off[0] == 0
    assert max(on[2], off[2]) < 0.01 * on[0]


def test_pairs_are_the_sums_they_claim_and_differ_in_relative_orientation_alone() -> None:
    images, theta = noise(seed=1), 0.4
    here, across = raw(images, fields(orientation=theta)), raw(images, fields(orientation=theta + np.pi / 2))
    np.testing.assert_allclose(here["pair_iso"], here["complex_high"] + here["complex_low"])
    np.testing.assert_allclose(here["pair_cross"], here["complex_high"] + across["complex_low"])
    np.testing.assert_allclose(
        here["edge_cross"] - here["edge_iso"],
        EDGE_HIGH_WEIGHT * (across["complex_high"] - here["complex_high"]),
        atol=1e-9,
    )


def test_drives_do_not_change_when_image_and_receptive_field_turn_together() -> None:
    images = noise(seed=2)
    row, column, theta = 15.0, 21.0, 0.3
    plain = mechanism_drives(images, fields(orientation=theta, row=row, column=column), reference=EVERYTHING)
    # np.rot90 moves the pixel (row, column) to (SIZE - 1 - column, row), and a wave vector by -90 degrees
    turned = mechanism_drives(
        np.rot90(images, axes=(1, 2)),
        fields(orientation=theta - np.pi / 2, row=SIZE - 1 - column, column=row),
        reference=EVERYTHING,
    )
    np.testing.assert_allclose(turned, plain, atol=1e-9)


def test_half_a_turn_of_orientation_leaves_energies_alone() -> None:
    images = noise(seed=3)
    here, opposite = raw(images, fields(orientation=0.2)), raw(images, fields(orientation=0.2 + np.pi))
    for name in ("complex_high", "complex_low", "pair_iso", "pair_cross"):
        np.testing.assert_allclose(here[name], opposite[name])
    assert not np.allclose(here["edge_iso"], opposite["edge_iso"])


def test_drives_are_z_scored_over_the_reference_and_clipped() -> None:
    images = noise(400)
    images[300:] *= 50
    drives = mechanism_drives(images, fields(3), reference=slice(0, 300))
    np.testing.assert_allclose(drives[:, :300].mean(axis=1), 0, atol=0.02)  # the clip takes a little
    np.testing.assert_allclose(drives[:, :300].std(axis=1), 1, atol=0.05)
    assert drives.max() == CLIP
    assert drives.min() >= -CLIP


def test_filters_have_unit_norm_no_mean_and_match_a_literal_transcription() -> None:
    at = fields(orientation=0.5, row=16.0, column=19.0)
    even, odd = gabor_pair((SIZE, SIZE), at, at.orientation, np.array([HIGH_PERIOD]), np.array([HIGH_SIGMA]))
    dog = difference_of_gaussians((SIZE, SIZE), at)
    for one in (even, odd, dog):
        assert np.linalg.norm(one) == pytest.approx(1)
        assert one.sum() == pytest.approx(0, abs=1e-3)
    assert (even * odd).sum() == pytest.approx(0, abs=1e-6)
    slow = np.zeros((SIZE, SIZE))
    for row in range(SIZE):
        for column in range(SIZE):
            y, x = row - 16.0, column - 19.0
            along = x * np.cos(0.5) + y * np.sin(0.5)
            slow[row, column] = np.exp(-(x**2 + y**2) / (2 * HIGH_SIGMA**2)) * np.sin(
                2 * np.pi * along / HIGH_PERIOD
            )
    np.testing.assert_allclose(odd[0], (slow / np.linalg.norm(slow)).ravel(), atol=1e-6)


def test_a_mechanism_that_never_responds_drives_nothing() -> None:
    # and one that responds to none of the reference images saturates, without a division by zero
    images = np.concatenate([np.zeros((3, SIZE, SIZE), dtype=np.float32), 100 * noise(2)])
    assert np.isfinite(mechanism_drives(images, fields(), reference=slice(0, 3))).all()
    flat = np.zeros((5, SIZE, SIZE), dtype=np.float32)
    assert np.array_equal(mechanism_drives(flat, fields(2), reference=EVERYTHING), np.zeros((8, 5, 2)))
