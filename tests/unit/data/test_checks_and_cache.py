"""The full pass over values, and recordings read into memory within a budget."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from decortex.data import (
    FileTreeTrials,
    InMemoryTrials,
    Recordings,
    cached,
    check_images,
    check_responses,
    open_filetree,
)
from decortex.errors import DatasetError, InputError


def spoil(folder: Path, key: str, trial: int, value: float) -> None:
    path = folder / "b" / "data" / key / f"{trial}.npy"
    values = np.load(path)
    values.flat[1] = value
    np.save(path, values)


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-1.0, r"-1\.0")])
def test_bad_responses_are_found_where_they_are(folder: Path, value: float, shown: str) -> None:
    opened = open_filetree(folder)
    check_responses(opened)
    spoil(folder, "responses", 9, value)
    with pytest.raises(
        DatasetError,
        match=rf"session 'b': responses should be finite and not negative, but trial 9 \(tier 'test'\) has"
        rf" {shown} at neuron 1; 1 of 12 trials",
    ):
        check_responses(opened)


def test_bad_pixels_are_found_where_they_are(folder: Path) -> None:
    spoil(folder, "images", 2, -1.0)
    check_images(open_filetree(folder))
    spoil(folder, "images", 2, np.nan)
    with pytest.raises(
        DatasetError, match=r"images should be finite, but trial 2 .* at \(channel, row, column\) \(0, 0, 1\)"
    ):
        check_images(open_filetree(folder))


def flatten(folder: Path, neurons: slice, tier: str = "train") -> None:
    tiers = np.load(folder / "meta" / "trials" / "tiers.npy")
    for trial in np.flatnonzero(tiers == tier):
        path = folder / "data" / "responses" / f"{trial}.npy"
        values = np.load(path)
        values[neurons] = 2
        np.save(path, values)


def test_neurons_that_never_vary_in_training_are_noted_and_sessions_of_them_refused(folder: Path) -> None:
    before = check_responses(open_filetree(folder))
    flatten(folder / "b", slice(1, 2))
    (note,) = (one for one in check_responses(open_filetree(folder)) if one not in before)
    assert "session 'b': 1 of 2 neurons have one response in all training trials (first: neuron 1)" in note
    flatten(folder / "b", slice(None))
    with pytest.raises(DatasetError, match="session 'b': no neuron's response varies over the training"):
        check_responses(open_filetree(folder))


def rescale(folder: Path, tier: str, factor: float) -> None:
    tiers = np.load(folder / "meta" / "trials" / "tiers.npy")
    for trial in np.flatnonzero(tiers == tier):
        path = folder / "data" / "images" / f"{trial}.npy"
        np.save(path, np.load(path) * factor)


def test_pixels_in_several_units_are_noted(folder: Path) -> None:
    assert check_images(open_filetree(folder)) == ()
    rescale(folder / "b", "test", 255)
    (note,) = check_images(open_filetree(folder))
    assert "test of 'b' from" in note
    assert "are they in one unit?" in note


def test_images_that_are_all_one_grey_are_refused(folder: Path) -> None:
    for tier in ("train", "validation", "test"):
        rescale(folder / "a", tier, 0)
    with pytest.raises(DatasetError, match="session 'a': every pixel of all its images is 0"):
        check_images(open_filetree(folder))


def test_trials_that_nobody_uses_may_hold_anything(folder: Path) -> None:
    path = folder / "b" / "meta" / "trials" / "tiers.npy"
    tiers = np.load(path)
    tiers[9] = "none"
    np.save(path, tiers)
    spoil(folder, "responses", 9, np.nan)
    check_responses(open_filetree(folder))


def in_memory(recordings: Recordings) -> list[tuple[bool, bool]]:
    return [
        (isinstance(session.responses, InMemoryTrials), isinstance(session.images, InMemoryTrials))
        for session in recordings.sessions
    ]


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [
        (0, [(False, False), (False, False)]),
        # responses: 12 trials x 3 and x 2 neurons; images: 12 trials x 35 pixels; four bytes each
        (4 * 12 * 3, [(True, False), (False, False)]),
        (4 * 12 * 5 + 4 * 12 * 35, [(True, True), (True, False)]),
        (4 * 12 * 5 + 8 * 12 * 35, [(True, True), (True, True)]),
    ],
)
def test_the_cache_takes_what_fits(folder: Path, max_bytes: int, expected: list[tuple[bool, bool]]) -> None:
    opened = open_filetree(folder)
    small = cached(opened, max_bytes=max_bytes)
    assert in_memory(small) == expected
    assert in_memory(opened) == [(False, False)] * 2
    assert small.content_sha256 == opened.content_sha256
    assert small.neuron_order_sha256 == opened.neuron_order_sha256
    np.testing.assert_array_equal(small.truth, opened.truth)
    for one, other in zip(small.sessions, opened.sessions, strict=True):
        for key in ("images", "responses"):
            np.testing.assert_array_equal(
                getattr(one, key).read(np.arange(12)), getattr(other, key).read(np.arange(12))
            )


def test_caching_asks_for_no_digest_and_costs_nothing_in_memory(
    recordings: Recordings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> str:
        raise AssertionError("the folder was hashed")

    monkeypatch.setattr("decortex.data.filetree.content_sha256", never)
    assert isinstance(cached(open_filetree(folder), max_bytes=0).sessions[0].images, FileTreeTrials)
    same = cached(recordings, max_bytes=0)
    assert same.sessions[0].images is recordings.sessions[0].images
    assert pickle.loads(pickle.dumps(same)).content_sha256 == "in memory"


def test_a_negative_budget_is_refused(recordings: Recordings) -> None:
    with pytest.raises(InputError, match="max_bytes should be 0 or more, it is -1"):
        cached(recordings, max_bytes=-1)
