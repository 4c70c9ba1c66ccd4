"""Predictive performance by cluster, with the size of the effect and its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from decortex.columns import BLACK, axis_label, written
from decortex.figures.style import (
    ONE_COLUMN,
    SMALL,
    TWO_COLUMNS,
    check_table,
    cluster_colour,
    dress,
    figure3,
    inches,
    new_figure,
    numbers,
    plain_text,
    wrapped,
)

# A violin of fewer neurons would show the smoothing and not them.
VIOLIN_FROM = 10
_ROOM_OF_N = 0.38  # inches that "n=123" takes


def performance_by_cluster(
    neurons: pd.DataFrame,
    effect: Mapping[str, float | None],
    *,
    score: str | None = None,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw every neuron's correlation, or another score of it, by cluster.

    Parameters
    ----------
    neurons : DataFrame
        One row per neuron: ``cluster`` (-1: in none) and ``score``; undefined scores are left out and counted.
    effect : mapping
        ``epsilon2_corrected`` with ``epsilon2_low``, ``epsilon2_high`` (share of the rank variance between clusters),
        ``epsilon2_within`` and ``p_permutation`` (within sessions); None where undefined.
    score : str, optional
        What the score is called; default: test correlation.
    title : str
        Which partition this is.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two). Default: as its clusters need.

    Returns
    -------
    Figure
        A violin a cluster (dots where it has fewer than ten neurons) with quartiles; the effect in the title.

    Raises
    ------
    InputError
        If a column is missing or no neuron has a score and a cluster.
    """
    check_table(neurons, ("cluster", "score"), "performance by cluster")
    table = neurons.assign(score=numbers(neurons["score"]), cluster=neurons["cluster"].astype(int))
    kept = table[np.isfinite(table["score"]) & (table["cluster"] >= 0)]
    check_table(kept, ("cluster", "score"), "performance by cluster (neurons with a score)")
    clusters = sorted(kept["cluster"].unique())
    interval = f"{figure3(effect.get('epsilon2_low'))} to {figure3(effect.get('epsilon2_high'))}"
    p = effect.get("p_permutation")
    lines = (
        f"{title} (n = {len(kept)} neurons, {len(table) - len(kept)} without a score)".lstrip(),
        f"epsilon² = {figure3(effect.get('epsilon2_corrected'))} [{interval}]; within sessions "
        f"{figure3(effect.get('epsilon2_within'))}, permutation p {written('p', p)}",
    )
    size = inches(width, max(ONE_COLUMN, min(TWO_COLUMNS, 1 + 0.35 * len(clusters))))
    figure = new_figure(size, 2.7, lines[0])
    axes = figure.subplots()
    axes.set_title(wrapped(lines[1], size), fontsize=SMALL)
    for place, cluster in enumerate(clusters):
        scores = kept.loc[kept["cluster"] == cluster, "score"].to_numpy()
        colour = cluster_colour(cluster)
        if len(scores) >= VIOLIN_FROM and np.ptp(scores) > 0:
            parts = axes.violinplot(scores, [place], widths=0.85, showextrema=False)
            for body in cast(Sequence[Collection], parts["bodies"]):
                body.set_facecolor(colour)
                body.set_alpha(0.5)
        else:
            axes.scatter(np.full(len(scores), place), scores, s=6, color=colour, alpha=0.7)
        low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
        axes.vlines(place, low, high, color=BLACK, linewidth=1.5)
        axes.scatter([place], [middle], s=10, color=BLACK, zorder=3)
    sizes = kept["cluster"].value_counts()
    roomy = (size - 0.7) / len(clusters) > _ROOM_OF_N
    before, x = ("n=", "cluster") if roomy else ("", "cluster, above its number of neurons")
    axes.set_xticks(range(len(clusters)), [f"{cluster}\n{before}{sizes[cluster]}" for cluster in clusters])
    dress(axes, x=x, y=axis_label("test_correlation") if score is None else plain_text(score))
    return figure
