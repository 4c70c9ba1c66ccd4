"""The ready specifications: they build for their recordings and survive as parameters."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from decortex.data import Recordings, write_filetree
from decortex.errors import ConfigError
from decortex.models import (
    RECIPES,
    Network,
    NetworkConfig,
    macaque_v4_large_spec,
    macaque_v4_rotation_spec,
    macaque_v4_spec,
    reproducible_v1_spec,
    rotation_cortex_spec,
    sensorium_2022_spec,
    simulated_cortex_spec,
)
from decortex.models.checkpoints import PUBLISHED
from decortex.models.training import TrainingConfig, fit_network


def placed(recordings: Recordings) -> Recordings:
    """The same neurons, each somewhere in cortex."""
    sessions = [
        replace(
            one,
            neurons=one.neurons.assign(x=np.arange(one.n_neurons) * 10.0, y=[7.0, 3.0, 9.0][: one.n_neurons]),
        )
        for one in recordings.sessions
    ]
    return Recordings(sessions, recordings.image_shape, recordings.content_sha256)


@pytest.mark.parametrize(
    ("spec", "side"),
    [
        (simulated_cortex_spec, 36),
        (rotation_cortex_spec, 36),
        (macaque_v4_spec, 56),
        (macaque_v4_rotation_spec, 56),
        (sensorium_2022_spec, 16),
        (reproducible_v1_spec, 26),
    ],
)
def test_a_recipe_builds_and_trains(make_recordings, spec, side: int) -> None:
    network_config, training = spec()
    recordings = placed(make_recordings(n_trials=40, neurons=(3, 2), side=side))
    network = Network.build(network_config, recordings, seed=0)
    short = TrainingConfig.from_params(training.resolved() | {"max_epochs": 1, "batch_size": 16})
    outcome = fit_network(network, recordings, short, seed=0, device="cpu")
    assert outcome.stop_reason == "max_epochs"
    assert network.embedding().shape == (5, network_config.n_features)
    assert all(torch.isfinite(value).all() for value in outcome.state_dict.values())


@pytest.mark.parametrize("spec", RECIPES.values())
def test_a_recipe_survives_as_parameters(spec) -> None:
    network_config, training = spec()
    assert NetworkConfig.from_params(network_config.resolved()) == network_config
    assert TrainingConfig.from_params(training.resolved()) == training


def test_the_large_recipe_is_wider_and_trains_longer() -> None:
    (small, short), (large, long) = macaque_v4_spec(), macaque_v4_large_spec()
    assert [layer.channels for layer in large.layers] == [48, 96, 192, 96]
    assert large.n_features * 2 == small.n_features * 3
    assert long.max_epochs > 2 * short.max_epochs


def test_turning_an_image_rolls_the_features_of_the_rotation_recipe(make_recordings) -> None:
    recordings = make_recordings(n_trials=40, neurons=(2,), side=56)
    network = Network.build(macaque_v4_rotation_spec()[0], recordings, seed=0).eval()
    images = torch.randn(3, 1, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = network.maps(images).unflatten(1, (4, -1))
        turned = network.maps(torch.rot90(images, 1, (2, 3))).unflatten(1, (4, -1))
    expected = torch.rot90(maps, 1, (3, 4)).roll(1, dims=1)
    assert (turned - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_benchmark_trains_and_scores_a_recipe(make_recordings, tmp_path, capsys) -> None:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "networks" / "recipe.py"
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("recipe", path))
    module.__spec__.loader.exec_module(module)
    write_filetree(make_recordings(n_trials=60, neurons=(3, 2), side=36), tmp_path / "folder")
    module.main(
        [str(tmp_path / "folder"), "--recipe", "simulated_cortex", "--seeds", "0", "1", "--epochs", "1"]
    )
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["seed"], second["seed"], first["epochs"]) == (0, 1, 1)
    assert first["test"] != second["test"]
    assert first["n_neurons"] <= 5


def test_the_sensorium_recipe_is_the_published_network() -> None:
    network, _ = sensorium_2022_spec()
    published = PUBLISHED["sensorium"].core
    own = network.stacked.resolved()
    assert {name: own[name] for name in published} == published


def test_a_grid_predictor_without_cortical_places_is_refused(make_recordings) -> None:
    with pytest.raises(ConfigError, match="needs where every neuron lies in cortex"):
        Network.build(sensorium_2022_spec()[0], make_recordings(side=16), seed=0)
