"""Snapshots and running averages of training state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decortex.models.training import Snapshot, WeightAverage


def modules() -> list[nn.Module]:
    return [nn.Linear(2, 2), nn.BatchNorm1d(2)]


def set_all(of: list[nn.Module], value: float) -> None:
    with torch.no_grad():
        for module in of:
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.fill_(value)


def test_snapshot_restores_parameters_and_buffers_of_all_modules() -> None:
    both = modules()
    set_all(both, 1.0)
    kept = Snapshot(both, epoch=3)
    set_all(both, 2.0)
    kept.restore()
    assert all((p == 1.0).all() for module in both for p in module.parameters())
    assert (both[1].running_var == 1.0).all()
    assert kept.epoch == 3


def test_snapshot_knows_whether_it_is_finite() -> None:
    both = modules()
    assert Snapshot(both, 0).is_finite()
    with torch.no_grad():
        both[1].running_mean[0] = float("inf")
    assert not Snapshot(both, 0).is_finite()


def test_average_is_the_recursion_written_out() -> None:
    both = modules()
    set_all(both, 0.0)
    average, expected = WeightAverage(both, 0.6), 0.0
    for step in range(1, 30):
        set_all(both, float(step))
        average.update()
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    with average.applied():
        assert both[0].weight[0, 0].item() == pytest.approx(expected, rel=1e-5)
        assert both[1].running_mean[0].item() == pytest.approx(expected, rel=1e-5)
    assert (both[0].weight == 29.0).all()


def test_own_values_come_back_after_an_error() -> None:
    both = modules()
    set_all(both, 0.0)
    average = WeightAverage(both, 0.9)
    set_all(both, 5.0)
    with pytest.raises(KeyboardInterrupt), average.applied():
        raise KeyboardInterrupt
    assert (both[0].weight == 5.0).all()


def test_without_decay_the_present_state_is_the_average() -> None:
    both = modules()
    average = WeightAverage(both, 0.0)
    set_all(both, 5.0)
    average.update()
    with average.applied():
        assert (both[0].weight == 5.0).all()
