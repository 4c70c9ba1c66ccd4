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

from decortex.errors import ConfigError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]

CsvFlag = Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead of a table.")]

# A pipe or a file has no width of its own: rows stay whole there.
WIDE = 200
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
    """Print rows as a table; where there are none, say what would fill it."""
    if not rows:
        out.print(empty, highlight=False)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if _is_numeric(rows, column) else "left",
            overflow="fold",
            no_wrap=_is_numeric(rows, column),
        )
    for row in rows:
        table.add_row(*(p_cell(row.get(c)) if is_p(c) else cell(row.get(c)) for c in columns))
    out.print(table)


def is_p(column: str) -> bool:
    """Whether a column holds p-values: 'p', 'p_...' or '..._p'."""
    return column == "p" or column.startswith("p_") or column.endswith("_p")


def p_cell(value: Any) -> str:
    """A p-value with four decimals, '< .0001' below; anything else as it is."""
    if not isinstance(value, float) or math.isnan(value):
        return cell(value)
    return "< .0001" if value < 1e-4 * (1 - 1e-9) else f"{value:.4f}"


def cell(value: Any) -> str:
    """One value as text: three decimals, a dash for what is undefined. Markup in it stays text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if 0 < abs(value) < 0.001 else f"{value:.3f}"
    return str(value).replace("[", r"\[")


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return all(isinstance(row.get(column), (int, float, type(None))) for row in rows)
