"""Movies through the tables: simulated ones, and the skeleton of a real recording, from registering to clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_lab import fill
from video_files import Skeleton, write_h5_folder, write_video_session

import decortex_schemas as schemas
from decortex.data import MovieSplit, VideoSimulationConfig
from decortex.errors import ConfigError, DatasetError
from decortex.evaluation.performance import CLIP_METRICS, METRICS
from decortex.models import OwnResponsesConfig, frames_skipped, predict
from decortex.models.checkpoints import RebuildConfig
from decortex_schemas import queries
from decortex_schemas.register import PlanFile, declare_plan, register_checkpoint
from decortex_schemas.tables import (
    load_network,
    load_recordings,
    register_folder,
    register_h5_folder,
    register_simulated_video,
)

LAYER = {"channels": 4, "kernel": 6, "stride": 3, "frames": 6}
SMALL = {
    "n_neurons": 16,
    "n_train": 16,
    "n_validation": 4,
    "n_test": 3,
    "n_repeats": 3,
    "n_frames": 20,
    "image_size": 18,
    "position_range": 3.0,
}


def plan(dataset: str, layer: dict[str, Any], **changed: Any) -> PlanFile:
    """One network of movies, two partitions, and a fine-tuning with its control."""
    schedule = {
        "max_epochs": 1,
        "batch_size": 4,
        "schedule": "constant",
        "keep": "last",
        "learning_rate": 1e-3,
    }
    start = {"schedule": schedule, "counts": [2], "seeds": [0], "methods": ["kmeans"]}
    network = {"space_time": {"layers": [layer], "warm_up": 8}, "readout": {"kind": "point"}}
    return PlanFile.from_params(
        {
            "networks": [
                {
                    "dataset": dataset,
                    "network": network,
                    "training": {"max_epochs": 1, "batch_size": 4, "window": 14},
                    "seeds": [0],
                }
            ],
            "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
            "methods": [{"method": "kmeans"}],
            "counts": [2],
            "seeds": [0],
            "finetunings": [{"name": "joint", "params": {"kind": "dec_joint", "beta": 0.1}, **start}],
            **changed,
        }
    )


def test_a_simulated_retina_goes_through_the_whole_chain(database: dict[str, str]) -> None:
    register_simulated_video("retina", VideoSimulationConfig.from_params(SMALL), seed=1)
    row = (schemas.Dataset & {"dataset": "retina"}).fetch1()
    assert (row["kind"], row["frame_rate"], row["image_shape"]) == ("simulated_video", 30.0, [1, 18, 18])
    declare_plan("retina-study", plan("retina", LAYER))
    fill()
    key = {"dataset": "retina"}
    assert queries.failed_jobs() == []
    assert len(schemas.TrainedModel & key) == 1
    assert len(schemas.DECFinetune & key) == 2
    assert len(schemas.RetainedPerformance & key) == 1
    assert (schemas.Embedding & key).fetch1("n_features") == 4
    assert (schemas.Dataset.Session & key).fetch1("n_frames") == (16 + 4 + 9) * 20
    scored = (schemas.Performance & key & {"tier": "test"}).fetch1()
    assert scored["frames_skipped"] == 8
    assert scored["n_trials"] == 9
    rows = (schemas.Performance.Score & key & {"tier": "test"}).to_dicts()
    assert {one["metric"] for one in rows} == {*METRICS, *CLIP_METRICS}
    network = load_network(schemas.TrainedModel & key)
    assert frames_skipped(network) == 8
    found = predict(network, load_recordings("retina"), "test")["animal-1"]
    r, p = found.responses.astype(float), found.predictions.astype(float)
    single = [np.corrcoef(r[:, n], p[:, n])[0, 1] for n in range(16)]
    stored = next(one for one in rows if one["metric"] == "single_trial_correlation")["score_values"]
    np.testing.assert_allclose(stored, single, rtol=1e-6)
    truth = (schemas.Dataset.Neuron & key).to_arrays("true_type", order_by="neuron_idx")
    assert sorted(truth.astype(int).tolist()) == sorted([*range(8)] * 2)


def test_the_frame_rate_belongs_to_the_dataset(database: dict[str, str], tmp_path: Path) -> None:
    folder = write_video_session(tmp_path / "dynamic1", Skeleton.small())
    notes = register_folder("slow", folder, frame_rate=30.0, behaviour=("pupil_center",))
    assert any("just below zero" in note for note in notes)
    assert load_recordings("slow").frame_rate == 30.0
    assert load_recordings("slow").image_shape == (3, 6, 8)
    with pytest.raises(DatasetError, match="the name 'slow' is taken by other recordings"):
        register_folder("slow", folder, frame_rate=60.0, behaviour=("pupil_center",))
    with pytest.raises(DatasetError, match="at how many frames per second"):
        register_folder("unknown", folder)


def test_a_folder_of_hdf5_files_is_registered_and_opened_again(
    database: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    movies = {"nature": rng.normal(size=(2, 60, 4, 3)), "noise": rng.normal(size=(2, 25, 4, 3))}
    folder = write_h5_folder(tmp_path / "openretina", ["left"], movies)
    register_h5_folder(
        "openretina", folder, MovieSplit(test=("noise",), clip_frames=20, validation_every=3), frame_rate=30.0
    )
    session = (schemas.Dataset.Session & {"dataset": "openretina"}).fetch1()
    assert (session["n_train"], session["n_validation"], session["n_test"]) == (2, 1, 1)
    assert load_recordings("openretina").frame_rate == 30.0


@pytest.mark.real_data
def test_the_skeleton_of_a_real_recording_is_trained_scored_and_clustered(
    database: dict[str, str], tmp_path: Path, shared_data: Path
) -> None:
    table = shared_data / "video" / "sensorium2023_meta_cc0" / "dynamic29515-10-12" / "trials.csv"
    if not table.exists():
        pytest.skip("no table of real trials beside the project")
    wanted = {"train": 8, "oracle": 6, "live_test_main": 2, "final_test_bonus": 2}
    folder = write_video_session(tmp_path / "dynamic29515-10-12", Skeleton.of(table, wanted), n_neurons=6)
    notes = register_folder("real", folder, frame_rate=30.0, behaviour=("behavior", "pupil_center"))
    assert any("responses of 4 test trials are one value throughout" in note for note in notes)
    layer = {**LAYER, "kernel": 3, "stride": 1}
    declare_plan("real-study", plan("real", layer, finetunings=[]))
    fill()
    assert queries.failed_jobs() == []
    key = {"dataset": "real"}
    assert len(schemas.Clustering & key) == 1
    scored = (schemas.Performance & key).to_dicts()
    assert [(one["tier"], one["frames_skipped"], one["n_trials"]) for one in scored] == [("validation", 8, 6)]


def test_a_rebuilt_network_of_movies_answers_to_clips_of_its_own(
    database: dict[str, str], tmp_path: Path
) -> None:
    g = torch.Generator().manual_seed(0)
    n, channels = 6, 3
    state = {
        "core.features.layer0.conv_spatial.weight": torch.randn(channels, 1, 1, 5, 5, generator=g),
        "core.features.layer0.conv_temporal.weight": torch.randn(channels, channels, 4, 1, 1, generator=g),
        "readout.s._mu": torch.rand(1, n, 1, 2, generator=g) - 0.5,
        "readout.s.sigma": torch.rand(1, n, 2, 2, generator=g),
        "readout.s._features": 0.1 * torch.randn(1, channels, 1, n, generator=g),
        "readout.s.bias": torch.zeros(n),
    }
    torch.save(state, tmp_path / "movies.pt")
    rebuild = RebuildConfig.from_params({"video": {"frame_rate": 30.0}, "image_shape": [1, 16, 16]})
    own = OwnResponsesConfig(n_train=3, n_validation=2, n_test=2, n_frames=8, max_scale=1.2)
    with pytest.warns(UserWarning, match="a network of movies: .* 6 neurons x 3 features"):
        key = register_checkpoint(
            tmp_path / "movies.pt", name="own-movies", rebuild=rebuild, own_responses=own
        )
    dataset = {"dataset": key["dataset"]}
    assert (schemas.Dataset & dataset).fetch1("frame_rate") == 30.0
    fill()
    scored = (schemas.Performance & dataset & {"tier": "test"}).fetch1()
    assert (scored["frames_skipped"], scored["n_trials"]) == (3, 2)
    value = (
        schemas.Performance.Score & dataset & {"tier": "test", "metric": "single_trial_correlation"}
    ).fetch1("mean")
    assert value == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ConfigError, match="need 'n_frames', the length of the clips"):
        register_checkpoint(
            tmp_path / "movies.pt", name="other", rebuild=rebuild, own_responses=OwnResponsesConfig()
        )
