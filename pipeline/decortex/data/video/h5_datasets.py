"""Datasets of an HDF5 file that may be damaged: real numbers, or an error that says what is there. No recordings."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from decortex.data.npy import ALLOWANCE_BYTES, NUMBERS
from decortex.errors import DatasetError, OperationError

if TYPE_CHECKING:
    import h5py

# What h5py raises of bytes that are no HDF5 file any more: it hands on whatever the library says.
_DAMAGED = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)
# What deflate makes at most of one byte; what is packed otherwise may hold more.
_MOST_TIMES = 1032
_PLAIN = (None, "gzip", "lzf")


def h5_module() -> ModuleType:
    """The package h5py.

    Raises
    ------
    OperationError
        If it is not installed.
    """
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise OperationError(
            "reading HDF5 files needs h5py: pip install 'decortex[video]' (or pip install h5py)."
        ) from error


def dataset_names(content: h5py.File, where: str) -> tuple[str, ...]:
    """Names at the top of a file, in its order.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    with _damage_named(where):
        names = list(content)
    if not all(isinstance(name, str) for name in names):
        raise DatasetError(f"{where} holds names that are no text; it is damaged. Copy it again.")
    return tuple(names)


def read_dataset(content: h5py.File, name: str, where: str) -> NDArray[Any]:
    """Values of a dataset, as the file holds them.

    Parameters
    ----------
    content : h5py.File
        Open for reading.
    name : str
        Of the dataset.
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        If it is damaged, no dataset, empty, not of real numbers, of a virtual or external layout, packed in a way that
        is not known here, not written whole, or holds many times what the file has of it.
    """
    with _damage_named(f"{name} of {where}"):
        found = _found(content, name, where)
        if isinstance(found, h5_module().Dataset):
            # Before its shape is asked for: HDF5 may look at a virtual dataset's sources for it.
            _check_layout(found, name, where)
        dtype, shape = getattr(found, "dtype", None), getattr(found, "shape", None)
        if dtype is None or not shape or 0 in shape or dtype.kind not in NUMBERS:
            what = "a group" if dtype is None else f"{dtype} {shape}"
            raise DatasetError(
                f"{name} of {where} should be a dataset of real numbers and not empty, but is {what}. Export it again."
            )
        _check_written(found, name, where)
        return np.asarray(found)


def is_linked(content: h5py.File, name: str, where: str) -> bool:
    """Whether a link leads from a file to a dataset of another file.

    Parameters
    ----------
    content : h5py.File
        Open for reading.
    name : str
        Of the dataset.
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        If the file is damaged or the link leads nowhere.
    """
    with _damage_named(f"{name} of {where}"):
        # Not by its path, which a link spells in its own way.
        return not Path(_found(content, name, where).file.filename).samefile(content.filename)


def _found(content: h5py.File, name: str, where: str) -> Any:
    try:
        return content[name]
    except KeyError as error:
        link = content.get(name, getlink=True)
        if not isinstance(link, h5_module().ExternalLink):
            raise
        raise DatasetError(
            f"{name} of {where} is a link to {link.path!r} of the file {link.filename!r}, which cannot be opened"
            f" ({error}). Copy that file too, whole."
        ) from error


def _check_layout(found: h5py.Dataset, name: str, where: str) -> None:
    """Refuse values that are kept elsewhere: HDF5 reads as zeros what lacks there, and does not tell."""
    if found.is_virtual or found.external is not None:
        kind = "a virtual" if found.is_virtual else "an external"
        raise DatasetError(
            f"{name} of {where} has {kind} layout: its values are kept elsewhere, and HDF5 reads zeros where they lack."
            " Write it as a plain dataset; where all of its sources are: values = file[name][()]; del file[name];"
            " file[name] = values."
        )


def _check_written(found: h5py.Dataset, name: str, where: str) -> None:
    """Refuse what HDF5 would read as zeros or not at all: parts that were never written or cannot be unpacked."""
    packed = found.id.get_create_plist()
    for number in range(packed.get_nfilters()):
        code, *_, words = packed.get_filter(number)
        if not h5_module().h5z.filter_avail(code):
            raise DatasetError(
                f"{name} of {where} is packed by {words.decode(errors='replace') or code!r}, which this installation of"
                " HDF5 lacks. Write it again with gzip or without packing."
            )
    shape, stored = found.shape, int(found.id.get_storage_size())
    n_bytes = math.prod(shape) * found.dtype.itemsize
    if not stored or _n_chunks_missing(found):
        raise DatasetError(
            f"{name} of {where} was not written whole: of {n_bytes} bytes, {shape}, the file has {stored} of it. What"
            " lacks would be read as zeros. Export it again."
        )
    if found.compression in _PLAIN and n_bytes > ALLOWANCE_BYTES + _MOST_TIMES * stored:
        raise DatasetError(
            f"{name} of {where} says that it holds {n_bytes} bytes, {shape}, but the file has {stored} of it: it is"
            " damaged. Export it again."
        )


def _n_chunks_missing(found: h5py.Dataset) -> int:
    if found.chunks is None:
        return 0
    expected = math.prod(-(-side // chunk) for side, chunk in zip(found.shape, found.chunks, strict=True))
    missing: int = expected - int(found.id.get_num_chunks())
    return missing


@contextmanager
def _damage_named(where: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{where} cannot be read ({type(error).__name__}: {error}); the file is damaged. Copy it again."
        ) from error


def open_h5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises
    ------
    DatasetError
        If it is no HDF5 file.
    OperationError
        If h5py is not installed.
    """
    h5 = h5_module()
    try:
        return h5.File(path, "r")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} cannot be read as HDF5: {error}. Copy it again.") from error
