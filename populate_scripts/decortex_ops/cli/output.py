"""How commands speak: tables on a terminal, one JSON value with --json, errors on standard error."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from decortex.columns import written
from decortex.errors import ConfigError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]

CsvFlag = Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead of a table.")]

# A pipe or a file has no width of its own: rows stay whole there.
WIDE = 200
# Between two columns; and what a column of words takes at least before its words fold.
GAP, FOLDED = 2, 32
# Columns that name a row: every part of a wide table has them.
WHOSE = frozenset(
    {
        "dataset",
        "model",
        "model_a",
        "model_b",
        "model_seed",
        "embedding",
        "start_method",
        "method",
        "method_a",
        "method_b",
        "k",
        "seed",
        "finetune",
        "state",
        "covariates",
        "null",
        "measure",
        "label_set",
        "target",
        "cluster",
        "table",
        "study",
        "view",
    }
)
out = Console(width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3


def print_json(value: Any) -> None:
    """Print one JSON value on standard output; numbers that are not finite become null."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as comma-separated values, all columns; an undefined value is an empty field, a nested one JSON."""
    if rows:
        writer = csv.DictWriter(
            sys.stdout, list(dict.fromkeys(n for row in rows for n in row)), lineterminator="\n"
        )
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _field(value) for name, value in plain(row).items()})


def said_plainly(value: Any, rows: Sequence[Mapping[str, Any]], *, json: bool, csv: bool) -> bool:
    """Print the answer as JSON or its rows as CSV, if that is asked for; returns whether it was.

    Raises
    ------
    ConfigError
        If both are.
    """
    if json and csv:
        raise ConfigError("--json and --csv are two answers; ask for one.")
    if json:
        print_json(value)
    elif csv:
        print_csv(rows)
    return json or csv


def choose_part(found: Mapping[str, Any], parts: Sequence[str], part: str) -> list[dict[str, Any]]:
    """Rows of one of the tables that an answer has.

    Raises
    ------
    ConfigError
        If there is no such table.
    """
    if part not in parts:
        raise ConfigError(f"--part {part!r}: this answer has {', '.join(parts)}.")
    rows: list[dict[str, Any]] = found[part]
    return rows


def _field(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def plain(value: Any) -> Any:
    """Turn rows into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (datetime, date, Path)):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "", empty: str = "nothing"
) -> None:
    """Print rows as a table; where there are none, say what would fill it.

    No column is dropped or squeezed: a table that is wider than the terminal is printed in parts beneath each other,
    each with the columns that name its rows.
    """
    if not rows:
        out.print(empty, highlight=False)
        return
    cells = {name: [cell(row.get(name), name, row) for row in rows] for name in columns}
    for part, shown in enumerate(in_parts(cells, out.width)):
        table = Table(
            title=(title or None) if not part else None,
            title_justify="left",
            header_style="bold",
            box=None,
            pad_edge=False,
        )
        for name in shown:
            numeric = _is_numeric(rows, name)
            table.add_column(
                name,
                justify="right" if numeric else "left",
                overflow="fold",
                no_wrap=numeric,
                min_width=min(_width(name, cells[name]), FOLDED),
            )
        for i in range(len(rows)):
            table.add_row(*(cells[name][i] for name in shown))
        if part:
            out.print()
        out.print(table)


def in_parts(cells: Mapping[str, Sequence[str]], width: int) -> list[list[str]]:
    """Columns of a table as they fit a width: parts that each begin with what names the rows.

    Parameters
    ----------
    cells : mapping
        Texts by column.
    width : int
        Characters of a line.
    """
    takes = {name: min(_width(name, texts), FOLDED) + GAP for name, texts in cells.items()}
    whose = [name for name in cells if name in WHOSE]
    rest = [name for name in cells if name not in WHOSE]

    def parted(most: int) -> list[list[str]]:
        parts = [list(whose)]
        for name in rest:
            if len(parts[-1]) > len(whose) and sum(takes[one] for one in (*parts[-1], name)) - GAP > most:
                parts.append(list(whose))
            parts[-1].append(name)
        return parts

    parts = parted(width)
    if len(parts) == 1:
        return [list(cells)]  # as they were asked for
    least = sum(takes[name] for name in whose)
    # No part is left with a column or two: the narrowest parts of that number.
    return next(own for most in range(least, width + 1) if len(own := parted(most)) == len(parts))


def cell(value: Any, column: str = "", row: Mapping[str, Any] | None = None) -> str:
    """One value as text, with the decimals of its column (`decortex.columns`). Markup in it stays text."""
    smallest = None if row is None else row.get(f"{column}_smallest")
    return written(column, value, smallest).replace("[", r"\[")


def _width(name: str, texts: Sequence[str]) -> int:
    return max(len(name), *(len(text) for text in texts))


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return all(isinstance(row.get(column), (int, float, type(None))) for row in rows)
