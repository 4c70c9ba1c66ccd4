"""Reading single .npy files with exact faults: headers cheaply, arrays without pickle. No folders here."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from decortex.errors import DatasetError

NUMBERS = "biuf"  # kinds of dtype: bool, signed, unsigned, float
TEXT = "SU"
_HEAD = 128  # numpy writes headers of simple arrays into 128 bytes


@dataclass(frozen=True)
class Header:
    """Shape and layout of the array in a .npy file."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran_order: bool
    offset: int

    @property
    def n_bytes(self) -> int:
        """Length of a complete file."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> Header:
    """Read shape and dtype of a .npy file, and check by its length that it is complete.

    Raises
    ------
    DatasetError
        If the file is missing, no .npy file, cut short, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            return _header(file, path)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_array(path: Path) -> NDArray[np.generic]:
    """Read a .npy file; never runs pickle.

    Raises
    ------
    DatasetError
        As `read_header`.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            file.seek(header.offset)
            raw = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    flat = np.frombuffer(raw, dtype=header.dtype, count=math.prod(header.shape))
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def read_first_row(path: Path) -> NDArray[np.generic]:
    """Read the first row along the last axis, without the rest of the file where it is stored row by row.

    Raises
    ------
    DatasetError
        As `read_header`.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            length = header.shape[-1] if header.shape else 1
            if not header.fortran_order or len(header.shape) < 2:
                file.seek(header.offset)
                return np.frombuffer(file.read(length * header.dtype.itemsize), dtype=header.dtype)
    except OSError as error:
        raise _unreadable(path, error) from error
    values = read_array(path)
    row: NDArray[np.generic] = values.reshape(-1, values.shape[-1])[0]
    return row


def _header(file: io.BufferedReader, path: Path) -> Header:
    head = file.read(_HEAD)
    if not head.startswith(npy_format.MAGIC_PREFIX):
        raise DatasetError(
            f"{path} should be a .npy file, but it starts with {head[:16]!r}."
            " Was it fetched completely (git annex get, git lfs pull)?"
        )
    try:
        header = _parse(head)
    except ValueError:  # a long header; the memory of `_parse` is for the common one
        file.seek(0)
        try:
            header = _parse(file.read(1 << 16))
        except ValueError as error:
            raise DatasetError(f"{path} has a .npy header that cannot be read: {error}") from error
    if header.dtype.hasobject:
        raise DatasetError(
            f"{path} holds Python objects, which could run code when read; only plain arrays are taken."
            " If you trust the file, rewrite it: np.save(f, np.load(f, allow_pickle=True).astype(str))."
        )
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes < header.n_bytes:
        raise DatasetError(
            f"{path} is cut short: {header.n_bytes} bytes expected for {header.dtype} {header.shape},"
            f" {n_bytes} found. Copy it again."
        )
    return header


@lru_cache(maxsize=64)
def _parse(head: bytes) -> Header:
    """Parse a header; the files of a folder share a few, and parsing one costs more than reading it."""
    stream = io.BytesIO(head)
    version = npy_format.read_magic(stream)
    read = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format is for structured arrays, a plain array is needed")
    shape, fortran_order, dtype = read(stream)
    return Header(tuple(shape), dtype, fortran_order, stream.tell())


def _unreadable(path: Path, error: OSError) -> DatasetError:
    if path.is_symlink() and not path.exists():
        return DatasetError(
            f"{path} is a link to a file that is not here. Fetch the content (git annex get, datalad get)."
        )
    return DatasetError(f"{path} cannot be read: {error.strerror or error}.")
