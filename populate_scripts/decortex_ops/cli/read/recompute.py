"""`decortex recompute`: a row computed again and compared with the stored one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_table
from decortex_ops.cli.output import EXIT_FAILED, JsonFlag, out, print_json
from decortex_ops.cli.read.results import parse_key
from decortex_ops.cli.session import open_tables


def recompute(
    table: Annotated[str, typer.Argument(help="A computed table, for example Clustering.")],
    key: Annotated[str, typer.Argument(help="The row's key: JSON, or name=value pairs with commas.")],
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of the numerical libraries, as when it was computed.")
    ] = 1,
    json: JsonFlag = False,
) -> None:
    """Compute one row again and compare it, parts included; nothing stored changes. Exit status 1 if it differs.

    Where the row was computed under other numerics (library, processor, threads, GPU), equal bits are not promised: a
    difference is shown and is no fault, exit status 0.

    FrozenStudy study=NAME computes what a frozen study has lost, and says whether it is again what was frozen.

    Example: decortex recompute Clustering dataset=v4,model_seed=0,method=kmeans,k=8,seed=0
    """
    from decortex_schemas.queries import recompute as compute_again

    open_tables(threads=threads)
    if table == "FrozenStudy":
        _recompute_frozen(parse_key(key), json=json)
        return
    found = compute_again(table, parse_key(key))
    if json:
        print_json({"table": table, "equal": not found.differences, **asdict(found)})
    else:
        rows = [asdict(difference) for difference in found.differences]
        where = "the environment it was computed in" if found.same_environment else "another environment"
        said = f"{table}: {found.n_values} values compared in {found.seconds:.1f} s, {len(rows)} differ ({where})"
        print_table(said, rows, ("table", "key", "column", "what"), empty=said)
        if found.other_numerics:
            shown = "; ".join(
                f"{name}: {old}, here {new}" for name, (old, new) in found.other_numerics.items()
            )
            out.print(
                f"computed under other numerics ({shown}): equal bits are not promised"
                + (", so that these differences are no fault" if found.differences else ""),
                highlight=False,
                markup=False,
            )
    if found.differences and not found.other_numerics:
        raise typer.Exit(EXIT_FAILED)


def _recompute_frozen(key: dict[str, Any], *, json: bool) -> None:
    from decortex_schemas.tables import recompute_frozen, say_changes

    if set(key) != {"study"}:
        raise ConfigError(f"a frozen study is named by study=NAME, got {', '.join(key)}.")
    study = str(key["study"])
    found = recompute_frozen(
        study, on_table=lambda name: None if json else out.print(f"computing {name} ...")
    )
    if json:
        print_json({**found, "equal": not found["after"]})
    else:
        said = say_changes(study, found["after"]) or (
            f"study {study} is what was frozen, by the digests of its members; "
            f"{len(found['before'])} of them were missing or changed before. `decortex schedule` and `work` compute "
            "what rests on them."
        )
        out.print(said, highlight=False, markup=False, soft_wrap=True)
    if found["after"]:
        raise typer.Exit(EXIT_FAILED)
