"""How urgent studies are: their waiting keys go to the front of the queues, or to the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import queue_of, schema
from decortex_schemas.register.needs import asked_by
from decortex_schemas.tables import Study, require_study

MOST_URGENT, USUAL, LEAST_URGENT = 0, 5, 9
# Keys a statement: a few hundred kilobytes of SQL.
_BATCH = 1000


def set_priority(study: str, priority: int) -> None:
    """Say how urgent a study is; `apply_priorities` sorts the queues by it, as every round of the scheduler does.

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
    require_study(study)
    Study.update1({"study": study, "priority": priority})


def apply_priorities(tables: Sequence[type[dj.Computed]], *, usual: int = USUAL) -> int:
    """Give every waiting key the priority of the most urgent study that asks for it; returns how many changed.

    Parameters
    ----------
    tables : sequence of Computed
        Whose queues.
    usual : int, optional
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
    asked, n_named = asked_by(queue.primary_key)
    # The most urgent first: CASE takes the first that holds.
    case = " ".join(f"WHEN {asked} THEN {priority:d}" for _, priority in studies)
    case = f"CASE {case} ELSE {usual:d} END" if studies else f"{usual:d}"
    values = [study for study, _ in studies for _ in range(n_named)]
    names = ", ".join(f"`{name}`" for name in queue.primary_key)
    rows = connection.query(
        f"SELECT {case} AS wanted, priority, {names} FROM {queue.full_table_name} AS q WHERE status = 'pending' "
        "HAVING wanted != priority",
        args=values,
    ).fetchall()
    by_priority: dict[int, list[tuple[Any, ...]]] = {}
    for wanted, _, *key in rows:
        by_priority.setdefault(int(wanted), []).append(tuple(key))
    changed = 0
    one = f"({', '.join(['%s'] * len(queue.primary_key))})"
    for wanted, keys in by_priority.items():
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            done = connection.query(
                f"UPDATE {queue.full_table_name} SET priority = %s WHERE status = 'pending' AND ({names}) IN "
                f"({', '.join([one] * len(batch))})",
                args=[wanted, *(value for key in batch for value in key)],
            )
            changed += int(done.rowcount)
    return changed
