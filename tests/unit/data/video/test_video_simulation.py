"""The simulated video retina and cortex: what its types differ in, that it is deterministic, that images stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decortex.data import SimulationConfig, check_responses, open_filetree, simulate, write_filetree
from decortex.data.simulation.fixations import natural_clips
from decortex.data.simulation.mechanisms import ReceptiveFields
from decortex.data.simulation.space_time import (
    CORTEX,
    RETINA,
    causal_filter,
    centre_kernel,
    gamma_kernel,
    motion_energies,
    motion_kernel,
    video_drives,
)
from decortex.data.simulation.stimuli import TEST_STRIP, TRAINING_STRIP
from decortex.data.simulation.video import SimulatedVideo, VideoSimulationConfig, simulate_video
from decortex.errors import ConfigError

SMALL = {
    "n_neurons": 24,
    "n_animals": 3,
    "n_train": 8,
    "n_validation": 2,
    "n_test": 2,
    "n_repeats": 3,
    "n_frames": 20,
}


@pytest.fixture(scope="module")
def retina() -> SimulatedVideo:
    return simulate_video(VideoSimulationConfig(**SMALL), 0)


def fields(n: int, orientation: float = 0.0) -> ReceptiveFields:
    ones = np.ones(n)
    return ReceptiveFields(
        row=11.5 * ones,
        column=11.5 * ones,
        orientation=orientation * ones,
        high_scale=ones,
        low_scale=ones,
        centre_scale=ones,
    )


# static simulations stay what they were


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (
            SimulationConfig(n_neurons=24, n_train=60, n_validation=10, n_test=5, n_repeats=3, image_size=20),
            "74600b5949c5a33b11ee4b1dd943f9b8c139ece27c5ebac00057fe004fd8f049",
        ),
        (
            SimulationConfig(
                n_neurons=16,
                n_animals=2,
                n_train=40,
                n_validation=5,
                n_test=4,
                n_repeats=2,
                image_size=24,
                orientation="fixed",
                spread=1.0,
                types=("complex_high", "edge_iso", "centre_off"),
            ),
            "4a0a4aefb13de79d66c9b5bd0a580f894abbcbe7f2d9bc7919b7fd86ebd9f5ea",
        ),
    ],
)
def test_simulated_images_and_counts_are_those_of_before_there_were_movies(
    config: SimulationConfig, digest: str
) -> None:
    assert simulate(config, 3).content_sha256 == digest


# the recordings


def test_recordings_are_clips_with_a_known_truth(retina: SimulatedVideo) -> None:
    recordings = retina.recordings
    assert recordings.frame_rate == 30.0
    assert recordings.image_shape == (1, 36, 36)
    assert retina.clips.shape == (12, 20, 36, 36)
    assert [session.n_neurons for session in recordings.sessions] == [8, 8, 8]
    session = recordings.sessions[0]
    assert {tier: len(session.trials(tier)) for tier in ("train", "validation", "test")} == {
        "train": 8,
        "validation": 2,
        "test": 6,
    }
    assert session.images.read(np.array([0, 9])).shape == (2, 1, 20, 36, 36)
    assert session.responses.read(np.array([0, 9])).shape == (2, 20, 8)
    assert recordings.truth is not None
    for part in recordings.slices.values():
        assert sorted(recordings.truth[part].tolist()) == list(range(8))
    check_responses(recordings)


def test_the_same_seed_gives_the_same_bytes(retina: SimulatedVideo) -> None:
    again = simulate_video(VideoSimulationConfig(**SMALL), 0)
    assert again.recordings.content_sha256 == retina.recordings.content_sha256
    np.testing.assert_array_equal(again.clips, retina.clips)
    others = {
        simulate_video(VideoSimulationConfig(**SMALL), 1).recordings.content_sha256,
        simulate_video(VideoSimulationConfig(**SMALL, frame_rate=60.0), 0).recordings.content_sha256,
        simulate_video(VideoSimulationConfig(**SMALL, tissue="cortex"), 0).recordings.content_sha256,
    }
    assert len(others | {retina.recordings.content_sha256}) == 4


def test_counts_follow_the_rates(retina: SimulatedVideo) -> None:
    counts = np.concatenate(
        [session.responses.read(np.arange(session.n_trials)) for session in retina.recordings.sessions],
        axis=2,
    )
    shown = retina.recordings.sessions[0].image_ids
    difference = (counts - retina.rates[shown]).sum(axis=(0, 1))
    sd = np.sqrt(retina.rates[shown].sum(axis=(0, 1)))
    assert (np.abs(difference) < 5 * sd).all()


def test_it_survives_the_disk(retina: SimulatedVideo, tmp_path: Path) -> None:
    write_filetree(retina.recordings, tmp_path / "retina")
    opened = open_filetree(tmp_path / "retina")
    np.testing.assert_array_equal(opened.truth, retina.recordings.truth)
    one, other = retina.recordings.sessions[1], opened.sessions[1]
    for trial in (0, 11):
        np.testing.assert_array_equal(
            one.images.read(np.array([trial])), other.images.read(np.array([trial]))
        )
        np.testing.assert_array_equal(
            one.responses.read(np.array([trial])), other.responses.read(np.array([trial]))
        )


def test_types_must_be_of_the_tissue() -> None:
    assert VideoSimulationConfig.from_params({"tissue": "cortex"}).types == CORTEX
    assert VideoSimulationConfig.from_params({}).types == RETINA
    again = VideoSimulationConfig(tissue="cortex")
    assert VideoSimulationConfig.from_params(again.resolved()) == again
    with pytest.raises(ConfigError, match=r"the types \['ds_fast'\] are not of the retina"):
        VideoSimulationConfig.from_params({"types": ["ds_fast"]})


# clips


def test_clips_keep_their_flicker_and_their_strip() -> None:
    clips = natural_clips(6, 40, TRAINING_STRIP, size=24, max_scale=1.5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(clips.mean(axis=(1, 2, 3)), 0.0, atol=1e-4)
    np.testing.assert_allclose(clips.std(axis=(1, 2, 3)), 1.0, atol=1e-3)
    assert clips.mean(axis=(2, 3)).std() > 0.1  # z-scored per clip, not per frame
    following = np.corrcoef(clips[:, 1:].ravel(), clips[:, :-1].ravel())[0, 1]
    assert 0.8 < following < 0.98
    jumps = np.abs(np.diff(clips, axis=1)).mean(axis=(2, 3))
    assert (jumps.max(axis=1) > 3 * np.median(jumps, axis=1)).all()  # cuts between fixations
    other = natural_clips(6, 40, TEST_STRIP, size=24, max_scale=1.5, rng=np.random.default_rng(0))
    assert not np.array_equal(clips, other)


# mechanisms


def test_filters_are_causal_and_start_from_grey() -> None:
    values = np.zeros((1, 12, 2))
    values[0, 4] = 1.0
    kernels = np.arange(1.0, 7.0).reshape(2, 3)
    filtered = causal_filter(values, kernels)
    np.testing.assert_array_equal(filtered[0, :4], 0.0)
    np.testing.assert_array_equal(filtered[0, 4:7], kernels.T)
    np.testing.assert_array_equal(filtered[0, 7:], 0.0)


def test_kernels_are_what_their_formulas_say() -> None:
    tau = np.array([1.0, 1.7])
    np.testing.assert_allclose(gamma_kernel(2, tau).sum(axis=1), 1.0)
    t = np.arange(6) / 1.7
    literal = t**3 * np.exp(-t) * (1 / 6 - t**2 / 120)
    found = motion_kernel(3, tau)[1]
    np.testing.assert_allclose(found[:6] / found[2], literal / literal[2])
    for name in RETINA:
        kernel = centre_kernel(name, np.ones(1))[0]
        assert np.linalg.norm(kernel) == pytest.approx(1.0)
        total = kernel.sum()
        assert abs(total) < 1e-3 if "transient" in name else total > 1.0
    fast, slow = (
        centre_kernel(f"on_sustained_{speed}", np.ones(1))[0].argmax() for speed in ("fast", "slow")
    )
    assert slow == 2 * fast


@pytest.mark.parametrize("angle", [0.0, 1.1])
def test_motion_energies_prefer_a_direction(angle: float) -> None:
    rows, columns = np.indices((24, 24))
    along = (columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / 7.0
    frames = np.arange(40)[:, None, None]
    gratings = np.stack([np.cos(along - 0.35 * frames), np.cos(along + 0.35 * frames)]).astype(np.float32)
    towards, away = motion_energies(gratings, fields(1, angle), np.ones(1), 1.0)
    forth, back = (towards - away)[:, 25:, 0].mean(axis=1)
    assert abs(forth) > 0.5 * towards[:, 25:].max()
    assert forth == pytest.approx(-back, rel=1e-2)
    np.testing.assert_allclose((towards + away)[0, 25:].mean(), (towards + away)[1, 25:].mean(), rtol=1e-2)


@pytest.mark.parametrize("tissue", ["retina", "cortex"])
def test_types_of_one_sign_differ_in_time_alone(tissue: str) -> None:
    """Shuffled frames leave transient and sustained, and direction and energy, nothing to differ in."""
    config = VideoSimulationConfig(**SMALL, tissue=tissue)  # type: ignore[arg-type]
    clips = simulate_video(config, 0).clips
    still = np.repeat(clips[:, :1], 40, axis=1)  # constant light
    drives = dict(
        zip(
            config.types,
            video_drives(still, fields(3), np.ones(3), config.types, reference=slice(0, len(still))),
            strict=True,
        )
    )
    pairs = {
        "retina": [("on_sustained_fast", "on_sustained_slow"), ("off_sustained_fast", "off_sustained_slow")],
        "cortex": [("energy_fast", "energy_slow")],
    }[tissue]
    for one, other in pairs:  # once all kernels have filled, nothing tells them apart
        ends = np.stack([drives[one][:, -1, 0], drives[other][:, -1, 0]])
        assert np.corrcoef(ends)[0, 1] > 0.99


# real neurons


@pytest.mark.real_data
def test_simulated_kernels_look_like_those_of_real_neurons(shared_data: Path) -> None:
    path = shared_data / "video" / "dlgn_strf_cc0" / "strf3.npz"
    if not path.exists():
        pytest.skip("no space-time fields of real neurons beside the project")
    fields_of = np.load(path)
    courses = [fields_of[key] for key in fields_of if key.endswith("_trf")]
    assert len(courses) == 3
    for course in courses:  # the present is their last frame
        likeness = [
            abs(
                np.corrcoef(centre_kernel(mechanism, np.array([scale]))[0, : len(course)], course[::-1])[0, 1]
            )
            for scale in np.geomspace(0.3, 4.0, 40)
            for mechanism in ("on_transient", "on_sustained")
        ]
        assert max(likeness) > 0.8
