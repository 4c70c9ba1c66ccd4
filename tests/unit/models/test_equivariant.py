"""The rotation-equivariant core: exact at 90 degrees, close in between, and a slow transcription."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, rotate

from decortex.errors import ConfigError
from decortex.models import NetworkConfig
from decortex.models.cores import (
    Core,
    EquivariantCore,
    LayerConfig,
    TurnedConv,
    check_equivariance,
    map_geometry,
    turned_basis,
)

LAYERS = (
    LayerConfig(channels=3, kernel=7, stride=2, padding=1),
    LayerConfig(channels=4, kernel=5, padding=2, separable=True, pool=2),
    LayerConfig(channels=2, kernel=3, norm="plain", nonlinearity="relu"),
)
SIDE = 31


def started(layers, n_orientations, basis, *, seed=0):
    core = EquivariantCore(2, layers, n_orientations, basis)
    core.start(torch.Generator().manual_seed(seed))
    return core


@pytest.mark.parametrize("basis", ["pixels", "hermite"])
@pytest.mark.parametrize("n_orientations", [4, 8, 12])
def test_turning_the_image_by_90_degrees_turns_the_maps_and_rolls_the_orientations(basis, n_orientations):
    check_equivariance(LAYERS, (SIDE, SIDE))
    core = started(LAYERS, n_orientations, basis).train()
    images = torch.randn(5, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    maps = core(images).unflatten(1, (n_orientations, -1))
    assert maps.shape[2:] == (2, *[map_geometry(LAYERS, SIDE).size] * 2)
    turned = core(torch.rot90(images, 1, (2, 3))).unflatten(1, (n_orientations, -1))
    expected = torch.rot90(maps, 1, (3, 4)).roll(n_orientations // 4, dims=1)
    assert (turned - expected).abs().max() < 1e-5 * maps.abs().max()
    assert (turned - maps).abs().max() > 0.1 * maps.abs().max()


@pytest.mark.parametrize(("basis", "at_least"), [("pixels", 0.85), ("hermite", 0.95)])
def test_turning_by_one_orientation_rolls_by_one_nearly(basis, at_least):
    layers = (
        LayerConfig(channels=6, kernel=11, norm="none", nonlinearity="relu"),
        LayerConfig(channels=6, kernel=5, norm="none", nonlinearity="linear"),
    )
    core = started(layers, 8, basis)
    rng = np.random.default_rng(0)
    image = gaussian_filter(rng.normal(size=(2, 61, 61)), (0, 3, 3))
    turned = np.stack([rotate(channel, 45, reshape=False, order=3) for channel in image])
    with torch.no_grad():
        both = core(torch.from_numpy(np.stack([image, turned])).float())
    middle = both.shape[-1] // 2
    still, after = both[:, :, middle, middle].unflatten(1, (8, 6)).numpy()
    rolled = np.corrcoef(np.roll(still, 1, axis=0).ravel(), after.ravel())[0, 1]
    assert rolled > at_least
    assert rolled > np.corrcoef(still.ravel(), after.ravel())[0, 1] + 0.2


@pytest.mark.parametrize("basis", ["pixels", "hermite"])
@pytest.mark.parametrize("side", [1, 4, 5, 11])
def test_a_quarter_turn_of_a_kernel_is_numpys(basis, side):
    bank = turned_basis(side, 8, basis)
    base = bank[1].reshape(side, side, -1)
    for quarter in (1, 2, 3):
        turned = bank[(1 + 2 * quarter) % 8].reshape(side, side, -1)
        np.testing.assert_allclose(turned, np.rot90(base, quarter), atol=1e-12)


def test_hermite_functions_are_steerable():
    bank = turned_basis(9, 16, "hermite")
    for turned in bank:
        mixed = np.linalg.lstsq(bank[0], turned, rcond=None)[0]
        np.testing.assert_allclose(bank[0] @ mixed, turned, atol=1e-10)
    assert bank.shape == (16, 81, 15)


def test_the_group_convolution_is_the_formula_written_out():
    n_orientations, side = 4, 3
    conv = TurnedConv(2, 3, input_orientations=4, n_orientations=4, side=side, padding=1)
    conv.start(torch.Generator().manual_seed(0))
    maps = torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(1))
    found = conv(maps).detach().unflatten(1, (4, 3)).numpy()[0]
    inside = np.hypot(*np.mgrid[-1:2, -1:2]) <= 1
    padded = np.pad(maps.numpy().reshape(4, 2, 5, 5), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for o in range(n_orientations):
        for f in range(3):
            expected = np.zeros((5, 5))
            for p in range(n_orientations):
                for i in range(2):
                    kernel = np.zeros((side, side))
                    kernel[inside] = conv.coefficients.detach().numpy()[f, (p - o) % 4, i]
                    kernel = np.rot90(kernel, o)
                    for row in range(5):
                        for column in range(5):
                            patch = padded[p, i, row : row + 3, column : column + 3]
                            expected[row, column] += (patch * kernel).sum()
            np.testing.assert_allclose(found[o, f], expected, atol=1e-5)


def test_kernels_start_as_large_as_those_of_a_plain_core():
    layers = (LayerConfig(channels=64, kernel=9),)
    plain = Core(3, layers)
    plain.start(torch.Generator().manual_seed(0))
    expected = plain.stages[0].conv.weight.detach().square().sum(dim=(1, 2, 3)).mean()
    for basis in ("pixels", "hermite"):
        core = EquivariantCore(3, layers, 4, basis)
        core.start(torch.Generator().manual_seed(0))
        found = core.stages[0].conv.kernels().detach().square().sum(dim=(1, 2, 3)).mean()
        assert found == pytest.approx(float(expected), rel=0.15)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((LayerConfig(channels=2, kernel=3, separable=True),), "cannot be depth-separable"),
        ((LayerConfig(channels=2, kernel=4, stride=2),), r"core layer 0 .* drops 1 of the 31 pixels"),
        ((LayerConfig(channels=2, kernel=3, pool=2),), r"core layer 0 .* drops 1 of the 29 pixels"),
    ],
)
def test_layers_under_which_the_centre_would_move_are_refused(layers, message):
    with pytest.raises(ConfigError, match=message):
        check_equivariance(layers, (SIDE, SIDE))


def test_orientations_come_in_fours():
    with pytest.raises(ConfigError, match="multiple of 4"):
        NetworkConfig.from_params({"layers": [{"channels": 2, "kernel": 3}], "n_orientations": 6})
