"""Behaviour beside the images, from the folder to a trained network with a shifter and its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lab import SMALL, TRAINING, fill, plan_for

import decortex_schemas as schemas
from decortex.data import write_filetree
from decortex.data.simulation import SimulationConfig, simulate
from decortex.errors import DatasetError
from decortex_ops.cli import main
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import load_network, load_recordings, register_folder

WATCHED = ("behavior", "pupil_center")
NETWORK = {
    "layers": [{"channels": 6, "kernel": 9, "pool": 2}, {"channels": 6, "kernel": 5}],
    "readout": {"kind": "gaussian", "start": "centre"},
    "shifter": {"hidden_channels": 3, "layers": 2},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings with three figures of behaviour and the pupil's place at every trial."""
    out = tmp_path / "watched"
    write_filetree(simulate(SimulationConfig.from_params({**SMALL, "n_neurons": 8}), 1), out)
    rng = np.random.default_rng(2)
    for session in out.iterdir():
        n_trials = len(list((session / "data" / "images").iterdir()))
        for key, width in zip(WATCHED, (3, 2), strict=True):
            (session / "data" / key).mkdir()
            for trial in range(n_trials):
                np.save(session / "data" / key / f"{trial}.npy", rng.normal(size=width))
    return out


def test_a_network_with_a_shifter_is_trained_and_scored(
    database: dict[str, str], folder: Path, monkeypatch: Any
) -> None:
    words = ("register", "dataset", str(folder), "--name", "watched")
    behaviour = [word for key in WATCHED for word in ("--behaviour", key)]
    monkeypatch.setattr("sys.argv", ["decortex", *words, *behaviour])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    row = (schemas.Dataset & {"dataset": "watched"}).fetch1()
    assert row["behaviour"] == list(WATCHED)
    assert row["image_shape"][0] == 1 + 3 + 2
    with pytest.raises(DatasetError):
        register_folder("watched", folder)  # the same files, read otherwise: other recordings
    plan = plan_for(
        "watched",
        networks=[{"dataset": "watched", "network": NETWORK, "training": TRAINING, "seeds": [0]}],
        methods=[{"method": "kmeans"}],
        counts=[2],
        seeds=[0],
        finetunings=[],
    )
    declare_plan("watched-study", plan)
    fill()
    network = load_network(schemas.TrainedModel & {"dataset": "watched"})
    assert network.n_pupil_channels == 2
    images = load_recordings("watched").sessions[0].images.read(np.arange(4))
    assert images.shape[1] == 6
    scores = (
        schemas.Performance.Score & {"dataset": "watched", "tier": "test", "metric": "correlation_to_average"}
    ).fetch1("score_values")
    assert len(scores) == 8
    assert np.isfinite(scores).any()
