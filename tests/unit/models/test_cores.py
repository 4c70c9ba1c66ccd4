"""The convolutional core and the geometry of its maps."""

from __future__ import annotations

import pytest
import torch

from decortex.errors import ConfigError
from decortex.models.cores import Core, LayerConfig, map_geometry

LAYERS = (
    LayerConfig(channels=4, kernel=7, stride=2, padding=3),
    LayerConfig(channels=6, kernel=5, padding=1, separable=True, pool=2),
    LayerConfig(channels=5, kernel=3, norm="plain", nonlinearity="relu"),
)


@pytest.mark.parametrize("side", [23, 30, 31])
def test_geometry_has_the_size_of_the_maps(side: int) -> None:
    maps = Core(2, LAYERS)(torch.zeros(3, 2, side, side + 4))
    assert maps.shape == (3, 5, map_geometry(LAYERS, side).size, map_geometry(LAYERS, side + 4).size)


def test_geometry_places_the_cells_where_an_image_pixel_reaches_them() -> None:
    # A symmetric linear core answers most at the cell over the pixel that is lit.
    layers = (
        LayerConfig(channels=1, kernel=5, norm="none", nonlinearity="linear", pool=2),
        LayerConfig(channels=1, kernel=3, norm="none", nonlinearity="linear"),
    )
    core, geometry = Core(1, layers), map_geometry(layers, 40)
    triangle = {5: torch.tensor([1.0, 2, 3, 2, 1]), 3: torch.tensor([1.0, 2, 1])}
    with torch.no_grad():
        for module in core.modules():
            if isinstance(module, torch.nn.Conv2d):
                kernel = triangle[module.kernel_size[0]]
                module.weight.copy_(torch.outer(kernel, kernel)[None, None])
                module.bias.zero_()
        for pixel in (10, 17, 29):
            image = torch.zeros(1, 1, 40, 40)
            image[0, 0, 20, pixel] = 1.0
            answer = core(image)[0, 0].sum(dim=0)
            centre_of_mass = float((answer * torch.arange(len(answer))).sum() / answer.sum())
            expected = (pixel - geometry.offset) / geometry.step
            # pooling blurs by half a cell at most
            assert abs(centre_of_mass - expected) <= 0.5


def test_pixels_to_map_coordinates_and_back() -> None:
    geometry = map_geometry(LAYERS, 31)
    pixels = torch.tensor([geometry.offset, 11.5, geometry.offset + geometry.step * (geometry.size - 1)])
    place = geometry.to_map(pixels)
    assert place[0] == -1.0
    assert place[2] == pytest.approx(1.0)
    assert torch.allclose(geometry.to_pixels(place), pixels)


def test_start_depends_on_the_seed_alone() -> None:
    first, second = Core(1, LAYERS), Core(1, LAYERS)
    for core in (first, second):
        core.start(torch.Generator().manual_seed(4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    second.start(torch.Generator().manual_seed(5))
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_a_core_that_leaves_nothing_is_refused() -> None:
    layers = (LayerConfig(channels=2, kernel=9, pool=4), LayerConfig(channels=2, kernel=5))
    with pytest.raises(ConfigError, match=r"core layer 1 .* leaves nothing of the 4 pixels"):
        map_geometry(layers, 24)


def test_pooling_away_the_map_is_refused() -> None:
    with pytest.raises(ConfigError, match="core layer 0"):
        map_geometry((LayerConfig(channels=2, kernel=9, pool=4),), 11)


def test_unknown_parameters_are_named() -> None:
    with pytest.raises(ConfigError, match=r"kernels.*It has channels, kernel"):
        LayerConfig.from_params({"channels": 3, "kernel": 3, "kernels": 2})
