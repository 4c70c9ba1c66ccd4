"""`decortex study ...`: declare a sweep, freeze it, show what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import CsvFlag, JsonFlag, out, print_json, print_rows, said_plainly
from decortex_ops.cli.session import open_tables, open_to_read

app = typer.Typer(
    help="Sweeps: declared whole, computed by workers, frozen before they are compared.", no_args_is_help=True
)

COLUMNS = ["study", "networks", "methods", "counts", "seeds", "members", "done", "frozen_at", "created_by"]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    plan: Annotated[str, typer.Argument(help="JSON file (docs/studies.md shows one), or example:NAME.")],
    cost: Annotated[
        bool, typer.Option("--cost", help="Only say what the fine-tuned null would cost; declare nothing.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Declare a study from a JSON plan, or from one that comes with decortex.

    Example: decortex study create v4-k example:v4-k
    """
    from decortex_ops.plan_files import read_plan
    from decortex_schemas import queries
    from decortex_schemas.register import PlanFile, declare_plan, plan_cost

    parsed = PlanFile.from_params(read_plan(plan))
    open_tables()
    rows = plan_cost(parsed)
    if rows and not json:
        _print_null_cost(rows)
    if not cost:
        declare_plan(name, parsed)
    row = next((row for row in queries.studies() if row["study"] == name), None)
    if json:
        print_json({"study": row, "null_cost": rows})
    elif row is not None:
        out.print(f"study {name}: {row['members']} partitions asked for, {row['done']} done", highlight=False)
        _say_cost(name)


def _print_null_cost(rows: list[dict[str, Any]]) -> None:
    """Print what a fine-tuned null asks for, and how long that takes as far as rows like it are known."""
    print_rows(rows, ["table", "rows", "seconds_each", "seconds"], title="the fine-tuned null")
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    unknown = [row["table"] for row in rows if row["seconds"] is None]
    text = f"about {sum(known) / 3600:.1f} hours of one worker, by the rows that exist on these datasets"
    if unknown:
        text += f"; unknown yet: {', '.join(unknown)}"
    out.print(text, highlight=False)


@app.command()
def cost(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show what counting types and choosing K cost: jobs, clusterings, and the time that is left.

    Example: decortex study cost v4-sweep
    """
    from decortex_schemas import queries

    open_to_read()
    found = queries.selection_cost(name)
    if not said_plainly(found, [found], json=json, csv=csv):
        _say_cost(name)


def _say_cost(name: str) -> None:
    """Say what the count of types and the choice of K of a study cost; nothing of what it does not ask for."""
    from decortex_schemas import queries

    found = queries.selection_cost(name)
    types, lines = found["types"], []
    if types["jobs"]:
        lines.append(
            f"number of types: {types['done']:,} of {types['jobs']:,} jobs done; time left:"
            f" {_time(types['seconds_left'])}"
        )
    if found["jobs"]:
        fits = ", ".join(f"{n:,} of {what}" for what, n in found["fits"].items())
        lines.append(
            f"choice of K: {found['done']:,} of {found['jobs']:,} jobs done; clusterings: {fits}; time left:"
            f" {_time(found['seconds_left'])}"
        )
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _time(seconds: float | None) -> str:
    return "unknown until some are done" if seconds is None else f"{seconds:,.0f} s on one core"


@app.command()
def choose(
    name: Annotated[str, typer.Argument(help="A frozen study whose plan has a selection.")],
    why: Annotated[str, typer.Option(help="The reason, in words.")],
    k: Annotated[int | None, typer.Option(min=1, help="Number of clusters; left out: none.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="column=value, where the study has several (dataset, embedding_spec_id, method_id)."
        ),
    ] = None,
) -> None:
    """Record the number of clusters that you work with, beside the decision. `decortex best-k` shows both.

    Example: decortex study choose v4-sweep --k 8 --why "three layers"
    """
    from decortex_schemas.tables.evaluation import record_choice

    open_tables()
    pairs = [text.partition("=") for text in where or ()]
    if not all(column and value for column, _, value in pairs):
        raise ConfigError(f"--where takes column=value, got {where}.")
    row = record_choice({"study": name, **{column: value for column, _, value in pairs}}, k, why)
    chosen = "none" if row["choice"] is None else row["choice"]
    out.print(f"{row['person']} chose K = {chosen} for {row['method']}", highlight=False, markup=False)


@app.command()
def priority(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    number: Annotated[
        int, typer.Argument(min=0, max=9, help="0: before all others; 5: usual; 9: after them.")
    ],
) -> None:
    """Say how urgent a study is, and sort the waiting keys by it; those that are queued later are sorted too.

    Example: decortex study priority v4-sweep 2
    """
    from decortex_schemas.database import computed_tables
    from decortex_schemas.register import apply_priorities, set_priority

    open_tables()
    set_priority(name, number)
    changed = apply_priorities(computed_tables())
    out.print(
        f"study {name} has priority {number}; {changed} waiting keys changed theirs",
        highlight=False,
        markup=False,
    )


@app.command()
def freeze(name: Annotated[str, typer.Argument(help="Name of the study.")], json: JsonFlag = False) -> None:
    """Freeze a complete study, so that what compares across it can be computed. Example: decortex study freeze demo."""
    from decortex_schemas.tables import freeze_study

    open_tables()
    if not json:
        _say_cost(name)
    row = freeze_study(name)
    if json:
        print_json(row)
    else:
        out.print(
            f"study {name} is frozen: {row['n_members']} members, {row['n_failed']} failed", highlight=False
        )


@app.command()
def show(json: JsonFlag = False, csv: CsvFlag = False) -> None:
    """List the studies: what they ask for and how much of it exists. Example: decortex study show --csv."""
    from decortex_schemas import queries

    open_to_read()
    rows = queries.studies()
    if not said_plainly(rows, rows, json=json, csv=csv):
        print_rows(rows, COLUMNS, empty="no study yet; `decortex study create NAME plan.json` declares one")
