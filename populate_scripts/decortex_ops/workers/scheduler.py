"""The scheduler: refreshes the queues and frees what dead workers held. It computes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import datajoint as dj
import pymysql

from decortex_ops.workers.job import recover
from decortex_ops.workers.log import Log
from decortex_ops.workers.transient_errors import Patience, trouble_of
from decortex_schemas.database import (
    INTERRUPTED,
    KeySources,
    computed_tables,
    discard_stale_states,
    drop_gone,
    forget_old_leases,
    free_dead_reservations,
    leases_can_be_trusted,
    queue_missing,
    requeue_errors,
    say_program,
    schema,
    tables_to_free,
)
from decortex_schemas.queries import progress
from decortex_schemas.register import apply_priorities

PRIORITY = 5
# Between two looks at the states of interrupted runs, of which those of a month ago are removed.
STATES_SECONDS = 3600.0
# Within a pause, whether somebody has declared something is looked at so often, after a round that did something later:
# what was just written counts as written again.
LOOK_SECONDS, SETTLE_SECONDS = 1.0, 5.0


@dataclass(frozen=True)
class Sweep:
    """What one round did.

    Parameters
    ----------
    added : int
        Keys newly queued.
    removed : int
        Queue entries whose key is no longer asked for.
    freed : int
        Keys taken back from dead workers, and keys whose process was interrupted.
    locked : int
        Tables that were left to the next round, because somebody held a row that the round needed.
    """

    added: int
    removed: int
    freed: int
    locked: int = 0


def sweep(sources: KeySources | None = None) -> Sweep:
    """Free dead reservations and queue what is asked for and missing, over all tables in chain order.

    Parameters
    ----------
    sources : KeySources, optional
        Of the rounds before: queues are left alone whose keys cannot have changed since. Default: all are refreshed.
    """
    freed = _free()
    due = computed_tables() if sources is None else sources.look()
    seconds, locked = dict.fromkeys(due, 0.0), set[type[dj.Computed]]()
    early = {} if sources is None else _queue_new_studies(sources, seconds, locked)
    # What is asked for first: workers wait for it, and for nothing that is no longer.
    added = _over(seconds, locked, lambda table: queue_missing(table, priority=PRIORITY))
    anew = sources is None or sources.studies_changed
    apply_priorities(
        computed_tables() if anew else [table for table in due if added.get(table)], usual=PRIORITY
    )
    removed = _over(seconds, locked, drop_gone)
    if sources is not None:
        for table in seconds:
            sources.refreshed(table, seconds[table])
    return Sweep(sum(early.values()) + sum(added.values()), sum(removed.values()), freed, len(locked))


def _queue_new_studies(
    sources: KeySources, seconds: dict[type[dj.Computed], float], locked: set[type[dj.Computed]]
) -> dict[type[dj.Computed], int]:
    """Queue what new studies ask for; tables whose queues are then up to date are taken out of the round."""
    took = dict.fromkeys(seconds, 0.0)

    def queue(table: type[dj.Computed]) -> int:
        new = sources.new_studies(table)
        return queue_missing(table, priority=PRIORITY, studies=new) if new else 0

    added = _over(took, locked, queue)
    for table in [table for table in took if sources.is_enlarged(table)]:
        sources.refreshed(table, took[table])
        del seconds[table]
    return added


def _over(
    seconds: dict[type[dj.Computed], float],
    locked: set[type[dj.Computed]],
    step: Callable[[type[dj.Computed]], int],
) -> dict[type[dj.Computed], int]:
    """Do one step of a round for every table; one of which a row is locked is left to the next round.

    Parameters
    ----------
    seconds : dict
        What each table has taken so far; what this step takes is added, and tables that are left are taken out.
    locked : set
        Takes the tables that are left.
    step : callable
        Returns how many keys it changed.
    """
    changed = {}
    for table in list(seconds):
        began = time.monotonic()
        try:
            changed[table] = step(table)
        except pymysql.MySQLError as error:
            if trouble_of(error) != "busy":
                raise
            del seconds[table]
            locked.add(table)
            continue
        seconds[table] += time.monotonic() - began
    return changed


def _free() -> int:
    """Take back what dead workers held, and keys whose process was interrupted; returns how many."""
    freed = 0
    trusted = leases_can_be_trusted()
    forget_old_leases()
    for table in tables_to_free(computed_tables()):
        try:
            freed += free_dead_reservations(table) if trusted else 0
            freed += requeue_errors(table, INTERRUPTED)
        except pymysql.MySQLError as error:
            if trouble_of(error) != "busy":
                raise
    return freed


def keep_sweeping(every: float | None, log: Log) -> None:
    """Sweep once, or a round every so many seconds, until interrupted; a server that is away is waited for.

    Parameters
    ----------
    every : float, optional
        Seconds between rounds; None: one round.
    log : Log
        Takes what was done.

    Raises
    ------
    OperationError
        If the server does not come back within an hour.
    """
    patience = Patience(3600.0)
    sources: KeySources | None = None
    cleaned = -math.inf
    while True:
        try:
            if time.monotonic() - cleaned > STATES_SECONDS:
                discard_stale_states()
                cleaned = time.monotonic()
            if every is not None:
                say_program("scheduler")
                sources = KeySources(computed_tables()) if sources is None else sources
            found = sweep(sources)
        except Exception as error:
            trouble = trouble_of(error)
            if every is None or trouble is None:
                raise
            log("trouble", f"{trouble}: {error.__class__.__name__}: {error}; waiting", trouble=trouble)
            recover(schema.connection, trouble, error, patience)
            sources = None  # the server may have started anew, and forgotten when its tables were written to
            continue
        patience.calm()
        if every is None or found.added or found.removed or found.freed:
            log(
                "swept",
                f"{found.added} queued, {found.removed} removed, {found.freed} freed",
                **asdict(found),
            )
        if every is None or sources is None:
            return
        _pause(every, sources)


def _pause(every: float, sources: KeySources) -> None:
    """Wait until the next round is due, or somebody declares something."""
    now = time.monotonic()
    end, settled = now + every, now + (0.0 if sources.idle else SETTLE_SECONDS)
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        try:
            if time.monotonic() >= settled and sources.declared():
                return
        except Exception as error:
            if trouble_of(error) is None:
                raise
            return  # the next round meets it, and waits


def queues_empty() -> bool:
    """Whether no key is pending or reserved."""
    return _are_empty(progress())


def _are_empty(rows: Sequence[Mapping[str, Any]]) -> bool:
    return all(row["pending"] == 0 and row["reserved"] == 0 for row in rows)


def nothing_left() -> bool:
    """Refresh all queues; returns whether nothing waits, nothing is in work and no key can appear any more.

    Other workers and schedulers may run beside: a key that one of them queued or computed while the queues were
    refreshed shows in the rows, and what rests on it is still to be queued.
    """
    before = progress()
    if not _are_empty(before):
        return False
    found = sweep()
    return not (found.added or found.locked) and progress() == before


def retry_failed(tables: Sequence[type[dj.Computed]], *, match: str = "") -> int:
    """Queue failed keys again; returns how many.

    Parameters
    ----------
    tables : sequence of Computed
        Whose failures.
    match : str
        Only errors whose message holds this text, case and all.
    """
    return sum(
        requeue_errors(table, "LOCATE(%s, error_message) > 0 OR %s = ''", (match, match)) for table in tables
    )
