"""A folder that appears when it is whole: written under another name, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decortex.errors import ConfigError

# Ends the name of a folder into which a backup is being written.
UNFINISHED = ".unfinished"
# In such a folder: locked by the process that writes it.
LOCK = ".lock"


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that is there.

    Raises
    ------
    ConfigError
        If it is.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already; a backup is a folder of its own.")


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside another, which becomes that one when the block ends well, and else is gone.

    Nobody else writes into it meanwhile: a file in it is locked. What a killed process left in it is removed. Where the
    file system has no locks, a folder that is there already is refused.

    Parameters
    ----------
    folder : Path
        What it becomes.

    Yields
    ------
    Path
        Holds nothing but the lock.

    Raises
    ------
    ConfigError
        If another process is writing there, or has finished meanwhile.
    """
    part = folder.with_name(f"{folder.name}{UNFINISHED}")
    busy = ConfigError(
        f"another backup is being written to {folder} (into {part}): wait for it, or choose another name. If no "
        f"`decortex db backup` runs on any machine, remove {part}."
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.mkdir(mode=0o700)
        is_ours = True
    except FileExistsError:
        is_ours = False
    try:
        lock = (part / LOCK).open("a")
    except FileNotFoundError:  # another process has finished or failed at this moment
        raise busy from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        except OSError:  # the file system has no locks
            if not is_ours:
                raise busy from None
        if not _is_at(part / LOCK, lock.fileno()):
            raise busy
        try:
            refuse_existing(folder)  # the process that held the lock until now may have finished
            _empty(part)
            yield part
            refuse_existing(folder)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        # Not before: whoever locks a new file here would take a whole backup for one that was killed.
        (folder / LOCK).unlink()


def _is_at(path: Path, handle: int) -> bool:
    """Whether an open file is the one of this name, and has not been removed or moved."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _empty(part: Path) -> None:
    """Remove all but the lock."""
    for one in part.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.name != LOCK:
            one.unlink()
