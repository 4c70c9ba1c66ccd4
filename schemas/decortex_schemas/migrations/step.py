"""What a migration is made of: named steps that may be repeated, and the changes of tables that they are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class OldTables:
    """The tables of a database that is being upgraded, by their names in MySQL; no class of this code is bound to them.

    A change that was made already is left alone, so that a step can be repeated after it was interrupted.

    Parameters
    ----------
    connection : datajoint.Connection
        Of a user who may alter tables.
    database : str
        Its name.
    """

    def __init__(self, connection: Any, database: str) -> None:
        self._connection = connection
        self.database = database

    def query(self, sql: str, *args: Any) -> Any:
        """Run one statement; values stand for ``%s``."""
        return self._connection.query(sql, args=args)

    @property
    def adapter(self) -> Any:
        """What writes DataJoint's declarations for this server."""
        return self._connection.adapter

    def name(self, table: str) -> str:
        """Full name of a table, quoted."""
        return f"`{self.database}`.`{table}`"

    def tables(self, like: str = "%") -> list[str]:
        """Names of the tables there are, by a pattern of SQL."""
        rows = self.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name LIKE %s "
            "ORDER BY table_name",
            self.database,
            like,
        ).fetchall()
        return [str(row[0]) for row in rows]

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns, in order."""
        rows = self.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
            "ORDER BY ordinal_position",
            self.database,
            table,
        ).fetchall()
        return [str(row[0]) for row in rows]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.query(f"SELECT COUNT(*) FROM {self.name(table)}").fetchone()[0])


@dataclass(frozen=True)
class Column:
    """A column that a migration adds.

    Parameters
    ----------
    table, name : str
        In MySQL.
    kind : str
        DataJoint's type, which the column's comment keeps.
    sql : str
        MySQL's type, with ``NULL`` or ``NOT NULL``.
    after : str
        The column before it.
    rows : str, optional
        SQL literal that rows of before the migration get; without it NULL.
    default : str, optional
        SQL literal that the column has as its default from then on.
    comment : str
        As in the definition.
    """

    table: str
    name: str
    kind: str
    sql: str
    after: str
    rows: str | None = None
    default: str | None = None
    comment: str = ""

    def add(self, old: OldTables) -> None:
        """Add it, if it is not there; set what later rows get."""
        own = old.name(self.table)
        if self.name not in old.columns(self.table):
            given = "" if self.rows is None else f" DEFAULT {self.rows}"
            comment = f":{self.kind}:{self.comment}".replace("'", "''")
            old.query(
                f"ALTER TABLE {own} ADD COLUMN `{self.name}` {self.sql}{given} COMMENT '{comment}' AFTER `{self.after}`"
            )
        if self.rows is not None:
            later = "DROP DEFAULT" if self.default is None else f"SET DEFAULT {self.default}"
            old.query(f"ALTER TABLE {own} ALTER COLUMN `{self.name}` {later}")


@dataclass(frozen=True)
class Step:
    """One step of a migration.

    Parameters
    ----------
    name : str
        Kept when it is done.
    what : str
        In words, for who looks before upgrading.
    run : callable
        Takes the tables; may be called again after it was interrupted anywhere.
    """

    name: str
    what: str
    run: Callable[[OldTables], None]


@dataclass(frozen=True)
class Migration:
    """What brings the tables of one version to the next.

    Parameters
    ----------
    to_version : int
        From the version before it.
    steps : tuple of Step
        In order. Tables that are new are declared at the end of every upgrade and need no step.
    """

    to_version: int
    steps: tuple[Step, ...]


def rename(
    tables: Mapping[str, str], columns: Mapping[str, Mapping[str, str]]
) -> Callable[[OldTables], None]:
    """A step's work: give tables other names, and columns that are in no key.

    DataJoint keeps where the columns of a table come from (``~lineage``) by its name, which goes with it.

    Parameters
    ----------
    tables : mapping
        New names of tables in MySQL by old ones.
    columns : mapping
        By table, under its new name: new names of columns by old ones.
    """

    def run(old: OldTables) -> None:
        for table, new in tables.items():
            if table in old.tables():  # else it was renamed before an interruption
                old.query(f"RENAME TABLE {old.name(table)} TO {old.name(new)}")
            old.query(f"UPDATE {old.name('~lineage')} SET table_name = %s WHERE table_name = %s", new, table)
        for table, names in columns.items():
            there = old.columns(table)
            changes = [f"RENAME COLUMN `{name}` TO `{new}`" for name, new in names.items() if name in there]
            if changes:
                old.query(f"ALTER TABLE {old.name(table)} {', '.join(changes)}")

    return run


def add_columns(columns: Iterable[Column]) -> Callable[[OldTables], None]:
    """A step's work: add these columns."""
    every = tuple(columns)

    def run(old: OldTables) -> None:
        for column in every:
            column.add(old)

    return run
