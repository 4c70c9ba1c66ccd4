"""`decortex study remove|unused`: rows that one study alone needs, and rows that no study needs any more."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_tables, open_to_read


def size_of(n: float | None) -> str | None:
    """A number of bytes as text; None stays None."""
    from decortex_ops.admin import gigabytes

    return None if n is None else gigabytes(n)


def print_study_size(rows: list[dict[str, Any]], *, own_only: bool = False) -> None:
    """Print rows and bytes by table."""
    told = [
        {
            "table": row["table"],
            "rows": row["rows"],
            "own": row["own_rows"],
            "database": size_of(row["bytes"]),
            "own database": size_of(row["own_bytes"]),
            "store": size_of(row["file_bytes"]),
            "own store": size_of(row["own_file_bytes"]),
        }
        for row in rows
        if row["own_rows"] or not own_only
    ]
    columns = ["table", "own", "own database", "own store"]
    if not own_only:
        columns = ["table", "rows", "own", "database", "own database", "store", "own store"]
    total = {part: sum(row[part] for row in rows) for part in ("own_rows", "own_bytes", "own_file_bytes")}
    print_table(
        f"only this study needs {several(total['own_rows'], 'row')}, {size_of(total['own_bytes'])} in the database and "
        f"{size_of(total['own_file_bytes'])} in the store.",
        told,
        columns,
        empty="no row of it is computed" + (" that only it needs" if own_only else ""),
    )


def remove(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    why: Annotated[str, typer.Option(help="The reason, in words; it is kept.")] = "",
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove; without it, only say what would be removed.")
    ] = False,
    break_frozen: Annotated[bool, typer.Option("--break-frozen", help="Remove a frozen study too.")] = False,
    json: JsonFlag = False,
) -> None:
    """List the rows and bytes that only this study needs; with --yes and --why, remove them and the study.

    Recordings, networks and specifications stay, and so does what another study needs. It takes the role admin; the
    files go with `decortex gc --delete`. Example: decortex study remove v4-trial --why "superseded by v4-sweep" --yes
    """
    from decortex_schemas import queries
    from decortex_schemas.register import remove_study, resting_on

    if not yes:
        open_to_read()
    else:
        open_tables(role="admin")
    rows = queries.study_rows(name)
    row = next(one for one in queries.studies() if one["study"] == name)
    others = resting_on(name)
    counts = remove_study(name, why, break_frozen=break_frozen) if yes else {}
    if json:
        told = {"removed": yes, "tables": rows, "frozen_at": row["frozen_at"], "resting_on_it": others}
        print_json({**told, "rows": counts})
        return
    print_study_size(rows, own_only=True)
    if yes:
        out.print(
            f"study {name} is removed with these rows; `decortex gc --delete` removes their files",
            highlight=False,
            soft_wrap=True,
        )
        return
    if row["frozen_at"] is not None:
        out.print(
            f"study {name} is frozen: removing it takes --break-frozen", highlight=False, style="yellow"
        )
    if others:
        out.print(f"made from it, to be removed first: {', '.join(others)}", highlight=False, style="yellow")
    out.print("nothing is removed without --yes and --why", highlight=False)


def unused(
    why: Annotated[str, typer.Option(help="The reason, in words; it is kept.")] = "",
    *,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them; without it they are only listed.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List the computed rows that no study needs any more, with their bytes; with --delete and --why, delete them.

    Recordings, registered networks and specifications stay, and so does all that a study, frozen or not, asks for.
    Deleting takes the role admin; the files go with `decortex gc --delete`.
    Example: decortex study unused --delete --why "rows of studies that were deleted"
    """
    from decortex_schemas import queries
    from decortex_schemas.register import remove_unused

    if delete:
        open_tables(role="admin")
    else:
        open_to_read()
    rows = queries.unused_rows()
    counts = remove_unused(why) if delete else {}
    if json:
        print_json({"deleted": delete, "tables": rows, "rows": counts})
        return
    told = [{**row, "database": size_of(row["bytes"]), "store": size_of(row["file_bytes"])} for row in rows]
    total = {part: sum(row[part] for row in rows) for part in ("rows", "bytes", "files", "file_bytes")}
    done = (
        "they are deleted; `decortex gc --delete` removes the files"
        if delete
        else "nothing is deleted without --delete and --why"
    )
    print_table(
        f"no study needs {several(total['rows'], 'row')}, {size_of(total['bytes'])} in the database, and "
        f"{several(total['files'], 'file')}, {size_of(total['file_bytes'])} in the store; {done}.",
        told,
        ["table", "rows", "database", "files", "store"],
        empty="every computed row is needed by a study",
    )
