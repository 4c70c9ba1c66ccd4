"""Reading .npy files and zip archives with exact faults: headers cheaply, no pickle, none larger than its bytes."""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from decortex.errors import DatasetError

NUMBERS = "biuf"  # kinds of dtype: bool, signed, unsigned, float
TEXT = "SU"
_HEAD = 128  # numpy writes headers of simple arrays into 128 bytes
_LONGEST_HEAD = 1 << 16
_LONGEST_SIDE = 2**40
_MOST_AXES = 32  # numpy's own bound, before 2.0
_MOST_BYTES = 2**62
_LAST_CHARACTER = 0x10FFFF  # of Unicode, whose surrogates are halves of characters
_SURROGATES = (0xD800, 0xDFFF)
# What numpy raises of a header: it hands the text to Python's own parser.
_NO_HEADER = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)
# What `zipfile` raises of an archive that is damaged: its own error, and those of what it unpacks with.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
)
# A file may have holes, or a .npz compressed arrays: what is read beyond the bytes on the disk.
ALLOWANCE_BYTES = 256 * 2**20


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
        If the file is missing, no .npy file, cut short, has a shape or type that no array has, holds Python objects,
        or is mostly holes (`ALLOWANCE_BYTES` more than the disk holds of it).
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
        As `read_header`, and of text with characters that do not exist.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            file.seek(header.offset)
            raw = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _array(header, raw, str(path))


def array_from_bytes(data: bytes, name: str) -> NDArray[np.generic]:
    """Make the array that the content of a .npy file holds; never runs pickle, never takes more than the content.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        What messages call it.

    Raises
    ------
    DatasetError
        As `read_header`.
    """
    header = _checked(data[:_HEAD], lambda: data[:_LONGEST_HEAD], len(data), name)
    return _array(header, memoryview(data)[header.offset :], name)


def read_npz(path: Path) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Read the arrays of a .npz file one by one, by name; never runs pickle.

    Raises
    ------
    DatasetError
        If the file cannot be read, or an array is there twice, is not what `read_header` takes or is not what
        `read_member` takes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for record in members(archive, path):
                data = read_member(archive, record, path)
                yield (
                    record.filename.removesuffix(".npy"),
                    array_from_bytes(data, f"{path}: {record.filename}"),
                )
    except OSError as error:
        raise _unreadable(path, error) from error
    except DatasetError:
        raise
    except ZIP_ERRORS as error:
        raise DatasetError(f"{path} is damaged, or no .npz file ({error}). Copy it again.") from error


def members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Members of a zip archive, in its order.

    Raises
    ------
    DatasetError
        If two have one name: which of them a program reads depends on the program.
    """
    records = archive.infolist()
    counts = Counter(record.filename for record in records)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DatasetError(
            f"{path} holds {twice[0]!r} more than once ({len(twice)} such names); every name should be there once."
            " Pack it again, or fetch it again."
        )
    return records


def read_member(archive: zipfile.ZipFile, record: zipfile.ZipInfo, path: Path, *, held: int = 0) -> bytes:
    """Unpack a member of a zip archive, within limits.

    Parameters
    ----------
    archive : zipfile.ZipFile
        Open for reading.
    record : zipfile.ZipInfo
        The member.
    path : Path
        The archive's file.
    held : int
        Bytes unpacked from the archive before that are still held, which count towards the limit.

    Raises
    ------
    DatasetError
        If what is held comes to more than `ALLOWANCE_BYTES` above the file's size, or the member is packed otherwise
        than by deflate, whose output alone can be bounded.
    """
    asked, limit = held + record.file_size, path.stat().st_size + ALLOWANCE_BYTES
    if asked > limit:
        raise DatasetError(
            f"{path} is refused: up to its member {record.filename!r} it unpacks to {asked:,} bytes, the limit for a"
            f" file of this size is {limit:,}. Pack it again without compression (zip -0, np.savez)."
        )
    if record.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DatasetError(
            f"{path} is refused: its member {record.filename!r} is packed by method {record.compress_type}, but should"
            " be packed by deflate (8) or not at all (0). Pack it again (zip, np.savez)."
        )
    with archive.open(record) as file:
        # `ZipFile.read` first unpacks all, whatever the size that the member has.
        return file.read(record.file_size)


def _array(header: Header, raw: bytes | memoryview, name: str) -> NDArray[np.generic]:
    flat = np.frombuffer(raw, dtype=header.dtype, count=math.prod(header.shape))
    if header.dtype.kind == "U":
        codes = flat.view(np.dtype(np.uint32).newbyteorder(header.dtype.byteorder))
        if ((codes > _LAST_CHARACTER) | ((codes >= _SURROGATES[0]) & (codes <= _SURROGATES[1]))).any():
            raise DatasetError(
                f"{name} holds text with characters that do not exist; it is damaged. Copy it again."
            )
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def single_precision(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return real numbers as float32; what it cannot hold becomes infinite, which checks of recordings refuse."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


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
    status = os.fstat(file.fileno())

    def again() -> bytes:
        file.seek(0)
        return file.read(_LONGEST_HEAD)

    header = _checked(file.read(_HEAD), again, status.st_size, str(path))
    on_disk = 512 * status.st_blocks if hasattr(status, "st_blocks") else status.st_size
    if header.n_bytes > on_disk + ALLOWANCE_BYTES:
        raise DatasetError(
            f"{path} is refused: reading it takes {header.n_bytes:,} bytes, the disk holds {on_disk:,} of them and the"
            f" limit is {on_disk + ALLOWANCE_BYTES:,}. The rest are holes, which were never written: copy it again."
        )
    return header


def _checked(head: bytes, again: Callable[[], bytes], size: int, name: str) -> Header:
    """Header of an array whose content can be in so many bytes; `again` gives more of them for a long header."""
    if not head.startswith(npy_format.MAGIC_PREFIX):
        raise DatasetError(
            f"{name} should be a .npy file, but it starts with {head[:16]!r}."
            " Was it fetched completely (git annex get, git lfs pull)?"
        )
    try:
        header = _parse(head)
    except _NO_HEADER:  # a long header; the memory of `_parse` is for the common one
        try:
            header = _parse(again())
        except _NO_HEADER as error:
            raise DatasetError(f"{name} has a .npy header that cannot be read: {str(error)[:300]}") from error
    if header.dtype.hasobject:
        raise DatasetError(
            f"{name} holds Python objects, which could run code when read; only plain arrays are taken."
            " If you trust the file, rewrite it: np.save(f, np.load(f, allow_pickle=True).astype(float)), .astype(str)"
            " for words, .item()[its key] for a dictionary."
        )
    sides = math.prod(side for side in header.shape if side > 0)  # numpy counts an empty array by these
    if (
        header.dtype.itemsize == 0
        or not all(0 <= side <= _LONGEST_SIDE for side in header.shape)
        or sides * header.dtype.itemsize > _MOST_BYTES
    ):
        raise DatasetError(
            f"{name} has a .npy header that no array has: shape {_short(header.shape)} of {header.dtype}, whose numbers"
            f" take {header.dtype.itemsize} bytes each; expected sides of 0 to {_LONGEST_SIDE:,} and numbers of 1 byte"
            " or more. Save the array again with np.save."
        )
    if size < header.n_bytes:
        raise DatasetError(
            f"{name} is cut short: {header.n_bytes} bytes expected for {header.dtype} {_short(header.shape)},"
            f" {size} found. Copy it again."
        )
    return header


def _short(shape: Sequence[int]) -> str:
    return str(tuple(shape)) if len(shape) <= 8 else f"of {len(shape)} axes"


@lru_cache(maxsize=64)
def _parse(head: bytes) -> Header:
    """Parse a header; the files of a folder share a few, and parsing one costs more than reading it."""
    stream = io.BytesIO(head)
    version = npy_format.read_magic(stream)
    read = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format is for structured arrays, a plain array is needed")
    shape, fortran_order, dtype = read(stream)
    if any(isinstance(side, bool) for side in shape):
        raise ValueError(f"the shape {_short(shape)} holds a truth value")
    if len(shape) > _MOST_AXES:
        raise ValueError(f"the shape has {len(shape)} axes; an array has at most {_MOST_AXES}")
    return Header(tuple(shape), dtype, fortran_order, stream.tell())


def _unreadable(path: Path, error: OSError) -> DatasetError:
    if path.is_symlink() and not path.exists():
        return DatasetError(
            f"{path} is a link to a file that is not here. Fetch the content (git annex get, datalad get)."
        )
    return DatasetError(f"{path} cannot be read: {error.strerror or error}.")
