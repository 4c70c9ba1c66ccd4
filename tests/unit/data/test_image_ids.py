"""Image ids against pixels: placeholders, several columns and classes, repeats that nobody named, unused trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decortex.data import Recordings, check_responses, open_filetree, summarise_recordings
from decortex.errors import DatasetError

TRIALS = np.arange(30)
IMAGE_OF = np.r_[TRIALS[:22], TRIALS[:8]]  # the 8 test images are training images 0 to 7
IS_HALF = TRIALS % 2 == 0
TIERS = np.array(["train"] * 18 + ["validation"] * 4 + ["test"] * 8)
WORDS = IMAGE_OF.astype(str)


def write(
    root: Path, columns: dict[str, Any], *, image_of: np.ndarray = IMAGE_OF, tiers: np.ndarray = TIERS
) -> Path:
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(30, 6, 6)).astype("f4")
    for part in ("data/images", "data/responses", "meta/trials", "meta/neurons"):
        (root / part).mkdir(parents=True)
    for trial in TRIALS:
        np.save(root / f"data/images/{trial}.npy", pixels[image_of[trial]])
        np.save(root / f"data/responses/{trial}.npy", rng.poisson(2, 5).astype("f4"))
    np.save(root / "meta/trials/tiers.npy", tiers)
    np.save(root / "meta/neurons/unit_ids.npy", np.arange(5))
    for name, values in columns.items():
        np.save(root / f"meta/trials/{name}.npy", values)
    return root


def counts(opened: Recordings) -> tuple[int, int, int]:
    summary = summarise_recordings(opened)
    return len(np.unique(opened.sessions[0].image_ids)), summary.n_test_images, summary.n_shared_images


def in_test(blank: Any, ids: np.ndarray = WORDS) -> np.ndarray:
    return np.where(TRIALS < 22, ids, blank)


SPOILT = {
    "no ids": {},
    "right": {"frame_image_id": IMAGE_OF},
    **{f"blank {blank!r}": {"frame_image_id": in_test(blank)} for blank in ("", " ", "None", "nan", "N/A", "-1")},
    "bytes": {"frame_image_id": in_test("", WORDS).astype("S")},
    "-1": {"frame_image_id": in_test(-1, IMAGE_OF)},
    "NaN": {"frame_image_id": in_test(np.nan, IMAGE_OF.astype(float))},
    "0 in the test": {"frame_image_id": in_test(0, IMAGE_OF)},
    "all 0": {"image_id": 0 * TRIALS},
    "all NaN": {"image_id": np.full(30, np.nan)},
    "an id of its own for every trial": {"frame_image_id": TRIALS + 100},
    "large numbers": {"frame_image_id": IMAGE_OF.astype("u8") + np.uint64(2**63)},
    "big-endian": {"frame_image_id": IMAGE_OF.astype(">i4")},
    "two columns": {
        "frame_image_id": np.where(IS_HALF, "", WORDS),
        "colorframeprojector_image_id": np.where(IS_HALF, WORDS, ""),
    },
    "two columns of numbers": {
        "frame_image_id": np.where(IS_HALF, np.nan, IMAGE_OF),
        "colorframeprojector_image_id": np.where(IS_HALF, IMAGE_OF, np.nan),
    },
    "two columns with 0": {
        "frame_image_id": np.where(IS_HALF, 0, IMAGE_OF),
        "colorframeprojector_image_id": np.where(IS_HALF, IMAGE_OF, 0),
    },
    "ids that begin anew in every class": {
        "frame_image_id": IMAGE_OF % 11,
        "frame_image_class": np.where(IMAGE_OF < 11, "imagenet", "noise"),
    },
    "a class for each column": {
        "frame_image_id": np.where(IMAGE_OF < 11, (IMAGE_OF % 11).astype(str), ""),
        "frame_image_class": np.where(IMAGE_OF < 11, "imagenet", ""),
        "colorframeprojector_image_id": np.where(IMAGE_OF < 11, "", (IMAGE_OF % 11).astype(str)),
        "colorframeprojector_image_class": np.where(IMAGE_OF < 11, "", "colour"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_images_are_told_apart_however_their_ids_are_spoilt(tmp_path: Path, name: str) -> None:
    opened = open_filetree(write(tmp_path / "s", SPOILT[name]))
    assert counts(opened) == (22, 8, 8)
    ids = opened.sessions[0].image_ids
    np.testing.assert_array_equal(ids[:, None] == ids, IMAGE_OF[:, None] == IMAGE_OF)


def test_ids_that_are_right_are_kept_as_they_are(tmp_path: Path) -> None:
    opened = open_filetree(write(tmp_path / "s", {"frame_image_id": IMAGE_OF}))
    np.testing.assert_array_equal(opened.sessions[0].image_ids, IMAGE_OF)
    assert opened.sessions[0].notes == ()


def test_what_was_found_is_told(tmp_path: Path) -> None:
    blank = open_filetree(write(tmp_path / "blank", {"frame_image_id": in_test("")}))
    assert any("'blank': 8 of 30 trials have no image id" in note for note in check_responses(blank))
    merged = open_filetree(write(tmp_path / "merged", {"frame_image_id": TRIALS}))
    (note,) = check_responses(merged)
    assert "'merged': 8 images have several ids (the first: '0' in frame_image_id.npy and '22'" in note


def test_one_id_for_different_images_is_refused(tmp_path: Path) -> None:
    ids = np.where(TRIALS < 22, IMAGE_OF, 999)
    with pytest.raises(
        DatasetError, match=r"trials 22 and 23 have the id '999' in frame_im.*\(1 ids, 8 trials"
    ):
        open_filetree(write(tmp_path / "s", {"frame_image_id": ids}))


def test_stimulus_classes_that_nobody_uses_stop_nothing(tmp_path: Path) -> None:
    tiers = np.where((TRIALS >= 10) & (TRIALS < 14), "none", TIERS)
    is_used = tiers != "none"
    columns = {
        "frame_image_id": np.where(is_used, IMAGE_OF, np.nan),
        "frame_image_class": np.where(is_used, "a", ""),
    }
    root = write(tmp_path / "s", columns, tiers=tiers)
    for trial in np.flatnonzero(~is_used):  # a movie, whose responses are of another shape as well
        np.save(root / f"data/images/{trial}.npy", np.zeros((9, 12, 12)))
        np.save(root / f"data/responses/{trial}.npy", np.full((5, 9), np.nan))
    session = open_filetree(root).sessions[0]
    np.testing.assert_array_equal(session.image_ids[is_used], IMAGE_OF[is_used])
    assert len(set(session.image_ids[~is_used].tolist())) == 4
    assert (session.image_ids[~is_used] < 0).all()
    assert any("4 of 'none'" in note for note in check_responses(open_filetree(root)))


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_session_without_a_tier_is_refused_at_registration(tmp_path: Path, missing: str) -> None:
    tiers = np.where(missing == TIERS, "none", TIERS)
    opened = open_filetree(write(tmp_path / "s", {}, tiers=tiers))
    with pytest.raises(DatasetError, match=rf"session 's' has no {missing} trials.*0 {missing}"):
        check_responses(opened)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_test_responses_that_were_kept_back_are_refused_at_registration(tmp_path: Path, value: float) -> None:
    root = write(tmp_path / "s", {})
    for trial in range(22, 30):
        np.save(root / f"data/responses/{trial}.npy", np.full(5, value, dtype="f4"))
    with pytest.raises(
        DatasetError, match=f"all 8 test trials are {value:g} for every neuron: they were kept back"
    ):
        check_responses(open_filetree(root))
    np.save(root / "data/responses/29.npy", np.arange(5, dtype="f4"))
    notes = check_responses(open_filetree(root))
    assert any("no neuron responded in 7 of 8 test trials" in note for note in notes) == (value == 0)
