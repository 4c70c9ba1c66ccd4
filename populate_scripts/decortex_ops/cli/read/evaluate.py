"""`decortex stats` and `decortex price`: performance and cluster, and what fine-tuning does and costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex_ops.cli.legends import ASSOCIATION, FINETUNING, print_legend, say_answer
from decortex_ops.cli.output import CsvFlag, JsonFlag, choose_part, out, print_rows, said_plainly
from decortex_ops.cli.read.results import say_construction, say_versions
from decortex_ops.cli.session import open_to_read
from decortex_ops.reports import CONFOUND_COLUMNS, STATES_COLUMNS, STATS_COLUMNS, SUMMARY_COLUMNS

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
STATS_PARTS = ("predictability", "confounds")
PRICE_PARTS = ("price", "pairs", "summary", "front", "states", "detectable", "generators")
NOTHING = "nothing compared yet; `decortex work` does once the scheduler has queued it"


def stats(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
    part: Annotated[str, typer.Option(help=f"Table for --csv: {', '.join(STATS_PARTS)}.")] = "predictability",
) -> None:
    """Show whether predictability is tied to cluster, here and in the population. Example: decortex stats demo."""
    from decortex_schemas import queries

    open_to_read()
    found: dict[str, Any] = {
        "study": study,
        "predictability": queries.predictability(study),
        "confounds": queries.confounds(study),
    }
    say_versions(study)
    if said_plainly(found, choose_part(found, STATS_PARTS, part), json=json, csv=csv):
        return
    say_answer(study, ASSOCIATION)
    print_rows(
        found["predictability"],
        STATS_COLUMNS,
        title=f"study {study}: performance and cluster",
        empty=NOTHING,
    )
    out.print()
    print_rows(
        found["confounds"], CONFOUND_COLUMNS, title="clusters against sessions and animals", empty=NOTHING
    )
    print_legend(STATS_COLUMNS, CONFOUND_COLUMNS)


def price(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
    part: Annotated[str, typer.Option(help=f"Table for --csv: {', '.join(PRICE_PARTS)}.")] = "price",
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
    several = len({row["dataset"] for row in found["states"]}) > 1
    found["generators"] = queries.generators(study) if several else []
    say_versions(study)
    if said_plainly(found, choose_part(found, PRICE_PARTS, part), json=json, csv=csv):
        return
    say_answer(study, FINETUNING)
    print_rows(
        found["price"],
        PRICE_COLUMNS,
        title=f"study {study}: against the equal-epoch control",
        empty="no fine-tuning has been compared with its control yet",
    )
    parts = (
        ("summary", SUMMARY_COLUMNS, "after fine-tuning against its own start, mean over networks"),
        ("front", FRONT_COLUMNS, "agreement between networks against performance"),
        ("states", STATES_COLUMNS, "four states: start, control, own labels, clustered afresh"),
    )
    for other, columns, title in parts:
        if found[other]:
            out.print()
            print_rows(found[other], columns, title=title)
    say_construction(study)
    print_legend(PRICE_COLUMNS, *(columns for other, columns, _ in parts if found[other]))
