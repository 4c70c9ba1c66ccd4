"""Surrogates without types beside the data: every value that a null model gave, over K."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decortex.columns import BLACK, NULL_COLOURS, criterion_words
from decortex.figures.style import (
    NORMAL,
    NULL_MARKERS,
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
    wrapped,
)


def surrogate_values(
    surrogates: pd.DataFrame,
    observed: pd.DataFrame,
    *,
    criterion: str,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw one criterion on the data and on every surrogate, one panel a null model.

    Parameters
    ----------
    surrogates : DataFrame
        One row per surrogate and K: ``null_kind``, ``null_seed``, ``k``, ``value``.
    observed : DataFrame
        One row per K: ``k``, ``value``.
    criterion : str
        What the values are.
    title : str
        Whose they are.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two, the default).

    Returns
    -------
    Figure
        Dots: surrogates, side by side at their K; black: the data. The title of a panel counts, over K, the data
        that no surrogate reaches.

    Raises
    ------
    InputError
        If a column is missing or there is no surrogate.
    """
    check_table(surrogates, ("null_kind", "null_seed", "k", "value"), "the figure of surrogates")
    check_table(observed, ("k", "value"), "the figure of surrogates (the data's values)")
    kinds = sorted(surrogates["null_kind"].unique())
    n = surrogates.groupby(["null_kind", "null_seed"]).ngroups // len(kinds)
    size = inches(width, TWO_COLUMNS)
    columns = beside(size, len(kinds), each=1.75)
    rows = -(-len(kinds) // columns)
    figure = new_figure(size, 0.8 + 1.8 * rows, f"{title} ({n} surrogates per null model)".lstrip())
    data = observed.assign(value=numbers(observed["value"])).sort_values("k")
    for i, (axes, kind) in enumerate(zip(grid(figure, len(kinds), columns=columns), kinds, strict=True)):
        own = surrogates[surrogates["null_kind"] == kind].sort_values(["k", "null_seed"])
        own = own.assign(value=numbers(own["value"]))
        rank = own.groupby("k").cumcount() / own.groupby("k")["k"].transform("size")
        axes.scatter(
            own["k"] + 0.5 * (rank - 0.5),
            own["value"],
            s=5,
            color=NULL_COLOURS.get(kind, BLACK),
            marker=NULL_MARKERS.get(kind, "o"),
            linewidths=0,
            label=f"surrogates: {kind}",
        )
        axes.plot(
            data["k"], data["value"], color=BLACK, linewidth=1, marker="o", markersize=2.5, label="data"
        )
        highest = own.groupby("k")["value"].max().reindex(data["k"]).to_numpy()
        above = int(np.count_nonzero(data["value"].to_numpy() > highest))
        dress(axes, x="number of clusters K")
        told = f"{kind}: above all at {above} of {len(data)} K"
        axes.set_title(wrapped(told, 0.85 * figure.get_size_inches()[0] / columns), fontsize=NORMAL)
        called, unit = criterion_words(criterion)
        if i % columns == 0:
            axes.set_ylabel(f"{called}\n({unit})" if unit else called, fontsize=NORMAL)
        count_ticks(axes, data["k"])
    legend_below(figure, figure.axes)
    return figure
