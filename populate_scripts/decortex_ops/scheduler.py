"""The scheduler: refreshes the queues and frees what dead workers held. It computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import datajoint as dj

from decortex_schemas.database import computed_tables
from decortex_schemas.leases import (
    INTERRUPTED,
    forget_old_leases,
    free_dead_reservations,
    leases_can_be_trusted,
    requeue_errors,
)
from decortex_schemas.queries import progress
from decortex_schemas.queues import refresh_queue
from decortex_schemas.states import discard_stale_states

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
        freed += free_dead_reservations(table) if trusted else 0
        freed += requeue_errors(table, INTERRUPTED)
        changes = refresh_queue(table, priority=PRIORITY)
        added += changes.added
        removed += changes.removed
    return Sweep(added, removed, freed)


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
