"""How the server reports what takes long: one record, one callback. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step of what is being done.

    Attributes
    ----------
    stage : str
        What is being done, for a person: ``"fetching MySQL"``.
    done, total : int
        Bytes or packages; total is 0 where the end is not known.
    """

    stage: str
    done: int = 0
    total: int = 0


ProgressCallback = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Ignore a progress record: the default callback."""
