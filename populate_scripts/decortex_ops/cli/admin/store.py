"""`decortex verify` and `decortex gc`: the files of the store against the rows that refer to them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import EXIT_FAILED, JsonFlag, err, print_json
from decortex_ops.cli.session import open_to_read

FAULT_COLUMNS = ("problem", "table", "column", "key", "found", "path")
ORPHAN_COLUMNS = ("path", "bytes", "age_hours")


def verify(json: JsonFlag = False) -> None:
    """Read every file of the store, check it against its row, and list what is missing, altered or orphaned.

    Exit status 1 if a file is missing, altered or unreadable, or a row names none of the store.

    Example: decortex verify --json
    """
    from decortex_schemas.database import store

    open_to_read()
    faults, checked = store.check_files()
    left = store.orphans()
    rows = [
        {
            "problem": fault.problem,
            "table": fault.reference.table,
            "column": fault.reference.column,
            "key": fault.reference.key,
            "found": fault.found,
            "path": fault.reference.path,
        }
        for fault in faults
    ]
    if json:
        print_json({"checked": checked, "faults": rows, "orphaned": _rows(left)})
    else:
        counts = Counter(str(row["problem"]) for row in rows)
        rare = "".join(f", {counts[name]} {name}" for name in ("unreadable", "refused") if counts[name])
        said = (
            f"{several(checked, 'file')} read: {counts['missing']} missing, {counts['altered']} altered{rare}; "
            f"{len(left)} orphaned ({sum(orphan.size for orphan in left) / 1e6:.1f} MB; `decortex gc`)"
        )
        print_table(said, rows, FAULT_COLUMNS, empty=said)
    if rows:
        err.print(
            "restore these files from a backup, or delete their rows (`decortex delete`) and compute them again; a "
            "refused row was not written by decortex: delete it",
            style="red",
            highlight=False,
        )
        raise typer.Exit(EXIT_FAILED)


def gc(
    older_than: Annotated[
        float, typer.Option(min=1, help="Leave files alone that are younger than so many hours.")
    ] = 24.0,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them; without it they are only listed.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List the files of the store that no row refers to, and delete them if asked.

    They are left by workers that were killed, and by deleted rows. Example: decortex gc --older-than 48 --delete
    """
    from decortex_schemas.database import store

    open_to_read()
    found = store.collect(older_than_hours=older_than, delete=delete)
    if json:
        print_json({"deleted": delete, "orphaned": _rows(found)})
        return
    megabytes = sum(orphan.size for orphan in found) / 1e6
    done = "deleted" if delete else "to delete (--delete does)" if found else "to delete"
    said = f"{several(len(found), 'file')}, {megabytes:.1f} MB {done}"
    print_table(said, _rows(found), ORPHAN_COLUMNS, empty=said)


def _rows(found: list[Any]) -> list[dict[str, Any]]:
    return [
        {"path": orphan.path, "bytes": orphan.size, "age_hours": round(orphan.age_hours, 2)}
        for orphan in found
    ]
