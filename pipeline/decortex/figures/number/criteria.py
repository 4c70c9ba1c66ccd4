"""Criteria of the number of clusters over K, with the bands of their null models and the decision."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from decortex.figures.style import (
    BLACK,
    NULL_COLOURS,
    SMALL,
    TWO_COLUMNS,
    VERMILION,
    check_table,
    dress,
    grid,
    legend,
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
    values: pd.DataFrame, nulls: pd.DataFrame, *, decision: int | None, reason: str, title: str = ""
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
    rows = -(-max(len(names), 1) // COLUMNS)
    figure = new_figure(TWO_COLUMNS, 0.5 + 1.5 * rows, f"{title}: {verdict} ({reason})".removeprefix(": "))
    for i, (axes, name) in enumerate(
        zip(grid(figure, max(len(names), 1), columns=COLUMNS), names, strict=False)
    ):
        own = nulls[nulls["criterion"] == name] if len(nulls) else nulls
        _panel(axes, values[values["criterion"] == name].sort_values("k"), own)
        if decision is not None:
            axes.axvline(decision, color=VERMILION, linewidth=0.8, linestyle="--", label="decision")
        dress(axes, x="number of clusters K", title=name.replace("_", " "))
        if i == 0:
            legend(axes)
    return figure


def _panel(axes: Axes, values: pd.DataFrame, nulls: pd.DataFrame) -> None:
    for kind in sorted(nulls["null_kind"].unique()) if len(nulls) else ():
        band = nulls[nulls["null_kind"] == kind].sort_values("k")
        axes.fill_between(
            numbers(band["k"]),
            numbers(band["null_low"]),
            numbers(band["null_high"]),
            color=NULL_COLOURS.get(kind, BLACK),
            alpha=0.3,
            linewidth=0,
            label=f"null: {kind}",
        )
    k, value = numbers(values["k"]), numbers(values["value"])
    low, high = numbers(values["low"]), numbers(values["high"])
    axes.vlines(k, low, high, color=BLACK, linewidth=0.8)
    axes.plot(k, value, color=BLACK, linewidth=1, marker="o", markersize=2.5, label="data")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=SMALL)
