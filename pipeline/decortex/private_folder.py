"""Folders that only their owner may enter, and files that appear in them whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from decortex.errors import OperationError

PRIVATE_FOLDER = 0o700
WRITING = ".writing-"


def private_folder(path: str | os.PathLike[str], what: str) -> Path:
    """Make sure that a folder exists and is private to this user; returns it.

    Parameters
    ----------
    path : path
        Created with mode 0700 if absent.
    what : str
        What it is, for the message.

    Raises
    ------
    OperationError
        If it cannot be created, belongs to somebody else, or others may enter it.
    """
    folder = Path(path)
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise OperationError(
            f"the {what} folder {folder} cannot be used: {error}. Name a folder that you can write."
        ) from error
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise OperationError(
            f"the {what} folder {folder} should be private to you (mode 0700), but its mode is "
            f"{status.st_mode & 0o777:o} and its owner {status.st_uid}. "
            "Name another folder, or `chmod 700` this one."
        )
    return folder


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file of its own and move it into place; a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=WRITING, suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
