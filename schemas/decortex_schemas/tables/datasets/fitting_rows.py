"""Rows that were filled from files: compared with what columns take before the server refuses them in its words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from decortex.errors import DatasetError

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def insert_fitting(table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, all of which fit their columns.

    Parameters
    ----------
    table : datajoint table
        Instance or class.
    rows : iterable of mapping
        By column.

    Raises
    ------
    DatasetError
        If a word is longer than its column, a number is not finite or beyond its column, or two keys differ in blanks
        at their end alone (which MySQL does not tell apart). Names column, value and what fits; nothing is inserted.
    """
    given = [dict(row) for row in rows]
    columns = table.heading.attributes
    for row in given:
        for name, value in row.items():
            fault = _fault(str(columns[name].type), value) if name in columns else ""
            if fault:
                raise DatasetError(f"{_described(row, name)} {fault}. Correct it in the files.")
    keys: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for row in given:
        key = tuple(str(row.get(name, "")).rstrip(" ") for name in table.primary_key)
        if key in keys:
            one, other = (
                [str(each.get(name, "")) for name in table.primary_key] for each in (keys[key], row)
            )
            raise DatasetError(
                f"two names are the same but for blanks at their end: {one} and {other}. Rename one of them."
            )
        keys[key] = row
    table.insert(given)


def _described(row: Mapping[str, Any], column: str) -> str:
    neuron = f" of neuron {row['neuron_idx']}" if "neuron_idx" in row else ""
    session = f" of session {str(row['session'])[:60]!r}" if column != "session" and "session" in row else ""
    shown = str(row[column])
    return f"{column}{neuron}{session}, {shown[:60]!r}{'...' if len(shown) > 60 else ''},"


def _fault(kind: str, value: Any) -> str:
    """What is wrong with a value for a column of this type; '' where nothing is."""
    text = re.match(r"(?:var)?char\((\d+)\)", kind)
    if text is not None and isinstance(value, str) and len(value) > int(text[1]):
        return f"has {len(value)} characters, and at most {text[1]} are kept"
    whole = re.match(r"(tinyint|smallint|mediumint|int|bigint)\b", kind)
    if whole is not None and isinstance(value, int):
        low, high = -(2 ** (_BITS[whole[1]] - 1)), 2 ** (_BITS[whole[1]] - 1) - 1
        if not low <= value <= high:
            return f"should lie between {low} and {high}"
    if kind.startswith(("double", "float")) and isinstance(value, float) and math.isinf(value):
        return "should be finite, or NaN where it is unknown"
    return ""
