"""`decortex db backup|restore` and `decortex delete`: keeping what there is, and parting with it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import EXIT_FAILED, JsonFlag, err, out, print_json
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
    with end_cleanly():
        found = save(settings, folder)
    if json:
        print_json({"folder": folder, **asdict(found)})
    else:
        out.print(
            f"{found.rows} rows and {found.files} files are in {folder}", highlight=False, soft_wrap=True
        )
    for left in found.unfinished:
        err.print(
            f"{left} is of a backup that is under way, or was killed: if none is under way, delete it",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
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


StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder for the files; default: a new one beside the store."),
]


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `decortex db backup` made.")],
    name: Annotated[
        str, typer.Option("--as", help="Another, new database of this server; the live one is not touched.")
    ] = "",
    store: StoreOption = None,
) -> None:
    """Bring a backup back into a database that does not exist or is empty; keys in work are queued again.

    Accounts and roles are the server's: grant them again. Example: decortex db restore /backups/2026-11-21
    """
    from decortex_ops.admin import default_store, restore_beside
    from decortex_ops.admin import restore as bring_back
    from decortex_schemas.database import SCHEMA_VERSION, check_server, read_settings

    if store is not None and not name:
        raise typer.BadParameter("goes with --as; the live store is DECORTEX_STORE.", param_hint="--store")
    open_server()
    settings = read_settings()
    check_server(settings)
    if name:
        found = restore_beside(settings, folder, name, store_folder=store)
        where = default_store(settings, name) if store is None else store.expanduser().resolve()
        look = f"; DECORTEX_DATABASE={name} DECORTEX_STORE={where} looks into it"
    else:
        found = bring_back(settings, folder)
        look = ""
    out.print(
        f"{found.rows} rows and {found.files} files are back in database {name or settings.database!r}{look}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if found.schema_version < SCHEMA_VERSION:
        out.print(
            f"they are of schema version {found.schema_version}, this decortex needs {SCHEMA_VERSION}: "
            "`decortex db upgrade` brings them there",
            highlight=False,
        )


def rehearse(
    folder: Annotated[
        Path | None, typer.Argument(help="A backup; default: the last one in the folder DECORTEX_BACKUPS.")
    ] = None,
    store: StoreOption = None,
    json: JsonFlag = False,
) -> None:
    """Bring the last backup back under a temporary name, compare every row and file, and remove it again.

    Prints "equal", or what differs with exit status 1. The live database is only read. It takes the role admin.
    Example: decortex db rehearse
    """
    from decortex.errors import ConfigError
    from decortex_ops.admin import BACKUPS, newest_backup
    from decortex_ops.admin import rehearse as try_out
    from decortex_schemas.database import read_settings

    open_to_read()
    settings = read_settings()
    if folder is None:
        last = newest_backup(settings.database)
        if last is None:
            raise ConfigError(
                f"there is no backup of {settings.database!r}: {BACKUPS} should name the folder in which backups lie, "
                "or name one (decortex db rehearse FOLDER)."
            )
        folder = last.folder
    with end_cleanly():
        found = try_out(settings, folder, store_folder=store)
    if json:
        print_json({**asdict(found), "equal": found.equal})
    else:
        what = f"{found.rows} rows in {found.tables} tables and {found.files} files"
        told = f"equal: {folder} of {found.taken_at} brings back {what} as they were"
        if not found.equal:
            told = f"NOT EQUAL: {folder} of {found.taken_at} does not bring back what was there"
        for line in (told, *found.differing):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        since = found.since or ["no row"]
        if found.equal:
            out.print(f"changed since: {'; '.join(since)}", highlight=False, markup=False, soft_wrap=True)
    if not found.equal:
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def end_cleanly() -> Iterator[None]:
    """Take SIGTERM as an exception, so that what was begun is removed."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        open_tables(role="admin")
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
    said = (
        "deleted; the files are left to `decortex gc`" if yes else "meant; nothing is deleted without --yes"
    )
    print_table(
        f"{several(sum(counts.values()), 'row')} {said}.",
        rows,
        ["table", "rows"],
        empty=f"no row of {table} is meant by {restriction}",
    )
    for study, n in hit.items():
        err.print(
            f"the frozen study {study} would lose {n} members, and no longer be what was frozen; that takes "
            "--break-frozen",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
