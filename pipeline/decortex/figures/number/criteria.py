"""Criteria of the number of clusters over K, with the bands of their null models and the decision."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decortex.columns import BLACK, NULL_COLOURS, VERMILION, criterion_words
from decortex.figures.style import (
    NULL_DASHES,
    SMALL,
    TWO_COLUMNS,
    beside,
    check_table,
    count_ticks,
    dress,
    grid,
    inches,
    legend_below,
    new_figure,
    numbers,
)

COLUMNS = 4
# First what the decision rests on, then what stands beside it; others follow by name.
ORDER = (
    "stability",
    "seed_agreement",
    "valley_share",
    "prediction_strength",
    "method_agreement",
    "silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "gap",
    "bic",
    "icl",
    "held_out_likelihood",
)


def k_criteria(
    values: pd.DataFrame,
    nulls: pd.DataFrame,
    *,
    decision: int | None,
    reason: str,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw every criterion over the number of clusters.

    Parameters
    ----------
    values : DataFrame
        One row a criterion and K: ``criterion``, ``k``, ``value``, and ``low``, ``high`` (interval; may be
        undefined).
    nulls : DataFrame
        One row a criterion, K and null model: ``criterion``, ``k``, ``null_kind``, ``null_low``, ``null_high``;
        may be empty.
    decision : int or None
        K that the data support, if any.
    reason : str
        Why.
    title : str
        Whose clusters these are, with the number of neurons.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two, the default).

    Returns
    -------
    Figure
        One panel a criterion. Black: the data, with their interval; bands: null models; red: the decision.

    Raises
    ------
    InputError
        If a column is missing or there is no criterion.
    """
    check_table(values, ("criterion", "k", "value", "low", "high"), "the figure of criteria over K")
    if len(nulls):
        check_table(
            nulls, ("criterion", "k", "null_kind", "null_low", "null_high"), "the bands of null models"
        )
    present = values.loc[values["value"].notna(), "criterion"].unique()
    names = [name for name in ORDER if name in present] + sorted(set(present) - set(ORDER))
    verdict = "no K is supported" if decision is None else f"K = {decision}"
    size = inches(width, TWO_COLUMNS)
    columns = beside(size, COLUMNS)
    rows = -(-max(len(names), 1) // columns)
    figure = new_figure(size, 0.8 + 1.4 * rows, f"{title}: {verdict} ({reason})".removeprefix(": "))
    for axes, name in zip(grid(figure, max(len(names), 1), columns=columns), names, strict=False):
        own = nulls[nulls["criterion"] == name] if len(nulls) else nulls
        _panel(axes, values[values["criterion"] == name].sort_values("k"), own)
        if decision is not None:
            axes.axvline(decision, color=VERMILION, linewidth=0.8, linestyle="--", label="decision")
        called, unit = criterion_words(name)
        dress(axes, x="number of clusters K", y=unit, title=called)
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_fontsize(SMALL)
    legend_below(figure, figure.axes)
    return figure


def _panel(axes: Axes, values: pd.DataFrame, nulls: pd.DataFrame) -> None:
    for kind in sorted(nulls["null_kind"].unique()) if len(nulls) else ():
        band = nulls[nulls["null_kind"] == kind].sort_values("k")
        axes.fill_between(
            numbers(band["k"]),
            numbers(band["null_low"]),
            numbers(band["null_high"]),
            color=NULL_COLOURS.get(kind, BLACK),
            alpha=0.25,
            linewidth=0,
        )
        for end in ("null_low", "null_high"):
            axes.plot(
                numbers(band["k"]),
                numbers(band[end]),
                color=NULL_COLOURS.get(kind, BLACK),
                linestyle=NULL_DASHES.get(kind, "-"),
                linewidth=0.9,
                label=f"null: {kind}" if end == "null_high" else "",
            )
    k, value = numbers(values["k"]), numbers(values["value"])
    low, high = numbers(values["low"]), numbers(values["high"])
    axes.vlines(k, low, high, color=BLACK, linewidth=0.8)
    axes.plot(k, value, color=BLACK, linewidth=1, marker="o", markersize=2.5, label="data")
    count_ticks(axes, k)
    axes.tick_params(labelsize=SMALL)
