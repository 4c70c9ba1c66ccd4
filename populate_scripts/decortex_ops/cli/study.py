"""`decortex study ...`: declare a sweep, freeze it, show what there is."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import JsonFlag, out, print_json, print_rows
from decortex_ops.cli.session import open_tables

app = typer.Typer(
    help="Sweeps: declared whole, computed by workers, frozen before they are compared.", no_args_is_help=True
)

COLUMNS = ["study", "networks", "methods", "counts", "seeds", "members", "done", "frozen_at", "created_by"]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    plan: Annotated[Path, typer.Argument(help="JSON file; docs/studies.md shows one.")],
) -> None:
    """Declare a study from a JSON plan. Example: decortex study create v4-sweep plan.json."""
    from decortex_ops.plans import PlanFile, declare_plan
    from decortex_schemas import queries

    try:
        text = plan.read_text(encoding="utf-8")
        values = jsonlib.loads(text)
    except (OSError, UnicodeDecodeError, jsonlib.JSONDecodeError) as error:
        raise ConfigError(f"the plan {plan} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"the plan {plan} should be a JSON object, but is a {type(values).__name__}.")
    parsed = PlanFile.from_params(values)
    open_tables()
    declare_plan(name, parsed)
    row = next(row for row in queries.studies() if row["study"] == name)
    out.print(f"study {name}: {row['members']} partitions asked for, {row['done']} done", highlight=False)


@app.command()
def freeze(name: Annotated[str, typer.Argument(help="Name of the study.")], json: JsonFlag = False) -> None:
    """Freeze a complete study, so that what compares across it can be computed."""
    from decortex_schemas.frozen import freeze_study

    open_tables()
    row = freeze_study(name)
    if json:
        print_json(row)
    else:
        out.print(
            f"study {name} is frozen: {row['n_members']} members, {row['n_failed']} failed", highlight=False
        )


@app.command()
def show(json: JsonFlag = False) -> None:
    """List the studies: what they ask for and how much of it exists."""
    from decortex_schemas import queries

    open_tables()
    rows = queries.studies()
    if json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no study yet; `decortex study create NAME plan.json` declares one")
