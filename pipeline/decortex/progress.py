"""A line of progress with the time that is left, for what takes minutes in a notebook or a script."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class ProgressLine:
    """Says how many steps are done and about how long the others take; pass it as ``progress``.

    Parameters
    ----------
    what : str
        What is done, first in the line.
    to : file, optional
        Where it is written; default: standard error.
    every : float
        Seconds between two lines at least; the first and the last are always written.
    clock : callable
        Seconds; for tests.

    Examples
    --------
    >>> import decortex
    >>> decortex.choose_k(x, progress=decortex.ProgressLine("K"))    # doctest: +SKIP
    K: 12 of 34, about 3 min left
    """

    def __init__(
        self,
        what: str = "done",
        *,
        to: TextIO | None = None,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._to, self._every, self._clock = what, to, every, clock
        self._began = clock()
        self._said = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Write the line for ``done`` of ``total`` steps."""
        now = self._clock()
        if done < total and now - self._said < self._every:
            return
        self._said = now
        out = self._to or sys.stderr
        begin, end = ("\r", "\n" if done >= total else "") if out.isatty() else ("", "\n")
        out.write(f"{begin}{self._what}: {done} of {total}, {self._left(now, done, total):<24}{end}")
        out.flush()

    def _left(self, now: float, done: int, total: int) -> str:
        took = now - self._began
        if done >= total:
            return f"took {_span(took)}"
        return f"about {_span(took * (total - done) / done)} left" if done else "just begun"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
