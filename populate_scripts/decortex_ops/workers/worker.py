"""One worker: takes keys from the queues until it is told to stop. Queues are the scheduler's."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import datajoint as dj
import pymysql

from decortex.errors import ConfigError, OperationError
from decortex_ops.workers.job import make_key, recover
from decortex_ops.workers.job_queue import BATCH, Queues
from decortex_ops.workers.log import Log, silent
from decortex_ops.workers.resources import Limits, reason_to_leave
from decortex_ops.workers.signals import INTERRUPTIONS, Farewell, whole_statements
from decortex_ops.workers.transient_errors import Patience, Trouble, trouble_of
from decortex_schemas.database import computed_tables, hand_back, queue_of, reserve, say_program, schema

POLL_SECONDS = 0.5
# How long a server may be away or a store full before a worker gives up.
PATIENCE_SECONDS = 3600.0


@dataclass
class WorkSummary:
    """What one worker did.

    Parameters
    ----------
    done : int
        Keys computed.
    failed : list of str
        One line per key that ended in an error (kept in the queue with its traceback), or whose late result was
        dropped.
    gone : int
        Keys that had lost their parents, or that no study asks for any more; dropped from the queue.
    left : int
        Keys left to others, because they need more than this worker has.
    handed_back : int
        Keys returned to the queue by an interruption.
    interrupted : bool
        Whether a signal ended the worker.
    """

    done: int = 0
    failed: list[str] = field(default_factory=list)
    gone: int = 0
    left: int = 0
    handed_back: int = 0
    interrupted: bool = False


def choose_tables(names: Sequence[str] | None) -> list[type[dj.Computed]]:
    """Computed tables by name, in chain order; all of them where no name is given.

    A name may be several with commas between them.

    Raises
    ------
    ConfigError
        If a name is not a computed table.
    """
    tables = computed_tables()
    if not names:
        return tables
    known = {table.__name__ for table in tables}
    names = [one.strip() for name in names for one in name.split(",") if one.strip()]
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
    limits: Limits | None = None,
    patience: float = PATIENCE_SECONDS,
    report: Callable[[str], None] = silent,
    log: Log | None = None,
    why_down: Callable[[], str] = str,
) -> WorkSummary:
    """Compute queued keys until interrupted, idle or done.

    Parameters
    ----------
    tables : sequence of Computed
        Which queues, in the order in which equally urgent keys are taken.
    max_calls : int, optional
        Stop after this many keys.
    stop_when_idle : float, optional
        Stop when there was nothing to do for this many seconds; default: wait for ever.
    limits : Limits, optional
        What this worker has; keys that need more are left to others. Default: no limit.
    patience : float
        Seconds that the server may be away, or the store full, before the worker gives up. What it has computed
        is kept meanwhile and inserted afterwards.
    report : callable
        Takes one line of text an event, where no ``log`` is given.
    log : Log, optional
        Takes every event.
    why_down : callable
        Says why the server is away and how it comes back, where that is known; else an empty text.

    Returns
    -------
    WorkSummary
        SIGTERM and SIGINT end the worker between two instructions, never inside a statement of SQL; the key in
        work goes back to the queue. If the server does not answer, the process ends within ten seconds, and the
        key's lease runs out.

    Raises
    ------
    OperationError
        If the surroundings do not recover in time.
    """
    _told.clear()
    worker = _Worker(tables, limits or Limits(), patience, log=log or Log(report), why_down=why_down)
    farewell = Farewell()

    def leave(number: int, frame: FrameType | None) -> None:
        farewell.begin()
        _exit(number, frame)

    # populate() installs the same for SIGTERM while it runs; SIGINT must not be KeyboardInterrupt, which it
    # would keep as an error of the key.
    before = {name: signal.signal(name, leave) for name in INTERRUPTIONS}
    try:
        with whole_statements(schema.connection, farewell.begin):
            worker.run(max_calls, stop_when_idle)
    except BaseException as error:
        for name in before:
            signal.signal(name, signal.SIG_IGN)  # the hand-back is not interrupted a second time
        worker.hand_back()
        if not (isinstance(error, SystemExit) or _told):
            raise
        worker.summary.interrupted = True
    finally:
        farewell.over()
        for name, handler in before.items():
            signal.signal(name, handler)
    return worker.summary


_told: list[int] = []


def _exit(number: int, frame: FrameType | None) -> None:
    _told.append(number)
    raise SystemExit(f"{signal.Signals(number).name} received")


class _Worker:
    def __init__(
        self,
        tables: Sequence[type[dj.Computed]],
        limits: Limits,
        patience: float,
        *,
        log: Log,
        why_down: Callable[[], str],
    ) -> None:
        self.summary = WorkSummary()
        self._tables = tables
        self._limits = limits
        self._patience = Patience(patience)
        self._log = log
        self._why_down = why_down
        self._told = ""

    def run(self, max_calls: int | None, stop_when_idle: float | None) -> None:
        names = [table.__name__ for table in self._tables]
        say_program("worker")
        self._log("started", "", tables=names, limits=str(self._limits))
        queues = self._open_queues()
        idle_since = time.monotonic()
        while max_calls is None or self._calls() < max_calls:
            left = BATCH if max_calls is None else min(BATCH, max_calls - self._calls())
            if self._one_batch(queues, left):
                idle_since = time.monotonic()
            elif stop_when_idle is not None and time.monotonic() - idle_since > stop_when_idle:
                break
            else:
                time.sleep(POLL_SECONDS)
        self._log("stopped", "", done=self.summary.done, failed=len(self.summary.failed))

    def _open_queues(self) -> Queues:
        """The queues to take from; a server that goes away meanwhile is waited for, as later."""
        while True:
            try:
                return Queues(
                    self._tables,
                    judge=self._judge,
                    on_left=self._on_left,
                    order=random.Random(os.urandom(8)),
                )
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                self._recover(trouble, error)

    def _recover(self, trouble: Trouble, error: Exception) -> None:
        self._on_trouble(trouble, error)
        recover(schema.connection, trouble, error, self._patience)

    def hand_back(self) -> None:
        """Hand back what this process holds; if the server is away, its lease runs out."""
        try:
            self.summary.handed_back = hand_back([queue_of(table).full_table_name for table in self._tables])
        except pymysql.MySQLError as error:
            self._log(
                "not handed back", f"the key in work could not be handed back ({error}); its lease runs out"
            )
        else:
            self._log("interrupted", "", handed_back=self.summary.handed_back)

    def _calls(self) -> int:
        return self.summary.done + len(self.summary.failed)

    def _one_batch(self, queues: Queues, limit: int) -> bool:
        """Work on keys of one table; returns whether any was computed or dropped."""
        try:
            found = queues.next_keys()
            if found is None:
                self._patience.calm()
                return False
            table, keys = found
            before, gone = (self.summary.done, len(self.summary.failed)), self.summary.gone
            for key in keys:
                if reserve(table, key):
                    self._make(table, key)
                done, failed = self.summary.done - before[0], len(self.summary.failed) - before[1]
                if done + failed >= limit:
                    break
        except OperationError:
            raise  # waited for in vain
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            self._recover(trouble, error)
            # A reservation whose answer was lost is nobody's: no key is in work here.
            self.hand_back()
            return True
        if done or failed:
            name = type(table).__name__
            self._log("batch", f"{name}: {done} done" + (f", {failed} failed" if failed else ""), table=name)
        return bool(done or failed or self.summary.gone > gone)

    def _make(self, table: dj.Computed, key: dict[str, Any]) -> None:
        name, began = type(table).__name__, time.monotonic()
        outcome = make_key(table, key, patience=self._patience, on_trouble=self._on_trouble)
        if outcome.kind == "made":
            self.summary.done += 1
        elif outcome.kind == "gone":
            self.summary.gone += 1
        elif outcome.kind != "there":
            self.summary.failed.append(f"{name} {dict(key)}: {outcome.message}")
        self._log(
            outcome.kind,
            f"dropped from the queue: {name} {dict(key)}: {outcome.message}"
            if outcome.kind == "gone"
            else "",
            table=name,
            key=key,
            seconds=round(time.monotonic() - began, 3),
            **({"error": outcome.message} if outcome.message else {}),
        )

    def _judge(self, table: dj.Computed, key: dict[str, Any]) -> str | None:
        return reason_to_leave(table, key, self._limits)

    def _on_left(self, table: dj.Computed, key: dict[str, Any], reason: str) -> None:
        self.summary.left += 1
        name = type(table).__name__
        self._log("left", f"left to others: {name} {key}: {reason}", table=name, key=key, reason=reason)

    def _on_trouble(self, trouble: Trouble, error: BaseException) -> None:
        said = f"{error.__class__.__name__}: {error}"
        why = self._why_down() if trouble == "database" else ""
        self._log(
            "trouble",
            f"{trouble}: {said}; waiting",
            trouble=trouble,
            error=said,
            **({"why": why} if why else {}),
        )
        if why and why != self._told:
            self._log("server down", why)
        self._told = why
