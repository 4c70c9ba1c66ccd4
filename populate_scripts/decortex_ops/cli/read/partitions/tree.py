"""The command that shows how many types of neurons stand apart, and how they split."""

from __future__ import annotations

from typing import Annotated

import typer

from decortex_ops.cli.legends import print_legend
from decortex_ops.cli.output import CsvFlag, JsonFlag, cell, out, print_rows, said_plainly
from decortex_ops.cli.session import open_to_read

COLUMNS = (
    "dataset",
    "model",
    "model_seed",
    "embedding",
    "status",
    "n_types",
    "at_least",
    "p_two",
    "p_smallest",
)


def tree(
    study: Annotated[str, typer.Argument(help="A study; it need not be frozen.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show how many types of neurons stand apart, if any, and their tree of splits. Example: decortex tree v4-sweep."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.types(study)
    flat = [{name: value for name, value in row.items() if name not in ("levels", "splits")} for row in found]
    if said_plainly(found, flat, json=json, csv=csv):
        return
    for row in found:
        whose = f"{row['dataset']}, {row['model']} seed {row['model_seed']}, {row['embedding']}"
        out.print(f"{whose}: {row['sentence']}", highlight=False, markup=False, soft_wrap=True)
        for split in row["splits"]:
            left, right = (", ".join(map(str, split[f"{side}_types"])) for side in ("left", "right"))
            out.print(
                f"  at {split['n_groups']} groups: types {left} ({split['n_left']} neurons) | types {right} "
                f"({split['n_right']} neurons), p {cell(split['p'], 'p')}, "
                f"density between over beside {cell(split['depth'])}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    out.print()
    print_rows(
        found, list(COLUMNS), title=f"study {study}: number of types", empty="the study has no networks"
    )
    print_legend(COLUMNS)
