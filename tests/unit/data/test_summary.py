"""Mean responses, and test images that some session has trained on, recognised by content."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from decortex.data import (
    InMemoryTrials,
    Recordings,
    Session,
    open_filetree,
    summarise_recordings,
    write_filetree,
)


def session(name, images, tiers, first_id=0):
    n = len(images)
    neurons = pd.DataFrame({"session": name, "unit_id": range(2), "animal": "m", "scan": 0, "area": "V1"})
    responses = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    return Session(
        name=name,
        images=InMemoryTrials(np.asarray(images, dtype=np.float32)[:, None, None, None]),
        responses=InMemoryTrials(responses),
        tiers=np.array(tiers),
        image_ids=np.arange(first_id, first_id + n),
        neurons=neurons,
    )


def test_images_are_compared_by_content_over_all_sessions():
    one = session("a", [1, 2, 3, 4], ["train", "validation", "test", "test"])
    # Another session shows the first one's test image 4 for training, under another id; 9 is in no tier.
    other = session("b", [4, 5, 9, 3], ["train", "test", "none", "test"], first_id=50)
    found = summarise_recordings(Recordings((one, other), (1, 1, 1), "0" * 64))
    assert (found.n_test_images, found.n_shared_images) == (3, 1)
    np.testing.assert_allclose(found.mean_responses, [0, 1, 0, 1])


def test_disjoint_images_are_seen_as_such_and_a_session_without_training_has_no_mean():
    one = session("a", [1, 2, 3], ["train", "train", "test"])
    other = session("b", [7, 7, 8], ["test", "test", "none"])
    found = summarise_recordings(Recordings((one, other), (1, 1, 1), "0" * 64))
    assert (found.n_test_images, found.n_shared_images) == (2, 0)
    np.testing.assert_allclose(found.mean_responses, [1, 2, np.nan, np.nan])


def test_an_image_is_the_same_whatever_the_animal_did(tmp_path: Path):
    sessions = [
        session("a", [1, 2, 3], ["train", "validation", "test"]),
        session("b", [3, 5, 6], ["train", "validation", "test"]),
    ]
    write_filetree(Recordings(sessions, (1, 1, 1), "0" * 64), tmp_path / "lab")
    for name in ("a", "b"):
        (tmp_path / "lab" / name / "data" / "running").mkdir()
        for trial in range(3):
            np.save(
                tmp_path / "lab" / name / "data" / "running" / f"{trial}.npy",
                np.array([ord(name) + trial / 8]),
            )
    found = summarise_recordings(open_filetree(tmp_path / "lab", behaviour=("running",)))
    assert (found.n_test_images, found.n_shared_images) == (2, 1)


def test_repeated_test_images_are_counted_by_the_session_that_has_fewest():
    one = session("a", [1, 2, 3, 3, 4, 4], ["train", "train", "test", "test", "test", "test"])
    one = replace(one, image_ids=np.array([0, 0, 3, 3, 4, 4]))
    other = session("b", [1, 7, 7], ["train", "test", "test"])
    found = summarise_recordings(Recordings((one,), (1, 1, 1), "0" * 64))
    assert found.n_repeated_images == 2  # a training image that is shown twice is none of them
    assert summarise_recordings(Recordings((one, other), (1, 1, 1), "0" * 64)).n_repeated_images == 0
