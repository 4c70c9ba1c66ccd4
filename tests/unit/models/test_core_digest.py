"""The digest of a core: readouts do not change it, the core does."""

from __future__ import annotations

import torch

from decortex.data.simulation import SimulationConfig, simulate
from decortex.models import RECIPES, Network, core_sha256


def test_the_digest_is_that_of_the_core_alone() -> None:
    recordings = simulate(
        SimulationConfig(n_neurons=24, n_animals=1, n_train=20, n_validation=5, n_test=5, n_repeats=2), 0
    )
    config = RECIPES["simulated_cortex"]()[0]
    network = Network.build(config, recordings, seed=0)
    digest = core_sha256(network)
    assert len(digest) == 64
    assert core_sha256(Network.from_checkpoint(network.checkpoint())) == digest
    assert core_sha256(Network.build(config, recordings, seed=1)) != digest
    with torch.no_grad():
        for weights in network.readouts.parameters():
            weights.add_(1.0)
    assert core_sha256(network) == digest
    with torch.no_grad():
        next(iter(network.core.parameters())).view(-1)[0] += 1.0
    assert core_sha256(network) != digest
