"""The ready specifications: they build for their recordings and survive as parameters."""

from __future__ import annotations

import pytest
import torch

from decortex.models.network import Network, NetworkConfig
from decortex.models.recipes import macaque_v4_spec, rotation_cortex_spec, simulated_cortex_spec
from decortex.models.training import TrainingConfig, fit_network


@pytest.mark.parametrize(
    ("spec", "side"), [(simulated_cortex_spec, 36), (rotation_cortex_spec, 36), (macaque_v4_spec, 56)]
)
def test_a_recipe_builds_and_trains(make_recordings, spec, side: int) -> None:
    network_config, training = spec()
    recordings = make_recordings(n_trials=40, neurons=(3, 2), side=side)
    network = Network.build(network_config, recordings, seed=0)
    short = TrainingConfig.from_params(training.resolved() | {"max_epochs": 1, "batch_size": 16})
    outcome = fit_network(network, recordings, short, seed=0, device="cpu")
    assert outcome.stop_reason == "max_epochs"
    assert network.embedding().shape == (
        5,
        network_config.layers[-1].channels * (network_config.n_orientations or 1),
    )
    assert all(torch.isfinite(value).all() for value in outcome.state_dict.values())


@pytest.mark.parametrize("spec", [simulated_cortex_spec, rotation_cortex_spec, macaque_v4_spec])
def test_a_recipe_survives_as_parameters(spec) -> None:
    network_config, training = spec()
    assert NetworkConfig.from_params(network_config.resolved()) == network_config
    assert TrainingConfig.from_params(training.resolved()) == training
