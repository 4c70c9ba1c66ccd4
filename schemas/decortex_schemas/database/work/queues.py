"""Filling the queues: what is asked for and missing goes in, in bulk; what nobody asks for any more goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datajoint as dj

from decortex_schemas.database.schema import queue_of

# Keys a statement: a few hundred kilobytes of SQL.
BATCH = 1000


@dataclass(frozen=True)
class Changes:
    """What one refresh changed.

    Parameters
    ----------
    added : int
        Keys newly queued.
    removed : int
        Entries taken out because their key is no longer asked for.
    """

    added: int
    removed: int


def refresh_queue(table: type[dj.Computed], *, priority: int) -> Changes:
    """Bring the queue of one table up to date (`queue_missing`, `drop_gone`); several schedulers may do so at once.

    Parameters
    ----------
    table : type of Computed
        Whose queue.
    priority : int
        Of the new keys; lower is earlier.

    Returns
    -------
    Changes
        Keys added and removed.
    """
    return Changes(queue_missing(table, priority=priority), drop_gone(table))


def queue_missing(table: type[dj.Computed], *, priority: int, studies: Sequence[str] | None = None) -> int:
    """Queue the keys that are asked for and neither computed nor queued; returns how many.

    DataJoint's own ``jobs.refresh()`` does the same with one key per statement, each a commit of its own: 5 ms per key.
    The keys are read without locks and inserted by their primary key, so that no worker waits.

    Parameters
    ----------
    table : type of Computed
        Whose queue.
    priority : int
        Of the new keys; lower is earlier.
    studies : sequence of str, optional
        Only what these ask for, which takes a moment where others ask for 100,000 keys; nothing of a table whose keys
        are not read off studies.
    """
    jobs = queue_of(table)
    source = jobs.target.key_source if studies is None else jobs.target.key_source_of(studies)
    if source is None:
        return 0
    missing = (source - jobs.target.proj()).restrict(dj.Not(jobs), semantic_check=False).proj()
    return _insert(jobs, missing.keys(), priority)


def drop_gone(table: type[dj.Computed]) -> int:
    """Take keys out of the queue that are no longer asked for, or whose parents were deleted; returns how many.

    What somebody has reserved stays.

    Parameters
    ----------
    table : type of Computed
        Whose queue.
    """
    jobs = queue_of(table)
    source = jobs.target.key_source
    gone = (jobs & "status NOT IN ('reserved', 'ignore')").restrict(
        dj.Not(source.proj()), semantic_check=False
    )
    over = gone.restrict(dj.Not(jobs.target.proj()), semantic_check=False).proj()
    return _remove(jobs, over.keys())


def _remove(jobs: Any, keys: list[dict[str, Any]]) -> int:
    """Take keys out of the queue that nobody has reserved meanwhile; returns how many.

    They are read first, without locks: a deletion that looks for them would wait for every worker that is inserting.
    """
    names = jobs.primary_key
    row = f"({', '.join(['%s'] * len(names))})"
    removed = 0
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        done = jobs.connection.query(
            f"DELETE FROM {jobs.full_table_name} WHERE status NOT IN ('reserved', 'ignore') AND "
            f"({', '.join(f'`{name}`' for name in names)}) IN ({', '.join([row] * len(batch))})",
            args=[key[name] for key in batch for name in names],
        )
        removed += int(done.rowcount)
    return removed


def _insert(jobs: Any, keys: list[dict[str, Any]], priority: int) -> int:
    """Queue keys that are not queued yet; returns how many were new."""
    names = jobs.primary_key
    columns = ", ".join(f"`{name}`" for name in names)
    row = f"({', '.join(['%s'] * len(names))}, 'pending', %s)"
    added = 0
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        # A key that another scheduler queued meanwhile is left as it is.
        done = jobs.connection.query(
            f"INSERT IGNORE INTO {jobs.full_table_name} ({columns}, status, priority) "
            f"VALUES {', '.join([row] * len(batch))}",
            args=[value for key in batch for value in (*(key[name] for name in names), priority)],
        )
        added += int(done.rowcount)
    return added
