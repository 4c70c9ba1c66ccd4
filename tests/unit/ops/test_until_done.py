"""`decortex work --until-done`: rounds until nothing changes any more, whoever else works; and what is said then."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import decortex_ops.workers
from decortex_ops.cli import run, study
from decortex_ops.workers import WorkSummary
from decortex_schemas import queries


def rounds(patch: pytest.MonkeyPatch, looks: list[tuple[int, int]]) -> int:
    """How many rounds are worked where looks, before and after each, find so many keys (done, reserved)."""
    left, worked = list(looks), []

    def progress() -> list[dict[str, int]]:
        done, reserved = left.pop(0) if len(left) > 1 else left[0]
        return [{"done": done, "pending": 0, "reserved": reserved}]

    patch.setattr(decortex_ops.workers, "sweep", lambda: SimpleNamespace(added=0, locked=0))
    patch.setattr(queries, "progress", progress)
    patch.setattr(run.time, "sleep", lambda seconds: None)

    def work_once() -> WorkSummary:
        worked.append(1)
        return WorkSummary()

    run._until_done(work_once)
    return len(worked)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(5, 0)], 1),  # nothing to do
        ([(5, 1), (6, 0), (6, 0)], 2),  # another worker ended a key: what rests on it comes in another round
        ([(5, 1), (5, 1), (5, 1), (6, 0), (6, 0)], 3),  # it takes long
    ],
)
def test_rounds_go_on_while_others_compute(
    monkeypatch: pytest.MonkeyPatch, looks: list[tuple[int, int]], expected: int
) -> None:
    assert rounds(monkeypatch, looks) == expected


@pytest.mark.parametrize(
    ("pending", "frozen", "said"),
    [
        (
            0,
            [None, "2026"],
            "Not frozen: study 0. `decortex study freeze NAME`, then `decortex work --until-done`",
        ),
        (0, ["2026"], "nothing is left to compute; `decortex answers STUDY`"),
        (3, [None], "waiting: Clustering 3; left to workers with more memory"),
        (0, [None] * 7, "study 0, study 1, study 2, study 3, study 4 and 2 more"),
    ],
)
def test_the_end_says_what_is_to_be_done_next(
    monkeypatch: pytest.MonkeyPatch, pending: int, frozen: list[str | None], said: str
) -> None:
    monkeypatch.setattr(
        queries, "progress", lambda: [{"table": "Clustering", "pending": pending, "reserved": 0}]
    )
    studies = [{"study": f"study {i}", "frozen_at": at} for i, at in enumerate(frozen)]
    monkeypatch.setattr(queries, "studies", lambda: studies)
    assert said in run.what_waits(until_done=True)


@pytest.mark.parametrize(
    ("seconds", "unknown", "said"),
    [
        (12.0, [], "about 12 s of one worker"),
        (600.0, ["TypeCount"], "at least 10 minutes of one worker"),
        (9000.0, [], "about 2.5 hours of one worker"),
        (0.0, ["TypeCount"], "an unknown time of one worker"),
    ],
)
def test_a_forecast_says_how_long_in_a_unit_that_tells(seconds: float, unknown: list[str], said: str) -> None:
    one = {"study": "s", "jobs": 3, "seconds": seconds, "unknown": unknown, "bytes": 0, "file_bytes": 0}
    one |= {"server_free": None, "store_free": None, "holds": None}
    assert said in study._forecast_said(one, "takes")
