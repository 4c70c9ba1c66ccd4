"""Panels of external labels: how far clusters of the chosen network follow them, before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_ops.dashboard.choosing import Chosen
from decortex_ops.dashboard.parts import Empty, Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.reports import LABEL_ANSWERS_COLUMNS, LABEL_PARTITIONS_COLUMNS
from decortex_schemas import queries

# The page names these above its panels.
CHOSEN = ("dataset", "model", "embedding", "k")
PARTITIONS = tuple(name for name in LABEL_PARTITIONS_COLUMNS if name not in CHOSEN)
ANSWERS = tuple(name for name in LABEL_ANSWERS_COLUMNS if name not in CHOSEN)


def label_panels(chosen: Chosen, source: Source) -> list[Panel]:
    """Two tables at the chosen K, of every label set of the dataset; none where no label set is registered."""
    state = chosen.state
    if not source(queries.label_sets, state["dataset"]):
        return []
    found = source(queries.against_labels, state["study"])
    names = chosen.names()
    same = {"k": state["k"], **{name: names[name] for name in ("dataset", "model", "embedding")}}
    parts: Sequence[tuple[str, str, str, tuple[str, ...]]] = (
        (
            "partitions",
            "Clusters against external labels",
            "means over networks and starts; shuffled: labels shuffled within animals; p: median; macro F1 and "
            "balanced accuracy of labels decoded from clusters on animals left out",
            PARTITIONS,
        ),
        (
            "answers",
            "Did fine-tuning bring clusters nearer to the labels?",
            "ARI with the labels; interval of the difference over networks",
            ANSWERS,
        ),
    )
    panels = []
    for part, title, how, columns in parts:
        rows = [row for row in found[part] if all(row[name] == value for name, value in same.items())]
        if rows or part == "partitions":
            panels.append(
                Panel(
                    f"labels-{part}",
                    title,
                    f"n = {len(rows)} rows at this K; {how}",
                    content=table(rows, columns, caption=title),
                    rows=[dict(row) for row in rows],
                    empty=None
                    if rows
                    else Empty(
                        "Nothing is compared with the labels at this K yet.",
                        "decortex schedule    # then: decortex work",
                    ),
                )
            )
    return panels
