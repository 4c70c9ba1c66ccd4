"""Small recordings and networks for the tests of models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.models import Geometry, Network, NetworkConfig
from decortex.models.cores import LayerConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig

MakeRecordings = Callable[..., Recordings]


def session_of(name: str, images: np.ndarray, responses: np.ndarray, tiers: np.ndarray) -> Session:
    n_neurons = responses.shape[1]
    return Session(
        name=name,
        images=InMemoryTrials(images.astype(np.float32)),
        responses=InMemoryTrials(responses.astype(np.float32)),
        tiers=tiers,
        image_ids=np.arange(len(images), dtype=np.int64),
        neurons=pd.DataFrame(
            {
                "session": [name] * n_neurons,
                "unit_id": np.arange(n_neurons),
                "animal": ["a"] * n_neurons,
                "scan": [0] * n_neurons,
                "area": ["V1"] * n_neurons,
            }
        ),
    )


def tiers_of(n_trials: int, n_validation: int = 16, n_test: int = 8) -> np.ndarray:
    n_train = n_trials - n_validation - n_test
    return np.array(["train"] * n_train + ["validation"] * n_validation + ["test"] * n_test)


@pytest.fixture
def make_recordings() -> MakeRecordings:
    """Random images and Poisson responses: sessions 'one' (5 neurons), 'two.b' (3 neurons) and so on."""

    def make(
        n_trials: int = 64, neurons: tuple[int, ...] = (5, 3), side: int = 12, seed: int = 0
    ) -> Recordings:
        rng = np.random.default_rng(seed)
        names = ["one", "two.b", "three", "four"]
        sessions = [
            session_of(
                name,
                rng.normal(100.0, 30.0, size=(n_trials, 1, side, side)),
                rng.poisson(2.0, size=(n_trials, n_neurons)),
                tiers_of(n_trials),
            )
            for name, n_neurons in zip(names, neurons, strict=False)
        ]
        return Recordings(sessions, (1, side, side), content_sha256="0" * 64)

    return make


@pytest.fixture
def tiny_config() -> NetworkConfig:
    return NetworkConfig(
        layers=(LayerConfig(channels=4, kernel=3, pool=2), LayerConfig(channels=3, kernel=3, norm="plain")),
        readout=ReadoutConfig(kind="point"),
    )


@pytest.fixture
def taught_recordings() -> tuple[Recordings, Network]:
    """Responses without noise that a small network gave: the teacher, and what it said."""
    rng = np.random.default_rng(5)
    config = NetworkConfig(
        layers=(LayerConfig(channels=2, kernel=5, norm="none", nonlinearity="linear"),),
        readout=ReadoutConfig(kind="point", start="centre"),
        response_scale="none",
    )
    images = rng.normal(size=(620, 1, 8, 8)).astype(np.float32)
    tiers = tiers_of(620, 60, 60)
    empty = [session_of(name, images, np.zeros((len(images), 4)), tiers) for name in ("a", "b")]
    teacher = Network(config, Geometry.of(Recordings(empty, (1, 8, 8), "0" * 64)))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        teacher.core.start(generator)
        for name in teacher.session_names:
            teacher.readout(name).features.normal_(0.0, 2.0, generator=generator)
        answers = {name: teacher(torch.from_numpy(images), name).numpy() for name in teacher.session_names}
    sessions = [session_of(name, images, answers[name], tiers) for name in ("a", "b")]
    return Recordings(sessions, (1, 8, 8), content_sha256="1" * 64), teacher


@pytest.fixture
def tiny_training() -> TrainingConfig:
    return TrainingConfig(learning_rate=1e-2, batch_size=16, max_epochs=3)
