"""How arrays and files lie in the store: written whole, their sha256 in the row, checked when they are read."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
from datajoint.storage import StorageBackend

from decortex.data import array_from_bytes
from decortex.errors import InputError, OperationError, StoreError
from decortex_schemas.database.server import disk_is_full
from decortex_schemas.database.store_paths import (
    AREA,
    StoredFile,
    check_store_path,
    folder_of,
    stored_file,
)

# Ends the name of a file that is being written; nothing refers to such a file.
WRITING = ".writing"
# Packages whose errors are those of an object store that cannot be reached.
_OBJECT_STORES = frozenset({"botocore", "aiobotocore", "aiohttp", "s3fs"})


# What this process does once its first file lies in the store (`store.claim`), and not before: an empty folder in the
# store's place, into which nothing is mounted, is to stay empty.
AFTER_FIRST_WRITE: list[Callable[[], None]] = []


class SealedCodec(dj.SchemaCodec, register=False):
    """A value as one file at a path of its own, never written again; the row holds its path, size and sha256.

    DataJoint's own codecs keep no digest of arrays, name the file that they write after the one that it becomes (two
    writers of the same bytes share it), and take a file that exists for the one that is meant, damaged or not.
    """

    suffix = ".bin"

    def encode(
        self,
        value: Any,
        *,
        key: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        store_name: str | None = None,
    ) -> dict[str, Any]:
        """Write the value and return what the row keeps of it."""
        self.validate(value)
        schema, table, field, primary_key = self._extract_context(key, context)
        config = self._codec_config(key, context)
        path, _ = self._build_path(
            schema, table, field, primary_key, ext=self.suffix, store_name=store_name, config=config
        )
        data = self.to_bytes(value)
        write_object(self._get_backend(store_name, config=config), path, data)
        while AFTER_FIRST_WRITE:
            AFTER_FIRST_WRITE.pop()()
        return {
            "path": path,
            "store": store_name,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **self.facts(value),
        }

    def decode(
        self,
        stored: dict[str, Any],
        *,
        key: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
    ) -> Any:
        """Return the value, or a reference that reads it when asked."""
        stored_file(stored)
        config = self._codec_config(key, context)
        return self.open(stored, self._get_backend(stored.get("store"), config=config))

    @abstractmethod
    def to_bytes(self, value: Any) -> bytes:
        """Content of the file."""

    def facts(self, value: Any) -> dict[str, Any]:
        """What else the row keeps, to be known without reading the file."""
        return {}

    @abstractmethod
    def open(self, stored: dict[str, Any], backend: StorageBackend) -> Any:
        """Make the value from what the row keeps."""


class SealedArray(SealedCodec):
    """A numpy array as an ``.npy`` file; fetched as a reference, read by ``load()``."""

    name = "sealed_array"
    suffix = ".npy"

    def validate(self, value: Any) -> None:
        """Refuse what is not an array of numbers."""
        if not isinstance(value, np.ndarray) or value.dtype == object:
            raise TypeError(
                f"<{self.name}> takes a numpy array of numbers or text, not {type(value).__name__}."
            )

    def to_bytes(self, value: Any) -> bytes:
        """Content of the ``.npy`` file."""
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return buffer.getvalue()

    def facts(self, value: Any) -> dict[str, Any]:
        """Shape and type."""
        return {"dtype": str(value.dtype), "shape": list(value.shape)}

    def open(self, stored: dict[str, Any], backend: StorageBackend) -> ArrayReference:
        """Refer to the array; nothing is read yet."""
        return ArrayReference(stored, backend)


class SealedBytes(SealedCodec):
    """Bytes as a file, for example a checkpoint; fetched as the bytes themselves."""

    name = "sealed_bytes"

    def validate(self, value: Any) -> None:
        """Refuse what is not bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"<{self.name}> takes bytes, not {type(value).__name__}.")

    def to_bytes(self, value: Any) -> bytes:
        """Return the bytes as they are."""
        return bytes(value)

    def open(self, stored: dict[str, Any], backend: StorageBackend) -> bytes:
        """Read the bytes and check them."""
        return read_object(stored, backend)


class ArrayReference:
    """An array in the store: its shape and type are known, its numbers are read by `load` and checked.

    Parameters
    ----------
    stored : dict
        What the row keeps: path, size, sha256, dtype, shape.
    backend : StorageBackend
        Where it lies.
    """

    def __init__(self, stored: dict[str, Any], backend: StorageBackend) -> None:
        self._stored = stored
        self._backend = backend
        known = stored_file(stored)
        self.path = known.path
        self.sha256 = known.sha256
        try:
            self.shape = tuple(int(size) for size in stored["shape"])
            self.dtype = np.dtype(stored["dtype"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the row of {self.path} does not say the shape and type of its array ({error}): decortex did not "
                "write it; delete the row and compute it again."
            ) from None

    def load(self) -> Any:
        """Read the array.

        Raises
        ------
        OperationError
            If the file is missing.
        InputError
            If it is not what was stored.
        """
        return array_from_bytes(
            read_object(self._stored, self._backend), f"the stored file {self.path}"
        ).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Read the array where numpy wants one."""
        found = self.load()
        return found if dtype is None else found.astype(dtype)

    def __repr__(self) -> str:
        """Show what it is; reads nothing."""
        return f"ArrayReference(shape={self.shape}, dtype={self.dtype}, path={self.path!r})"


def read_object(stored: dict[str, Any], backend: StorageBackend) -> bytes:
    """Read a stored file and check it against its row.

    Raises
    ------
    OperationError
        If it is missing.
    InputError
        If its size or sha256 is not the row's, or the row names no file of the store.
    """
    known = stored_file(stored, folder_of(backend))
    way_out = "restore it from a backup (docs/operations/backup.md), or delete its row and compute it again"
    try:
        with store_access(backend, known.path):
            data = _content(backend, known)
    except (dj.errors.MissingExternalFile, FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise OperationError(
            f"the store holds no file {known.path}: check DECORTEX_STORE; if it is lost, {way_out}."
        ) from None
    if len(data) != known.size or hashlib.sha256(data).hexdigest() != known.sha256:
        raise InputError(
            f"the stored file {known.path} is not the one that was written ("
            f"{'more than' if len(data) > known.size else f'{len(data)} bytes of'} {known.size}, sha256 differs): "
            f"{way_out}."
        )
    return data


def _content(backend: StorageBackend, known: StoredFile) -> bytes:
    """Content of a file; of one that is longer than its row says, one byte more than that and no more."""
    if backend.protocol != "file":
        return bytes(backend.get_buffer(known.path))
    with backend.open(known.path) as file:
        # Python takes the memory that it is asked for before it reads: neither row nor file decides alone.
        return bytes(file.read(min(known.size, backend.size(known.path)) + 1))


def write_object(backend: StorageBackend, path: str, data: bytes) -> None:
    """Write a file so that it exists whole and on the disk, or not at all.

    Raises
    ------
    InputError
        If the path is none of a file of the store.
    """
    check_store_path(path, folder_of(backend))
    with store_access(backend, path):
        write_file(backend, path, data)


@contextmanager
def store_access(backend: StorageBackend, path: str) -> Iterator[None]:
    """Tell a store that cannot be reached or refuses us from a file that is not there.

    Raises
    ------
    StoreError
        If the file system or object store fails; also if it holds nothing at all of the file's database, as a folder
        does into which the store is not mounted.
    """
    root = folder_of(backend)
    where = backend.spec.get("location", "") if root is None else root
    page = "docs/operations/lab-server.md, the store"
    hint = f"check that it is mounted here and that this account may write in it ({page})"
    try:
        yield
    except (dj.errors.MissingExternalFile, FileNotFoundError, IsADirectoryError, NotADirectoryError):
        if root is not None and not (root / AREA / path.split("/")[1]).is_dir():
            raise StoreError(f"the store {where} holds nothing of the database of {path}: {hint}.") from None
        raise
    except OSError as error:
        if disk_is_full(error):
            raise StoreError(
                f"the disk of the store {where} is full ({error}): make room (`decortex gc --delete`, `decortex study "
                "remove NAME`) or give it a larger disk; what failed meanwhile is queued again by `decortex retry "
                "--match 'No space left'`."
            ) from error
        raise StoreError(f"the store {where} failed at {path} ({error}): {hint}.") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _OBJECT_STORES:
            raise
        raise StoreError(f"the store {where} failed at {path} ({error}): check DECORTEX_STORE.") from error


def write_file(backend: StorageBackend, path: str, data: bytes) -> None:
    """Write a file whole or not at all, with the folders above it, for the group that shares the store."""
    if backend.protocol != "file":
        backend.put_buffer(data, path)  # object stores show an object once its last byte has come
        return
    root, target = Path(backend._full_path("")), Path(backend._full_path(path))
    shared = _shared_mode(root)
    _make_folder(target.parent, shared)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}{WRITING}")
    try:
        with part.open("xb") as file:
            if shared is not None:
                os.fchmod(file.fileno(), shared & 0o666)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _shared_mode(root: Path) -> int | None:
    """Mode of a store that a group shares (setgid and writable by it); None for one that is left to the umask."""
    mode = stat.S_IMODE(root.stat().st_mode) if root.is_dir() else 0
    return mode if mode & stat.S_ISGID and mode & stat.S_IWGRP else None


def _make_folder(folder: Path, shared: int | None) -> None:
    """Make a folder and those above it that are missing, for the group that shares the store, whatever the umask."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, shared)
    try:
        folder.mkdir()
    except FileExistsError:
        return  # another worker just did
    if shared is not None:
        folder.chmod(shared)


def _sync_folder(folder: Path) -> None:
    """Put the folder's list of names on the disk, where a rename lives until then in memory only."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
