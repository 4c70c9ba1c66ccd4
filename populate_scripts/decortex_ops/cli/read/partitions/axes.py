"""The command that says whether clusters or continuous axes predict scores and other networks' embeddings."""

from __future__ import annotations

from typing import Annotated

import typer

from decortex_ops.cli.legends import print_legend
from decortex_ops.cli.output import CsvFlag, JsonFlag, out, print_rows, said_plainly
from decortex_ops.cli.session import open_to_read

COLUMNS = (
    "dataset",
    "model",
    "model_seed",
    "embedding",
    "target",
    "status",
    "r2_clusters",
    "r2_axes",
    "r2_both",
    "clusters_add",
    "clusters_add_p",
    "axes_add",
    "axes_add_p",
    "n_clusters",
)


def axes(
    study: Annotated[str, typer.Argument(help="A study; it need not be frozen.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show whether clusters or continuous axes predict scores and other networks. Example: decortex axes v4-sweep."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.types_or_axes(study)
    if said_plainly(found, found, json=json, csv=csv):
        return
    for row in found:
        whose = (
            f"{row['dataset']}, {row['model']} seed {row['model_seed']}, {row['embedding']}, {row['target']}"
        )
        out.print(f"{whose}: {row['sentence']}", highlight=False, markup=False, soft_wrap=True)
    out.print()
    print_rows(
        found,
        list(COLUMNS),
        title=f"study {study}: types or axes",
        empty="the study has no network with test scores or another seed to compare with",
    )
    print_legend(COLUMNS)
