"""What a row may name as its file in the store: decided here for all that reads, writes, copies or deletes one."""

from __future__ import annotations

import errno
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from decortex.errors import InputError

# The store of all our files, by its name in the configuration of DataJoint.
STORE = "main"
# DataJoint's folder of files that are named by table and key, and the only one that rows of ours refer to.
AREA = "_schema"
# Bytes of a path, and of one of its parts: no file system takes a longer part.
LONGEST, LONGEST_PART = 1024, 255
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WAY_OUT = "decortex did not write this row: find out who did (`db_user`), then delete it (`decortex delete`)"


def check_store_path(path: object, root: Path | None = None) -> str:
    """Return a path within the store, if a row may name it.

    Parameters
    ----------
    path : object
        What a row, a manifest or a listing says.
    root : Path, optional
        Folder of the files: of a store that is a folder, or of those in a backup. With it, no link on the way may
        lead out of it.

    Returns
    -------
    str
        The same path.

    Raises
    ------
    InputError
        If it is not text, is absolute, not in its shortest form, climbs (``..``), is longer than a file system takes,
        lies outside `AREA` or `root`, or is there and neither a file nor a folder.

    Examples
    --------
    >>> check_store_path("_schema/decortex/__embedding/k=3/array_x.npy")
    '_schema/decortex/__embedding/k=3/array_x.npy'
    """
    expected = (
        f"expected a relative path below {AREA}/ in its shortest form, of at most {LONGEST} bytes, {LONGEST_PART} in "
        "each part"
    )
    if not isinstance(path, str):
        raise InputError(f"a file of the store is named by {type(path).__name__}, {expected}: {_WAY_OUT}.")
    parts = path.split("/")
    if (
        not path.isprintable()  # before it is encoded: half a surrogate pair is not
        or len(path.encode()) > LONGEST
        or max(len(part.encode()) for part in parts) > LONGEST_PART
        or "\\" in path
        or parts[0] != AREA
        or len(parts) < 3
        or {"", ".", ".."} & set(parts)
        or str(PurePosixPath(path)) != path
    ):
        raise InputError(f"{path[:LONGEST]!r} is no file of the store, {expected}: {_WAY_OUT}.")
    if root is not None:
        _check_way(path, root)
    return path


def _check_way(path: str, root: Path) -> None:
    """Refuse what lies at a path of a folder if a link leads out of it or nowhere, or if it is a pipe or a device."""
    try:
        target = (root / path).resolve()
        within = target.is_relative_to(root.resolve())
        mode = target.stat().st_mode if within else 0
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # nothing to read; who opens it says so
    except (RuntimeError, OSError) as error:
        if not isinstance(error, RuntimeError) and error.errno != errno.ELOOP:
            return  # the store fails; who opens it says so
        raise InputError(f"{path!r} leads into a circle of links in {root}: remove them.") from None
    if not within:
        raise InputError(
            f"{path!r} leads out of {root} through a link; a store holds its files itself (mount a second disk "
            "instead of linking to it)."
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"{path!r} in {root} is no file but a pipe, socket or device, which may never end: remove it."
        )


@dataclass(frozen=True)
class StoredFile:
    """What a row keeps of its file.

    Parameters
    ----------
    path : str
        Within the store, checked by `check_store_path`.
    size : int
        Bytes.
    sha256 : str
        Of its content.
    """

    path: str
    size: int
    sha256: str


def stored_file(stored: object, root: Path | None = None) -> StoredFile:
    """Read what a row keeps of its file, as JSON or parsed.

    Raises
    ------
    InputError
        If it is not what decortex writes, or names no file of the store.
    """
    if isinstance(stored, (str, bytes)):
        try:
            stored = json.loads(stored)
        except ValueError:
            stored = None
    if not isinstance(stored, Mapping):
        raise InputError(
            f"expected path, size and sha256 of a file of the store, got something else: {_WAY_OUT}."
        )
    if stored.get("store") not in (None, STORE):
        raise InputError(f"the store is {STORE!r}, the row names {str(stored['store'])[:80]!r}: {_WAY_OUT}.")
    path, size, sha256 = check_store_path(stored.get("path"), root), stored.get("size"), stored.get("sha256")
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    if not whole or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise InputError(
            f"the row of {path} says size {str(size)[:40]!r} and sha256 {str(sha256)[:80]!r}, expected bytes and 64 "
            f"hexadecimal digits: {_WAY_OUT}."
        )
    return StoredFile(path, int(size), sha256)  # type: ignore[arg-type]  # whole


def folder_of(backend: Any) -> Path | None:
    """Folder of a store that is one; None for an object store, which has no links."""
    return Path(backend._full_path("")) if backend.protocol == "file" else None
