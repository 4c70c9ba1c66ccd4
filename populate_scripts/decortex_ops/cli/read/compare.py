"""`decortex compare`: up to six variants of a study side by side."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_legend, say
from decortex_ops.cli.output import CsvFlag, JsonFlag, print_rows, said_plainly
from decortex_ops.cli.read.figure import parse_where
from decortex_ops.cli.session import open_to_read

MOST = 6
# What a variant is chosen by; the other columns are compared.
NAMES = ("dataset", "model", "embedding", "method", "k", "finetune")
LEFT_OUT = ("method_id", "method_name")


def compare(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    run: Annotated[
        list[str] | None,
        typer.Option(help="One variant, as method=kmeans,k=8,finetune=none; repeat for up to six."),
    ] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show up to six variants of a study side by side, one column each.

    Example: decortex compare demo --run method=kmeans,k=8,finetune=none --run method=kmeans,k=8,finetune=dec
    """
    from decortex_ops.reports import one_of
    from decortex_schemas import queries

    if not run or not 2 <= len(run) <= MOST:
        raise ConfigError(
            f"a comparison takes 2 to {MOST} variants, each as --run method=kmeans,k=8; got {len(run or [])}."
        )
    chosen = [parse_where([pair for pair in words.split(",") if pair]) for words in run]
    for where in chosen:
        unknown = sorted(set(where) - set(NAMES))
        if unknown:
            raise ConfigError(f"a variant is not chosen by {unknown[0]!r}; it is by {', '.join(NAMES)}.")
    open_to_read()
    every = [{**row, "method": row["method_name"]} for row in queries.results(study)]
    rows = [one_of(every, where, NAMES, "variant") for where in chosen]
    rows = [{name: value for name, value in row.items() if name not in LEFT_OUT} for row in rows]
    if not said_plainly(rows, rows, json=json, csv=csv):
        say(f"{len(rows)} variants of study {study} beside each other, a measure per row.")
        print_rows(*_side_by_side(rows), title=f"study {study}")
        print_legend(rows[0])


def _side_by_side(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Measures as rows, variants as columns; what all variants lack is left out."""
    columns = ["", *(f"{i + 1}" for i in range(len(rows)))]
    lines = [
        dict(zip(columns, [name, *(row[name] for row in rows)], strict=True))
        for name in rows[0]
        if any(row[name] is not None for row in rows)
    ]
    return lines, columns
