"""What damages files, arrays and tensors for `fuzzing.py`, and what it asks of a loader's result."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

# The library itself crashes on some bytes that were changed inside such a file: these are only cut short.
HDF5 = (".h5", ".hdf5", ".h5ad")


@dataclass(frozen=True)
class Target:
    """A loader: one that refuses everything fails at what is whole."""

    whole: Callable[[], None]
    damaged: Callable[[random.Random], None]


def check_embedding(embedding: np.ndarray, positions: np.ndarray | None) -> None:
    """A row of finite numbers for each neuron, and finite places in two or three dimensions where there are any."""
    assert embedding.ndim == 2, embedding.shape
    assert np.isfinite(embedding).all()
    if positions is not None:
        assert positions.shape in [(len(embedding), 2), (len(embedding), 3)], positions.shape
        assert np.isfinite(positions).all()


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


@contextmanager
def one_file_changed(folder: Path, chance: random.Random) -> Iterator[None]:
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
            np.save(path, other_array(np.load(path), chance))
        else:
            path.write_bytes(damaged(before, chance, only_cut=path.suffix in HDF5))
        yield
    finally:
        if path.is_dir():
            path.rmdir()
        path.write_bytes(before)


def other_array(values: np.ndarray, chance: random.Random) -> np.ndarray:
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
