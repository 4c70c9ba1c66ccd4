"""openretina's neutral folder, and other frame rates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_files import write_h5_folder

from decortex.data import check_responses
from decortex.data.video import MovieSplit, open_h5_folder, resample_counts, resample_movie, resample_rates
from decortex.errors import DatasetError, InputError

h5py = pytest.importorskip("h5py")
SPLIT = MovieSplit(test=("noise",), clip_frames=20, validation_every=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    movies = {"nature": rng.normal(size=(2, 130, 4, 3)), "noise": rng.normal(size=(2, 25, 4, 3))}
    return write_h5_folder(tmp_path / "retina", ["left", "right"], movies)


def test_movies_become_clips_and_no_frame_is_left_out(folder: Path) -> None:
    recordings = open_h5_folder(folder, SPLIT, frame_rate=30.0)
    check_responses(recordings)
    assert recordings.image_shape == (2, 4, 3)
    assert [session.n_neurons for session in recordings.sessions] == [3, 4]
    session = recordings.sessions[0]
    assert session.n_frames is not None
    assert session.tiers.tolist() == ["train", "train", "validation"] * 2 + ["train", "test"]
    assert session.n_frames.tolist() == [20] * 6 + [
        10,
        25,
    ]  # the last training clip is used, and its own length
    movie = np.load(folder / "stimuli" / "nature.npy").astype(np.float32)
    joined = np.concatenate([session.images.read(np.array([i]))[0] for i in range(7)], axis=1)
    np.testing.assert_array_equal(joined, movie)
    traces = np.concatenate([session.responses.read(np.array([i]))[0] for i in range(7)])
    np.testing.assert_array_equal(traces, np.maximum(movie[0, :, 0, :3], 0.0))


def test_clips_are_the_same_in_all_sessions_that_saw_them(folder: Path) -> None:
    one, other = open_h5_folder(folder, SPLIT, frame_rate=30.0).sessions
    np.testing.assert_array_equal(one.image_ids, other.image_ids)


def test_a_session_may_have_a_movie_of_its_own(folder: Path) -> None:
    own = np.random.default_rng(1).normal(size=(2, 60, 4, 3))
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_nature"]
        file["stimulus_nature"] = own
        file["responses_nature"] = np.ones((3, 60))
    session = open_h5_folder(folder, SPLIT, frame_rate=30.0).sessions[0]
    np.testing.assert_array_equal(session.images.read(np.array([0]))[0], own[:, :20].astype(np.float32))


def test_the_digest_knows_the_split(folder: Path) -> None:
    other = MovieSplit(test=("noise",), clip_frames=25, validation_every=3)
    digests = {open_h5_folder(folder, split, frame_rate=30.0).content_sha256 for split in (SPLIT, other)}
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["responses_noise", "stimulus_noise"])
def test_the_digest_knows_values_of_linked_files(folder: Path, name: str) -> None:
    values = np.ones((3, 25)) if name == "responses_noise" else np.ones((2, 25, 4, 3))
    with h5py.File(folder / "left.h5", "a") as file:
        file.pop(name, None)
        file[name] = h5py.ExternalLink("parts.hdf5", "values")
    digests = set()
    for last in (1.0, 2.0):
        values.flat[-1] = last
        with h5py.File(folder / "parts.hdf5", "w") as file:
            file["values"] = values
        digests.add(open_h5_folder(folder, SPLIT, frame_rate=30.0).content_sha256)
    assert len(digests) == 2


def test_a_digest_stays_what_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Databases know datasets by it. Bytes of HDF5 files may differ between versions of the library: these are ours.
    (folder / "right.h5").unlink()
    with h5py.File(folder / "left.h5", "a") as file:
        file["same"] = h5py.SoftLink("/responses_noise")
        file["again"] = h5py.ExternalLink("left.h5", "responses_noise")
        file["responses_noise_2"] = h5py.ExternalLink("left.h5", "responses_noise")
    np.save(folder / "stimuli" / "noise_2.npy", np.ones((2, 25, 4, 3)))
    expected = hashlib.sha256(repr((sorted(SPLIT.resolved().items()), 30.0)).encode())
    for path in [*sorted((folder / "stimuli").glob("*.npy")), folder / "left.h5"]:
        data = path.read_bytes()
        expected.update(f"{path.relative_to(folder).as_posix()}:{len(data)}:".encode() + data)
    monkeypatch.chdir(folder.parent)
    for spelt in (folder, Path(folder.name)):
        assert open_h5_folder(spelt, SPLIT, frame_rate=30.0).content_sha256 == expected.hexdigest()


def wrong_length(folder: Path) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file["responses_noise"] = np.ones((3, 24))


def no_movie(folder: Path) -> None:
    (folder / "stimuli" / "noise.npy").unlink()


def pickled(folder: Path) -> None:
    for file in folder.glob("*.h5"):
        file.unlink()
    (folder / "movies.pkl").write_bytes(b"\x80\x04.")


def no_hdf5(folder: Path) -> None:
    (folder / "left.h5").write_bytes(b"nothing")


def replaced(folder: Path, name: str, value: object) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file[name]
        file[name] = value


def complex_numbers(folder: Path) -> None:
    replaced(folder, "responses_noise", np.ones((3, 25)) * 1j)


def text(folder: Path) -> None:
    replaced(folder, "responses_noise", np.full((3, 25), b"x"))


def nothing_in_it(folder: Path) -> None:
    replaced(folder, "responses_noise", h5py.Empty("f4"))


def broken_link(folder: Path) -> None:
    replaced(folder, "responses_noise", h5py.SoftLink("/nowhere"))


def group(folder: Path) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file.create_group("responses_noise")


def never_written(folder: Path) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file.create_dataset("responses_noise", (3, 25), "f8", fillvalue=7.0)


def written_in_part(folder: Path) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file.create_dataset("responses_noise", (3, 25), "f8", chunks=(3, 5))[:, :10] = 1.0


def mostly_packed(folder: Path) -> None:
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        made = file.create_dataset(
            "responses_noise", (3, 12 * 10**6), "f8", chunks=(3, 6 * 10**6), compression="gzip"
        )
        made.id.write_direct_chunk((0, 0), b"x")
        made.id.write_direct_chunk((0, 6 * 10**6), b"x")


def virtual(folder: Path) -> None:
    layout = h5py.VirtualLayout((3, 25), "f8")
    layout[:, :10] = h5py.VirtualSource(".", "whole", (3, 25))[:, :10]
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file["whole"] = np.ones((3, 25))
        file.create_virtual_dataset("responses_noise", layout)


def virtual_of_itself_and_without_end(folder: Path) -> None:
    end = h5py.h5s.UNLIMITED
    layout = h5py.VirtualLayout((3, 25), "f8", maxshape=(3, None))
    layout[:, :end] = h5py.VirtualSource(".", "responses_noise", (3, 25), maxshape=(3, None))[:, :end]
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file.create_virtual_dataset("responses_noise", layout)


def external(folder: Path) -> None:
    (folder / "raw.bin").write_bytes(np.ones(5).tobytes())
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        file.create_dataset("responses_noise", (3, 25), "f8", external=[("raw.bin", 0, 600)])


def link_to_no_file(folder: Path) -> None:
    replaced(folder, "responses_noise", h5py.ExternalLink("parts.hdf5", "responses"))


def link_to_no_dataset(folder: Path) -> None:
    h5py.File(folder / "parts.hdf5", "w").close()
    link_to_no_file(folder)


def link_to_itself(folder: Path) -> None:
    replaced(folder, "responses_noise", h5py.ExternalLink("left.h5", "responses_noise"))


def link_to_virtual(folder: Path) -> None:
    virtual(folder)
    (folder / "left.h5").rename(folder / "parts.hdf5")
    (folder / "right.h5").rename(folder / "left.h5")
    replaced(folder, "responses_noise", h5py.ExternalLink("parts.hdf5", "responses_noise"))


def cut_short(folder: Path) -> None:
    data = (folder / "left.h5").read_bytes()
    (folder / "left.h5").write_bytes(data[: len(data) // 2])


def more_channels(folder: Path) -> None:
    np.save(folder / "stimuli" / "noise.npy", np.zeros((3, 25, 4, 3)))


def no_pixels(folder: Path) -> None:
    np.save(folder / "stimuli" / "noise.npy", np.zeros((2, 25, 0, 3)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            complex_numbers,
            r"responses_noise of session 'left' should be a dataset of real numbers .* complex128",
        ),
        (text, r"real numbers and not empty, but is \|S1 \(3, 25\)"),
        (nothing_in_it, "real numbers and not empty, but is float32 None"),
        (broken_link, r"responses_noise of session 'left' cannot be read \(KeyError: "),
        (group, "but is a group"),
        (never_written, r"was not written whole: of 600 bytes, \(3, 25\), the file has 0 of it"),
        (written_in_part, r"was not written whole: of 600 bytes, \(3, 25\), the file has 240 of it"),
        (mostly_packed, r"says that it holds 288000000 bytes, .*the file has 2 of it: it is damaged"),
        (virtual, r"responses_noise of session 'left' has a virtual layout: .* Write it as a plain dataset"),
        (virtual_of_itself_and_without_end, "has a virtual layout"),
        (
            external,
            r"responses_noise of session 'left' has an external layout: .* Write it as a plain dataset",
        ),
        (link_to_no_file, r"is a link to 'responses' of the file 'parts\.hdf5', which cannot be opened"),
        (link_to_no_dataset, r"is a link to 'responses' of the file 'parts\.hdf5', .* Copy that file too"),
        (link_to_itself, r"is a link to 'responses_noise' of the file 'left\.h5', .*too many links"),
        (link_to_virtual, "has a virtual layout"),
        (cut_short, r"left\.h5 cannot be read as HDF5"),
        (more_channels, r"frames \(channels, height, width\) are \[\(2, 4, 3\), \(3, 4, 3\)\]"),
        (no_pixels, r"noise\.npy should be a movie of real numbers"),
        (wrong_length, r"responses_noise should be \(n_neurons, 25\).*\(3, 24\)"),
        (no_movie, r"neither stimuli/noise\.npy nor a dataset stimulus_noise"),
        (pickled, r"pickled dictionaries \(movies\.pkl\), and unpickling runs code"),
        (no_hdf5, r"left\.h5 cannot be read as HDF5"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_is_named(folder: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(folder)
    with pytest.raises(DatasetError, match=message):
        open_h5_folder(folder, SPLIT, frame_rate=30.0)


@pytest.mark.parametrize("way", ["chunked", "gzip", "linked", "big-endian"])
def test_responses_are_read_however_they_are_kept(folder: Path, way: str) -> None:
    values = np.arange(75.0).reshape(3, 25)
    with h5py.File(folder / "parts.hdf5", "w") as file:
        file["responses"] = values
    with h5py.File(folder / "left.h5", "a") as file:
        del file["responses_noise"]
        if way == "linked":
            file["responses_noise"] = h5py.ExternalLink("parts.hdf5", "responses")
        elif way == "big-endian":
            file["responses_noise"] = values.astype(">f8")
        else:
            packing = {"compression": "gzip"} if way == "gzip" else {}
            file.create_dataset("responses_noise", data=values, chunks=(2, 10), **packing)
    session = open_h5_folder(folder, SPLIT, frame_rate=30.0).sessions[0]
    test = np.flatnonzero(session.tiers == "test")
    np.testing.assert_array_equal(session.responses.read(test)[0], values.T.astype(np.float32))


def test_an_unknown_test_movie_and_too_few_clips_are_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"\['chirp'\] and to others for training.*\['nature', 'noise'\]"):
        open_h5_folder(folder, MovieSplit(test=("chirp",)), frame_rate=30.0)
    with pytest.raises(DatasetError, match="Use shorter clips"):
        open_h5_folder(folder, MovieSplit(test=("noise",), clip_frames=130), frame_rate=30.0)


# other frame rates (trap 8)


@pytest.mark.parametrize(("rate", "new_rate"), [(30.0, 60.0), (60.0, 30.0), (30.0, 7.8), (30.0, 31.7)])
def test_counts_keep_their_sum_and_rates_their_mean(rate: float, new_rate: float) -> None:
    values = np.random.default_rng(0).poisson(2.0, size=(150, 4))
    counts = resample_counts(values, rate=rate, new_rate=new_rate)
    np.testing.assert_allclose(counts.sum(axis=0), values.sum(axis=0))
    rates = resample_rates(values, rate=rate, new_rate=new_rate)
    full = int(150 * new_rate / rate)  # a last frame may be filled in part
    weights = np.append(np.ones(full), np.full(len(rates) - full, 150 * new_rate / rate - full))
    np.testing.assert_allclose(np.average(rates, axis=0, weights=weights), values.mean(axis=0))


def test_a_case_that_only_changes_its_rate_loses_no_score() -> None:
    rng = np.random.default_rng(1)
    movie, lag = rng.normal(size=(200, 5)), 3
    responses = np.zeros((200, 5))
    responses[lag:] = movie[:-lag]
    twice, double = (
        resample_movie(movie, rate=30, new_rate=60),
        resample_rates(responses, rate=30, new_rate=60),
    )
    assert twice.shape == double.shape == (400, 5)
    for neuron in range(5):
        found = np.corrcoef(double[2 * lag :, neuron], twice[: -2 * lag, neuron])[0, 1]
        assert found == pytest.approx(1.0)


def test_rates_that_are_no_rates_are_refused() -> None:
    with pytest.raises(InputError, match="positive numbers of Hz, got 0 and 30"):
        resample_counts(np.ones(3), rate=0, new_rate=30)
    with pytest.raises(InputError, match="no frame to resample"):
        resample_movie(np.ones((0, 2)), rate=30, new_rate=60)
