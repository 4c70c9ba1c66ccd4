"""`decortex assign`: which clusters of a study's partition the neurons of a new session or animal belong to, if any."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from decortex.errors import CheckpointError, ConfigError
from decortex_ops.cli.output import out
from decortex_ops.cli.read.figure import parse_where, write
from decortex_ops.cli.session import open_to_read

if TYPE_CHECKING:
    from decortex_schemas.queries import AssignedTo, NewNeurons

COLUMNS = ("neuron", "label", "status", "nearest", "confidence", "separation", "p")


def assign(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    features: Annotated[
        Path,
        typer.Argument(
            help="Readouts of the new neurons on the study's network's core: a checkpoint of decortex, or .npy, .npz "
            "(array X) or .csv of neurons x readout features."
        ),
    ],
    out_file: Annotated[Path, typer.Argument(metavar="OUT", help="A new file, .csv or .json.")],
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(help="column=value of the partition; repeat. An error says between what."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Share of a cluster's own neurons that is refused (default .1).")
    ] = None,
    min_separation: Annotated[
        float | None,
        typer.Option(help="How much farther the second cluster must be, as a share (default .5)."),
    ] = None,
) -> None:
    """Assign new neurons to the clusters of a frozen partition, or to none of them.

    Example: decortex assign v4-sweep new-animal.pt new-animal.csv --where k=8
    """
    if out_file.suffix not in (".csv", ".json"):
        raise ConfigError(f"OUT should end in .csv or .json, got {out_file.name!r}.")
    if out_file.exists():
        raise ConfigError(f"{out_file} exists; name a new file.")
    from decortex_ops.reports import one_of
    from decortex_schemas import queries

    chosen = parse_where(where or [])
    unknown = sorted(set(chosen) - set(queries.CHOICE))
    if unknown:
        raise ConfigError(
            f"--where does not choose by {unknown[0]!r} here; it does by {', '.join(queries.CHOICE)}."
        )
    open_to_read()
    row = one_of(queries.partitions(study), chosen, queries.CHOICE, "partition")
    found = queries.assign_new(row["key"], _read(features), alpha=alpha, min_separation=min_separation)
    partition = {name: row[name] for name in queries.CHOICE}
    content = _json(found, study, partition) if out_file.suffix == ".json" else _csv(found)
    write(out_file, content.encode())
    for text in (found.assignment.sentence, f"{_space(found)} Written: {out_file}"):
        out.print(text, highlight=False, markup=False, soft_wrap=True)


def _read(path: Path) -> NewNeurons:
    """Readout features of a file, with the digest of the core where it is a network of ours."""
    from decortex.models import core_sha256
    from decortex.verbs import load_network
    from decortex_ops.cli.labels_file import read_features
    from decortex_schemas.queries import NewNeurons

    if path.suffix not in (".npy", ".npz", ".csv"):
        try:
            network = load_network(path)
        except CheckpointError:
            return NewNeurons(read_features(path, "raw"))  # another project's: its readout alone can be read
        return NewNeurons(network.embedding().detach().cpu().numpy(), core_sha256(network))
    return NewNeurons(read_features(path, "raw"))


def rows_of(found: AssignedTo) -> list[dict[str, Any]]:
    """One row per new neuron, in the order of the file; ``p`` is that of the nearest cluster."""
    one = found.assignment
    columns = {int(cluster): column for column, cluster in enumerate(one.clusters)}
    return [
        {
            "neuron": i,
            "label": int(one.labels[i]),
            "status": str(one.status[i]),
            "nearest": int(one.nearest[i]),
            "confidence": round(float(one.confidence[i]), 4),
            "separation": round(float(one.separation[i]), 4) if np.isfinite(one.separation[i]) else None,
            "p": round(float(one.p[i, columns[int(one.nearest[i])]]), 4),
        }
        for i in range(len(one.labels))
    ]


def _csv(found: AssignedTo) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_of(found))
    return text.getvalue()


def _json(found: AssignedTo, study: str, partition: dict[str, Any]) -> str:
    one = found.assignment
    precision = None if np.isnan(one.expected_precision) else round(one.expected_precision, 4)
    content = {
        "study": study,
        "partition": partition,
        "sentence": one.sentence,
        "same_core": found.same_core,
        "calibrated_on": found.groups,
        "coverage": round(one.coverage, 4),
        "expected_coverage": round(one.expected_coverage, 4),
        "expected_precision": precision,
        "small_clusters": list(one.small_clusters),
        "neurons": rows_of(found),
    }
    return json.dumps(content, indent=1) + "\n"


def _space(found: AssignedTo) -> str:
    if found.same_core:
        return "The new readouts are weights of the same core (checked by its digest)."
    return (
        "Only the number of features was checked: that they are weights of the same core is for you to know."
    )
