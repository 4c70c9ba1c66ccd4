"""Maps kept between runs: the same training with and without, nothing mixed up, and a bound that holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from decortex.models import Network
from decortex.models.training import MapMemory, fit_network


@pytest.fixture
def readout_only(tiny_training):
    return tiny_training.model_copy(update={"trains": "readout", "shift": 0})


def images_and_trials(recordings, tier: str = "train"):
    sessions = recordings.sessions
    return [one.images for one in sessions], [one.trials(tier) for one in sessions]


def never() -> Tensor:
    raise AssertionError("these maps are known")


def test_a_run_on_remembered_maps_equals_one_on_its_own(make_recordings, tiny_config, readout_only) -> None:
    recordings, memory = make_recordings(), MapMemory(2**30)
    outcomes = [
        fit_network(
            Network.build(tiny_config, recordings, seed=0),
            recordings,
            readout_only,
            seed=0,
            maps=maps,
            device="cpu",
        )
        for maps in (None, memory, memory)
    ]
    for other in outcomes[1:]:
        assert all(torch.equal(value, other.state_dict[key]) for key, value in outcomes[0].state_dict.items())


def test_the_second_run_shows_the_core_nothing(
    make_recordings, tiny_config, readout_only, monkeypatch
) -> None:
    recordings, memory = make_recordings(), MapMemory(2**30)
    network = Network.build(tiny_config, recordings, seed=0)
    fit_network(network, recordings, readout_only, seed=0, maps=memory, device="cpu")
    monkeypatch.setattr(Network, "maps", lambda self, images: never())
    fit_network(network, recordings, readout_only, seed=1, maps=memory, device="cpu")


@pytest.mark.parametrize("other", ["core", "pixel statistics", "images", "trials"])
def test_what_maps_depend_on_tells_them_apart(make_recordings, tiny_config, other: str) -> None:
    recordings, memory = make_recordings(), MapMemory(2**30)
    network = Network.build(tiny_config, recordings, seed=0)
    images, trials = images_and_trials(recordings)
    memory.recall(network, images, trials, lambda: torch.zeros(3))
    torch.testing.assert_close(memory.recall(network, images, trials, never), torch.zeros(3))
    if other == "core":
        network = Network.build(tiny_config, recordings, seed=1)
    elif other == "pixel statistics":
        network.pixel_std.mul_(2)
    elif other == "images":
        images, _ = images_and_trials(make_recordings())
    else:
        trials = [np.sort(one)[:-1] for one in trials]
    torch.testing.assert_close(memory.recall(network, images, trials, lambda: torch.ones(3)), torch.ones(3))


def test_a_trained_readout_leaves_the_maps_known(make_recordings, tiny_config) -> None:
    recordings, memory = make_recordings(), MapMemory(2**30)
    network = Network.build(tiny_config, recordings, seed=0)
    images, trials = images_and_trials(recordings)
    memory.recall(network, images, trials, lambda: torch.zeros(3))
    with torch.no_grad():
        for parameter in network.readouts.parameters():
            parameter.add_(1.0)
    memory.recall(network, images, trials, never)


def test_the_bound_holds_and_the_least_recently_asked_goes_first(make_recordings, tiny_config) -> None:
    recordings = make_recordings()
    memory = MapMemory(2 * 4 * 10)
    images, trials = images_and_trials(recordings)
    first, second, third = (Network.build(tiny_config, recordings, seed=seed) for seed in range(3))
    for network in (first, second):
        memory.recall(network, images, trials, lambda: torch.zeros(10))
    memory.recall(first, images, trials, never)
    memory.recall(third, images, trials, lambda: torch.zeros(10))
    assert memory.n_bytes == memory.max_bytes
    memory.recall(first, images, trials, never)
    with pytest.raises(AssertionError, match="known"):
        memory.recall(second, images, trials, never)


def test_what_is_larger_than_the_bound_is_not_kept(make_recordings, tiny_config) -> None:
    recordings, memory = make_recordings(), MapMemory(8)
    images, trials = images_and_trials(recordings)
    network = Network.build(tiny_config, recordings, seed=0)
    assert memory.recall(network, images, trials, lambda: torch.zeros(3)).shape == (3,)
    assert memory.n_bytes == 0
