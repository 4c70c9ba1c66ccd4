"""Movies in FileTreeDataset folders that are not as they should be: what each fault is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.filetree_folders import rewrite
from video_files import BEHAVIOUR, opened, save

from decortex.data import (
    Recordings,
    check_images,
    check_responses,
)
from decortex.errors import DatasetError

# faults


def cut_responses(root: Path) -> None:
    rewrite(root / "data" / "responses" / "1.npy", lambda values: values[:, :20])


def flat_video(root: Path) -> None:
    rewrite(root / "data" / "videos" / "1.npy", lambda values: values[0])


def other_frame_size(root: Path) -> None:
    rewrite(root / "data" / "videos" / "7.npy", lambda values: values[:5])


def one_trial_less(root: Path) -> None:
    (root / "data" / "responses" / "22.npy").unlink()


def static_responses(root: Path) -> None:
    rewrite(root / "data" / "responses" / "0.npy", lambda values: values[:, 0])


def other_neurons(root: Path) -> None:
    save(root / "meta" / "neurons" / "unit_ids.npy", np.arange(7))
    for name in ("animal_ids", "cell_motor_coordinates"):
        (root / "meta" / "neurons" / f"{name}.npy").unlink()


def unknown_tiers(root: Path) -> None:
    save(root / "meta" / "trials" / "tiers.npy", np.full(23, "none"))


def every(root: Path, key: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in (root / "data" / key).glob("*.npy"):
        rewrite(path, change)


def behaviour_at_another_rate(root: Path) -> None:
    every(root, "behavior", lambda values: np.repeat(values, 2, axis=1))


def time_first(root: Path) -> None:
    every(root, "videos", lambda values: np.moveaxis(values, -1, 0))


def colour_last(root: Path) -> None:
    every(root, "videos", lambda values: np.stack([values] * 3, axis=-1))


def no_frames(root: Path) -> None:
    for key in ("videos", "responses", *BEHAVIOUR):
        rewrite(root / "data" / key / "2.npy", lambda values: values[..., :0])


def pickled_video(root: Path) -> None:
    np.save(root / "data" / "videos" / "3.npy", np.array({"movie": [1.0]}, dtype=object), allow_pickle=True)


def neither_images_nor_videos(root: Path) -> None:
    (root / "data" / "videos").rename(root / "data" / "movies")


def lost_neuron(root: Path) -> None:
    every(root, "responses", lambda values: np.concatenate([values[:1] * np.nan, values[1:]]))


def dead_pixel(root: Path) -> None:
    every(root, "videos", lambda values: np.concatenate([values[:1] * np.nan, values[1:]]))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (cut_responses, r"responses/1\.npy has 20 frames and its video 34.*Resample responses"),
        (flat_video, r"videos/1\.npy should be real numbers, \(height, width, n_frames\)"),
        (other_frame_size, r"0\.npy has \(6, 8\) and 7\.npy has \(5, 8\)"),
        (one_trial_less, "23 of videos, 22 of responses"),
        (static_responses, r"responses/0\.npy should be real numbers, \(values, n_frames\).*float64 \(5,\)"),
        (other_neurons, r"should have 7 values per frame \(meta/neurons/unit_ids\.npy\)"),
        (unknown_tiers, "oracle, live_test_main.*but it only has none"),
        (behaviour_at_another_rate, r"behavior/0\.npy has 68 frames and its video 34.*Resample behavior"),
        (time_first, r"the video is \(34, 6, 8\), as if its frames lay along axis 0: time comes last"),
        (colour_last, r"\(6, 8, 34, 3\), as if its frames lay along axis 2.*np\.moveaxis\(video, 2, -1\)"),
        (no_frames, r"trial 2 \(tier 'train'\) holds nothing but NaN in videos, responses"),
        (pickled_video, r"holds Python objects.*np\.load\(f, allow_pickle=True\).*\.item\(\)\[its key\]"),
        (
            neither_images_nor_videos,
            r"holds no images: the folder data/images is missing \(data/ has .*movies",
        ),
        (lost_neuron, r"responses should be finite .* trial 0 .* nan at \(frame, neuron\) \(0, 0\)"),
        (dead_pixel, r"videos should be finite.* nan at \(channel, frame, row, column\) \(0, 0, 0, 0\)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_is_named(folder: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(folder)
    with pytest.raises(DatasetError, match=f"(?i){message}"):
        read_fully(folder)


def read_fully(folder: Path) -> tuple[str, ...]:
    recordings = opened(folder, BEHAVIOUR)
    notes = check_responses(recordings)
    check_images(recordings)
    return notes


def test_traces_that_end_before_their_videos_are_reported_with_numbers(folder: Path) -> None:
    assert not any("before the video" in note for note in read_fully(folder))  # behaviour is longer

    def half(values: np.ndarray) -> np.ndarray:
        values[:, 15:] = np.nan
        return values

    rewrite(folder / "data" / "pupil_center" / "7.npy", half)
    rewrite(folder / "data" / "pupil_center" / "22.npy", half)  # of no tier
    (note,) = (note for note in read_fully(folder) if "before the video" in note)
    assert "'dynamic1': pupil_center end before the video in 1 of 22 trials (after 15 of 30 frames" in note


@pytest.mark.parametrize("kind", ["colour", "bytes"])
def test_videos_may_have_colours_and_any_real_type(folder: Path, kind: str) -> None:
    change = {
        "colour": lambda values: np.stack([values, values + 1]),
        "bytes": lambda values: np.nan_to_num(values).clip(0, 255).astype(np.uint8),
    }[kind]
    every(folder, "videos", change)
    session = opened(folder).sessions[0]
    assert session.n_frames is not None
    assert session.n_frames[0] == 30  # files of whole numbers hold no NaN: responses say where they end
    clip = session.images.read(np.array([0]))[0]
    shown = change(np.load(folder / "data" / "videos" / "0.npy")) if kind == "bytes" else None
    assert clip.shape == ((2 if kind == "colour" else 1), 30, 6, 8)
    assert clip.dtype == np.float32
    if shown is None:
        np.testing.assert_allclose(clip[1], clip[0] + 1, rtol=1e-6)
    else:
        np.testing.assert_array_equal(clip[0], np.moveaxis(shown, -1, 0)[:30])


@pytest.mark.parametrize("where", ["a file", "a folder"])
def test_pickled_movies_are_refused_with_the_line_that_converts(tmp_path: Path, where: str) -> None:
    (tmp_path / "movies.pkl").write_bytes(b"\x80\x04.")
    path = tmp_path / "movies.pkl" if where == "a file" else tmp_path
    with pytest.raises(
        DatasetError, match=r"unpickling runs code.*pickle\.load\(open\('movies\.pkl', 'rb'\)\)"
    ):
        opened(path)


def test_images_and_movies_do_not_mix(tmp_path: Path, folder: Path) -> None:
    session = opened(folder).sessions[0]
    with pytest.raises(DatasetError, match="images, without a frame rate, or clips of one frame rate"):
        Recordings([session], (1, 6, 8), "no rate")
    (tmp_path / "static" / "data" / "images").mkdir(parents=True)
    with pytest.raises(DatasetError, match="all show images or all show movies"):
        opened(tmp_path)
