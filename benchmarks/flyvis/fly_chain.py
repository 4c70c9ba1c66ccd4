"""The chain on the second world, through the tables: networks of the fly's neurons against its 65 cell types.

    python benchmarks/flyvis/fly_chain.py FOLDER [--workers N] [--table]

FOLDER is that of `benchmarks/flyvis/fly_world.py`. A private server in FOLDER/home holds the dataset, its label sets
and the study of docs/plans/flyvis.json; a run that was interrupted goes on where it stopped. Prints the tables of
docs/results/flyvis.md. `--table` prints them and computes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DATASET = STUDY = "flyvis"
LABEL_SET = "cell_type"


def run(folder: Path, workers: int) -> None:
    """Register what is not registered, and compute what is not computed."""
    from decortex.evaluation.labels import LabelColumns  # noqa: PLC0415
    from decortex_ops.plan_files import read_plan  # noqa: PLC0415
    from decortex_ops.workers import run_until_empty  # noqa: PLC0415
    from decortex_schemas import queries  # noqa: PLC0415
    from decortex_schemas.register import (  # noqa: PLC0415
        PlanFile,
        declare_plan,
        register_labels,
        selection_study_of,
        states_study_of,
    )
    from decortex_schemas.tables import freeze_study, register_folder  # noqa: PLC0415

    register_folder(DATASET, folder / "recordings")
    columns = LabelColumns("unit_id", LABEL_SET, session="session")
    register_labels(DATASET, LABEL_SET, folder / "cell_types.csv", columns)
    declare_plan(STUDY, PlanFile.from_params(read_plan(f"example:{STUDY}")))

    def freeze() -> None:
        for study in (STUDY, states_study_of(STUDY), selection_study_of(STUDY)):
            freeze_study(study)

    begun, last = time.monotonic(), [""]

    def tell(rows: Sequence[Mapping[str, Any]]) -> None:
        waits = [f"{r['table']} {r['pending'] + r['reserved']}" for r in rows if r["pending"] + r["reserved"]]
        if waits and ", ".join(waits) != last[0]:
            last[0] = ", ".join(waits)
            print(f"{time.monotonic() - begun:6.0f} s, waiting: {last[0]}", flush=True)

    run_until_empty(workers=workers, on_round=tell, then=freeze)
    failed = queries.failed_jobs()
    for row in failed:
        print(f"failed: {row['table']} {row['key']}: {row['message']}")


def text(value: Any) -> str:
    """A field of a table."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write it in Markdown."""
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(text, row))} |" for row in rows)])


def partitions() -> str:
    """Every method and K: the types, and other networks."""
    from decortex_schemas import queries  # noqa: PLC0415

    found = queries.against_labels(STUDY)["partitions"]
    by = {(row["method"], row["k"]): row for row in found}
    rows = []
    for one in queries.agreement(STUDY)["partitions"]:
        if one["finetune"] != "none":
            continue
        types = by[one["method"], one["k"]]
        rows.append(
            (
                one["method"],
                one["k"],
                types["ari"],
                types["ari_null"],
                types["ami"],
                one["ari_seeds"],
                one["ari_null"],
                one["largest_share"],
            )
        )
    headings = (
        "method",
        "K",
        "ARI with the types",
        "shuffled",
        "AMI",
        "ARI between networks",
        "of surrogates",
        "largest cluster",
    )
    return table(headings, rows)


def decoding() -> str:
    """The types decoded in a fly that is left out."""
    from decortex_schemas import queries  # noqa: PLC0415

    names = ("model", "decoder", "n_decoded", "balanced_accuracy", "chance_accuracy", "macro_f1")
    rows = [[row.get(name) for name in names] for row in queries.against_labels(STUDY)["decoding"]]
    return table([name.replace("_", " ") for name in names], rows)


def fine_tuning() -> str:
    """Start, control and fine-tuned networks."""
    from decortex_schemas import queries  # noqa: PLC0415

    names = {
        "finetune": "fine-tuning",
        "k": "K",
        "state": "state",
        "ari_truth": "ARI with the types",
        "ari_networks": "ARI between networks",
        "test_correlation": "test correlation",
        "correlation_change": "less control",
        "share_changed": "labels changed",
    }
    moved = {
        (row["finetune"], row["k"]): row["share_changed"]
        for row in queries.results(STUDY)
        if row["finetune"] != "none"
    }
    rows = []
    for row in queries.states(STUDY):
        if row["method"] in (row["start_method"], "own"):
            own = (
                moved.get((row["finetune"], row["k"]))
                if row["state"] == "fine_tuned"
                else row["share_changed"]
            )
            rows.append([{**row, "share_changed": own}[name] for name in names])
    return table(list(names.values()), rows)


def sentences() -> list[str]:
    """What the study answers in words."""
    from decortex_schemas import queries  # noqa: PLC0415
    from decortex_schemas.register import selection_study_of  # noqa: PLC0415

    told = [f"Network {row['model_seed']}: {row['sentence']}" for row in queries.types(STUDY)]
    for row in queries.best_k(selection_study_of(STUDY)):
        told.append(f"Partitions by {row['method_name']}: K = {row['decision']} ({row['reason']}).")
    told.append(queries.against_labels(STUDY)["sentence"])
    told += [f"{row['question']} {row['answer']}: {row['sentence']}" for row in queries.answers(STUDY)]
    axes = [row for row in queries.types_or_axes(STUDY) if row["target"] != "waiting"]
    return [*told, *(f"{row['target']}, network {row['model_seed']}: {row['sentence']}" for row in axes)]


def main() -> None:
    """Run what is missing and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", action="store_true", help="print what there is and compute nothing")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    for name in [one for one in os.environ if one.startswith("DJ_")]:
        del os.environ[name]
    os.environ["DECORTEX_HOME"] = str(folder / "home")
    from decortex_ops.server import EmbeddedServer  # noqa: PLC0415
    from decortex_schemas.database import (  # noqa: PLC0415
        connect,
        declare_everything,
        open_connection,
        read_settings,
    )
    from decortex_schemas.register import register_defaults  # noqa: PLC0415

    server = EmbeddedServer()
    server.start()
    declare_everything(open_connection(read_settings()))
    connect(must_write=True)
    register_defaults()
    if not arguments.table:
        run(folder, arguments.workers)
    print("\n\n".join([partitions(), decoding(), fine_tuning(), *sentences()]))


if __name__ == "__main__":
    main()
