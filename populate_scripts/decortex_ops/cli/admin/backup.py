"""`decortex db backup|restore` and `decortex delete`: keeping what there is, and parting with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from decortex_ops.cli.output import EXIT_FAILED, JsonFlag, err, out, print_json, print_rows
from decortex_ops.cli.session import open_server, open_tables, open_to_read


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not exist.")],
    json: JsonFlag = False,
) -> None:
    """Save the database and its store as of one moment, while workers go on. Needs the right to read only.

    A database of any version of the tables is saved.

    Exit status 1 if a file is damaged or a row names none of the store: the rest is saved.

    Example: decortex db backup /backups/2026-11-21
    """
    from decortex_ops.admin import save
    from decortex_schemas.database import check_server, read_settings

    open_server()
    settings = read_settings()
    check_server(settings)
    found = save(settings, folder)
    if json:
        print_json({"folder": folder, **asdict(found)})
    else:
        out.print(
            f"{found.rows} rows and {found.files} files are in {folder}", highlight=False, soft_wrap=True
        )
    if found.damaged:
        err.print(
            f"not saved, because missing, altered or unreadable in the store: {', '.join(found.damaged)} "
            "(`decortex verify`)",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for line in found.refused:
        err.print(f"refused: {line}", style="red", highlight=False, markup=False, soft_wrap=True)
    if found.damaged or found.refused:
        raise typer.Exit(EXIT_FAILED)


def restore(folder: Annotated[Path, typer.Argument(help="Folder that `decortex db backup` made.")]) -> None:
    """Bring a backup back into a database that does not exist or is empty; keys in work are queued again.

    Accounts and roles are the server's: grant them again. Example: decortex db restore /backups/2026-11-21
    """
    from decortex_ops.admin import restore as bring_back
    from decortex_schemas.database import SCHEMA_VERSION, check_server, read_settings

    open_server()
    settings = read_settings()
    check_server(settings)
    found = bring_back(settings, folder)
    out.print(
        f"{found.rows} rows and {found.files} files are back in database {settings.database!r}",
        highlight=False,
    )
    if found.schema_version < SCHEMA_VERSION:
        out.print(
            f"they are of schema version {found.schema_version}, this decortex needs {SCHEMA_VERSION}: "
            "`decortex db upgrade` brings them there",
            highlight=False,
        )


def delete(
    table: Annotated[str, typer.Argument(help="A table, for example TrainedModel or Study.")],
    key: Annotated[str, typer.Argument(help="Which rows: JSON, or name=value pairs with commas.")],
    why: Annotated[str, typer.Option(help="The reason, in words; it is kept.")] = "",
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it, only say what would be deleted.")
    ] = False,
    break_frozen: Annotated[
        bool,
        typer.Option("--break-frozen", help="Delete members of frozen studies too; they are named before."),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Say what deleting rows would take with them; with --yes and --why, delete them all, and keep who and why.

    Example: decortex delete TrainedModel dataset=v4,model_seed=3 --why "recorded with the wrong lens" --yes
    """
    from decortex_ops.cli.read.results import parse_key
    from decortex_schemas.database import cascade_counts, delete_rows, frozen_studies_hit

    restriction = parse_key(key)
    if yes:
        open_tables()
        counts = delete_rows(table, restriction, why, break_frozen=break_frozen)
        hit = {}
    else:
        open_to_read()
        counts = cascade_counts(table, restriction)
        hit = frozen_studies_hit(table, restriction)
    rows = [{"table": name, "rows": n} for name, n in counts.items()]
    if json:
        print_json({"deleted": yes, "rows": rows, "frozen": hit})
        return
    print_rows(rows, ["table", "rows"], empty=f"no row of {table} is meant by {restriction}")
    if rows:
        said = "deleted; the files are left to `decortex gc`" if yes else "nothing is deleted without --yes"
        out.print(f"{sum(counts.values())} rows {said}", highlight=False)
    for study, n in hit.items():
        err.print(
            f"the frozen study {study} would lose {n} members, and no longer be what was frozen; that takes "
            "--break-frozen",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
