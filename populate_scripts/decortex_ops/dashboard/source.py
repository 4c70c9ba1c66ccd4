"""Where pages get rows from: questions answered once for all viewers who ask the same at the same time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from decortex_schemas import queries

P = ParamSpec("P")
T = TypeVar("T")
KEPT_SECONDS = 5.0
MOST_KEPT = 256
# A declared study, registered neurons and names of a table never change.
LASTING: tuple[Callable[..., Any], ...] = (
    queries.choices,
    queries.neurons,
    queries.study_tables,
    queries.feature_names,
)
LASTING_SECONDS = 600.0


class Source(Protocol):
    """Asks a question of the read layer."""

    def __call__(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer of a question."""
        ...


class CachedSource:
    """Keeps answers for some seconds; viewers who ask the same meanwhile wait for one answer.

    An answer depends on the question alone, never on who asks: every viewer reads as the same database user.

    Parameters
    ----------
    seconds : float
        How long an answer is kept.
    most : int
        How many are.
    """

    def __init__(self, *, seconds: float = KEPT_SECONDS, most: int = MOST_KEPT) -> None:
        self._seconds = seconds
        self._most = most
        self._guard = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._asking: dict[str, threading.Lock] = {}

    def __call__(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer of a question, at most some seconds old."""
        key = f"{question.__module__}.{question.__qualname__}{args!r}{sorted(kwargs.items())!r}"
        seconds = LASTING_SECONDS if question in LASTING else self._seconds
        with self._guard:
            known = self._fresh(key, seconds)
            if known is not None:
                return known[0]  # type: ignore[no-any-return]
            turn = self._asking.setdefault(key, threading.Lock())
        with turn:
            with self._guard:
                known = self._fresh(key, seconds)
            if known is not None:
                return known[0]  # type: ignore[no-any-return]
            answer = question(*args, **kwargs)
            with self._guard:
                self._kept[key] = (time.monotonic(), answer)
                self._kept.move_to_end(key)
                self._asking.pop(key, None)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return answer

    def _fresh(self, key: str, seconds: float) -> tuple[Any] | None:
        found = self._kept.get(key)
        if found is None or time.monotonic() - found[0] > seconds:
            return None
        return (found[1],)
