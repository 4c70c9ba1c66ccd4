"""Movies through the tables: simulated ones, and the skeleton of a real recording, from registering to clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_lab import TESTS, fill
from video_files import Skeleton, write_h5_folder, write_video_session

import decortex_schemas as schemas
from decortex.data import MovieSplit, VideoSimulationConfig
from decortex.errors import ConfigError, DatasetError
from decortex.evaluation.performance import CLIP_METRICS, METRICS
from decortex.models import OwnResponsesConfig, frames_skipped, predict
from decortex.models.checkpoints import RebuildConfig
from decortex_ops.dashboard import router
from decortex_ops.dashboard.source import CachedSource
from decortex_ops.reports import report
from decortex_schemas import queries
from decortex_schemas.register import PlanFile, declare_plan, register_checkpoint
from decortex_schemas.tables import (
    freeze_study,
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
    """One network of movies or more, two partitions, and a fine-tuning of each kind with its control."""
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
                    "seeds": [0, 1],
                }
            ],
            "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
            "methods": [{"method": "kmeans"}],
            "counts": [2],
            "seeds": [0],
            "finetunings": [
                {"name": "dec", "params": {"kind": "dec", "kernel": "scaled"}, **start},
                {"name": "joint", "params": {"kind": "dec_joint", "kernel": "scaled", "beta": 0.1}, **start},
                {"name": "december", "params": {"kind": "december", "beta_rule": "balanced"}, **start},
            ],
            **changed,
        }
    )


@pytest.fixture(scope="module")
def retina(database: dict[str, str], short_ascents: None) -> str:
    """A study of a simulated retina, with its null dataset and its tuning, filled, frozen and compared."""
    register_simulated_video("retina", VideoSimulationConfig.from_params(SMALL), seed=1)
    declare_plan(
        "retina-study",
        plan(
            "retina",
            LAYER,
            finetuned_null={"kinds": ["gaussian"], "surrogates": 1},
            tuning={
                "params": {"n_angles": 4, "n_periods": 2, "n_phases": 4, "n_radii": 2},
                "stimuli": [{"method": "kmeans", "counts": [2]}],
            },
        ),
    )
    fill(few=TESTS)
    freeze_study("retina-study")
    freeze_study("retina-study-null")
    fill(few=TESTS)
    return "retina-study"


def test_a_simulated_retina_is_registered_trained_and_scored(retina: str) -> None:
    key = {"dataset": "retina"}
    row = (schemas.Dataset & key).fetch1()
    assert (row["kind"], row["frame_rate"], row["image_shape"]) == ("simulated_video", 30.0, [1, 18, 18])
    assert [one for one in queries.failed_jobs() if "retina" in str(one["key"].get("dataset"))] == []
    assert len(schemas.TrainedModel & key) == 2
    assert set((schemas.Embedding & key).to_arrays("n_features")) == {4}
    assert (schemas.Dataset.Session & key).fetch1("n_frames") == (16 + 4 + 9) * 20
    first = {**key, "model_seed": 0}
    scored = (schemas.Performance & first & {"tier": "test"}).fetch1()
    assert (scored["frames_skipped"], scored["n_trials"]) == (8, 9)
    rows = (schemas.Performance.Score & first & {"tier": "test"}).to_dicts()
    assert {one["metric"] for one in rows} == {*METRICS, *CLIP_METRICS}
    network = load_network(schemas.TrainedModel & first)
    assert frames_skipped(network) == 8
    found = predict(network, load_recordings("retina"), "test")["animal-1"]
    r, p = found.responses.astype(float), found.predictions.astype(float)
    single = [np.corrcoef(r[:, n], p[:, n])[0, 1] for n in range(16)]
    stored = next(one for one in rows if one["metric"] == "single_trial_correlation")["score_values"]
    np.testing.assert_allclose(stored, single, rtol=1e-6)
    truth = (schemas.Dataset.Neuron & key).to_arrays("true_type", order_by="neuron_idx")
    assert sorted(truth.astype(int).tolist()) == sorted([*range(8)] * 2)


def test_every_loss_and_the_control_fine_tune_its_networks(retina: str) -> None:
    key = {"dataset": "retina"}
    rows = queries.results(retina)
    assert {row["finetune"] for row in rows} == {"none", "dec", "joint", "december"}
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        if row["finetune"] != "none":
            assert row["n_partitions"] == 2
            assert all(np.isfinite(row[f"correlation_{when}"]) for when in ("before", "after", "control"))
    assert len(schemas.DECFinetune & key) == 2 * 4
    assert len(schemas.ContinuedTraining & key) == 2
    assert len(schemas.RetainedPerformance & key) == 2 * 3
    assert len(schemas.SeedAgreement & key & {"study": retina, "pairs": "model_seeds"}) == 4


def test_its_null_dataset_shows_the_same_clips(retina: str) -> None:
    (null,) = (schemas.NullDataset & {"parent_dataset": "retina"}).to_dicts()
    drawn, recorded = load_recordings(null["dataset"]), load_recordings("retina")
    assert drawn.frame_rate == recorded.frame_rate == 30.0
    (one,), (own,) = drawn.sessions, recorded.sessions
    assert one.images is own.images
    np.testing.assert_array_equal(one.tiers, own.tiers)
    np.testing.assert_array_equal(one.image_ids, own.image_ids)
    np.testing.assert_array_equal(one.n_frames, own.n_frames)
    train = own.trials("train")
    rates = [values.responses.read(train)[:, 8:].mean() for values in (one, own)]
    assert rates[0] == pytest.approx(rates[1], rel=0.2)
    assert len(schemas.DECFinetune & {"dataset": null["dataset"]}) == 2 * 4
    compared = (schemas.FinetunedNull & {"study": retina}).to_dicts()
    assert {row["n_networks"] for row in compared} == {2}
    assert len(compared) == 3


def test_pages_and_the_report_show_its_clusters_in_space_and_time(retina: str) -> None:
    panels = router.view_of(
        router.BY_PATH["/tuning"], f"?study={retina}&net=0&k=2&seed=0", CachedSource()
    ).panels
    drawn = {panel.name: panel for panel in panels}
    assert {"profiles", "exciting", "stimuli", "fields", "time"} <= set(drawn)
    partition = {"dataset": "retina", "model_seed": 0, "k": 2, "seed": 0}
    key = dict((schemas.ClusterStimuli & partition).keys()[0])
    fields = queries.cluster_fields(key)
    assert fields is not None
    shown = [row for row in fields if row["neuron"] is not None]
    assert shown
    for row, line in zip(shown, drawn["time"].figure.data, strict=True):
        assert row["spatial"].shape == (18, 18)
        assert list(line.x) == [-5, -4, -3, -2, -1, 0]  # the lag of a kernel over six frames
        np.testing.assert_array_equal(line.y, row["temporal"])
    frames = (schemas.ClusterStimuli & partition).fetch1("exciting")
    assert np.asarray(frames).shape[1:] == (6, 18, 18)
    profile = queries.cluster_profiles(retina, method="kmeans", k=2)
    assert all(row["direction_selectivity"] is not None for row in profile)
    page = report(retina)
    assert 'id="clusters"' in page
    answers = queries.answers(retina)
    assert len(answers) == 5
    assert all(row["sentence"] for row in answers)


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
    declare_plan("real-study", plan("real", layer))
    fill(few=TESTS)
    key = {"dataset": "real"}
    assert [one for one in queries.failed_jobs() if one["key"].get("dataset") == "real"] == []
    assert len(schemas.Clustering & key) == 2
    assert (
        len(schemas.DECFinetune & key & "checkpoint IS NOT NULL") == 2 * 3
    )  # fine-tuned, though not scored on tests
    (tested,) = {
        (row["mean"], json.dumps(row["undefined"]))
        for row in (schemas.DECFinetune.Score & key & {"tier": "test", "metric": METRICS[0]}).to_dicts()
    }
    assert tested == (None, '{"withheld_responses": 6}')
    scored = (schemas.Performance & key).to_dicts()
    assert [(one["tier"], one["frames_skipped"], one["n_trials"]) for one in scored] == [
        ("validation", 8, 6)
    ] * 2


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
    fill(few=TESTS)
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
