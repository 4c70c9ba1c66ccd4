"""`decortex db ...` and `decortex init`: the embedded server, and the tables in whatever server is used."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_server, open_tables
from decortex_ops.server import EmbeddedServer

if TYPE_CHECKING:
    from decortex_schemas.migrations import Plan

app = typer.Typer(help="The private MySQL server that serves where DJ_HOST is not set.", no_args_is_help=True)


def _refuse_foreign() -> None:
    if os.environ.get("DJ_HOST"):
        raise typer.BadParameter(
            f"DJ_HOST is set ({os.environ['DJ_HOST']}): that server is used and the embedded one is left alone. "
            "Unset DJ_HOST to manage the embedded server."
        )


@app.command()
def start() -> None:
    """Start the embedded server, fetching MySQL first where the machine has none. Example: decortex db start."""
    _refuse_foreign()
    open_server()
    _print_status()


@app.command()
def stop() -> None:
    """Stop the embedded server; its data stay. Example: decortex db stop."""
    _refuse_foreign()
    EmbeddedServer().stop()
    _print_status()


@app.command()
def status(json: JsonFlag = False) -> None:
    """Show where the embedded server is and whether it runs. Example: decortex db status --json."""
    _refuse_foreign()
    if json:
        print_json(asdict(EmbeddedServer().status()))
    else:
        _print_status()


def _print_status() -> None:
    found = asdict(EmbeddedServer().status())
    print_table(
        f"The embedded server is {found['state'].replace('_', ' ')}.",
        [{"what": name, "value": value} for name, value in found.items()],
        ["what", "value"],
    )


@app.command()
def upgrade(
    backup: Annotated[
        Path | None, typer.Option(help="Folder for the backup that is taken first; must not exist.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Bring tables that an older decortex declared to this version; refused while workers or schedulers run.

    A backup comes first. Finished steps are kept: interrupted anywhere, the same command goes on.

    Example: decortex db upgrade --backup /backups/before-version-3
    """
    from decortex_ops.admin import upgrade_with_backup
    from decortex_schemas.database import SCHEMA_VERSION, database_name, open_connection, read_settings
    from decortex_schemas.migrations import living_processes, plan_upgrade

    open_server()
    connection = open_connection(read_settings())
    if dry_run:
        plan = plan_upgrade(connection, database_name())
        living = living_processes(connection, database_name()) if plan else []
    else:
        plan = upgrade_with_backup(
            connection,
            backup,
            on_step=lambda _, step: None if json else out.print(f"{step.name} ...", markup=False),
        )
        living = []
    if json:
        print_json({"upgraded": bool(plan) and not dry_run, "living": living, **_told(plan)})
        return
    if plan is None:
        out.print(
            f"the tables are of schema version {SCHEMA_VERSION} already: nothing to do", highlight=False
        )
    elif dry_run:
        steps = _told(plan)["steps"]
        print_table(
            f"{several(len(steps), 'step')} to schema version {SCHEMA_VERSION}.",
            steps,
            ["to_version", "step", "what"],
        )
        begun = (
            f"{plan.done} steps are done already, after the backup {plan.backup}"
            if plan.begun
            else "a backup is taken first (--backup FOLDER)"
        )
        out.print(
            f"{begun}; new tables are declared last; nothing was changed", highlight=False, soft_wrap=True
        )
        if living:
            out.print(
                f"refused now, because processes may still compute: {', '.join(living)}", highlight=False
            )
    else:
        out.print(
            f"the tables are of schema version {SCHEMA_VERSION} now; `decortex db grant` to anybody renews the "
            "roles' "
            "rights, then start scheduler and workers (`decortex stale` lists rows that this version computes "
            "otherwise)",
            highlight=False,
            soft_wrap=True,
        )


def _told(plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        return {"steps": []}
    steps = [
        {"to_version": migration.to_version, "step": step.name, "what": step.what}
        for migration, step in plan.steps
    ]
    return {
        "from_version": plan.from_version,
        "to_version": plan.to_version,
        "done": plan.done,
        "steps": steps,
    }


def init() -> None:
    """Declare all tables and job queues, and insert the default specifications. Safe to repeat.

    Example: decortex init
    """
    from decortex_schemas.database import read_settings
    from decortex_schemas.register import register_defaults

    open_tables(declare=True)
    register_defaults()
    settings = read_settings()
    out.print(
        f"tables are in database {settings.database!r} at {settings.host}:{settings.port}, arrays in "
        f"{settings.store}",
        highlight=False,
        soft_wrap=True,
    )
