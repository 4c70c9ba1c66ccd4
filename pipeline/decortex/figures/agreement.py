"""Agreement of every pair of partitions at one number of clusters, as a heat map of methods and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decortex.columns import BLACK
from decortex.errors import InputError
from decortex.figures.style import (
    NORMAL,
    ONE_COLUMN,
    SMALL,
    TWO_COLUMNS,
    check_table,
    dress,
    inches,
    new_figure,
    plain_text,
)

# Beyond so many partitions the numbers in the cells cannot be read.
MOST_NUMBERS = 12


def agreement_map(
    pairs: pd.DataFrame,
    order: Sequence[str],
    *,
    measure: str = "ari",
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw how far every two partitions agree.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair that was compared: ``a``, ``b`` (names of partitions) and the measure.
    order : sequence of str
        Names of the partitions from the top down.
    measure : str
        Column to draw; 1 is equality.
    title : str
        Which partitions these are, with K and the number of neurons.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two). Default: as its partitions need.

    Returns
    -------
    Figure
        A square of cells; the diagonal is 1, what was not compared stays white.

    Raises
    ------
    InputError
        If a column is missing, there is no pair, or a pair names a partition that the order does not.
    """
    check_table(pairs, ("a", "b", measure), "the map of agreement")
    place = {name: i for i, name in enumerate(order)}
    unknown = sorted((set(pairs["a"]) | set(pairs["b"])) - set(place))
    if unknown:
        raise InputError(
            f"the pairs name {unknown[0]!r}, which is not among the {len(order)} partitions to draw."
        )
    cells = np.full((len(order), len(order)), np.nan)
    np.fill_diagonal(cells, 1.0)
    for a, b, value in zip(
        pairs["a"], pairs["b"], pd.to_numeric(pairs[measure], errors="coerce"), strict=True
    ):
        cells[place[a], place[b]] = cells[place[b], place[a]] = value
    size = inches(width, max(ONE_COLUMN, min(TWO_COLUMNS, 1.5 + 0.28 * len(order))))
    figure = new_figure(size, size * 0.9, title)
    axes = figure.subplots()
    image = axes.imshow(cells, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    names = [plain_text(name) for name in order]
    axes.set_xticks(range(len(order)), names, rotation=90)
    axes.set_yticks(range(len(order)), names)
    dress(axes)
    if len(order) <= MOST_NUMBERS:
        for i, j in zip(*np.nonzero(np.isfinite(cells)), strict=True):
            colour = BLACK if cells[i, j] > 0.6 else "white"
            axes.text(j, i, f"{cells[i, j]:.2f}", ha="center", va="center", fontsize=SMALL - 1, color=colour)
    bar = figure.colorbar(image, ax=axes, fraction=0.046)
    between = "; white: not compared" if np.isnan(cells).any() else ""
    bar.set_label(f"{LABELS.get(measure, measure)} (1 is best{between})", fontsize=NORMAL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


LABELS = {
    "ari": "adjusted Rand index",
    "ami": "adjusted mutual information",
    "v_measure": "V-measure",
    "fowlkes_mallows": "Fowlkes-Mallows index",
    "matched": "share of neurons in matched clusters",
}
