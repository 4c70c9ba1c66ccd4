"""Deletions: what deleting rows takes with it, and who deleted what and why."""

from __future__ import annotations

import importlib
import platform
from typing import Any

import datajoint as dj

from decortex.config import canonical_json
from decortex.errors import ConfigError
from decortex_schemas.database.schema import schema


@schema
class Deletion(dj.Manual):
    """One deletion: which rows were meant, what went with them, who did it and why."""

    author_rights = ()

    definition = """
    # Rows that somebody deleted
    deletion_id : int32
    ---
    table_name : varchar(64)
    restriction : json               # which rows were meant
    counts : json                    # rows deleted, by table
    why : varchar(1024)
    db_user : varchar(96)
    host_name : varchar(255)
    deleted_at = CURRENT_TIMESTAMP : datetime
    """


def cascade_counts(table_name: str, restriction: dict[str, Any]) -> dict[str, int]:
    """Rows that a deletion would take, by table, the rows themselves first; changes nothing.

    Parameters
    ----------
    table_name : str
        Class of the table.
    restriction : dict
        Values of columns.

    Raises
    ------
    ConfigError
        If there is no such table or column, or no column is given.
    """
    return _cascade(table_name, _rows(table_name, restriction))


def _cascade(table_name: str, rows: dj.QueryExpression) -> dict[str, int]:
    """Rows that go with some rows, by table, the rows themselves first."""
    if not len(rows):
        return {}
    # A part of a row that stays cannot be taken from it: what was computed over all of a study goes too.
    counts = dj.Diagram.cascade(rows, part_integrity="cascade").counts()
    by_name = {cls().full_table_name: cls.__name__ for cls in _tables()}
    named = {by_name.get(name, name.split("`")[-2]): int(n) for name, n in counts.items() if n}
    own = {table_name: named.pop(table_name)}
    return {**own, **named}


def frozen_studies_hit(table_name: str, restriction: dict[str, Any]) -> dict[str, int]:
    """Frozen studies that a deletion would take members from, and how many; changes nothing.

    Raises
    ------
    ConfigError
        If there is no such table or column, or no column is given.
    """
    tables = importlib.import_module("decortex_schemas.tables")  # they rest on this module
    rows = _rows(table_name, restriction)
    return dict(tables.frozen_members_of(rows)) if len(rows) else {}


def delete_rows(
    table_name: str, restriction: dict[str, Any], why: str, *, break_frozen: bool = False
) -> dict[str, int]:
    """Delete rows and all that rests on them, and record it; both or neither.

    Parameters
    ----------
    table_name : str
        Class of the table.
    restriction : dict
        Values of columns.
    why : str
        The reason, in words; it is kept.
    break_frozen : bool
        Whether members of frozen studies may be among them; these studies are then no longer what was frozen.

    Returns
    -------
    dict
        Rows deleted, by table.

    Raises
    ------
    ConfigError
        If there is no such table or column, no column is given, or no reason; or if frozen studies would lose members
        and that is not allowed.
    """
    if not why.strip():
        raise ConfigError("a deletion needs a reason, which is kept: none was given. Say it by --why '...'.")
    rows = _rows(table_name, restriction)
    if not len(rows):
        return {}
    hit = {} if break_frozen else frozen_studies_hit(table_name, restriction)
    if hit:
        named = ", ".join(f"{study} ({n} members)" for study, n in hit.items())
        raise ConfigError(
            f"frozen studies would lose members: {named}. Nothing was deleted; --break-frozen deletes them all the "
            "same, and every answer about these studies says from then on that they are no longer what was frozen."
        )
    return delete_selected(table_name, rows, restriction, why)


def delete_selected(
    table_name: str, rows: dj.QueryExpression, meant: dict[str, Any], why: str
) -> dict[str, int]:
    """Delete some rows of one table and all that rests on them, and record it; both or neither.

    Whether frozen studies lose members is for the caller to ask.

    Parameters
    ----------
    table_name : str
        Class of the table.
    rows : QueryExpression
        Of it.
    meant : dict
        Which rows these are, as it is recorded.
    why : str
        The reason, in words; it is kept.

    Returns
    -------
    dict
        Rows deleted, by table, the rows themselves first; empty where there are none.
    """
    counts = _cascade(table_name, rows)
    if not counts:
        return {}
    with schema.connection.transaction:
        rows.delete(prompt=False, part_integrity="cascade")
        record_deletion(table_name, meant, counts, why)
    return counts


def record_deletion(table_name: str, meant: dict[str, Any], counts: dict[str, int], why: str) -> None:
    """Keep who deleted what and why; in the transaction of the deletion itself.

    Parameters
    ----------
    table_name : str
        Table that rows were deleted from.
    meant : dict
        Which rows these were.
    counts : dict
        Rows deleted, by table.
    why : str
        The reason, in words.
    """
    connection = schema.connection
    last = connection.query(
        f"SELECT MAX(deletion_id) FROM {Deletion().full_table_name} FOR UPDATE"
    ).fetchone()[0]
    Deletion.insert1(
        {
            "deletion_id": 1 + (last or 0),
            "table_name": table_name,
            "restriction": meant,
            "counts": counts,
            "why": why,
            "db_user": connection.get_user(),
            "host_name": platform.node(),
        }
    )


def _rows(table_name: str, restriction: dict[str, Any]) -> dj.QueryExpression:
    tables = {cls.__name__: cls for cls in _tables()}
    table = tables.get(table_name)
    if table is None or table is Deletion:
        raise ConfigError(
            f"there is no table {table_name!r} to delete from; there are {', '.join(sorted(tables))}."
        )
    unknown = sorted(set(restriction) - set(table().heading.names))
    if unknown or not restriction:
        raise ConfigError(
            f"{table_name} has no column {unknown}; its key is {', '.join(table().primary_key)}."
            if unknown
            else "name the rows by at least one column; a whole table is not deleted by mistake."
        )
    canonical_json(restriction)  # refuses what is not a plain value
    return table & restriction


def _tables() -> list[type[dj.Table]]:
    return [cls for cls, _ in schema.declare_list]
