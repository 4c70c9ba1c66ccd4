"""Which key a worker takes next: the most urgent, then the earliest in the chain, that it can compute."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import datajoint as dj

from decortex_schemas.database import instance_of

# Keys taken from one queue before all queues are looked at again.
BATCH = 8
# Keys looked at for a batch: workers that look at once try them in different orders.
LOOK = 4 * BATCH

Key = dict[str, Any]
# Why a key is left to another worker; None where this one takes it.
Judge = Callable[[dj.Computed, Key], str | None]


class Queues:
    """The queues that one worker takes from.

    Parameters
    ----------
    tables : sequence of Computed
        In chain order.
    judge : callable
        Says why a key is left to others.
    on_left : callable
        Takes the table, a key that is left, and why; once per key.
    order : random.Random
        Order in which keys of equal priority are tried.
    """

    def __init__(
        self,
        tables: Sequence[type[dj.Computed]],
        *,
        judge: Judge,
        on_left: Callable[[dj.Computed, Key, str], None],
        order: random.Random,
    ) -> None:
        self.tables = [instance_of(table) for table in tables]
        self._judge = judge
        self._on_left = on_left
        self._order = order
        self._left: dict[str, set[tuple[Any, ...]]] = {table.table_name: set() for table in self.tables}
        self._question = " UNION ALL ".join(
            f"SELECT {i} AS i, MIN(priority) AS p FROM {table.jobs.full_table_name} WHERE status = 'pending' "
            "AND scheduled_time <= CURRENT_TIMESTAMP(3)"
            for i, table in enumerate(self.tables)
        )

    def next_keys(self) -> tuple[dj.Computed, list[Key]] | None:
        """Keys of one table to try, most urgent first; None where there is nothing to do."""
        for table in self._in_order():
            keys = list(self._of(table))
            if keys:
                return table, keys
        return None

    def _in_order(self) -> Iterator[dj.Computed]:
        """Tables that have pending keys, by their most urgent key and then by the chain."""
        rows = self.tables[0].connection.query(
            f"SELECT i, p FROM ({self._question}) AS q WHERE p IS NOT NULL"
        )
        for i, _ in sorted(((int(i), int(p)) for i, p in rows.fetchall()), key=lambda row: (row[1], row[0])):
            yield self.tables[i]

    def _of(self, table: dj.Computed) -> Iterator[Key]:
        left = self._left[table.table_name]
        names = table.jobs.primary_key
        columns = ", ".join(f"`{name}`" for name in names)
        rows = table.connection.query(
            f"SELECT priority, {columns} FROM {table.jobs.full_table_name} WHERE status = 'pending' AND "
            "scheduled_time <= CURRENT_TIMESTAMP(3) ORDER BY priority, scheduled_time "
            f"LIMIT {LOOK + len(left)}"
        ).fetchall()
        shuffled = sorted(
            ((int(row[0]), self._order.random(), tuple(row[1:])) for row in rows), key=lambda r: r[:2]
        )
        for _, _, values in shuffled:
            if values in left:
                continue
            key = dict(zip(names, values, strict=True))
            reason = self._judge(table, key)
            if reason is None:
                yield key
            else:
                left.add(values)
                self._on_left(table, key, reason)
