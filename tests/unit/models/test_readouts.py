"""Readouts against literal loops, numerical gradients and known places."""

from __future__ import annotations

import math

import pytest
import torch

from decortex.models.readouts import Readout, ReadoutConfig, build_readout

KINDS = ("point", "mask", "factorised")
SHAPE = (3, 5, 7)


def readout_of(kind: str, n_neurons: int = 4, shape: tuple[int, int, int] = SHAPE) -> Readout:
    readout = build_readout(ReadoutConfig(kind=kind), n_neurons, shape)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        readout.features.normal_(generator=generator)
        readout.bias.normal_(generator=generator)
    readout.start_at(torch.rand(n_neurons, 2, generator=generator) * 1.6 - 0.8)
    return readout


def literal_point(readout: Readout, maps: torch.Tensor) -> torch.Tensor:
    height, width = maps.shape[2:]
    answer = torch.empty(len(maps), len(readout.features))
    for n, (x, y) in enumerate(readout.position.detach().tolist()):
        column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
        left, top = math.floor(column), math.floor(row)
        value = torch.zeros(maps.shape[:2])
        for i in (top, top + 1):
            for j in (left, left + 1):
                value += (1 - abs(row - i)) * (1 - abs(column - j)) * maps[:, :, i, j]
        answer[:, n] = value @ readout.features[n].detach() + readout.bias[n].detach()
    return answer


def literal_mask(readout: Readout, maps: torch.Tensor) -> torch.Tensor:
    height, width = maps.shape[2:]
    answer = torch.empty(len(maps), len(readout.features))
    for n in range(len(readout.features)):
        x, y = readout.position[n].tolist()
        width_n = math.exp(readout.log_width[n].item())
        mask = torch.empty(height, width)
        for i in range(height):
            for j in range(width):
                distance = (2 * j / (width - 1) - 1 - x) ** 2 + (2 * i / (height - 1) - 1 - y) ** 2
                mask[i, j] = math.exp(-distance / (2 * width_n**2))
        pooled = (maps * mask / mask.sum()).sum(dim=(2, 3))
        answer[:, n] = pooled @ readout.features[n].detach() + readout.bias[n].detach()
    return answer


@pytest.mark.parametrize(("kind", "literal"), [("point", literal_point), ("mask", literal_mask)])
def test_against_a_literal_loop(kind: str, literal) -> None:
    readout, maps = readout_of(kind), torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(readout(maps).detach(), literal(readout, maps), rtol=1e-5, atol=1e-6)


def test_factorised_starts_as_the_gaussian_mask() -> None:
    maps = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(readout_of("factorised")(maps), readout_of("mask")(maps))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    readout = readout_of(kind).double()
    maps = torch.randn(2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    names = [name for name, _ in readout.named_parameters()]

    def run(maps: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(readout, dict(zip(names, values, strict=True)), (maps,))

    inputs = [maps.requires_grad_(), *(p.detach().clone().requires_grad_() for p in readout.parameters())]
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_a_batch_do_not_touch_each_other(kind: str) -> None:
    readout, maps = readout_of(kind), torch.randn(5, *SHAPE)
    with torch.no_grad():
        whole, alone = readout(maps), torch.cat([readout(one[None]) for one in maps])
    torch.testing.assert_close(whole, alone)


@pytest.mark.parametrize("kind", ["mask", "factorised"])
def test_masks_are_averages(kind: str) -> None:
    masks = readout_of(kind).masks()
    assert (masks >= 0).all()
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(4))


def test_points_outside_read_the_border() -> None:
    readout, maps = readout_of("point", 1), torch.randn(2, *SHAPE)
    readout.start_at(torch.tensor([[3.0, -4.0]]))
    torch.testing.assert_close(readout.pooled(maps)[:, 0], maps[:, :, 0, -1])
    assert readout.centre().tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_one_neuron_one_channel_one_cell(kind: str) -> None:
    readout = readout_of(kind, 1, (1, 1, 1))
    maps = torch.tensor([[[[2.0]]], [[[-1.0]]]])
    expected = maps[:, :, 0, 0] * readout.features[0, 0] + readout.bias[0]
    torch.testing.assert_close(readout(maps), expected)
