"""How urgent studies are: their waiting keys go to the front of the queues, or to the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import queue_of, schema
from decortex_schemas.tables import Study

MOST_URGENT, USUAL, LEAST_URGENT = 0, 5, 9
_PARTS = (
    Study.Model,
    Study.Embedding,
    Study.Method,
    Study.Count,
    Study.Restart,
    Study.Subsample,
    Study.Null,
    Study.Finetuning,
)


def set_priority(study: str, priority: int) -> None:
    """Say how urgent a study is; the next round of the scheduler sorts the queues by it.

    Parameters
    ----------
    study : str
        Its name.
    priority : int
        0 (before all others) to 9 (after all others); 5 is usual.

    Raises
    ------
    ConfigError
        If there is no such study, or the number is not one of these.
    """
    if not MOST_URGENT <= priority <= LEAST_URGENT:
        raise ConfigError(f"a priority is {MOST_URGENT} (most urgent) to {LEAST_URGENT}, got {priority}.")
    if not len(Study & {"study": study}):
        raise ConfigError(f"there is no study {study!r}; `decortex study show` lists them.")
    Study.update1({"study": study, "priority": priority})


def apply_priorities(tables: Sequence[type[dj.Computed]], *, usual: int) -> int:
    """Give every waiting key the priority of the most urgent study that asks for it; returns how many changed.

    Parameters
    ----------
    tables : sequence of Computed
        Whose queues.
    usual : int
        Priority of keys that no study with one of its own asks for.
    """
    rows = schema.connection.query(
        f"SELECT study, priority FROM {Study().full_table_name} ORDER BY priority"
    ).fetchall()
    studies = [(str(study), int(priority)) for study, priority in rows]
    special = any(priority != usual for _, priority in studies)
    return sum(_apply(queue_of(table), studies if special else [], usual) for table in tables)


def _apply(queue: Any, studies: list[tuple[str, int]], usual: int) -> int:
    """Bring one queue's priorities up to date; writes only what differs."""
    connection = schema.connection
    odd = connection.query(
        f"SELECT COUNT(*) FROM {queue.full_table_name} WHERE status = 'pending' AND priority != %s",
        args=(usual,),
    ).fetchone()[0]
    if not studies and not odd:
        return 0
    asked, n_named = _asked_by(queue)
    # The most urgent first: CASE takes the first that holds.
    case = " ".join(f"WHEN {asked} THEN {priority:d}" for _, priority in studies)
    case = f"CASE {case} ELSE {usual:d} END" if studies else f"{usual:d}"
    values = [study for study, _ in studies for _ in range(n_named)]
    names = ", ".join(f"`{name}`" for name in queue.primary_key)
    rows = connection.query(
        f"SELECT priority, {case}, {names} FROM {queue.full_table_name} AS q WHERE status = 'pending'",
        args=values,
    ).fetchall()
    where = " AND ".join(f"`{name}` = %s" for name in queue.primary_key)
    changed = 0
    for old, new, *key in rows:
        if int(old) != int(new):
            done = connection.query(
                f"UPDATE {queue.full_table_name} SET priority = %s WHERE {where} AND status = 'pending'",
                args=(int(new), *key),
            )
            changed += int(done.rowcount)
    return changed


def _asked_by(queue: Any) -> tuple[str, int]:
    """Condition that a study asks for a queue's key, and how often it names the study."""
    own = set(queue.primary_key)
    if "study" in own:
        return "q.`study` = %s", 1
    conditions = []
    for part in _PARTS:
        shared = [name for name in part().primary_key if name != "study" and name in own]
        if shared:
            same = " AND ".join(f"part.`{name}` = q.`{name}`" for name in shared)
            conditions.append(
                f"EXISTS (SELECT 1 FROM {part().full_table_name} AS part WHERE part.study = %s AND {same})"
            )
    return (" AND ".join(conditions), len(conditions)) if conditions else ("FALSE", 0)
