"""`decortex clusters STUDY`: what a cluster is, by the tuning of its neurons in silico."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_table
from decortex_ops.cli.output import CsvFlag, JsonFlag, out, said_plainly
from decortex_ops.cli.session import open_tables, open_to_read


def clusters(
    study: Annotated[str, typer.Argument(help="Name of the study; it may be frozen.")],
    *,
    method: Annotated[str | None, typer.Option(help="Method by name; default: the study's first.")] = None,
    k: Annotated[
        int | None, typer.Option("-k", min=2, help="Clusters; default: the study's middle K.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask for tuning and stimuli; workers measure them.")
    ] = False,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Print what the neurons of every cluster answer to: gratings, patches and spots shown to the networks.

    Example: decortex clusters v4-sweep --method kmeans -k 8
    """
    from decortex_schemas import queries

    if ask:
        open_tables()
        method, k = queries.first_partition(study, method=method, k=k)
        _ask(study, method, k)
        return
    open_to_read()
    method, k = queries.first_partition(study, method=method, k=k)
    rows = queries.cluster_profiles(study, method=method, k=k)
    if said_plainly(rows, rows, json=json, csv=csv):
        return
    if not rows:
        raise ConfigError(
            f"no network of {study} was shown anything yet at {method}, K = {k}: run `decortex schedule`, then "
            "`decortex work`. Networks whose readout alone is known cannot be shown anything."
        )
    print_table(_sentence(rows, method, k), rows, _columns(rows))


def _ask(study: str, method: str, k: int) -> None:
    from decortex_schemas.tables import request_stimuli, request_tuning

    request_tuning(study)
    request_stimuli(study, method, (k,))
    out.print(
        f"asked for the tuning of every network of {study}, and for stimuli of {method} at K = {k}; `decortex schedule`"
        " queues them, `decortex work` measures"
    )


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Columns that hold something, without the spreads."""
    return [
        name for name in rows[0] if not name.endswith("_sd") and any(row[name] is not None for row in rows)
    ]


def _sentence(rows: list[dict[str, Any]], method: str, k: int) -> str:
    with_stimuli = [row for row in rows if row["n_stimuli"]]
    told = sum(row["n_discriminated"] == row["n_stimuli"] for row in with_stimuli)
    stimuli = (
        f" In every network their own stimulus drives {told} of {len(with_stimuli)} clusters more than any other."
        if with_stimuli
        else " Stimuli that tell clusters apart were not asked for."
    )
    n = max(row["n_networks"] for row in rows)
    return f"{len(rows)} clusters by {method} at K = {k}, {n} network{'' if n == 1 else 's'}.{stimuli}"
