"""The command that compares clusters and embeddings with external labels, before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from decortex_ops.cli.legends import print_legend
from decortex_ops.cli.output import CsvFlag, JsonFlag, choose_part, out, print_rows, said_plainly
from decortex_ops.cli.session import open_to_read
from decortex_ops.reports import LABEL_ANSWERS_COLUMNS, LABEL_DECODING_COLUMNS, LABEL_PARTITIONS_COLUMNS

SHOWN = {
    "answers": LABEL_ANSWERS_COLUMNS,
    "partitions": LABEL_PARTITIONS_COLUMNS,
    "decoding": LABEL_DECODING_COLUMNS,
}
# Names that stand in the title where all rows share them.
NAMES = ("label_set", "dataset", "model", "embedding", "left_out")
TITLES = {
    "answers": "clusters against labels, before and after fine-tuning",
    "partitions": "clusters against labels, without fine-tuning",
    "decoding": "labels decoded from embeddings",
}


def labels(
    study: Annotated[str, typer.Argument(help="A study; it need not be frozen.")],
    label_set: Annotated[str | None, typer.Option(help="One label set alone.")] = None,
    part: Annotated[
        str, typer.Option(help="With --csv: answers, partitions, decoding or pairs.")
    ] = "answers",
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Compare a study's clusters and embeddings with external labels. Example: decortex labels demo."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.against_labels(study, label_set)
    rows = choose_part(found, queries.PARTS, part)
    if said_plainly(found, rows, json=json, csv=csv):
        return
    lines = [found["sentence"], *(f"  {row['sentence']}" for row in found["answers"])]
    if found["n_waiting"]:
        lines.append(f"{found['n_waiting']} comparisons are not computed yet.")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    for name, columns in SHOWN.items():
        if found[name]:
            out.print()
            shown, same = differing(found[name], columns)
            print_rows(found[name], shown, title=f"study {study}: {TITLES[name]} ({same})")
    print_legend(*(shown for name, shown in SHOWN.items() if found[name]))


def differing(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[list[str], str]:
    """Columns of a table without names that all rows share, and these in words."""
    same = [name for name in columns if name in NAMES and len({row[name] for row in rows}) == 1]
    words = ", ".join(f"{name.replace('_', ' ')} {rows[0][name]}" for name in same)
    return [name for name in columns if name not in same], words or "several datasets"
