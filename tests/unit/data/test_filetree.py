"""Opening FileTreeDataset folders: the round trip, writing, the digest, and real folders' liberties."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.filetree_folders import assert_same, every, rewrite

from decortex.data import (
    Recordings,
    SimulationConfig,
    check_images,
    content_sha256,
    new_folder,
    open_filetree,
    simulate,
    write_filetree,
)
from decortex.errors import DatasetError

# the round trip


def test_what_is_written_is_read(recordings: Recordings, folder: Path) -> None:
    opened = open_filetree(folder)
    assert_same(opened, recordings)
    np.testing.assert_array_equal(opened.truth, recordings.truth)


def test_a_simulated_cortex_survives_the_disk(tmp_path: Path) -> None:
    config = SimulationConfig(
        n_neurons=10, n_animals=2, n_train=8, n_validation=2, n_test=2, n_repeats=2, image_size=16
    )
    simulated = simulate(config, 0)
    write_filetree(simulated, tmp_path / "sim")
    opened = open_filetree(tmp_path / "sim")
    assert_same(opened, simulated)
    np.testing.assert_array_equal(opened.truth, simulated.truth)


def test_one_session_opens_by_its_own_folder(recordings: Recordings, folder: Path) -> None:
    opened = open_filetree(folder / "b")
    assert [session.name for session in opened.sessions] == ["b"]
    np.testing.assert_array_equal(opened.truth, [0, 2])
    np.testing.assert_array_equal(
        opened.sessions[0].responses.read(np.array([3, 1])),
        recordings.sessions[1].responses.read(np.array([3, 1])),
    )


def test_relative_paths_survive_a_change_of_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "a")
    opened = open_filetree(Path())
    monkeypatch.chdir("/")
    assert opened.sessions[0].name == "a"
    assert opened.sessions[0].images.read(np.array([0])).shape == (1, 1, 5, 7)
    assert opened.content_sha256 == content_sha256(folder / "a")


def test_opening_reads_headers_and_leaves_values_on_disk(folder: Path) -> None:
    opened = open_filetree(folder)
    image = folder / "a" / "data" / "images" / "4.npy"
    rewrite(image, lambda values: values * 0 + 7)
    assert np.all(opened.sessions[0].images.read(np.array([4])) == 7)
    np.save(image, np.zeros((2, 5, 7)))
    with pytest.raises(DatasetError, match=r"4\.npy now has shape \(2, 5, 7\), \(1, 5, 7\) when"):
        opened.sessions[0].images.read(np.array([4]))


def test_statistics_describe_all_trials(recordings: Recordings, folder: Path) -> None:
    statistics = folder / "a" / "meta" / "statistics"
    session = recordings.sessions[0]
    images, responses = session.images.read(every(12)), session.responses.read(every(12))
    assert np.load(statistics / "images" / "all" / "mean.npy") == pytest.approx(images.mean(), abs=1e-6)
    np.testing.assert_allclose(
        np.load(statistics / "responses" / "all" / "std.npy"), responses.std(axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.load(statistics / "responses" / "all" / "median.npy"), np.median(responses, axis=0)
    )


# writing


def test_an_existing_folder_is_not_overwritten(recordings: Recordings, folder: Path) -> None:
    before = content_sha256(folder)
    with pytest.raises(DatasetError, match="should be a new or empty folder"):
        write_filetree(recordings, folder)
    assert content_sha256(folder) == before


def test_an_empty_folder_is_filled(recordings: Recordings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_filetree(recordings, tmp_path / "empty")
    assert_same(open_filetree(tmp_path / "empty"), recordings)


def test_a_failed_write_leaves_nothing(recordings: Recordings, tmp_path: Path) -> None:
    class Broken:
        def __len__(self) -> int:
            return 12

        def read(self, trials: np.ndarray) -> np.ndarray:
            raise OSError("the disk is full")

    object.__setattr__(recordings.sessions[1], "responses", Broken())
    with pytest.raises(OSError, match="the disk is full"):
        write_filetree(recordings, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def race() -> None:
        with new_folder(out) as folder:
            (folder / "mine").touch()
            out.mkdir()
            (out / "theirs").touch()

    with pytest.raises(DatasetError, match="was filled by somebody else"):
        race()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out", "theirs"]


def test_a_name_that_leads_elsewhere_is_refused(recordings: Recordings, tmp_path: Path) -> None:
    object.__setattr__(recordings.sessions[0], "name", "../a")
    with pytest.raises(DatasetError, match=r"session '\.\./a' cannot name a folder"):
        write_filetree(recordings, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# the digest


def test_the_digest_is_what_it_is_documented_to_be(tmp_path: Path) -> None:
    (tmp_path / "s" / "data" / "images").mkdir(parents=True)
    (tmp_path / "s" / "config.json").write_bytes(b"{}")
    (tmp_path / "s" / "data" / "images" / "0.npy").write_bytes(b"abc")
    stream = b"13:s/config.json:2:{}" + b"19:s/data/images/0.npy:3:abc"
    assert content_sha256(tmp_path) == hashlib.sha256(stream).hexdigest()


def test_the_digest_ignores_place_and_time_but_no_byte(folder: Path, tmp_path: Path) -> None:
    digest = content_sha256(folder)
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    (copy / "README").write_text("not part of a session")
    (copy / "a" / ".DS_Store").write_text("hidden")
    assert content_sha256(copy) == digest
    assert open_filetree(copy).content_sha256 == digest
    response = copy / "b" / "data" / "responses" / "5.npy"
    raw = bytearray(response.read_bytes())
    raw[-1] ^= 1
    response.write_bytes(raw)
    assert content_sha256(copy) != digest


def test_the_digest_knows_which_file_holds_what(folder: Path) -> None:
    digest = content_sha256(folder)
    images = folder / "a" / "data" / "images"
    (images / "0.npy").rename(images / "x")
    (images / "1.npy").rename(images / "0.npy")
    (images / "x").rename(images / "1.npy")
    assert content_sha256(folder) != digest


def test_the_digest_is_computed_when_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(path: Path) -> str:
        calls.append(path)
        return content_sha256(path)

    monkeypatch.setattr("decortex.data.filetree.content_sha256", counted)
    opened = open_filetree(folder)
    assert "5 neurons" in repr(opened)
    assert calls == []
    assert opened.content_sha256 == opened.content_sha256 == content_sha256(folder)
    assert calls == [folder]


def test_opened_recordings_can_be_sent_to_another_process(folder: Path) -> None:
    opened = pickle.loads(pickle.dumps(open_filetree(folder)))
    assert opened.content_sha256 == content_sha256(folder)


# liberties that real folders take


def test_words_may_be_bytes_and_other_tiers_are_kept(folder: Path) -> None:
    trials = folder / "a" / "meta" / "trials"
    tiers = np.array([b"train"] * 8 + [b"final_test"] * 2 + [b"none", b""])
    np.save(trials / "tiers.npy", tiers)
    session = open_filetree(folder).sessions[0]
    assert session.tiers.tolist() == ["train"] * 8 + ["final_test"] * 2 + ["none", ""]
    np.testing.assert_array_equal(session.trials("train"), np.arange(8))
    assert len(session.trials("test")) == 0


def test_only_unit_ids_are_required_of_neurons(folder: Path) -> None:
    neurons = folder / "a" / "meta" / "neurons"
    for path in neurons.glob("*.npy"):
        if path.stem != "unit_ids":
            path.unlink()
    shutil.rmtree(folder / "a" / "meta" / "statistics")
    (folder / "a" / "config.json").unlink()
    opened = open_filetree(folder)
    assert opened.truth is None  # known for one session only
    assert opened.sessions[0].neurons.to_dict("list") == {
        "session": ["a"] * 3,
        "unit_id": [10, 11, 12],
        "animal": ["unknown"] * 3,
        "scan": [0] * 3,
        "area": ["unknown"] * 3,
    }


def test_numbers_name_animals(folder: Path) -> None:
    for values in (np.array([26872] * 3), np.array([26872.0] * 3)):
        np.save(folder / "a" / "meta" / "neurons" / "animal_ids.npy", values)
        assert open_filetree(folder / "a").neurons["animal"].tolist() == ["26872"] * 3


def test_images_may_lack_the_channel_axis_and_be_bytes(folder: Path) -> None:
    for path in (folder / "a" / "data" / "images").glob("*.npy"):
        np.save(path, np.asfortranarray(np.arange(35, dtype=np.uint8).reshape(5, 7)))
    opened = open_filetree(folder / "a")
    assert opened.image_shape == (1, 5, 7)
    image = opened.sessions[0].images.read(np.array([2]))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, np.arange(35).reshape(1, 1, 5, 7))


def test_zero_padded_names_hidden_files_and_other_data_are_tolerated(folder: Path) -> None:
    expected = open_filetree(folder / "a").sessions[0].images.read(every(12))
    images = folder / "a" / "data" / "images"
    for path in list(images.glob("*.npy")):
        path.rename(images / f"{int(path.stem):04d}.npy")
    (images / "._0001.npy").write_bytes(b"left by a copy tool")
    shutil.copytree(folder / "a" / "data" / "responses", folder / "a" / "data" / "behavior")
    np.testing.assert_array_equal(open_filetree(folder / "a").sessions[0].images.read(every(12)), expected)


def with_behaviour(folder: Path) -> dict[str, np.ndarray]:
    """Three figures of behaviour and the pupil's position beside every trial; what the first session holds."""
    rng = np.random.default_rng(5)
    first: dict[str, np.ndarray] = {}
    for session in sorted(folder.iterdir()):
        n_trials = len(list((session / "data" / "images").glob("*.npy")))
        for key, width in (("behavior", 3), ("pupil_center", 2)):
            values = rng.normal(size=(n_trials, width))
            (session / "data" / key).mkdir()
            for trial, value in enumerate(values):
                np.save(session / "data" / key / f"{trial}.npy", value)
            first.setdefault(key, values)
    return first


def test_behaviour_becomes_channels_behind_the_images(folder: Path) -> None:
    values = with_behaviour(folder)
    plain = open_filetree(folder)
    opened = open_filetree(folder, behaviour=("behavior", "pupil_center"))
    channels, height, width = plain.image_shape
    assert opened.image_shape == (channels + 5, height, width)
    trials = np.array([3, 0])
    read = opened.sessions[0].images.read(trials)
    np.testing.assert_array_equal(read[:, :channels], plain.sessions[0].images.read(trials))
    expected = np.concatenate([values["behavior"], values["pupil_center"]], axis=1)[trials].astype(np.float32)
    np.testing.assert_array_equal(read[:, channels:, 0, 0], expected)
    assert (read[:, channels:] == expected[:, :, None, None]).all()
    np.testing.assert_array_equal(opened.sessions[0].image_ids, plain.sessions[0].image_ids)
    other = open_filetree(folder, behaviour=("pupil_center", "behavior"))
    assert len({one.content_sha256 for one in (plain, opened, other)}) == 3
    check_images(opened)
    np.save(folder / plain.sessions[0].name / "data" / "behavior" / "0.npy", np.array([0.0, np.nan, 0.0]))
    with pytest.raises(DatasetError, match="trial 0"):
        check_images(open_filetree(folder, behaviour=("behavior",)))


@pytest.mark.parametrize(
    ("spoil", "asked", "message"),
    [
        (lambda data: None, "running", "holds no running"),
        (lambda data: None, "../images", "named by a folder of data/"),
        (lambda data: None, "images", "named by a folder of data/"),
        (
            lambda data: (data / "behavior" / "11.npy").unlink(),
            "behavior",
            "as many trials of behavior as images",
        ),
        (
            lambda data: [np.save(file, np.zeros((1, 3))) for file in (data / "behavior").glob("*.npy")],
            "behavior",
            r"shape \(1, 3\)\. If they are 3 values of one trial, save values\.ravel\(\)",
        ),
        (
            lambda data: [np.save(file, np.zeros((3, 7))) for file in (data / "behavior").glob("*.npy")],
            "behavior",
            "should be a vector per trial",
        ),
    ],
)
def test_behaviour_that_cannot_be_read_is_named(
    folder: Path, spoil: Callable[[Path], object], asked: str, message: str
) -> None:
    with_behaviour(folder)
    for session in folder.iterdir():
        spoil(session / "data")
    with pytest.raises(DatasetError, match=message):
        open_filetree(folder, behaviour=(asked,))


def test_links_of_config_json_are_followed(folder: Path) -> None:
    (folder / "a" / "data" / "responses").rename(folder / "a" / "data" / "spikes")
    (folder / "a" / "config.json").write_text(json.dumps({"links": {"responses": "spikes"}}))
    assert open_filetree(folder / "a").sessions[0].n_trials == 12
    (folder / "a" / "config.json").write_text(json.dumps({"links": {"responses": "../../b/data/responses"}}))
    with pytest.raises(DatasetError, match="'links' should map data keys to names of folders"):
        open_filetree(folder / "a")


def test_without_ids_equal_images_are_repeats(folder: Path) -> None:
    known = open_filetree(folder / "a").sessions[0].image_ids
    (folder / "a" / "meta" / "trials" / "frame_image_id.npy").unlink()
    hashed = open_filetree(folder / "a").sessions[0].image_ids
    np.testing.assert_array_equal(known[:, None] == known, hashed[:, None] == hashed)
    assert hashed.dtype == np.int64
    assert hashed.min() >= 0


def test_an_id_counts_within_its_image_class(folder: Path) -> None:
    trials = folder / "a" / "meta" / "trials"
    known = open_filetree(folder / "a").sessions[0].image_ids
    np.save(trials / "frame_image_id.npy", np.r_[0:6, 0:2, 2, 2, 3, 3])
    with pytest.raises(
        DatasetError, match=r"trials 1 and 7 have the id '1' in frame_image_id\.npy and show diff"
    ):
        open_filetree(folder / "a")
    np.save(trials / "frame_image_class.npy", np.array(["imagenet"] * 6 + ["noise"] * 6))
    ids = open_filetree(folder / "a").sessions[0].image_ids
    np.testing.assert_array_equal(known[:, None] == known, ids[:, None] == ids)
    np.save(trials / "frame_image_class.npy", np.array(["imagenet"] * 12))
    with pytest.raises(DatasetError, match="show different pixels"):
        open_filetree(folder / "a")


def test_ids_may_be_words(folder: Path) -> None:
    trials = folder / "a" / "meta" / "trials"
    known = open_filetree(folder / "a").sessions[0].image_ids
    (trials / "frame_image_id.npy").unlink()
    np.save(trials / "condition_hash.npy", np.array(list("abcdefghiijj")))
    ids = open_filetree(folder / "a").sessions[0].image_ids
    np.testing.assert_array_equal(known[:, None] == known, ids[:, None] == ids)
