"""Signals that wait for a query: a worker is interrupted between two statements, never inside one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from types import FrameType
from typing import Any

import datajoint as dj

INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT)


# After a signal, so long may statements and the hand-back of a key take: a server that hangs answers neither.
LONGEST_FAREWELL = 8.0
# Seconds that a worker which was told to stop has to end, also where it is inside a library that takes no signal.
STOP_SECONDS = 20.0


class Farewell:
    """Ends this process if it is told to stop and cannot, because the server does not answer."""

    def __init__(self, seconds: float = LONGEST_FAREWELL) -> None:
        self._timer = threading.Timer(seconds, _leave)
        self._timer.daemon = True

    def begin(self) -> None:
        """Count from now on; once."""
        if self._timer.ident is None:
            self._timer.start()

    def over(self) -> None:
        """The process ends in order."""
        self._timer.cancel()


def _leave() -> None:
    sys.stderr.write(
        "told to stop, and the server does not answer: ended without handing the key in work back; its lease runs out "
        "within a minute, then the scheduler queues it again\n"
    )
    sys.stderr.flush()
    os._exit(1)


def end_with_parent(pipe: int = 0) -> None:
    """Have this process told to stop (SIGTERM) when its parent ends, however that ends; returns at once.

    The parent alone holds the other end of a pipe, which the system closes as it ends. A parent that ended before is
    noticed at once.

    Parameters
    ----------
    pipe : int
        File descriptor of the end to read; default: standard input.
    """

    def watch() -> None:
        with suppress(OSError):
            while os.read(pipe, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os._exit(1)  # its lease runs out, as of one that was killed

    threading.Thread(target=watch, name="decortex-parent", daemon=True).start()


def nothing() -> None:
    """Do nothing."""


@contextmanager
def postponed(on_signal: Callable[[], None] = nothing) -> Iterator[None]:
    """Hold interruptions back until the block has ended; then they take effect. Main thread only.

    Masking the signals would not do: the kernel hands them to another thread of the process, and Python runs
    the handler in the main thread all the same.

    Parameters
    ----------
    on_signal : callable
        Called at once when an interruption comes that is held back.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        on_signal()

    before = {name: signal.signal(name, remember) for name in INTERRUPTIONS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def whole_statements(connection: dj.Connection, on_signal: Callable[[], None] = nothing) -> Iterator[None]:
    """Let no interruption fall between a statement and its answer, which would end the connection's order.

    A handler that raises there leaves half a packet behind: the next statement reads what belongs to the one
    before, and neither a rollback nor the hand-back of a key can be relied on.

    Parameters
    ----------
    connection : datajoint.Connection
        The one that this process computes with; its main thread alone uses it.
    on_signal : callable
        Called at once when an interruption comes inside a statement.
    """
    query = connection.query

    @wraps(query)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with postponed(on_signal):
            return query(*args, **kwargs)

    connection.query = guarded  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.query = query  # type: ignore[method-assign]
