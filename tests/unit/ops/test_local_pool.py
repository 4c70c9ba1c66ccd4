"""The local pool of workers: one fleet computes what is asked for, also after what is called when all is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from decortex_ops.workers import local_pool


class Queue:
    """Keys that sweeps find, and a fleet that computes all of them between two looks."""

    def __init__(self, patch: pytest.MonkeyPatch, waiting: int) -> None:
        self.waiting, self.queued, self.events = waiting, 0, []
        patch.setattr(local_pool, "sweep", self.sweep)
        patch.setattr(local_pool, "progress", lambda: [{"pending": self.queued, "reserved": 0}])
        patch.setattr(local_pool, "KeySources", lambda tables: object())
        patch.setattr(local_pool, "computed_tables", list)
        patch.setattr(local_pool, "queues_empty", lambda: self.queued == 0)
        patch.setattr(local_pool, "_fleet", self.fleet)
        patch.setattr(local_pool.time, "sleep", lambda seconds: self.work())

    def sweep(self, sources: object = None) -> SimpleNamespace:
        if self.queued:
            assert sources is not None  # with work in the queues, not every queue is refreshed
        added, self.waiting = self.waiting, 0
        self.queued += added
        return SimpleNamespace(added=added)

    def work(self) -> None:
        self.events.append(f"computed {self.queued}")
        self.queued = 0

    @contextmanager
    def fleet(self, workers: int, threads: int) -> Iterator[SimpleNamespace]:
        self.events.append("fleet starts")
        yield SimpleNamespace(keep_running=lambda: None)
        self.events.append("fleet ends")

    def ask(self, n: int) -> None:
        self.events.append("frozen")
        self.waiting = n


def test_what_is_asked_for_in_the_end_is_computed_by_the_same_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(monkeypatch, waiting=3)
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(2))
    done = [event for event in queue.events if event != "computed 0"]
    assert done == ["fleet starts", "computed 3", "frozen", "computed 2", "fleet ends"]


def test_where_nothing_waits_no_worker_starts_for_the_first_part_but_for_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(monkeypatch, waiting=0)
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(0))
    assert queue.events == ["frozen"]
    queue.events.clear()
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(2))
    done = [event for event in queue.events if event != "computed 0"]
    assert done == ["frozen", "fleet starts", "computed 2", "fleet ends"]
