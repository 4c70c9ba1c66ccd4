"""The scheduler: refreshes the queues and frees what dead workers held. It computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import datajoint as dj

from decortex_schemas.database import computed_tables, queue_of
from decortex_schemas.leases import dead_reservations, free_reservation
from decortex_schemas.queries import progress

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
        Keys taken back from dead workers.
    """

    added: int
    removed: int
    freed: int


def sweep() -> Sweep:
    """Free dead reservations and queue what is asked for and missing, over all tables in chain order."""
    added = removed = freed = 0
    for table in computed_tables():
        freed += sum(free_reservation(table, key) for key in dead_reservations(table))
        changes = queue_of(table).refresh(delay=-1, priority=PRIORITY)
        added += changes["added"]
        removed += changes["removed"]
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
    retried = 0
    for table in tables:
        jobs = queue_of(table)
        for row in jobs.errors.to_dicts():
            if match in row["error_message"]:
                retried += free_reservation(table, {name: row[name] for name in jobs.primary_key})
    return retried
