"""Damaged files of recordings, movies, tables and exported rows, for `fuzzing.py`: read, then put back as they were."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from support.foreign_folders import jpeg, scene, write_fnn, write_zip
from video_files import Skeleton, write_h5_folder, write_video_session

from decortex.data import (
    MovieSplit,
    Recordings,
    SimulationConfig,
    TableColumns,
    check_images,
    check_responses,
    import_cowley_v4,
    open_filetree,
    open_h5_folder,
    read_table,
    simulate_cortex,
    write_anndata,
    write_filetree,
)
from decortex.errors import DecortexError
from decortex.evaluation.labels import read_label_rows
from decortex.models.checkpoints import config_md5, read_fnn, read_row
from decortex_ops.cli.registering.register_model import read_map

Target = Callable[[random.Random], None]
Mutation = Callable[[Any, random.Random], Any]

IMAGES = {"n_neurons": 6, "n_animals": 2, "n_train": 8, "n_validation": 3, "n_test": 3, "n_repeats": 2}
SPLIT = MovieSplit(test=("noise",), clip_frames=20, validation_every=3)
# The library itself crashes on some bytes that were changed inside such a file: these are only cut short.
HDF5 = (".h5", ".h5ad")
FIELDS = (
    "",
    " ",
    "nan",
    "1e999",
    "-",
    "1,5",
    '"',
    "\t",
    "\0",
    "\u202e",
    "cell",
    "x" * 10_000,
    "-inf",
    "0x10",
)


def damaged(data: bytes, chance: random.Random, *, only_cut: bool = False) -> bytes:
    """Bytes cut off, replaced, or changed in some places."""
    kind = chance.random()
    if kind < 0.2 or (only_cut and kind >= 0.3):
        return data[: chance.randrange(len(data))] if data else b""
    if kind < 0.3 or not data:
        return chance.randbytes(chance.randrange(200))
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 40])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def file_targets(folder: Path, mutated: Mutation) -> dict[str, Target]:
    """Readers of files by name.

    Parameters
    ----------
    folder : Path
        Empty; what is damaged lies there.
    mutated : callable
        A copy of nested plain values with some of them changed.
    """
    return {
        "row": partial(_row, mutated=mutated),
        "images": _images(folder / "images"),
        "movies": _movies(folder / "movies"),
        "h5": _h5(folder / "retina"),
        "table": _tables(folder),
        "twin": _twin(folder / "twin"),
        "archives": _archives(folder / "archives"),
        "map": _map(folder / "map.csv"),
    }


def _row(chance: random.Random, *, mutated: Mutation) -> None:
    """Reads the row of a network that another pipeline trained, as exported to JSON."""
    core = {"layers": 3, "hidden_channels": 16, "input_kern": 9, "hidden_kern": 7, "gamma_input": 6.3}
    config = {**core, "elu_offset": 0, "grid_mean_predictor": {"type": "cortex", "final_tanh": True}}
    row = {"model_fn": "lab.models.stacked_core_full_gauss_readout", "model_config": config, "seed": 1}
    if chance.random() < 0.5:
        row = {**row, "model_hash": config_md5(config), "trainer_fn": "lab.train", "score": 0.3}
    rows = [row, {**row, "seed": 2}]
    shape = chance.choice([row, rows, {name: [one[name] for one in rows] for name in row}])
    try:
        exported = json.loads(json.dumps(mutated(shape, chance)))
    except (TypeError, ValueError):
        return  # JSON does not hold it
    found = read_row(exported, where=chance.choice([None, None, {"seed": "1"}]))
    assert found.name
    assert found.builder
    found.rebuild_config((1, 36, 64))


@contextmanager
def _one_file_changed(folder: Path, chance: random.Random) -> Iterator[None]:
    """One file of a folder is damaged, emptied, taken away, or another array; afterwards it is as it was."""
    path = chance.choice(sorted(file for file in folder.rglob("*") if file.is_file()))
    before = path.read_bytes()
    kind = chance.random()
    try:
        if kind < 0.1:
            path.unlink()
        elif kind < 0.15:
            path.unlink()
            path.mkdir()
        elif kind < 0.55 and path.suffix == ".npy":
            np.save(path, _other_array(np.load(path), chance))
        else:
            path.write_bytes(damaged(before, chance, only_cut=path.suffix in HDF5))
        yield
    finally:
        if path.is_dir():
            path.rmdir()
        path.write_bytes(before)


def _other_array(values: np.ndarray, chance: random.Random) -> np.ndarray:
    """The same array of another type or shape, or with other values."""
    values = np.atleast_1d(values)
    number = values if values.dtype.kind in "biuf" else np.arange(values.size).reshape(values.shape)
    ways: list[Callable[[], np.ndarray]] = [
        lambda: values[..., :0],
        lambda: values[:0],
        lambda: values[..., :1],
        lambda: values[None],
        values.ravel,
        lambda: np.array(values.ravel()[:1]).reshape(()),
        lambda: np.concatenate([values, values]),
        lambda: values[::-1],
        lambda: number.astype(complex),
        lambda: number.astype(np.float16),
        lambda: number.astype(str),
        lambda: number.astype(object),
        lambda: number.astype(">f8"),
        lambda: number > 0,
        lambda: number * np.nan,
        lambda: number.astype(float) - 1e9,
        lambda: number * 1e308,
        lambda: np.zeros(values.shape, dtype="datetime64[s]"),
        lambda: np.zeros(values.shape, dtype=[("a", "f4"), ("b", "i4")]),
        lambda: np.full(values.shape, ""),
        lambda: np.full(values.shape, -1),
    ]
    with np.errstate(all="ignore"):
        return chance.choice(ways)()


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


def other_tensor(value: torch.Tensor, chance: random.Random) -> torch.Tensor:
    """The same tensor of another shape, type or kind."""
    flat = value.flatten()
    return chance.choice(
        [
            flat,
            flat[:0],
            value[:0],
            value[:1],
            value.unsqueeze(0),
            value.double(),
            value.half(),
            value.to(torch.complex64),
            value.long(),
            value > 0,
            value * float("nan"),
            value * float("inf"),
            value.expand(3, *value.shape),
            value.to_sparse(),
            value.to("meta"),
            torch.tensor(1.0),
        ]
    )


def _images(folder: Path) -> Target:
    """Opens a folder of sessions of images of which one file is damaged."""
    made = simulate_cortex(SimulationConfig.from_params(IMAGES), 0)
    write_filetree(made.recordings, folder)

    def run(chance: random.Random) -> None:
        with _one_file_changed(folder, chance):
            _read_all(open_filetree(folder))

    return run


def _movies(folder: Path) -> Target:
    """Opens a folder of one session of movies of which one file is damaged."""
    write_video_session(folder / "session", Skeleton.small())

    def run(chance: random.Random) -> None:
        with _one_file_changed(folder, chance):
            _read_all(open_filetree(folder, frame_rate=30.0))

    return run


def _h5(folder: Path) -> Target:
    """Opens openretina's neutral folder with a damaged file, or with a dataset that is something else."""
    rng = np.random.default_rng(0)
    movies = {"nature": rng.normal(size=(2, 130, 4, 3)), "noise": rng.normal(size=(2, 25, 4, 3))}
    write_h5_folder(folder, ["left", "right"], movies)
    rates = [30.0] * 16 + [0.0, -1.0, float("nan"), float("inf")]

    def run(chance: random.Random) -> None:
        if chance.random() < 0.5:
            with _one_file_changed(folder, chance):
                _read_all(open_h5_folder(folder, SPLIT, frame_rate=chance.choice(rates)))
            return
        path = folder / "left.h5"
        before = path.read_bytes()
        try:
            _other_dataset(path, chance)
            _read_all(open_h5_folder(folder, SPLIT, frame_rate=30.0))
        finally:
            path.write_bytes(before)

    return run


def _other_dataset(path: Path, chance: random.Random) -> None:
    import h5py

    with h5py.File(path, "a") as file:
        name = chance.choice(list(file))
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
            other = _other_array(values, chance)
            file[name] = other.astype("S") if other.dtype.kind in "UOM" else other


def _twin(folder: Path) -> Target:
    """Reads the folder of a digital twin, fnn's, of which one file is damaged or its tensors are others."""
    whole = write_fnn(folder, gains=True)["4-7"]
    path = folder / "params_4_7.pt"
    before = path.read_bytes()

    def run(chance: random.Random) -> None:
        if chance.random() < 0.5:
            with _one_file_changed(folder, chance):
                read_fnn(folder)
            return
        key = chance.choice(list(whole))
        try:
            torch.save({**whole, key: other_tensor(whole[key], chance)}, path)
            read_fnn(folder)
        finally:
            path.write_bytes(before)

    return run


def _archives(folder: Path) -> Target:
    """Expands published archives of macaque V4 of which one file is damaged."""
    folder.mkdir()
    write_zip(folder / "images_190923.zip", [jpeg(scene(number)) for number in range(6)])
    np.save(folder / "resp_avg_190923.npy", np.random.default_rng(0).gamma(2.0, size=(3, 6)))

    def run(chance: random.Random) -> None:
        out = folder.parent / "expanded"
        try:
            with _one_file_changed(folder, chance):
                import_cowley_v4(folder, out, size=8)
        except DecortexError:
            assert not out.exists()
            raise
        finally:
            shutil.rmtree(out, ignore_errors=True)

    return run


def _map(path: Path) -> Target:
    """Reads which neuron of a checkpoint is which of a dataset."""
    whole = pd.DataFrame({"neuron": range(8), "dataset_neuron": [3, 1, 2, 0, 4, -1, 6, 7]}).to_csv(
        index=False
    )

    def run(chance: random.Random) -> None:
        if chance.random() < 0.6:
            path.write_text(_other_text(whole, "csv", chance), encoding="utf-8")
        else:
            path.write_bytes(damaged(whole.encode(), chance))
        read_map(path)

    return run


def _tables(folder: Path) -> Target:
    """Reads tables of neurons and of labels, as text, array, parquet and AnnData."""
    rng = np.random.default_rng(0)
    names = [f"n{number}" for number in range(12)]
    frame = pd.DataFrame(rng.normal(size=(12, 3)).round(3), columns=["depth", "rate", "latency"])
    whole = pd.concat([pd.DataFrame({"cell": names, "animal": ["a", "b"] * 6}), frame], axis=1)
    starts = {kind: folder / f"cells.{kind}" for kind in ("csv", "tsv", "npy", "parquet", "h5ad")}
    whole.to_csv(starts["csv"], index=False)
    whole.to_csv(starts["tsv"], index=False, sep="\t")
    np.save(starts["npy"], frame.to_numpy())
    whole.to_parquet(starts["parquet"])
    columns = whole[["animal"]].set_index(pd.Index(names))
    write_anndata(starts["h5ad"], frame, columns, feature_names=list(frame))

    def run(chance: random.Random) -> None:
        kind = chance.choice(list(starts))
        path = starts[kind]
        before = path.read_bytes()
        asked = TableColumns(animal="animal") if kind == "h5ad" else TableColumns(ids="cell", animal="animal")
        try:
            if kind in ("csv", "tsv") and chance.random() < 0.6:
                path.write_text(_other_text(before.decode(), kind, chance), encoding="utf-8")
            elif kind == "npy" and chance.random() < 0.6:
                np.save(path, _other_array(np.load(path), chance))
            else:
                path.write_bytes(damaged(before, chance, only_cut=path.suffix in HDF5))
            if kind in ("csv", "tsv") and chance.random() < 0.4:
                read_label_rows(path)
            else:
                read_table(path, None if kind == "npy" else asked)
        finally:
            path.write_bytes(before)

    return run


def _other_text(text: str, kind: str, chance: random.Random) -> str:
    """A table of text with one to three fields changed, or lines taken away, doubled or longer."""
    separator = "," if kind == "csv" else "\t"
    lines = text.splitlines()
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        fields = lines[number].split(separator)
        way = chance.random()
        if way < 0.1:
            lines = lines[:number] + lines[number + 1 :] or [""]
        elif way < 0.2:
            lines.insert(number, lines[number])
        elif way < 0.3:
            lines[number] += separator + chance.choice(FIELDS)
        else:
            fields[chance.randrange(len(fields))] = chance.choice(FIELDS)
            lines[number] = separator.join(fields)
    return "\n".join(lines) + "\n"
