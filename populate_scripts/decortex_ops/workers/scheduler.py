"""The scheduler: refreshes the queues and frees what dead workers held. It computes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import datajoint as dj
import pymysql

from decortex_ops.workers.job import recover
from decortex_ops.workers.log import Log
from decortex_ops.workers.transient_errors import Patience, trouble_of
from decortex_schemas.database import (
    INTERRUPTED,
    computed_tables,
    discard_stale_states,
    forget_old_leases,
    free_dead_reservations,
    leases_can_be_trusted,
    refresh_queue,
    requeue_errors,
    schema,
)
from decortex_schemas.queries import progress
from decortex_schemas.register import apply_priorities

PRIORITY = 5


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
    """

    added: int
    removed: int
    freed: int


def sweep() -> Sweep:
    """Free dead reservations and queue what is asked for and missing, over all tables in chain order."""
    added = removed = freed = 0
    trusted = leases_can_be_trusted()
    forget_old_leases()
    discard_stale_states()
    for table in computed_tables():
        try:
            freed += free_dead_reservations(table) if trusted else 0
            freed += requeue_errors(table, INTERRUPTED)
            changes = refresh_queue(table, priority=PRIORITY)
        except pymysql.MySQLError as error:
            if trouble_of(error) != "busy":
                raise
            continue  # a row is locked; the next round comes to it again
        added += changes.added
        removed += changes.removed
    apply_priorities(computed_tables(), usual=PRIORITY)
    return Sweep(added, removed, freed)


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
    while True:
        try:
            found = sweep()
        except Exception as error:
            trouble = trouble_of(error)
            if every is None or trouble is None:
                raise
            log("trouble", f"{trouble}: {error.__class__.__name__}: {error}; waiting", trouble=trouble)
            recover(schema.connection, trouble, error, patience)
            continue
        patience.calm()
        if every is None or found.added or found.removed or found.freed:
            log(
                "swept",
                f"{found.added} queued, {found.removed} removed, {found.freed} freed",
                **asdict(found),
            )
        if every is None:
            return
        time.sleep(every)


def queues_empty() -> bool:
    """Whether no key is pending or reserved."""
    return all(row["pending"] == 0 and row["reserved"] == 0 for row in progress())


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
