"""Columns of all tables of a database, read in four statements; what they mean to DataJoint is DataJoint's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from datajoint.heading import Heading  # type: ignore[import-untyped]
from datajoint.jobs import Job  # type: ignore[import-untyped]
from datajoint.table import Table  # type: ignore[import-untyped]

# Queues have columns of their own, which readers of results never look at.
_QUEUE = "~~"
# So many tables are read one by one, at six statements each; a process that needs more needs many.
ALONE = 2
_LINEAGE = "~lineage"
_read_alone = Heading._init_from_database


@dataclass
class _Table:
    """Answers to what DataJoint asks of one table."""

    comment: str
    columns: list[dict[str, Any]] = field(default_factory=list)
    indexes: list[dict[str, Any]] = field(default_factory=list)
    lineages: list[tuple[str, str]] | None = None  # None: the database keeps none


class Catalogue:
    """Tables as the server describes them to one connection; forgotten as this one defines a table."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, bool]] = Counter()
        self._names: dict[tuple[str, bool], frozenset[str]] = {}
        self._untold: dict[tuple[str, bool], dict[str, _Table]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._asked.clear()
        self._names.clear()
        self._untold.clear()

    def has(self, connection: Any, database: str, table: str) -> bool:
        """Whether a table is known to be there; False where it has to be looked for."""
        return table in self._names.get(self._look(connection, database, table), ())

    def tell(self, connection: Any, database: str, table: str) -> _Table | None:
        """What is known of a table, once: who asks again wants to know what has changed."""
        return self._untold.get(self._look(connection, database, table), {}).pop(table, None)

    def _look(self, connection: Any, database: str, table: str) -> tuple[str, bool]:
        """Read all tables of a kind where many are asked for; returns the kind."""
        kind = database, table.startswith(_QUEUE)
        self._asked[kind] += 1
        if self._asked[kind] > ALONE and kind not in self._names:
            self._untold[kind] = _read(connection, *kind)
            self._names[kind] = frozenset(self._untold[kind])
        return kind


def read_together() -> None:
    """Let DataJoint take from the connection's catalogue what it would ask the server of each table."""
    Heading._init_from_database = _read_with_others
    Job.is_declared = property(_is_known)


def _read_with_others(heading: Any) -> None:
    """Make a heading of what was read of all tables, or ask the server of one that was not among them, or was told."""
    info = heading.table_info
    connection, database, name = info["conn"], info["database"], info["table_name"]
    catalogue = getattr(connection, "catalogue", None)
    told = None if catalogue is None else catalogue.tell(connection, database, name)
    if told is None:
        _read_alone(heading)
        return
    heading.table_info = {**info, "conn": _Answers(connection, told)}
    try:
        _read_alone(heading)
    finally:
        heading.table_info = info


def _is_known(queue: Any) -> bool:
    """Whether a queue is there."""
    catalogue = getattr(queue.connection, "catalogue", None)
    known = catalogue is not None and catalogue.has(queue.connection, queue.database, queue.table_name)
    return known or bool(Table.is_declared.fget(queue))


def _read(connection: Any, database: str, of_queues: bool) -> dict[str, _Table]:
    """Read what describes the tables of a database, or its queues."""
    which = f"table_schema = %s AND LEFT(table_name, 2) {'=' if of_queues else '<>'} '{_QUEUE}'"

    def ask(sql: str, *more: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = connection.query(sql, args=(database, *more), as_dict=True).fetchall()
        return rows

    found = {
        row["name"]: _Table(row["comment"])
        for row in ask(
            "SELECT table_name AS name, table_comment AS comment FROM information_schema.tables "
            f"WHERE {which} OR table_schema = %s AND table_name = '{_LINEAGE}'",
            database,
        )
    }
    columns = ask(
        "SELECT table_name AS name, column_name AS `Field`, column_type AS `Type`, is_nullable AS `Null`, "
        "column_key AS `Key`, column_default AS `Default`, extra AS `Extra`, column_comment AS `Comment` "
        f"FROM information_schema.columns WHERE {which} ORDER BY table_name, ordinal_position"
    )
    indexes = ask(
        "SELECT table_name AS name, index_name AS index_name, column_name AS column_name, "
        "non_unique AS non_unique, seq_in_index AS seq_in_index FROM information_schema.statistics "
        f"WHERE {which} AND index_name <> 'PRIMARY' ORDER BY table_name, index_name, seq_in_index"
    )
    for rows, kind in ((columns, "columns"), (indexes, "indexes")):
        for row in rows:
            if row["name"] in found:  # else it was created between two statements
                getattr(found[row["name"]], kind).append(row)
    if _LINEAGE in found:
        lineages = defaultdict(list)
        sql = f"SELECT table_name, attribute_name, lineage FROM `{database}`.`{_LINEAGE}`"
        for name, attribute, lineage in connection.query(sql).fetchall():
            lineages[name].append((attribute, lineage))
        for name, table in found.items():
            table.lineages = lineages[name]
    return {name: table for name, table in found.items() if table.columns}


class _Adapter:
    """DataJoint's adapter, but that its questions about one table have names in place of statements."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def get_table_info_sql(self, database: str, table: str) -> str:
        return "is there lineage" if table == _LINEAGE else "table"

    def get_columns_sql(self, database: str, table: str) -> str:
        return "columns"

    def get_primary_key_sql(self, database: str, table: str) -> str:
        return "primary key"

    def get_indexes_sql(self, database: str, table: str) -> str:
        return "indexes"


class _Answers:
    """To DataJoint a connection, which answers its questions about one table; any other one the server answers."""

    def __init__(self, connection: Any, told: _Table) -> None:
        self._connection = connection
        self.adapter = _Adapter(connection.adapter)
        self._answers: dict[str, list[Any]] = {
            "table": [{"table_comment": told.comment}],
            "columns": told.columns,
            "primary key": [{"column_name": row["Field"]} for row in told.columns if row["Key"] == "PRI"],
            "indexes": told.indexes,
            "is there lineage": [] if told.lineages is None else [(1,)],
        }
        self._lineages = told.lineages or []

    def query(self, question: str, args: Any = (), **options: Any) -> Any:
        """Answer one question, as a cursor."""
        if question in self._answers:
            return _Cursor(self._answers[question])
        if f"`{_LINEAGE}`" in question:
            return _Cursor(self._lineages)
        return self._connection.query(question, args, **options)


class _Cursor:
    """Rows as a cursor gives them."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)
