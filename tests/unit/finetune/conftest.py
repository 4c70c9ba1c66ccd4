"""A tiny recording with two functional types, and a network trained on it once."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.models import Network, NetworkConfig
from decortex.models.cores import LayerConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig, fit_network

N_TYPES = 2


def make_session(name: str, n_neurons: int, rng: np.random.Generator) -> tuple[Session, np.ndarray]:
    """Images of noise; neurons sum the left or the right half."""
    n_trials = 160
    images = rng.normal(size=(n_trials, 1, 8, 8)).astype(np.float32)
    ids = np.arange(n_trials)
    tiers = np.repeat(["train", "validation", "test"], [96, 32, 32])
    images[144:160], ids[144:160] = images[128:144], ids[128:144]
    truth = rng.integers(0, N_TYPES, n_neurons)
    drives = np.stack([images[..., :4].mean(axis=(1, 2, 3)), images[..., 4:].mean(axis=(1, 2, 3))], axis=1)
    rates = 3 * np.exp(4 * drives[:, truth])
    neurons = pd.DataFrame(
        {
            "session": name,
            "unit_id": [str(i) for i in range(n_neurons)],
            "animal": name,
            "scan": "1",
            "area": "V1",
        }
    )
    responses = rng.poisson(rates).astype(np.float32)
    session = Session(name, InMemoryTrials(images), InMemoryTrials(responses), tiers, ids, neurons)
    return session, truth


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    rng = np.random.default_rng(0)
    sessions, truths = zip(*(make_session(name, n, rng) for name, n in (("a", 14), ("b", 10))), strict=True)
    return Recordings(
        sessions=list(sessions), image_shape=(1, 8, 8), content_sha256="0" * 64, truth=np.concatenate(truths)
    )


@pytest.fixture(scope="session")
def schedule() -> TrainingConfig:
    return TrainingConfig(learning_rate=5e-3, schedule="constant", batch_size=32, max_epochs=3, keep="last")


@pytest.fixture(scope="session")
def _trained(recordings: Recordings) -> Network:
    torch.set_num_threads(1)
    config = NetworkConfig(
        layers=(LayerConfig(channels=6, kernel=5, pool=2),),
        readout=ReadoutConfig(kind="mask", start="centre"),
    )
    network = Network.build(config, recordings, seed=0)
    fit_network(
        network,
        recordings,
        TrainingConfig(learning_rate=2e-2, batch_size=32, max_epochs=6),
        seed=0,
        device="cpu",
    )
    return network


@pytest.fixture
def network(_trained: Network) -> Network:
    """A copy of the trained network, free to be trained on."""
    return copy.deepcopy(_trained)
