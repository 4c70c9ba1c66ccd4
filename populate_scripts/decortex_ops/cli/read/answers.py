"""`decortex answers`: the five questions of the project, answered for one study in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from decortex_ops.cli.output import CsvFlag, JsonFlag, out, said_plainly
from decortex_ops.cli.session import open_to_read


def answers(
    study: Annotated[str, typer.Argument(help="A study; what compares its rows needs it frozen.")],
    k: Annotated[
        int | None,
        typer.Option("--k", min=2, help="Number of clusters (default: the one that speaks for it)."),
    ] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Answer the project's five questions for a study, in sentences. Example: decortex answers v4-sweep."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.answers(study, k)
    if not said_plainly(found, found, json=json, csv=csv):
        print_answers(study, found)


def print_answers(study: str, found: Sequence[Mapping[str, Any]]) -> None:
    """Print question, verdict, sentence and what is missing, one paragraph each; then what the verdicts mean."""
    from decortex_schemas.queries.answering import MARKS

    first = found[0]
    n = {name: first[f"n_{name}"] for name in ("networks", "sessions", "animals")}
    behind = ", ".join(
        f"{value} {name.removesuffix('s') if value == 1 else name}"
        if value or name != "networks"
        else "a table"
        for name, value in n.items()
    )
    _line(f"study {study}: {behind}")
    for row in found:
        _line(f"\n{MARKS[row['answer']]} {row['question']} {row['answer'].upper()}")
        _line(f"  {row['sentence']}")
        if row["missing"]:
            _line(f"  To say more: {row['missing']}.", style="dim")
    legend = (
        "● established: beyond the recorded animals. ◐ in these sessions: of the recorded neurons. ○ not established: "
        "compared, not shown. ? undecided: could not be compared. – not asked by the study's plan."
    )
    _line(f"\n{legend}", style="dim")


def _line(text: str, style: str | None = None) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True, style=style)
