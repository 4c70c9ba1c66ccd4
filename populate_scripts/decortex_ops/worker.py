"""One worker: takes keys from the queues in chain order until it is told to stop. Queues are the scheduler's."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_ops.interruption import INTERRUPTIONS, whole_statements
from decortex_schemas.database import computed_tables, instance_of, queue_of
from decortex_schemas.leases import hand_back

POLL_SECONDS = 0.5
# Keys taken from one queue before the upstream queues are looked at again.
BATCH = 8


@dataclass
class WorkSummary:
    """What one worker did.

    Parameters
    ----------
    done : int
        Keys computed.
    failed : list of str
        One line a key that ended in an error (kept in the queue with its traceback).
    handed_back : int
        Keys returned to the queue by an interruption.
    interrupted : bool
        Whether a signal ended the worker.
    """

    done: int = 0
    failed: list[str] = field(default_factory=list)
    handed_back: int = 0
    interrupted: bool = False


def choose_tables(names: Sequence[str] | None) -> list[type[dj.Computed]]:
    """Computed tables by name, in chain order; all of them where no name is given.

    Raises
    ------
    ConfigError
        If a name is not a computed table.
    """
    tables = computed_tables()
    if not names:
        return tables
    known = {table.__name__ for table in tables}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ConfigError(
            f"no computed table {', '.join(unknown)}; there are {', '.join(t.__name__ for t in tables)}."
        )
    return [table for table in tables if table.__name__ in names]


def work(
    tables: Sequence[type[dj.Computed]],
    *,
    max_calls: int | None = None,
    stop_when_idle: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> WorkSummary:
    """Compute queued keys until interrupted, idle or done.

    Parameters
    ----------
    tables : sequence of Computed
        Which queues, in the order in which they are looked at.
    max_calls : int, optional
        Stop after this many keys.
    stop_when_idle : float, optional
        Stop when no key was pending for this many seconds; default: wait for ever.
    report : callable
        Takes one line of text for every batch of keys.

    Returns
    -------
    WorkSummary
        SIGTERM and SIGINT end the worker between two instructions, never inside a statement of SQL; the key in
        work goes back to the queue.
    """
    summary = WorkSummary()
    _told.clear()
    queues = [queue_of(table).full_table_name for table in tables]
    # populate() installs the same for SIGTERM while it runs; SIGINT must not be KeyboardInterrupt, which it
    # would keep as an error of the key.
    before = {name: signal.signal(name, _exit) for name in INTERRUPTIONS}
    try:
        with whole_statements(instance_of(tables[0]).connection):
            _loop(tables, summary, max_calls, stop_when_idle, report)
    except BaseException as error:
        for name in before:
            signal.signal(name, signal.SIG_IGN)  # the hand-back is not interrupted a second time
        summary.handed_back = hand_back(queues)
        if not (isinstance(error, SystemExit) or _told):
            raise
        summary.interrupted = True
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    return summary


_told: list[int] = []


def _exit(number: int, frame: FrameType | None) -> None:
    _told.append(number)
    raise SystemExit(f"{signal.Signals(number).name} received")


def _loop(
    tables: Sequence[type[dj.Computed]],
    summary: WorkSummary,
    max_calls: int | None,
    stop_when_idle: float | None,
    report: Callable[[str], None],
) -> None:
    idle_since = time.monotonic()
    while max_calls is None or summary.done + len(summary.failed) < max_calls:
        left = BATCH if max_calls is None else min(BATCH, max_calls - summary.done - len(summary.failed))
        if _one_batch(tables, summary, left, report):
            idle_since = time.monotonic()
        elif stop_when_idle is not None and time.monotonic() - idle_since > stop_when_idle:
            return
        else:
            time.sleep(POLL_SECONDS)


def _one_batch(
    tables: Sequence[type[dj.Computed]], summary: WorkSummary, limit: int, report: Callable[[str], None]
) -> bool:
    """Work on the first table that has a pending key; returns whether anything was computed."""
    for table in tables:
        if not queue_of(table).pending:
            continue
        outcome: dict[str, Any] = instance_of(table).populate(
            reserve_jobs=True, refresh=False, suppress_errors=True, max_calls=limit
        )
        done, errors = int(outcome["success_count"]), outcome["error_list"]
        summary.done += done
        summary.failed += [f"{table.__name__} {dict(key)}: {message}" for key, message in errors]
        if done or errors:
            report(f"{table.__name__}: {done} done" + (f", {len(errors)} failed" if errors else ""))
            return True
    return False
