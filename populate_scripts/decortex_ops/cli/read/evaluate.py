"""`decortex stats` and `decortex price`: performance and cluster, and what fine-tuning does and costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex_ops.cli.legends import ASSOCIATION, FINETUNING, print_legend, say_answer
from decortex_ops.cli.output import CsvFlag, JsonFlag, choose_part, out, print_rows, said_plainly
from decortex_ops.cli.read.one_part import detectable_sentence, generators_sentence, print_part_of
from decortex_ops.cli.read.results import construction_lines, say_construction, say_versions
from decortex_ops.cli.session import open_to_read
from decortex_ops.reports import (
    CONFOUND_COLUMNS,
    DETECTABLE_COLUMNS,
    GENERATORS_COLUMNS,
    STATES_COLUMNS,
    STATS_COLUMNS,
    SUMMARY_COLUMNS,
    TABLE_SCORE_COLUMNS,
)

PRICE_COLUMNS = (
    "method",
    "k",
    "finetune",
    "model_seed",
    "seed",
    "control",
    "difference_over_sessions",
    "interval_low",
    "interval_high",
    "p_equivalence",
    "equivalent",
    "worst_cluster_difference",
)
FRONT_COLUMNS = ("method", "k", "finetune", "beta", "ari_networks", "difference", "on_front")
PAIRS_COLUMNS = (
    "method",
    "k",
    "finetune",
    "model_seed",
    "seed",
    "share_changed",
    "silhouette_before",
    "silhouette_after",
    "silhouette_change",
    "ari_networks_before",
    "ari_networks_after",
    "ari_networks_change",
    "epsilon2_before",
    "epsilon2_after",
    "epsilon2_change",
)
# Tables of an answer: columns and title.
STATS_PARTS = {
    "predictability": (STATS_COLUMNS, "performance and cluster"),
    "scores": (TABLE_SCORE_COLUMNS, "scores of the table and cluster"),
    "confounds": (CONFOUND_COLUMNS, "clusters against sessions and animals"),
}
PRICE_PARTS = {
    "price": (PRICE_COLUMNS, "against the equal-epoch control"),
    "pairs": (PAIRS_COLUMNS, "every fine-tuned partition beside its start"),
    "summary": (SUMMARY_COLUMNS, "after fine-tuning against its own start, mean over networks"),
    "front": (FRONT_COLUMNS, "agreement between networks against performance"),
    "states": (STATES_COLUMNS, "states: start, control, own labels, clustered afresh"),
    "detectable": (DETECTABLE_COLUMNS, "what would have been detected"),
    "generators": (
        GENERATORS_COLUMNS,
        "states over generators, against the control",
    ),
}
# With everything that is shown where no part is asked for.
PRICE_SHOWN = ("summary", "front", "states")
NOT_FROM_THESE = {
    "states": 'no state is clustered afresh: a plan asks for it with "states" (docs/how-to/finetuning-studies.md)',
    "generators": "generators are compared where a study has states of several datasets",
}
NO_FINETUNING = "a table has no network that could be fine-tuned"
NO_SCORES = "no scores: the study is of networks, not of a user's own table"
NO_PERFORMANCE = "a table has no network whose performance could be compared; its own scores: --part scores"
NO_TABLE_SCORE = "the table has no score: name its column (--score) where it is registered, under a new name"
NOTHING = "nothing compared yet; `decortex work` does once the scheduler has queued it"


def stats(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
    part: Annotated[str | None, typer.Option(help=f"One table alone: {', '.join(STATS_PARTS)}.")] = None,
) -> None:
    """Show whether predictability is tied to cluster, here and in the population. Example: decortex stats demo."""
    from decortex_schemas import queries

    open_to_read()
    found: dict[str, Any] = {
        "study": study,
        "predictability": queries.predictability(study),
        "scores": queries.table_scores(study),
        "confounds": queries.confounds(study),
    }
    tables = queries.study_tables(study)
    main = "scores" if tables else "predictability"
    say_versions(study)
    rows = choose_part(found, tuple(STATS_PARTS), part or main)
    if said_plainly(found, rows, json=json, csv=csv):
        return
    scores = [name for one in tables for name in queries.score_names(one)]
    empty = {
        "predictability": NO_PERFORMANCE if tables else NOTHING,
        "scores": (NOTHING if scores else NO_TABLE_SCORE) if tables else NO_SCORES,
        "confounds": NOTHING,
    }
    if part is not None:
        print_part_of(study, rows, part, parts=STATS_PARTS, question=ASSOCIATION, empty=empty[part])
        return
    say_answer(study, ASSOCIATION)
    shown = (main, "confounds")
    for name in shown:
        columns, title = STATS_PARTS[name]
        print_rows(found[name], columns, title=f"study {study}: {title}", empty=empty[name])
        out.print()
    print_legend(*(STATS_PARTS[name][0] for name in shown))


def price(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
    part: Annotated[str | None, typer.Option(help=f"One table alone: {', '.join(PRICE_PARTS)}.")] = None,
) -> None:
    """Show what fine-tuning cost, and whether it improved the clustering. Example: decortex price demo."""
    from decortex_schemas import queries

    open_to_read()
    found: dict[str, Any] = {
        "study": study,
        "price": queries.price(study),
        **queries.improvement(study),
        "front": queries.front(study),
        "states": queries.states(study) if queries.has_states(study) else [],
    }
    # Planting types takes a fraction of a second per row: it is done where it is asked for.
    found["detectable"] = queries.detectable(study) if json or part == "detectable" else []
    of_several = len({row["dataset"] for row in found["states"]}) > 1
    found["generators"] = queries.generators(study) if of_several else []
    nothing = (
        NO_FINETUNING
        if queries.study_tables(study)
        else "no fine-tuning has been compared with its control yet"
    )
    say_versions(study)
    rows = choose_part(found, tuple(PRICE_PARTS), part or "price")
    if said_plainly(found, rows, json=json, csv=csv):
        return
    if part is not None:
        print_part_of(
            study,
            rows,
            part,
            parts=PRICE_PARTS,
            question=FINETUNING,
            empty=nothing if nothing == NO_FINETUNING else NOT_FROM_THESE.get(part, NOTHING),
            sentences={"detectable": detectable_sentence, "generators": generators_sentence},
            notes=construction_lines(study),
        )
        return
    say_answer(study, FINETUNING)
    print_rows(
        found["price"],
        PRICE_COLUMNS,
        title=f"study {study}: against the equal-epoch control",
        empty=nothing,
    )
    for other in PRICE_SHOWN:
        if found[other]:
            columns, title = PRICE_PARTS[other]
            out.print()
            print_rows(found[other], columns, title=title)
    say_construction(study)
    print_legend(PRICE_COLUMNS, *(PRICE_PARTS[other][0] for other in PRICE_SHOWN if found[other]))
