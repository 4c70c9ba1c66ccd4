"""FileTreeDataset folders that are not as they should be: what each fault is called, and what other programs leave."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.filetree_folders import assert_same, every, rewrite

from decortex.data import (
    FileTreeTrials,
    InMemoryTrials,
    Recordings,
    open_filetree,
)
from decortex.errors import DatasetError

# faults


def remove_responses(session: Path) -> None:
    shutil.rmtree(session / "data" / "responses")


def remove_images(session: Path) -> None:
    (session / "data" / "images").rename(session / "data" / "films")


def drop_last_image(session: Path) -> None:
    (session / "data" / "images" / "11.npy").unlink()


def drop_middle_response(session: Path) -> None:
    (session / "data" / "responses" / "4.npy").unlink()


def remove_tiers(session: Path) -> None:
    (session / "meta" / "trials" / "tiers.npy").unlink()


def shorten_tiers(session: Path) -> None:
    rewrite(session / "meta" / "trials" / "tiers.npy", lambda tiers: tiers[:-1])


def pickle_tiers(session: Path) -> None:
    np.save(session / "meta" / "trials" / "tiers.npy", np.array(["train"] * 12, dtype=object))


def unused_tiers(session: Path) -> None:
    np.save(session / "meta" / "trials" / "tiers.npy", np.array(["none", "oracle"] * 6))


def remove_unit_ids(session: Path) -> None:
    (session / "meta" / "neurons" / "unit_ids.npy").unlink()


def fractional_unit_ids(session: Path) -> None:
    np.save(session / "meta" / "neurons" / "unit_ids.npy", np.array([1.0, 1.5, 2.0]))


def too_many_unit_ids(session: Path) -> None:
    for path in (session / "meta" / "neurons").glob("*.npy"):
        rewrite(path, lambda values: np.concatenate([values, values[:1]]))
    np.save(session / "meta" / "neurons" / "unit_ids.npy", np.arange(4))


def equal_unit_ids(session: Path) -> None:
    np.save(session / "meta" / "neurons" / "unit_ids.npy", np.array([1, 2, 1]))


def short_area(session: Path) -> None:
    np.save(session / "meta" / "neurons" / "area.npy", np.array(["V1"]))


def flat_positions(session: Path) -> None:
    np.save(session / "meta" / "neurons" / "cell_motor_coordinates.npy", np.zeros((3, 2)))


def one_image_larger(session: Path) -> None:
    np.save(session / "data" / "images" / "7.npy", np.zeros((1, 6, 7)))


def all_images_larger(session: Path) -> None:
    for path in (session / "data" / "images").glob("*.npy"):
        np.save(path, np.zeros((1, 6, 7)))


def videos_as_images(session: Path) -> None:
    for path in (session / "data" / "images").glob("*.npy"):
        np.save(path, np.zeros((1, 9, 6, 7)))


def complex_images(session: Path) -> None:
    np.save(session / "data" / "images" / "3.npy", np.zeros((1, 5, 7), dtype=complex))


def cut_short(session: Path) -> None:
    image = session / "data" / "images" / "3.npy"
    image.write_bytes(image.read_bytes()[:-8])


def git_lfs_pointer(session: Path) -> None:
    (session / "data" / "images" / "3.npy").write_text("version https://git-lfs.github.com/spec/v1")


def dangling_link(session: Path) -> None:
    (session / "data" / "responses" / "3.npy").unlink()
    (session / "data" / "responses" / "3.npy").symlink_to("../.git/annex/objects/xyz")


def other_files(session: Path) -> None:
    (session / "data" / "responses" / "mean.npy").write_bytes(b"")


def broken_config(session: Path) -> None:
    (session / "config.json").write_text("{")


def list_as_config(session: Path) -> None:
    (session / "config.json").write_text("[]")


def fractional_image_ids(session: Path) -> None:
    np.save(session / "meta" / "trials" / "frame_image_id.npy", np.full(12, 0.5))


def one_word_as_image_id(session: Path) -> None:
    np.save(session / "meta" / "trials" / "frame_image_id.npy", np.array(["image"] * 12))


def other_spellings(session: Path) -> None:
    words = np.array(["Train"] * 6 + ["val"] * 2 + ["test"] * 4)
    np.save(session / "meta" / "trials" / "tiers.npy", words)


def channels_last(session: Path) -> None:
    for path in (session / "data" / "images").glob("*.npy"):
        np.save(path, np.zeros((5, 7, 3)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            remove_responses,
            r"a holds no responses: the folder data/responses is missing \(data/ has images\)",
        ),
        (
            remove_images,
            r"a holds no images: the folder data/images is missing \(data/ has films, responses\)",
        ),
        (drop_last_image, "as many images as responses, but has 11 images and 12 responses"),
        (drop_middle_response, r"trials 0 to 10 \(11 files\), but 4\.npy is missing"),
        (remove_tiers, r"a has no tiers: meta/trials/tiers\.npy is missing"),
        (shorten_tiers, r"one value per trial, shape \(12,\), but has shape \(11,\)"),
        (pickle_tiers, "tiers.npy holds Python objects"),
        (unused_tiers, "should name trials of train, validation, test, but it only has none, oracle"),
        (remove_unit_ids, r"no neuron identities: meta/neurons/unit_ids\.npy is missing"),
        (fractional_unit_ids, "unit_ids.npy should hold integers, but some values have a fraction"),
        (too_many_unit_ids, r"one value per neuron, \(4,\) by .* data/responses have shape \(3,\)"),
        (equal_unit_ids, "but unit 1 of scan 3 occurs twice"),
        (short_area, r"area.npy should hold one value per neuron, shape \(3,\), but has shape \(1,\)"),
        (flat_positions, r"cell_motor_coordinates.npy should be numbers of shape \(3, 3\)"),
        (one_image_larger, r"one shape, but 0\.npy has \(1, 5, 7\) and 7\.npy has \(1, 6, 7\)"),
        (all_images_larger, r"'a' has \(1, 6, 7\) and 'b' has \(1, 5, 7\)"),
        (videos_as_images, r"an image should be \(channels, height, width\).*\(1, 9, 6, 7\)"),
        (complex_images, "3.npy should hold real numbers, but holds complex128"),
        (cut_short, r"3\.npy is cut short: 268 bytes expected for float32 \(1, 5, 7\), 260 found"),
        (git_lfs_pointer, r"3\.npy should be a \.npy file, but it starts with b'version https.*git lfs"),
        (dangling_link, r"3\.npy is a link to a file that is not here.*git annex get"),
        (other_files, r"one file per trial, 0\.npy, 1\.npy, \.\.\., but it has mean\.npy"),
        (broken_config, r"config\.json should be a JSON object"),
        (list_as_config, r"config\.json should be a JSON object"),
        (fractional_image_ids, "frame_image_id.npy should hold integers, but some values have a fraction"),
        (
            one_word_as_image_id,
            r"trials 0 and 1 have the id 'image'.*show different pixels \(1 ids, 12 trials\)",
        ),
        (other_spellings, r"says 'Train' \(6 trials\), 'val' \(2 trials\).*Write 'train' for 'Train'"),
        (channels_last, r"\(5, 7, 3\) looks like \(height, width, channels\).*np\.moveaxis\(image, -1, 0\)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_is_named(folder: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(folder / "a")
    with pytest.raises(DatasetError, match=message):
        open_filetree(folder)


def test_a_folder_without_sessions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "static1.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"or hold sessions, but it holds static1\.zip\. Unpack archives"):
        open_filetree(tmp_path)
    with pytest.raises(DatasetError, match=r"static1\.zip is a file; unpack it first"):
        open_filetree(tmp_path / "static1.zip")
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        open_filetree(tmp_path / "nowhere")


def test_trials_are_those_asked_for_in_that_order(folder: Path) -> None:
    trials = open_filetree(folder).sessions[1].responses
    assert isinstance(trials, FileTreeTrials)
    whole = trials.read(every(12))
    np.testing.assert_array_equal(trials.read(np.array([5, 5, 0])), whole[[5, 5, 0]])
    assert trials.read(np.array([], dtype=np.int64)).shape == (0, 2)
    assert InMemoryTrials(whole).read(np.array([5, 5, 0])).shape == (3, 2)


# what unpacking, copying and other programs leave


def test_what_macos_puts_into_archives_is_no_session(recordings: Recordings, folder: Path) -> None:
    (folder / "__MACOSX" / "data").mkdir(parents=True)
    (folder / "a" / "data" / "images" / "._0.npy").write_bytes(b"Mac OS X")
    (folder / "a" / "meta" / "trials" / "._tiers.npy").write_bytes(b"Mac OS X")
    assert_same(open_filetree(folder), recordings)


def test_a_trial_that_is_there_twice_is_named(folder: Path) -> None:
    images = folder / "a" / "data" / "images"
    shutil.copy(images / "0.npy", images / "00.npy")
    with pytest.raises(DatasetError, match=r"holds trial 0 twice, as 0\.npy and 00\.npy"):
        open_filetree(folder)


def test_words_in_another_encoding_are_told(folder: Path) -> None:
    n = len(np.load(folder / "a" / "meta" / "neurons" / "unit_ids.npy"))
    np.save(folder / "a" / "meta" / "neurons" / "area.npy", np.array(["mäßig".encode("latin-1")] * n))
    with pytest.raises(DatasetError, match=r"area\.npy should hold words in UTF-8.*latin-1"):
        open_filetree(folder)


@pytest.mark.parametrize("values", [np.array([], dtype=str), np.array([], dtype=float)])
def test_no_identities_are_no_identities(folder: Path, values: np.ndarray) -> None:
    np.save(folder / "a" / "meta" / "neurons" / "unit_ids.npy", values)
    with pytest.raises(
        DatasetError, match=r"unit_ids\.npy should hold (integers, but holds <U1|one integer)"
    ):
        open_filetree(folder)


def test_a_blank_area_is_unknown(folder: Path) -> None:
    n = len(np.load(folder / "a" / "meta" / "neurons" / "unit_ids.npy"))
    np.save(folder / "a" / "meta" / "neurons" / "area.npy", np.array([" ", *["V1 "] * (n - 1)]))
    assert open_filetree(folder).sessions[0].neurons["area"].tolist() == ["unknown", *["V1"] * (n - 1)]


def test_one_kind_of_behaviour_may_be_named_by_a_word(folder: Path) -> None:
    for session in ("a", "b"):
        (folder / session / "data" / "behavior").mkdir()
        for trial in range(len(list((folder / session / "data" / "images").glob("*.npy")))):
            np.save(folder / session / "data" / "behavior" / f"{trial}.npy", np.ones(2))
    one, other = (open_filetree(folder, behaviour=named) for named in ("behavior", ("behavior",)))
    assert one.image_shape == other.image_shape == (3, 5, 7)
    assert one.content_sha256 == other.content_sha256
