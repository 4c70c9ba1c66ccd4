"""Tables: cells, links that sort, links between pages, and rows as CSV. Nothing is asked here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from dash import dcc, html

from decortex.columns import COLUMNS, column, written
from decortex_ops.dashboard.parts import Rows, aria
from decortex_ops.dashboard.theme import number
from decortex_ops.dashboard.urls import State


def table(
    rows: Rows,
    columns: Sequence[str | tuple[str, str]],
    *,
    caption: str,
    state: State | None = None,
    sortable: Sequence[str] = (),
    cells: Mapping[str, Callable[[Any], Any]] | None = None,
    row_class: Callable[[Any], str] | None = None,
    groups: Sequence[tuple[Any, Rows]] = (),
) -> html.Div:
    """A table; headings of sortable columns are links that sort.

    Parameters
    ----------
    rows : sequence of mappings
        What is shown.
    columns : sequence of str or (name, heading)
        In this order. The heading of a column of results is that of `decortex.columns`, and its name stands alone.
    caption : str
        Read to those who do not see it.
    state : State, optional
        Of a page with fields ``sort`` and ``down``.
    sortable : sequence of str
        Columns that sort.
    cells : mapping, optional
        How to show a column; default: its value as text.
    row_class : callable, optional
        Class of a row.
    groups : sequence of (heading, rows), optional
        Groups of rows, each below a heading of its own; ``rows`` are then those of all groups.
    """
    cells = cells or {}
    headed = [with_heading(one) for one in columns]
    numeric = {
        name
        for name, _ in headed
        if name not in cells
        and rows
        and all(isinstance(row.get(name), (int, float, type(None))) for row in rows)
    }
    head = []
    for name, heading in headed:
        marks: dict[str, Any] = {"className": "numeric"} if name in numeric else {}
        if name in COLUMNS and COLUMNS[name].meaning:
            marks["title"] = f"{name}: {COLUMNS[name].meaning}"
        content: Any = heading
        if state is not None and name in sortable:
            current = state["sort"] == name
            down = bool(state["down"]) if current else None
            marks["aria-sort"] = "none" if down is None else "descending" if down else "ascending"
            arrow = "" if down is None else " ↓" if down else " ↑"
            content = dcc.Link(
                heading + arrow,
                href=state.link(sort=name, down=0 if down else 1, page=None, pick=state["pick"]),
            )
        head.append(html.Th(content, scope="col", **marks))

    def line(row: Any) -> html.Tr:
        return html.Tr(
            [
                html.Td(
                    cells[name](row) if name in cells else _text(name, row),
                    className="numeric" if name in numeric else "",
                )
                for name, _ in headed
            ],
            className=row_class(row) if row_class else "",
        )

    def under(title: Any, members: Rows) -> html.Tbody:
        heading = html.Th(title, scope="rowgroup", colSpan=len(headed))
        return html.Tbody([html.Tr(heading, className="group"), *map(line, members)])

    bodies = [under(*one) for one in groups] or [html.Tbody([line(row) for row in rows])]
    return html.Div(
        html.Table([html.Caption(caption, className="unseen"), html.Thead(html.Tr(head)), *bodies]),
        className="table",
        tabIndex=0,
        role="region",
        **aria(label=caption),
    )


def with_heading(one: str | tuple[str, str]) -> tuple[str, str]:
    """A column's name and heading; a name alone is registered in `decortex.columns`."""
    return (one, column(one).heading) if isinstance(one, str) else one


def _text(name: str, row: Mapping[str, Any]) -> str:
    value = row.get(name)
    if name in COLUMNS and isinstance(value, float):
        text = written(name, value, row.get(f"{name}_smallest"))
        return "–" if text == "-" else text
    return number(_shown(value))


def pages(state: State, total: int, size: int, shown: int) -> html.Nav:
    """Links to the pages before and after, and where this one is."""
    current = int(state["page"])
    last = max(1, -(-total // size))
    first = (current - 1) * size + 1 if shown else 0
    return html.Nav(
        [
            dcc.Link("← before", href=state.link(page=current - 1)) if current > 1 else None,
            html.Span(f"{first} to {first + shown - 1 if shown else 0} of {total}"),
            dcc.Link("next →", href=state.link(page=current + 1)) if current < last else None,
        ],
        className="pages",
        **aria(label="pages of the table"),
    )


def as_csv(rows: Rows) -> str:
    """Rows as comma-separated values; an undefined value is an empty field, structures are JSON."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _field(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _field(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=str)
    if isinstance(value, float) and not np.isfinite(value):
        return ""
    return "" if value is None else value


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value) if isinstance(value, (date, dict, list)) else value
