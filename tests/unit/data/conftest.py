"""Small recordings with every kind of metadata, in memory and as a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decortex.data import InMemoryTrials, Recordings, Session, write_filetree


def make_session(name: str, n_neurons: int, *, n_trials: int = 12, seed: int = 0) -> Session:
    """Six training, two validation and two test images, the latter shown twice."""
    rng = np.random.default_rng(seed)
    image_ids = np.concatenate([np.arange(n_trials - 4), np.repeat([100, 101], 2)])
    pixels = {int(one): rng.normal(size=(1, 5, 7)) for one in image_ids}
    neurons = pd.DataFrame(
        {
            "session": name,
            "unit_id": np.arange(n_neurons) + 10,
            "animal": "mouse-1",
            "scan": 3,
            "area": "V1",
            **dict(zip("xyz", rng.normal(size=(3, n_neurons)), strict=True)),
        }
    )
    return Session(
        name=name,
        images=InMemoryTrials(np.array([pixels[int(one)] for one in image_ids], dtype=np.float32)),
        responses=InMemoryTrials(rng.poisson(2.0, size=(n_trials, n_neurons)).astype(np.float32)),
        tiers=np.array(["train"] * (n_trials - 6) + ["validation"] * 2 + ["test"] * 4),
        image_ids=image_ids,
        neurons=neurons,
    )


@pytest.fixture
def recordings() -> Recordings:
    """Two sessions of three and two neurons with a known type each."""
    sessions = [make_session("a", 3, seed=1), make_session("b", 2, seed=2)]
    return Recordings(sessions, (1, 5, 7), "in memory", np.array([0, 1, 1, 0, 2]))


@pytest.fixture
def folder(recordings: Recordings, tmp_path: Path) -> Path:
    """The same as a folder of two sessions."""
    write_filetree(recordings, tmp_path / "lab")
    return tmp_path / "lab"
