"""Movies in FileTreeDataset folders: lengths, NaN, tiers, values just below zero, repeats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.filetree_folders import rewrite
from video_files import BEHAVIOUR, Skeleton, opened, video_of, write_video_session

from decortex.data import (
    cached,
    check_images,
    check_responses,
    open_filetree,
    summarise_recordings,
    write_filetree,
)
from decortex.data.video import NEGATIVE_TOLERANCE, shared_clips
from decortex.errors import DatasetError, InputError

# lengths and NaN (trap 3)


@pytest.mark.parametrize("behaviour", [(), BEHAVIOUR])
def test_the_frames_that_are_used_are_those_that_every_file_of_a_trial_has(
    folder: Path, behaviour: tuple[str, ...]
) -> None:
    session = opened(folder, behaviour).sessions[0]
    assert session.n_frames is not None
    # behaviour is valid for 34 frames, and would let NaN of the others through
    assert session.n_frames.tolist() == [30] * 19 + [24] * 3 + [0]
    for trial in (0, 19):
        clip, responses = (
            trials.read(np.array([trial]))[0] for trials in (session.images, session.responses)
        )
        n_channels = 5 if behaviour else 1
        assert clip.shape == (n_channels, session.n_frames[trial], 6, 8)
        assert responses.shape == (session.n_frames[trial], 5)
        assert np.isfinite(clip).all()
        assert np.isfinite(responses).all()
        assert clip.dtype == responses.dtype == np.float32
        shown = video_of(Skeleton.small().videos[trial], (6, 8), 34)[:, :, : session.n_frames[trial]]
        np.testing.assert_array_equal(clip[0], np.moveaxis(shown, 2, 0).astype(np.float32))


def test_behaviour_varies_over_the_frames_of_its_channels(folder: Path) -> None:
    clip = opened(folder, BEHAVIOUR).sessions[0].images.read(np.array([3]))[0]
    pupil = np.load(folder / "data" / "pupil_center" / "3.npy")[:, :30]
    np.testing.assert_array_equal(clip[3:, :, 2, 5], pupil.astype(np.float32))
    assert (clip[1:] == clip[1:, :, :1, :1]).all()


def test_nan_inside_the_valid_part_is_refused_with_session_trial_and_frame(folder: Path) -> None:
    def hole(values: np.ndarray) -> np.ndarray:
        values[3, 17] = np.nan
        return values

    rewrite(folder / "data" / "responses" / "4.npy", hole)
    with pytest.raises(DatasetError, match=r"'dynamic1': responses .* trial 4 .*\(frame, neuron\) \(17, 3\)"):
        check_responses(opened(folder))


def test_a_broken_pixel_is_refused_with_its_frame(folder: Path) -> None:
    def hole(values: np.ndarray) -> np.ndarray:
        values[1, 2, 9] = np.inf
        return values

    rewrite(folder / "data" / "videos" / "4.npy", hole)
    with pytest.raises(DatasetError, match=r"videos should be finite.* trial 4 .*\(0, 9, 1, 2\)"):
        check_images(opened(folder))


def test_trials_of_unused_tiers_may_hold_anything(folder: Path) -> None:
    for key in ("videos", "responses", "behavior"):
        rewrite(folder / "data" / key / "22.npy", lambda values: np.full_like(values, np.nan))
    recordings = opened(folder, BEHAVIOUR)
    check_responses(recordings)
    check_images(recordings)


def test_a_used_trial_of_nothing_but_nan_is_refused(folder: Path) -> None:
    rewrite(folder / "data" / "behavior" / "2.npy", lambda values: np.full_like(values, np.nan))
    opened(folder)
    with pytest.raises(DatasetError, match=r"trial 2 \(tier 'train'\) holds nothing but NaN in behavior"):
        opened(folder, BEHAVIOUR)


def test_clips_of_different_lengths_are_read_in_runs_of_one(folder: Path) -> None:
    session = opened(folder).sessions[0]
    runs = list(session.stacks(np.array([0, 1, 2, 19, 20, 3]), 2))
    assert [run.tolist() for run in runs] == [[0, 1], [2], [19, 20], [3]]
    with pytest.raises(InputError, match=r"different lengths do not stack: \[24, 30\]"):
        session.images.read(np.array([0, 19]))


# tiers


def test_the_words_of_2023_become_ours(folder: Path) -> None:
    session = opened(folder).sessions[0]
    assert {tier: len(session.trials(tier)) for tier in ("train", "validation", "test")} == {
        "train": 12,
        "validation": 5,
        "test": 5,
    }


def test_test_trials_whose_responses_were_kept_back_are_left_out_and_counted(tmp_path: Path) -> None:
    skeleton = Skeleton.small()
    skeleton.withheld = [tier.startswith("final") for tier in skeleton.tiers]
    recordings = opened(write_video_session(tmp_path / "dynamic2", skeleton))
    assert recordings.sessions[0].trials("test").tolist() == [17, 18]
    notes = check_responses(recordings)
    assert any("responses of 3 test trials are one value throughout" in note for note in notes)


def test_a_silent_first_neuron_does_not_make_a_trial_kept_back(folder: Path) -> None:
    def silent(values: np.ndarray) -> np.ndarray:
        values[0, :30] = 0.0
        return values

    rewrite(folder / "data" / "responses" / "17.npy", silent)
    assert 17 in opened(folder).sessions[0].trials("test")


# almost zero is negative (trap 4)


def test_values_just_below_zero_are_read_as_zero_with_a_note(folder: Path) -> None:
    recordings = opened(folder)
    raw = np.load(folder / "data" / "responses" / "0.npy")[:, :30].T
    assert (raw < 0).any()
    np.testing.assert_array_equal(
        recordings.sessions[0].responses.read(np.array([0]))[0], np.maximum(raw, 0.0).astype(np.float32)
    )
    notes = check_responses(recordings)
    assert any("5 of 5 neurons have responses just below zero" in note for note in notes)


@pytest.mark.parametrize(("depth", "refused"), [(1e-6, False), (0.1, True)])
def test_how_far_below_zero_counts_in_standard_deviations(folder: Path, depth: float, refused: bool) -> None:
    session = opened(folder).sessions[0]
    spread = session.responses.tolerance[2] / NEGATIVE_TOLERANCE  # type: ignore[attr-defined]

    def below(values: np.ndarray) -> np.ndarray:
        values[2, 5] = -depth * spread
        return values

    rewrite(folder / "data" / "responses" / "18.npy", below)
    if refused:
        with pytest.raises(DatasetError, match=r"finite and not negative, but trial 18 .*\(5, 2\)"):
            check_responses(opened(folder))
    else:
        check_responses(opened(folder))


# identity by content (trap 7)


def test_equal_videos_are_repeats(folder: Path) -> None:
    ids = opened(folder).sessions[0].image_ids
    assert len(set(ids[:12].tolist())) == 12
    assert ids[12] == ids[13] != ids[14] == ids[15] == ids[16]
    assert len(set(ids[19:22].tolist())) == 1


def test_repeats_of_different_behaviour_or_response_length_stay_repeats(folder: Path) -> None:
    def shorter(values: np.ndarray) -> np.ndarray:
        values[:, 25:] = np.nan
        return values

    rewrite(folder / "data" / "responses" / "13.npy", shorter)
    session = opened(folder, BEHAVIOUR).sessions[0]
    assert session.n_frames is not None
    assert session.n_frames[12:14].tolist() == [30, 25]
    assert session.image_ids[12] == session.image_ids[13]


def test_a_test_clip_that_another_animal_was_trained_or_validated_on_is_reported(tmp_path: Path) -> None:
    other = Skeleton.small()
    other.videos = [{"t3": "l0", "o0": "f0"}.get(name, f"other-{name}") for name in other.videos]
    write_video_session(tmp_path / "lab" / "a", Skeleton.small())
    write_video_session(tmp_path / "lab" / "b", other, seed=1)
    # 'f0' is valid for 30 frames as a validation clip and for 24 as a test clip: cut there, its content is another
    for trial in (12, 13):
        for key in ("videos", "responses", "pupil_center"):
            rewrite(
                tmp_path / "lab" / "b" / "data" / key / f"{trial}.npy",
                lambda values: np.where(np.arange(values.shape[-1]) < 24, values, np.nan),
            )
    recordings = opened(tmp_path / "lab")
    assert shared_clips(recordings) == {("train", "test"): 1, ("validation", "test"): 1}
    notes = check_responses(recordings)
    assert any("1 different clips are in both validation and test" in note for note in notes)
    summary = summarise_recordings(recordings)
    assert (summary.n_test_images, summary.n_shared_images) == (4, 2)


# frame rate (trap 8)


def test_a_frame_rate_is_needed_and_one_only(folder: Path) -> None:
    with pytest.raises(DatasetError, match="at how many frames per second"):
        open_filetree(folder)
    (folder / "config.json").write_text(json.dumps({"links": {}, "frame_rate": 30}))
    assert open_filetree(folder).frame_rate == 30.0
    with pytest.raises(DatasetError, match=r"one frame rate, but here are .*30.0.*60.0"):
        open_filetree(folder, frame_rate=60.0)
    (folder / "config.json").write_text(json.dumps({"frame_rate": "fast"}))
    with pytest.raises(DatasetError, match="'frame_rate' should be a positive number of Hz, it is 'fast'"):
        open_filetree(folder)


def test_the_digest_knows_the_frame_rate_and_the_behaviour(folder: Path) -> None:
    digests = {
        open_filetree(folder, behaviour=behaviour, frame_rate=rate).content_sha256
        for behaviour in ((), ("behavior",))
        for rate in (30.0, 60.0)
    }
    assert len(digests) == 4


# the round trip, the cache, summaries


def test_what_is_written_is_read(folder: Path, tmp_path: Path) -> None:
    recordings = opened(folder, BEHAVIOUR)
    write_filetree(recordings, tmp_path / "copy")
    again = open_filetree(tmp_path / "copy")
    assert again.frame_rate == 30.0
    assert again.image_shape == recordings.image_shape == (5, 6, 8)
    assert again.neuron_order_sha256 == recordings.neuron_order_sha256
    for one, other in zip(recordings.sessions, again.sessions, strict=True):
        used = np.flatnonzero(np.isin(one.tiers, ["train", "validation", "test"]))
        np.testing.assert_array_equal(one.tiers[used], other.tiers[used])
        assert one.n_frames is not None
        assert other.n_frames is not None
        np.testing.assert_array_equal(one.n_frames[used], other.n_frames[used])
        for trial in used.tolist():
            for left, right in ((one.images, other.images), (one.responses, other.responses)):
                np.testing.assert_array_equal(left.read(np.array([trial])), right.read(np.array([trial])))


def test_the_cache_holds_the_same_clips_within_its_budget(folder: Path) -> None:
    recordings = opened(folder)
    response_bytes = 4 * 5 * int(recordings.sessions[0].n_frames.sum())  # type: ignore[union-attr]
    some = cached(recordings, max_bytes=response_bytes)
    assert some.sessions[0].responses is not recordings.sessions[0].responses
    assert some.sessions[0].images is recordings.sessions[0].images
    everything = cached(recordings, max_bytes=10**8)
    for trial in (0, 19):
        for key in ("images", "responses"):
            np.testing.assert_array_equal(
                getattr(everything.sessions[0], key).read(np.array([trial])),
                getattr(recordings.sessions[0], key).read(np.array([trial])),
            )
    assert everything.frame_rate == 30.0


def test_mean_responses_are_over_frames(folder: Path) -> None:
    recordings = opened(folder)
    every = np.concatenate(
        [np.load(folder / "data" / "responses" / f"{i}.npy")[:, :30] for i in range(12)], axis=1
    )
    np.testing.assert_allclose(
        summarise_recordings(recordings).mean_responses, np.maximum(every, 0).mean(axis=1), rtol=1e-6
    )


# the skeleton of a real recording


@pytest.mark.real_data
def test_the_trials_of_a_real_recording(tmp_path: Path, shared_data: Path) -> None:
    table = shared_data / "video" / "sensorium2023_meta_cc0" / "dynamic29515-10-12" / "trials.csv"
    if not table.exists():
        pytest.skip("no table of real trials beside the project")
    wanted = {"train": 6, "oracle": 12, "live_test_main": 3, "live_test_bonus": 3, "final_test_bonus": 3}
    skeleton = Skeleton.of(table, wanted)
    root = write_video_session(tmp_path / "dynamic29515-10-12", skeleton, n_neurons=4, shape=(4, 5))
    recordings = opened(root, BEHAVIOUR)
    session = recordings.sessions[0]
    assert session.n_frames is not None
    used = np.isin(session.tiers, ["train", "validation"])
    assert set(session.n_frames[used].tolist()) == {300}
    assert {tier: int((session.tiers == tier).sum()) for tier in set(session.tiers.tolist())} == {
        "train": 6,
        "validation": 12,
        "withheld": 9,
    }
    assert len(np.unique(session.image_ids[session.trials("validation")])) == len(
        {name for name, tier in zip(skeleton.videos, skeleton.tiers, strict=True) if tier == "oracle"}
    )
    notes = check_responses(recordings)
    check_images(recordings)
    assert any("just below zero" in note for note in notes)
