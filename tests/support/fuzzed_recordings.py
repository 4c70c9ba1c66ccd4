"""Damaged files of recordings and movies, for `fuzzing.py`: read, then put back as they were."""

from __future__ import annotations

import io
import random
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from support.damage import Target, damaged, one_file_changed, other_array
from support.foreign_folders import jpeg, scene, write_zip
from video_files import Skeleton, write_h5_folder, write_video_session

from decortex.data import (
    MovieSplit,
    Recordings,
    SimulationConfig,
    StoredImage,
    check_images,
    check_responses,
    draw_tiers,
    import_cowley_v4,
    open_filetree,
    open_h5_folder,
    simulate_cortex,
    write_filetree,
)
from decortex.errors import DecortexError

IMAGES = {"n_neurons": 6, "n_animals": 2, "n_train": 8, "n_validation": 3, "n_test": 3, "n_repeats": 2}
SPLIT = MovieSplit(test=("noise",), clip_frames=20, validation_every=3)
FORMATS = ("PNG", "GIF", "BMP", "TIFF", "DDS", "EPS", "PPM", "TGA", "ICO", "PCX", "SGI")


def images(folder: Path) -> Target:
    """Opens a folder of sessions of images of which one file is damaged."""
    made = simulate_cortex(SimulationConfig.from_params(IMAGES), 0)
    write_filetree(made.recordings, folder)

    def read() -> None:
        _read_all(open_filetree(folder))

    def run(chance: random.Random) -> None:
        with one_file_changed(folder, chance):
            read()

    return Target(read, run)


def movies(folder: Path) -> Target:
    """Opens a folder of one session of movies of which one file is damaged."""
    write_video_session(folder / "session", Skeleton.small())

    def read() -> None:
        _read_all(open_filetree(folder, frame_rate=30.0))

    def run(chance: random.Random) -> None:
        with one_file_changed(folder, chance):
            read()

    return Target(read, run)


def neutral_folder(folder: Path) -> Target:
    """Opens openretina's neutral folder with a damaged file, or with a dataset that is something else or elsewhere."""
    rng = np.random.default_rng(0)
    shown = {"nature": rng.normal(size=(2, 130, 4, 3)), "noise": rng.normal(size=(2, 25, 4, 3))}
    write_h5_folder(folder, ["left", "right"], shown)
    rates = [30.0] * 16 + [0.0, -1.0, float("nan"), float("inf")]
    path, elsewhere = folder / "left.h5", [folder / "parts.hdf5", folder / "raw.bin"]
    before = path.read_bytes()

    def read(rate: float = 30.0) -> None:
        _read_all(open_h5_folder(folder, SPLIT, frame_rate=rate))

    def whole() -> None:
        read()
        try:
            _link(path, "responses_noise")
            read()
        finally:
            _put_back()

    def run(chance: random.Random) -> None:
        kind = chance.random()
        if kind < 0.4:
            with one_file_changed(folder, chance):
                read(chance.choice(rates))
            return
        try:
            name = chance.choice(["responses_nature", "responses_noise"])
            if kind < 0.65:
                _other_dataset(path, name, chance)
                read()
            elif kind < 0.8:
                _damaged_link(path, name, chance)
                read()
            else:
                _other_layout(path, name, chance)
                read()
                raise AssertionError(
                    f"the values of {name} lie elsewhere, where some may lack, but were read"
                )
        finally:
            _put_back()

    def _put_back() -> None:
        path.write_bytes(before)
        for file in elsewhere:
            file.unlink(missing_ok=True)

    return Target(whole, run)


def _other_dataset(path: Path, name: str, chance: random.Random) -> None:
    import h5py

    with h5py.File(path, "a") as file:
        values = np.asarray(file[name])
        del file[name]
        kind = chance.random()
        if kind < 0.2:
            file.create_group(name)
        elif kind < 0.3:
            file[name] = h5py.Empty("f4")
        elif kind < 0.4:
            file[name] = h5py.SoftLink("/nowhere")
        elif kind < 0.5:
            file[f"{name}{chance.choice(['_2', ' ', '/a'])}"] = values
        else:
            other = other_array(values, chance)
            file[name] = other.astype("S") if other.dtype.kind in "UOM" else other


def _link(path: Path, name: str) -> None:
    """A dataset's values in another file, and a link to them in their place."""
    import h5py

    with h5py.File(path, "a") as file, h5py.File(path.with_name("parts.hdf5"), "w") as parts:
        parts["values"] = np.asarray(file[name])
        del file[name]
        file[name] = h5py.ExternalLink("parts.hdf5", "values")


def _damaged_link(path: Path, name: str, chance: random.Random) -> None:
    """A linked dataset whose file is damaged or not there, holds other values, or which is linked to something else."""
    import h5py

    _link(path, name)
    parts = path.with_name("parts.hdf5")
    kind = chance.random()
    if kind < 0.3:
        parts.write_bytes(damaged(parts.read_bytes(), chance, only_cut=True))
    elif kind < 0.4:
        parts.unlink()
    elif kind < 0.7:
        targets = [
            (path.name, name),
            ("parts.hdf5", "absent"),
            ("parts.hdf5", "/"),
            (".", "x"),
            ("/dev/null", "x"),
        ]
        with h5py.File(path, "a") as file:
            del file[name]
            file[name] = h5py.ExternalLink(*chance.choice(targets))
    else:
        with h5py.File(parts, "a") as file:
            other = other_array(np.asarray(file["values"]), chance)
            del file["values"]
            file["values"] = other.astype("S") if other.dtype.kind in "UOM" else other


def _other_layout(path: Path, name: str, chance: random.Random) -> None:
    """A virtual dataset or one in external files, of sources that hold all of it, a part, something else or nothing."""
    import h5py

    parts, raw = path.with_name("parts.hdf5"), path.with_name("raw.bin")
    with h5py.File(path, "a") as file:
        values = np.asarray(file[name])
        del file[name]
        if chance.random() < 0.4:
            raw.write_bytes(values.tobytes()[: chance.choice([None, 40, 0])])
            sources = [(chance.choice(["raw.bin", "absent.bin"]), chance.choice([0, 99]), h5py.h5f.UNLIMITED)]
            file.create_dataset(name, values.shape, values.dtype, external=sources)
            return
        n_frames = chance.choice([values.shape[1], 10])
        where = chance.choice([".", "parts.hdf5", "absent.hdf5", "raw.bin"])
        called = chance.choice(["values", name, "absent"])
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[:, :n_frames] = h5py.VirtualSource(where, called, values.shape)[:, :n_frames]
        file.create_virtual_dataset(name, layout)
        raw.write_bytes(b"no HDF5")
        with h5py.File(parts, "w") as other:
            if chance.random() < 0.5:
                other["values"] = values
            else:
                other.create_dataset("values", values.shape, values.dtype)  # never written


def archives(folder: Path) -> Target:
    """Expands published archives of macaque V4 of which one file is damaged, or one image is something else."""
    folder.mkdir()
    raws = _images_of_all_tiers()
    path = folder / "images_190923.zip"
    write_zip(path, raws)
    np.save(folder / "resp_avg_190923.npy", np.random.default_rng(0).gamma(2.0, size=(3, 6)))
    others = {name: _as_format(scene(1), name) for name in FORMATS}
    before = path.read_bytes()

    def read() -> None:
        out = folder.parent / "expanded"
        try:
            import_cowley_v4(folder, out, size=8)
        except DecortexError:
            assert not out.exists()
            raise
        try:
            _read_all(open_filetree(out))
        finally:
            shutil.rmtree(out)

    def run(chance: random.Random) -> None:
        kind = chance.random()
        if kind < 0.5:
            with one_file_changed(folder, chance):
                read()
            return
        try:
            if kind < 0.65:
                write_zip(path, [*raws[:5], damaged(raws[5], chance)])
                read()
                return
            if kind < 0.9:
                name = chance.choice(FORMATS)
                raw = others[name] if chance.random() < 0.5 else _changed_within(others[name], chance)
                write_zip(path, [*raws[:5], raw])
            elif kind < 0.95:
                height, width = chance.choice([(56, 112), (112, 56), (56, 56), (1, 1), (4, 300)])
                write_zip(path, [*raws[:5], jpeg(np.resize(scene(5), (height, width, 3)))])
            else:
                with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that the name is there already
                    archive.writestr(zipfile.ZipInfo("image0002.jpg"), raws[0])
            read()
            raise AssertionError("an image that is not what was published, or is there twice, was taken")
        finally:
            path.write_bytes(before)

    return Target(read, run)


def _images_of_all_tiers() -> list[bytes]:
    """Four images to train with, one to validate with and one to test with: an image's bytes tell which it is."""
    found: dict[str, list[bytes]] = {"train": [], "validation": [], "test": []}
    for raw in (jpeg(scene(number)) for number in range(1000)):
        (tier,) = draw_tiers([StoredImage("", raw)]).values()
        found[tier].append(raw)
        if len(found["train"]) >= 4 and found["validation"] and found["test"]:
            break
    return [*found["train"][:4], found["validation"][0], found["test"][0]]


def _as_format(pixels: np.ndarray, name: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, name)
    return stream.getvalue()


def _changed_within(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, most of them in the header, but not the first, by which the format is known."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 4, 20])):
        changed[chance.randrange(4, min(len(data), chance.choice([40, 400, len(data)])))] = chance.randrange(
            256
        )
    return bytes(changed)


def _read_all(recordings: Recordings) -> None:
    """What a registration and a training read."""
    check_responses(recordings)
    check_images(recordings)
    assert len(recordings.content_sha256) == 64
    assert len(recordings.neuron_order_sha256) == 64
    for session in recordings.sessions:
        for tier in ("train", "validation", "test"):
            for trials in session.stacks(np.flatnonzero(session.tiers == tier), 8):
                session.images.read(trials)
                session.responses.read(trials)
