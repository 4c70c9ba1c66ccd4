"""One answer for all who ask the same: kept for a while, never mixed up, and asked once under threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from decortex_ops.dashboard import CachedSource
from decortex_ops.dashboard import source as source_module


def test_an_answer_is_kept_and_then_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of the test's own: the machine may stop between two questions."""
    asked: list[int] = []
    clock = [100.0]
    monkeypatch.setattr(source_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def question(value: int, *, more: int = 0) -> int:
        asked.append(value)
        return value + more

    source = CachedSource(seconds=0.05)
    assert [source(question, 1), source(question, 1), source(question, 1, more=1), source(question, 2)] == [
        1,
        1,
        2,
        2,
    ]
    assert asked == [1, 1, 2]
    clock[0] += 0.06
    assert source(question, 2) == 2
    assert asked == [1, 1, 2, 2]


def test_viewers_who_ask_at_once_wait_for_one_answer() -> None:
    asked: list[int] = []
    gate = threading.Event()

    def slow() -> str:
        asked.append(1)
        gate.wait(120)
        return "answer"

    source = CachedSource()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(source, slow) for _ in range(8)]
        while not asked:
            time.sleep(0.001)
        gate.set()
        assert {one.result(120) for one in answers} == {"answer"}
    assert len(asked) == 1


def test_an_error_is_not_kept() -> None:
    turns: list[int] = []

    def fails_once() -> str:
        turns.append(1)
        if len(turns) == 1:
            raise OSError("gone")
        return "back"

    source = CachedSource()
    with pytest.raises(OSError, match="gone"):
        source(fails_once)
    assert source(fails_once) == "back"


def test_old_answers_make_room() -> None:
    asked: list[int] = []

    def question(value: int) -> int:
        asked.append(value)
        return value

    source = CachedSource(most=2)
    for value in (1, 2, 3, 1):
        source(question, value)
    assert asked == [1, 2, 3, 1]
