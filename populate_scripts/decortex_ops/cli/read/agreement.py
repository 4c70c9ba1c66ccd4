"""`decortex agreement`: whether networks, starts, subsamples and methods find one partition."""

from __future__ import annotations

from typing import Annotated

import typer

from decortex_ops.cli.legends import AGREEMENT, print_legend, say, say_answer
from decortex_ops.cli.output import CsvFlag, JsonFlag, choose_part, out, print_rows, said_plainly
from decortex_ops.cli.read.one_part import print_part_of, shared_sentence
from decortex_ops.cli.read.results import construction_lines, say_construction
from decortex_ops.cli.session import open_to_read
from decortex_ops.reports import (
    COMMUNITY_COLUMNS,
    GEOMETRY_COLUMNS,
    SHARED_COLUMNS,
    communities_sentence,
    geometry_sentence,
)

PARTITION_COLUMNS = (
    "method",
    "k",
    "finetune",
    "n_partitions",
    "largest_share",
    "ari_seeds",
    "ari_null",
    "p_null",
    "ami_seeds",
    "v_measure_seeds",
    "fowlkes_mallows_seeds",
    "matched_seeds",
    "ari_clustering_seeds",
    "ami_clustering_seeds",
    "ari_consensus",
    "support",
    "worst_cluster",
)
SUBSAMPLE_COLUMNS = (
    "method",
    "k",
    "model_seed",
    "ari_subsamples",
    "ami_subsamples",
    "v_measure_subsamples",
    "fowlkes_mallows_subsamples",
    "matched_subsamples",
    "ari_whole",
    "neuron_stability",
    "worst_cluster",
    "n_clusters_recovered",
)
METHOD_COLUMNS = (
    "method_a",
    "method_b",
    "k",
    "finetune",
    "ari_same",
    "ami_same",
    "v_measure_same",
    "fowlkes_mallows_same",
    "matched_same",
    "ari_other",
    "ami_other",
)
MODEL_COLUMNS = (
    "model_a",
    "model_b",
    "method",
    "k",
    "finetune",
    "ari_models",
    "ami_models",
    "v_measure_models",
    "fowlkes_mallows_models",
    "matched_models",
    "n_pairs_models",
)
NULL_COLUMNS = (
    "method",
    "k",
    "finetune",
    "null",
    "measure",
    "before",
    "before_null",
    "after",
    "after_null",
    "after_z",
    "after_p",
    "change",
    "change_null",
    "change_z",
    "change_p",
    "n_null",
)
# Tables of the answer: columns and title.
AGREEMENT_PARTS = {
    "partitions": (PARTITION_COLUMNS, "between networks (seeds) and starts (clustering_seeds)"),
    "subsamples": (SUBSAMPLE_COLUMNS, "between subsamples of 80 % of the neurons"),
    "methods": (METHOD_COLUMNS, "between methods, on the same network and on different ones"),
    "models": (MODEL_COLUMNS, "between networks of different specifications"),
    "geometry": (GEOMETRY_COLUMNS, "distances between neurons, in one network and another"),
    "communities": (COMMUNITY_COLUMNS, "communities of neurons that share clusters more often than chance"),
    "shared": (
        SHARED_COLUMNS,
        "labellings that all networks support (TURTLE), beside the vote of every method",
    ),
    "nulls": (NULL_COLUMNS, "fine-tuning against the same fine-tuning of surrogates without types"),
}
NOTHING_COMPARED = "nothing compared yet; `decortex work` does once the scheduler has queued it"
# Tables that say something beside the answer of the study.
SENTENCES = {
    "geometry": geometry_sentence,
    "communities": communities_sentence,
    "shared": shared_sentence,
}
NOT_ASKED = {
    "geometry": "networks' arrangements of the neurons are not compared yet; it takes two networks or more",
    "communities": 'no communities: a plan asks for them with "communities" (docs/science/geometry.md)',
    "shared": 'no shared labelling: a plan asks for it with "shared_labelling" (docs/science/shared-labelling.md)',
    "nulls": 'no fine-tuned surrogates: a plan asks for them with "finetuned_null" (docs/science/nulls.md)',
}


def agreement(
    study: Annotated[str, typer.Argument(help="A frozen study; with --ask any.")],
    *,
    ask: Annotated[
        bool,
        typer.Option("--ask", help="Ask for surrogates without types to compare with; workers draw them."),
    ] = False,
    method: Annotated[
        list[str] | None, typer.Option(help="With --ask: only this method; may be repeated.")
    ] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
    part: Annotated[str | None, typer.Option(help=f"One table alone: {', '.join(AGREEMENT_PARTS)}.")] = None,
) -> None:
    """Show whether networks, starts, subsamples and methods find one partition. Example: decortex agreement demo."""
    from decortex_schemas import queries

    if ask:
        _ask_null(study, method or [])
        return
    open_to_read()
    found = queries.agreement(study)
    rows = choose_part(found, tuple(AGREEMENT_PARTS), part or "partitions")
    if said_plainly(found, rows, json=json, csv=csv):
        return
    if part is not None:
        print_part_of(
            study,
            rows,
            part,
            parts=AGREEMENT_PARTS,
            question=AGREEMENT,
            empty=NOT_ASKED.get(part, NOTHING_COMPARED),
            sentences=SENTENCES,
            notes=construction_lines(study),
        )
        return
    say_answer(study, AGREEMENT)
    print_rows(
        found["partitions"],
        PARTITION_COLUMNS,
        title=f"study {study}: {AGREEMENT_PARTS['partitions'][1]}",
        empty=NOTHING_COMPARED,
    )
    say_construction(study)
    shown = [name for name in AGREEMENT_PARTS if name == "partitions" or found[name]]
    for name in shown[1:]:
        columns, title = AGREEMENT_PARTS[name]
        out.print()
        if name in SENTENCES:
            say(SENTENCES[name](found[name]))
        print_rows(found[name], columns, title=title)
    print_legend(*(AGREEMENT_PARTS[name][0] for name in shown))


def _ask_null(study: str, methods: list[str]) -> None:
    from decortex_ops.cli.session import open_tables
    from decortex_schemas.tables.evaluation import SURROGATES, request_agreement_null

    open_tables()
    request_agreement_null(study, methods=methods)
    whose = "every method" if not methods else ", ".join(methods)
    out.print(
        f"asked for {SURROGATES} surrogates of the networks of {study}, clustered by {whose} at every K; "
        "`decortex schedule` queues them, `decortex work` draws them",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
