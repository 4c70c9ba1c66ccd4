"""`decortex register labels`: what others say of neurons (types, Cre lines, layers), from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import err, out
from decortex_ops.cli.session import open_tables


def labels(
    dataset: Annotated[str, typer.Argument(help="A registered dataset.")],
    name: Annotated[str, typer.Argument(help="Name of the label set, for example cre_line.")],
    file: Annotated[
        Path | None, typer.Argument(help="A .csv or .tsv with a header, one row per labelled neuron.")
    ] = None,
    *,
    id_: Annotated[str | None, typer.Option("--id", help="Column of the neurons' identities.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the labels; an empty field is no label.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="Column of the sessions, where identities occur in several.")
    ] = None,
    confidence: Annotated[str | None, typer.Option(help="Column of confidences, 0 to 1.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Labels of a smaller confidence, or of none, are not taken.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(help="What the identities are: unit_id (of the recordings) or neuron_idx (0, 1, ...)."),
    ] = "unit_id",
    true_types: Annotated[
        bool,
        typer.Option("--true-types", help="Of a simulated dataset: the types it was drawn with; no file."),
    ] = False,
) -> None:
    """Register external labels. Example: decortex register labels v1 cre cre.csv --id unit --label line."""
    from decortex.evaluation.labels import LabelColumns
    from decortex_schemas import queries
    from decortex_schemas.register import register_labels
    from decortex_schemas.tables import register_true_types

    if true_types and (file is not None or id_ is not None or label is not None):
        raise ConfigError("--true-types takes no file and no columns: the dataset holds them.")
    if not true_types and (file is None or id_ is None or label is None):
        raise ConfigError(
            "labels come from a file and two of its columns: FILE.csv --id COLUMN --label COLUMN (or --true-types, of "
            "a simulated dataset)."
        )
    open_tables(role="author")
    if file is None or id_ is None or label is None:
        register_true_types(dataset, name)
    else:
        columns = LabelColumns(id_, label, session=session, confidence=confidence)
        found = register_labels(dataset, name, file, columns, by=by, min_confidence=min_confidence)
        for note in found.notes:
            err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    row = next(one for one in queries.label_sets(dataset) if one["label_set"] == name)
    counts = ", ".join(f"{what} {n}" for what, n in sorted(row["counts"].items(), key=lambda one: -one[1]))
    out.print(
        f"label set {name} of {dataset}: {row['n_labelled']} of {row['n_neurons']} neurons, {row['n_classes']} classes "
        f"({counts}); `decortex schedule` and `decortex work` compare them, `decortex labels STUDY` answers",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
