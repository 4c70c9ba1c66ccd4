"""`decortex register table` and `decortex analyse`: a user's own table of neurons and features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.demo import Bars, progress_bars, told_what_stays
from decortex_ops.cli.output import JsonFlag, err, out, print_json
from decortex_ops.cli.read.answers import print_answers
from decortex_ops.cli.session import open_tables, server_opening

IdFlag = Annotated[
    str | None, typer.Option("--id", "--ids", help="Column of the neurons' ids (csv, tsv, parquet: needed).")
]
AnimalFlag = Annotated[str | None, typer.Option(help="Column of the animals.")]
SessionFlag = Annotated[str | None, typer.Option(help="Column of the sessions, where there are any.")]
ScoreFlag = Annotated[list[str] | None, typer.Option(help="Column of a score; never clustered; repeat.")]
LabelFlag = Annotated[list[str] | None, typer.Option(help="Column of labels; never clustered; repeat.")]
IgnoreFlag = Annotated[list[str] | None, typer.Option(help="Column to leave out; repeat.")]
WideFlag = Annotated[bool, typer.Option("--wide", help="More than five features per neuron are meant so.")]
FileArgument = Annotated[
    Path, typer.Argument(help=".csv, .tsv, .npy, .parquet or .h5ad; one row per neuron.")
]


def table(
    file: FileArgument,
    *,
    ids: IdFlag = None,
    animal: AnimalFlag = None,
    session: SessionFlag = None,
    score: ScoreFlag = None,
    label: LabelFlag = None,
    ignore: IgnoreFlag = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset (default: the file's).")] = None,
    wide: WideFlag = False,
) -> None:
    """Register a table of neurons and features as an embedding. Example: decortex register table c.csv --ids cell."""
    from decortex.data import TableColumns
    from decortex_schemas.register import register_table

    columns = TableColumns(ids, animal, session, tuple(score or ()), tuple(label or ()), tuple(ignore or ()))
    open_tables(role="author")
    key, found = register_table(file, columns, name=name, wide=wide)
    out.print(
        f"dataset {key['dataset']}: {len(found)} neurons x {found.features.shape[1]} features, file sha256 "
        f"{found.sha256[:12]}; a plan names it as "
        f'{{"dataset": "{key["dataset"]}", "imported": "{key["dataset"]}"}}',
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def analyse(
    file: FileArgument,
    *,
    ids: IdFlag = None,
    animal: AnimalFlag = None,
    session: SessionFlag = None,
    score: ScoreFlag = None,
    label: LabelFlag = None,
    ignore: IgnoreFlag = None,
    k: Annotated[
        int | None,
        typer.Option("--k", help="Number of clusters, 2 or more (default: that of the types, else 8)."),
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of partition and picture (default: FILE-decortex).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes (default: one per core).")
    ] = None,
    wide: WideFlag = False,
    json: JsonFlag = False,
) -> None:
    """Make a private study of a table and print what it answers.

    Example: decortex analyse cells.csv --id cell --animal donor --label type --score score
    """
    from decortex.analysis import check_asked_k
    from decortex.data import TableColumns, read_table

    columns = TableColumns(ids, animal, session, tuple(score or ()), tuple(label or ()), tuple(ignore or ()))
    if os.environ.get("DJ_HOST"):
        raise ConfigError(
            "analyse makes a private study on the embedded server, but DJ_HOST names another one: unset it, or use"
            " `decortex register table` and a plan there."
        )
    table = read_table(file, columns, wide=wide)  # a bad table is told before a server starts
    if k is not None:
        check_asked_k(k, len(table))
    with server_opening():
        from decortex_ops.table_study import analyse_file
        from decortex_schemas.register import register_defaults

    open_tables(declare=True)
    register_defaults()
    with told_what_stays(), progress_bars() as bars:
        made = analyse_file(
            file,
            columns,
            n_clusters=k,
            wide=wide,
            folder=out_folder,
            workers=workers,
            on_round=Bars(bars),
        )
    if json:
        about = {"study": made.study, "k": made.found.k, "partition_file": str(made.partition_file)}
        print_json([{**one, **about} for one in made.answers])
        return
    for line in [repr(made.found), *made.found.notes]:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    print_answers(made.study, made.answers)
    out.print(f"\npartition: {made.partition_file}\npicture: {made.picture}", highlight=False, markup=False)
    at = "" if k is None else f" --k {k}"
    err.print(
        f"study {made.study}; the same answers: decortex answers {made.study}{at}; in a browser: decortex dashboard",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
