"""Panels of what networks share beside partitions of one K: arrangement of the neurons, and communities."""

from __future__ import annotations

from decortex_ops.dashboard.choosing import Chosen
from decortex_ops.dashboard.parts import Empty, Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.reports import (
    COMMUNITY_COLUMNS,
    GEOMETRY_COLUMNS,
    communities_sentence,
    geometry_sentence,
)
from decortex_schemas import queries

_OF_PAGE = ("embedding", "k", "finetune")  # named above the panels


def geometry_panels(chosen: Chosen, source: Source) -> list[Panel]:
    """Both panels of a frozen study: geometry of the chosen embedding, communities at the chosen K, where asked for."""
    if (chosen.study or {}).get("frozen_at") is None:
        return []
    found = source(queries.agreement, chosen.state["study"])
    names = chosen.names()
    whose = {name: names[name] for name in ("dataset", "model", "embedding")}
    at = {**whose, "k": chosen.state["k"], "finetune": names["finetune"]}
    panels = []
    for part, title, columns, sentence, same, empty in (
        (
            "geometry",
            "Do networks arrange the neurons alike, before anything is clustered?",
            GEOMETRY_COLUMNS,
            geometry_sentence,
            whose,
            Empty(
                "Nothing is compared yet; it takes two networks or more.",
                "decortex schedule    # then: decortex work",
            ),
        ),
        (
            "communities",
            "Communities: neurons that share clusters more often than chance",
            COMMUNITY_COLUMNS,
            communities_sentence,
            at,
            Empty(
                "There are no communities at this K: nobody asked, or they are not computed yet.",
                '"communities": {} in the plan    # then: decortex schedule, decortex work',
            ),
        ),
    ):
        rows = [row for row in found[part] if all(row[name] == value for name, value in same.items())]
        shown = [name for name in columns if name not in _OF_PAGE]
        panels.append(
            Panel(
                part,
                title,
                f"n = {len(rows)} row{'' if len(rows) == 1 else 's'}",
                content=table(rows, shown, caption=title),
                rows=[dict(row) for row in rows],
                empty=None if rows else empty,
                note=sentence(rows) if rows else "",
            )
        )
    return panels
