"""Folders in memory, for data that waits for a disk at every write: a server's tables, as they are declared."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
# Of which a server takes some 300 MB; a run has one for each of its processes, and some for a while.
NEEDED_BYTES = 8 * 2**30


@contextmanager
def folder_in_memory() -> Iterator[Path | None]:
    """A new folder in memory, removed at the end; None where there is no room for servers."""
    try:
        room = shutil.disk_usage(MEMORY).free >= NEEDED_BYTES
        folder = Path(tempfile.mkdtemp(prefix="decortex-tests-", dir=MEMORY)) if room else None
    except OSError:
        folder = None
    try:
        yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # a failure here says nothing of what was tested
