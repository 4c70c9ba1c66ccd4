"""Which queues can have new or stale keys: those whose keys come from a table that was written to meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import datajoint as dj

from decortex_schemas.database.schema import instance_of, schema

# All queues are refreshed this often whatever the server says of its tables: it forgets when they were written to as it
# restarts, or as it needs the memory.
FULL_SECONDS = 600.0
# A queue that only computed rows have changed is refreshed for at most this share of the time.
LARGEST_SHARE = 0.2
STUDY = "study"
_UNKNOWN = object()


class KeySources:
    """Remembers when the tables that keys come from were written to, and names the queues that this concerns.

    A round in which nothing was written costs one statement. What somebody declares (a study, a network) is queued in
    the next round; rows that workers compute are looked for less often the longer that takes. `idle` says whether the
    last look found nothing to refresh.

    Parameters
    ----------
    tables : sequence of Computed
        Whose queues.
    """

    def __init__(self, tables: Sequence[type[dj.Computed]]) -> None:
        self._tables = list(tables)
        self._sources = {table.__name__: sources_of(table) for table in tables}
        self._seen: dict[str, dict[str, datetime | None]] = {}
        self._rest_until: dict[str, float] = {}
        self._full_at = 0.0
        self._studies: object = _UNKNOWN
        self._written: dict[str, datetime | None] = {}
        self._by_study = {table.__name__ for table in tables if _is_read_off_studies(table)}
        self._declared: frozenset[tuple[Any, ...]] = frozenset()
        self._declared_then: dict[str, frozenset[tuple[Any, ...]]] = {}
        self.studies_changed = True
        self.idle = False

    def look(self) -> list[type[dj.Computed]]:
        """Tables whose queues are to be refreshed in this round, in chain order; say `refreshed` of each."""
        now = time.monotonic()
        self._written = _written()
        if now >= self._full_at:
            self._seen, self._rest_until, self._full_at = {}, {}, now + FULL_SECONDS
            self._studies = _UNKNOWN
        studies = self._written.get(STUDY)
        self.studies_changed = studies != self._studies
        self._studies = studies
        if self.studies_changed:
            self._declared = _studies()
        due = [table for table in self._tables if self._is_due(table.__name__, now)]
        self.idle = not due
        return due

    def new_studies(self, table: type[dj.Computed]) -> tuple[str, ...]:
        """Studies that were declared since a queue was refreshed, of a table whose keys are read off studies."""
        then = self._declared_then.get(table.__name__)
        if then is None or table.__name__ not in self._by_study:
            return ()
        return tuple(sorted({str(row[0]) for row in self._declared - then}))

    def is_enlarged(self, table: type[dj.Computed]) -> bool:
        """Whether a queue lacks nothing but what `new_studies` ask for: only these were written since it was refreshed.

        The parts of a study do not change once it is declared.
        """
        name = table.__name__
        seen, then = self._seen.get(name), self._declared_then.get(name)
        return (
            seen is not None
            and then is not None
            and name in self._by_study
            and then <= self._declared
            and all(
                source == STUDY or source.startswith(f"{STUDY}__")
                for source in self._sources[name]
                if seen[source] != self._written.get(source)
            )
        )

    def declared(self) -> bool:
        """Whether somebody has declared something since the queues were refreshed, for which a round need not wait."""
        written = _written()
        return any(
            at != written.get(source)
            for seen in self._seen.values()
            for source, at in seen.items()
            if not source.startswith("__")
        )

    def refreshed(self, table: type[dj.Computed], seconds: float) -> None:
        """Note that one queue is as of the last look, and how long that took."""
        name = table.__name__
        self._seen[name] = {source: self._written.get(source) for source in self._sources[name]}
        self._declared_then[name] = self._declared
        self._rest_until[name] = time.monotonic() + seconds * (1 / LARGEST_SHARE - 1)

    def _is_due(self, name: str, now: float) -> bool:
        seen = self._seen.get(name)
        if seen is None:
            return True
        changed = {
            source for source in self._sources[name] if seen[source] != self._written.get(source, None)
        }
        declared = any(not source.startswith("__") for source in changed)
        return bool(changed) and (declared or now >= self._rest_until.get(name, 0.0))


def _is_read_off_studies(table: type[dj.Computed]) -> bool:
    """Whether a table can say which keys some studies ask for."""
    narrowed = getattr(instance_of(table), "key_source_of", None)
    return narrowed is not None and narrowed(("",)) is not None


def _studies() -> frozenset[tuple[Any, ...]]:
    """Name, plan and time of every study."""
    return frozenset(
        schema.connection.query(
            f"SELECT study, plan_sha256, created_at FROM `{schema.database}`.`{STUDY}`"
        ).fetchall()
    )


def sources_of(table: type[dj.Computed]) -> frozenset[str]:
    """Names of the tables that decide which keys of a computed table are asked for and missing; itself among them."""
    instance: Any = instance_of(table)
    named = re.findall(rf"`{re.escape(schema.database)}`\.`([^`]+)`", instance.key_source.make_sql())
    return frozenset([*named, instance.table_name])


def _written() -> dict[str, datetime | None]:
    """When each table was last written to, by the server's clock, which counts seconds.

    A table that may be written to once more in the same second counts as written to at another time at every look.
    """
    connection = schema.connection
    connection.query("SET SESSION information_schema_stats_expiry = 0")
    rows: Iterable[tuple[str, datetime | None, int | None]] = connection.query(
        "SELECT table_name, update_time, TIMESTAMPDIFF(SECOND, update_time, CURRENT_TIMESTAMP) "
        "FROM information_schema.tables WHERE table_schema = %s AND table_name NOT LIKE '~%%'",
        args=(schema.database,),
    ).fetchall()
    return {
        name: at if at is None or age is None or age > 1 else datetime.fromtimestamp(time.time())
        for name, at, age in rows
    }
