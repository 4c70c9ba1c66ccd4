"""`decortex stale`: rows of other versions of their computation, and computing them again."""

from __future__ import annotations

from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_tables, open_to_read


def stale(
    study: Annotated[str | None, typer.Argument(help="Only rows of this study.")] = None,
    *,
    recompute: Annotated[
        bool,
        typer.Option("--recompute", help="Delete them with all that rests on them, and queue them again."),
    ] = False,
    why: Annotated[str, typer.Option(help="The reason, in words; it is kept.")] = "",
    break_frozen: Annotated[
        bool, typer.Option("--break-frozen", help="Delete members of frozen studies too.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List rows that another version of their computation made; with --recompute and --why, compute them again.

    Rows whose specification is of a version that this decortex does not compute are listed as kept, and stay.

    Example: decortex stale v4-sweep --recompute --why "tests of performance studentise now"
    """
    if recompute and not why.strip():
        raise ConfigError(
            "--recompute deletes rows, which needs a reason that is kept: say it by --why '...'."
        )
    if not recompute:
        open_to_read()
    else:
        open_tables()
    from decortex_schemas.tables import delete_stale
    from decortex_schemas.tables import stale as find_stale

    rows = find_stale(study)
    if not recompute:
        if json:
            print_json(rows)
            return
        print_table(
            f"{several(sum(row['rows'] for row in rows), 'row')} of another version than this decortex computes; "
            "--recompute --why '...' computes them again.",
            [
                {**row, "studies": ", ".join(f"{name}: {n}" for name, n in row["studies"].items())}
                for row in rows
            ],
            ["table", "stored", "current", "rows", "kept", "studies"],
            empty="every row is of the version that this decortex computes",
        )
        return
    from decortex_ops.workers import sweep

    deleted = delete_stale(study, why, break_frozen=break_frozen)
    queued = sweep().added if deleted else 0
    if json:
        print_json({"deleted": deleted, "queued": queued, "kept": sum(row["kept"] for row in rows)})
        return
    print_table(
        f"{several(sum(row['rows'] for row in deleted), 'row')} deleted, to be computed again.",
        [{**row, "with": ", ".join(f"{name}: {n}" for name, n in row["with"].items())} for row in deleted],
        ["table", "rows", "with"],
        empty="no stale row can be computed again",
    )
    out.print(
        f"{queued} keys are queued, what rests on them follows as `decortex schedule` and `work` go on; the "
        "files of deleted "
        "rows are left to `decortex gc`",
        highlight=False,
        soft_wrap=True,
    )
