"""Means, medians and statuses over many rows, grouped by the server: a whole grid is not fetched to be averaged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from decortex_schemas.database import schema
from decortex_schemas.queries.basis.study_rows import Key, Row


def grouped(query: Any, by: Sequence[str], **aggregates: str) -> dict[Key, Row]:
    """Aggregate the rows of a query by some of their columns.

    Parameters
    ----------
    query : DataJoint expression
        Whose rows.
    by : sequence of str
        Columns that name a group.
    **aggregates : str
        Name of a result and its expression in SQL, such as ``AVG(p)``; `values` makes one of a list.

    Returns
    -------
    dict
        A group's values of ``by`` and its results. Undefined values do not count; a mean of none is None.
    """
    return grouped_sql(f"({query.make_sql()}) AS own", by, aggregates)


def grouped_sql(
    tables: str, by: Sequence[str], aggregates: Mapping[str, str], args: Sequence[Any] = ()
) -> dict[Key, Row]:
    """Aggregate joined tables, given in SQL; otherwise like `grouped`.

    Parameters
    ----------
    tables : str
        What follows FROM, up to the grouping.
    by : sequence of str
        Columns that name a group, of the first table.
    aggregates : mapping
        Names and expressions.
    args : sequence
        Values of the placeholders in ``tables``.
    """
    columns = ", ".join(f"own.`{name}`" for name in by)
    chosen = "".join(f", {expression} AS `{name}`" for name, expression in aggregates.items())
    rows = schema.connection.query(
        f"SELECT {columns}{chosen} FROM {tables} GROUP BY {columns} ORDER BY {columns}", args=tuple(args)
    ).fetchall()
    lists = {i for i, expression in enumerate(aggregates.values()) if expression.startswith("JSON_ARRAYAGG")}
    return {
        tuple(row[: len(by)]): {
            name: _plain(value, is_list=i in lists)
            for i, (name, value) in enumerate(zip(aggregates, row[len(by) :], strict=True))
        }
        for row in rows
    }


def values(expression: str) -> str:
    """All values of a group as one list, None where undefined, in no order: for medians and counts of statuses."""
    return f"JSON_ARRAYAGG({expression})"


def defined_values(found: Row | None, name: str) -> list[float]:
    """The defined values of one list of a group, empty where there is no such group."""
    return [float(value) for value in (found or {}).get(name) or [] if value is not None]


def _plain(value: Any, *, is_list: bool) -> Any:
    if isinstance(value, Decimal):  # means of whole numbers
        return float(value)
    return json.loads(value) if is_list and value is not None else value
