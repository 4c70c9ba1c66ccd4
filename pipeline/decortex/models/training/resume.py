"""The state of a run on disk, to resume it after a kill: one file, whole or absent, checked when it is read.

What is in it is the training loop's affair (`decortex.models.training.loop`); who names it is the caller's.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch

from decortex.models.checkpoints import LOAD_ERRORS, load_bounded
from decortex.private_folder import WRITING, private_folder, write_whole

SUFFIX = ".state"
_DIGEST_LENGTH = 64


class RunState(Protocol):
    """Where a run keeps its state at the end of every epoch."""

    def load(self) -> dict[str, Any] | None:
        """Return the last state that was saved, or None."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep this state in place of the last."""


class StateFile:
    """The state of one run: tensors and plain values, behind the sha256 of their bytes.

    Parameters
    ----------
    folder : path
        Created with mode 0700 if absent.
    name : str
        Digest of everything that the run depends on: runs with equal names are equal runs.

    Raises
    ------
    OperationError
        If the folder cannot be used or is not private.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str) -> None:
        self.path = private_folder(folder, "state") / f"{name}{SUFFIX}"

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state; a process that dies meanwhile leaves the one before."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getbuffer()
        digest = hashlib.sha256(content).hexdigest().encode()

        def write(file: BinaryIO) -> None:
            file.write(digest)
            file.write(content)

        write_whole(self.path, write)

    def load(self) -> dict[str, Any] | None:
        """Return the state, or None if there is none or it is damaged (with a warning)."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        digest, content = data[:_DIGEST_LENGTH], data[_DIGEST_LENGTH:]
        if hashlib.sha256(content).hexdigest().encode() != digest:
            self._report("its digest is not that of its bytes")
            return None
        try:
            state: dict[str, Any] = load_bounded(content)
        except (*LOAD_ERRORS, OSError) as error:
            self._report(str(error))
            return None
        return state

    def discard(self) -> None:
        """Remove the state: the run's result is safe elsewhere."""
        self.path.unlink(missing_ok=True)

    def _report(self, reason: str) -> None:
        warnings.warn(
            f"the saved state {self.path} is damaged ({reason}); the run starts anew and replaces it.",
            stacklevel=3,
        )


def discard_stale(folder: str | os.PathLike[str], *, max_age_days: float) -> int:
    """Remove states, and files of interrupted writes, that no epoch has touched for longer; returns how many."""
    limit = time.time() - max_age_days * 24 * 3600
    removed = 0
    root = Path(folder)
    for path in [*root.glob(f"*{SUFFIX}"), *root.glob(f"{WRITING}*")]:
        try:
            if path.stat().st_mtime < limit:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # its run ended meanwhile
    return removed
