"""Memoisation of what methods share over K and seeds: keys, memory and disk. Knows arrays, not methods."""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.private_folder import private_folder, write_whole

Arrays = Mapping[str, NDArray[Any]]


class Cache(Protocol):
    """Where arrays that are expensive to compute are kept; a key determines its arrays."""

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of this key, or None."""

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep the arrays of this key."""

    def compute(self, key: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays of this key; make and keep them if they are not there."""


def cache_key(stage: str, version: int, points_sha256: str, params: Mapping[str, Any]) -> str:
    """Name of one computation: sha256 over stage, algorithm version, input digest and parameters.

    Examples
    --------
    >>> cache_key("graph", 1, "a" * 64, {"n": 5}) != cache_key("graph", 2, "a" * 64, {"n": 5})
    True
    """
    return config_hash({"stage": stage, "version": version, "input": points_sha256, "params": dict(params)})


def points_sha256(points: NDArray[np.float64]) -> str:
    """Digest of shape, dtype and every byte of the neurons' features.

    Examples
    --------
    >>> import numpy as np
    >>> points_sha256(np.zeros((2, 2))) == points_sha256(np.zeros((2, 2)))
    True
    """
    digest = hashlib.sha256(f"{points.dtype.str}{points.shape}".encode())
    digest.update(np.ascontiguousarray(points).data)
    return digest.hexdigest()


class MemoryCache:
    """Arrays in this process, read-only. Not for several threads at once."""

    def __init__(self) -> None:
        self._arrays: dict[str, dict[str, NDArray[Any]]] = {}

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of this key, or None."""
        return self._arrays.get(key)

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep read-only views of the arrays."""
        self._arrays[key] = {name: _read_only(array) for name, array in arrays.items()}

    def compute(self, key: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays of this key; make and keep them if they are not there."""
        if key not in self._arrays:
            self.put(key, make())
        return self._arrays[key]


class DiskCache:
    """Arrays in a folder that only its owner can read; safe for several processes on one machine.

    A key is computed by one process while others that want it wait. Files appear whole or not at all. A file
    that cannot be read is reported as a warning, computed again and replaced.

    Parameters
    ----------
    folder : path
        Created with mode 0700 if absent.

    Raises
    ------
    OperationError
        If the folder cannot be created, belongs to somebody else, or others may enter it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = private_folder(folder, "cache")

    def path(self, key: str) -> Path:
        """File that holds the arrays of this key."""
        return self.folder / f"{key}.npz"

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of this key, or None if they are absent or damaged (with a warning)."""
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: _read_only(stored[name]) for name in stored.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"the cache entry {path} is damaged ({error}); it is computed again and replaced.",
                stacklevel=2,
            )
            return None

    def put(self, key: str, arrays: Arrays) -> None:
        """Write the arrays to a file of their own and move it into place."""
        save: Callable[..., None] = np.savez  # whose own signature has no place for a mapping of names
        named = {name: np.asarray(array) for name, array in arrays.items()}
        write_whole(self.path(key), lambda file: save(file, **named))

    def compute(self, key: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays of this key; make them under this key's lock if they are not there."""
        with FileLock(self.folder / f"{key}.lock"):
            found = self.get(key)
            if found is not None:
                return found
            made = {name: _read_only(array) for name, array in make().items()}
            self.put(key, made)
            return made


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
