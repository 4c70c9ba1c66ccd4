"""Signals that wait for a query: a worker is interrupted between two statements, never inside one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any

import datajoint as dj

INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def postponed() -> Iterator[None]:
    """Hold interruptions back until the block has ended; then they take effect. Main thread only.

    Masking the signals would not do: the kernel hands them to another thread of the process, and Python runs
    the handler in the main thread all the same.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {name: signal.signal(name, remember) for name in INTERRUPTIONS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def whole_statements(connection: dj.Connection) -> Iterator[None]:
    """Let no interruption fall between a statement and its answer, which would end the connection's order.

    A handler that raises there leaves half a packet behind: the next statement reads what belongs to the one
    before, and neither a rollback nor the hand-back of a key can be relied on.

    Parameters
    ----------
    connection : datajoint.Connection
        The one that this process computes with; its main thread alone uses it.
    """
    query = connection.query

    @wraps(query)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with postponed():
            return query(*args, **kwargs)

    connection.query = guarded  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.query = query  # type: ignore[method-assign]
