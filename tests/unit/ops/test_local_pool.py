"""The local pool of workers: one fleet computes what is asked for, also after what is called when all is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from decortex_ops.workers import local_pool, scheduler


class Queue:
    """Keys that sweeps find, and a fleet that computes all of them between two looks."""

    def __init__(self, patch: pytest.MonkeyPatch, waiting: int) -> None:
        self.waiting, self.queued, self.done, self.events = waiting, 0, 0, []
        self.others = False  # whether a worker of somebody else takes all that is queued at once
        for module in (local_pool, scheduler):
            patch.setattr(module, "sweep", self.sweep)
            patch.setattr(module, "progress", self.progress)
        patch.setattr(local_pool, "KeySources", lambda tables: object())
        patch.setattr(local_pool, "computed_tables", list)
        patch.setattr(local_pool, "_fleet", self.fleet)
        patch.setattr(local_pool, "_open_keys", lambda queues: [("queue", "pending")] * bool(self.queued))
        patch.setattr(local_pool.time, "sleep", lambda seconds: self.work())

    def sweep(self, sources: object = None) -> SimpleNamespace:
        self.events.append("all queues are refreshed" if sources is None else "a look")
        if self.queued:
            assert sources is not None  # with work in the queues, not every queue is refreshed
        added, self.waiting = self.waiting, 0
        self.queued += added
        if self.others:
            self.work()
        return SimpleNamespace(added=added, locked=0)

    def progress(self) -> list[dict[str, int]]:
        return [{"done": self.done, "pending": self.queued, "reserved": 0}]

    def work(self) -> None:
        self.events.append(f"computed {self.queued}")
        self.done += self.queued
        self.queued = 0

    @contextmanager
    def fleet(self, workers: int, threads: int) -> Iterator[SimpleNamespace]:
        self.events.append("fleet starts")
        yield SimpleNamespace(keep_running=lambda: None)
        self.events.append("fleet ends")

    def ask(self, n: int) -> None:
        self.events.append("frozen")
        self.waiting = n


def told(queue: Queue) -> list[str]:
    """What was computed and asked for."""
    return [
        event for event in queue.events if event not in ("computed 0", "a look", "all queues are refreshed")
    ]


def test_what_is_asked_for_in_the_end_is_computed_by_the_same_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(monkeypatch, waiting=3)
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(2))
    assert told(queue) == ["fleet starts", "computed 3", "frozen", "computed 2", "fleet ends"]


def test_where_nothing_waits_no_worker_starts_for_the_first_part_but_for_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(monkeypatch, waiting=0)
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(0))
    assert told(queue) == ["frozen"]
    queue.events.clear()
    local_pool.run_until_empty(workers=2, then=lambda: queue.ask(2))
    assert told(queue) == ["frozen", "fleet starts", "computed 2", "fleet ends"]


def test_what_others_computed_while_queues_were_refreshed_is_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker beside takes a key as soon as it is queued: the queues are empty again, and half is still to come."""
    queue = Queue(monkeypatch, waiting=3)
    queue.others, rests_on_these = True, [2]

    def sweep(sources: object = None) -> SimpleNamespace:
        found = queue.sweep(sources)
        queue.waiting = rests_on_these.pop() if rests_on_these else 0
        return found

    for module in (local_pool, scheduler):
        monkeypatch.setattr(module, "sweep", sweep)
    local_pool.run_until_empty(workers=1, then=lambda: queue.ask(0))
    computed = [event for event in told(queue) if not event.startswith("fleet")]
    assert computed == ["computed 3", "computed 2", "frozen"]


@pytest.mark.parametrize("meanwhile", ["queued", "computed", "locked"])
def test_nothing_is_left_only_where_nothing_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Another scheduler queues, or another worker computes, between the two looks; or a queue could not be read."""
    queue = Queue(monkeypatch, waiting=0)
    assert scheduler.nothing_left()

    def sweep() -> SimpleNamespace:
        queue.queued += meanwhile == "queued"
        queue.done += meanwhile == "computed"
        return SimpleNamespace(added=0, locked=int(meanwhile == "locked"))

    monkeypatch.setattr(scheduler, "sweep", sweep)
    assert not scheduler.nothing_left()


def test_all_queues_are_refreshed_before_anything_is_said_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, waiting=3)
    local_pool.run_until_empty(workers=1)
    assert queue.events[-3:] == ["a look", "all queues are refreshed", "fleet ends"]


class Clock:
    """Time that passes by sleeping alone; what waits in the queues by second."""

    def __init__(self, patch: pytest.MonkeyPatch, by_look: list[list[str]]) -> None:
        self.now, self.by_look = 0.0, by_look
        patch.setattr(local_pool, "computed_tables", list)
        patch.setattr(local_pool, "_open_keys", self.look)
        patch.setattr(local_pool, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self, queues: list[str]) -> list[tuple[str, str]]:
        found = self.by_look[0] if len(self.by_look) == 1 else self.by_look.pop(0)
        return [("queue", status) for status in found]


@pytest.mark.parametrize(
    ("by_look", "looks"),
    [
        ([["pending"], ["pending", "reserved"], ["reserved"], []], 3),  # nothing is left
        ([["reserved"] * 2, ["reserved"] * 2, ["reserved"] * 2, ["reserved"]], 3),  # one of two has ended
        ([[]], 1),  # nothing was queued
        ([["pending", "reserved"]], None),  # workers have enough to do
        ([["reserved"]], None),  # one key takes long
        ([["pending"]], None),  # a key that nobody takes
    ],
)
def test_a_round_ends_early_only_where_workers_run_out_of_keys(
    monkeypatch: pytest.MonkeyPatch, by_look: list[list[str]], looks: int | None
) -> None:
    clock = Clock(monkeypatch, by_look)
    local_pool._pause()
    if looks is None:
        assert clock.now >= local_pool.ROUND_SECONDS
    else:
        assert clock.now == pytest.approx(looks * local_pool.LOOK_SECONDS)
