"""Neurons on the plane of a view, coloured by what is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decortex.errors import InputError
from decortex.figures.style import (
    NORMAL,
    ONE_COLUMN,
    SMALL,
    check_table,
    cluster_colour,
    cluster_marker,
    colours_of,
    dress,
    figure3,
    inches,
    legend,
    new_figure,
    numbers,
    plain_text,
)

# Named one by one in the legend up to here; beyond, the colours stand without names.
MOST_NAMES = 15


def view_map(
    neurons: pd.DataFrame,
    *,
    colour: str,
    label: str,
    neighbours_kept: float | None = None,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw the neurons where a view puts them.

    Parameters
    ----------
    neurons : DataFrame
        One row per neuron: ``x``, ``y`` (NaN: not placed) and the column that colours it. 'cluster' takes the colours
        of clusters, other whole numbers and text one colour a value, floats a scale.
    colour : str
        That column.
    label : str
        What it is, with its unit.
    neighbours_kept : float, optional
        Share of the nearest neighbours that the view keeps, said below the picture.
    title : str
        Which view this is.
    width : float, optional
        Millimetres; print takes 89 (one column, the default) or 183 (two).

    Returns
    -------
    Figure
        A square without axes: distances on such a plane have no unit.

    Raises
    ------
    InputError
        If a column is missing or no neuron is placed.
    """
    check_table(neurons, ("x", "y", colour), "the map of a view")
    table = neurons.assign(x=numbers(neurons["x"]), y=numbers(neurons["y"]))
    placed = table[np.isfinite(table["x"]) & np.isfinite(table["y"])]
    if not len(placed):
        raise InputError("no neuron has a position on this view; draw it from an embedding that holds some.")
    side = inches(width, ONE_COLUMN)
    height = min(side, 0.5 * (side + ONE_COLUMN))
    figure = new_figure(side, height, f"{title} (n = {len(placed)} neurons)".lstrip())
    axes = figure.subplots()
    size = float(np.clip(4000 / len(placed), 0.3, 12))
    if pd.api.types.is_float_dtype(placed[colour]):
        _scale(axes, placed, colour, label, size)
    else:
        _classes(axes, placed, colour, label, size)
    kept = "" if neighbours_kept is None else f"keeps {figure3(neighbours_kept)} of nearest neighbours; "
    dress(axes, x=f"{kept}a picture:\nislands and gaps mean nothing")
    axes.xaxis.label.set_fontsize(SMALL)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    return figure


def _scale(axes: Axes, table: pd.DataFrame, colour: str, label: str, size: float) -> None:
    value = numbers(table[colour])
    known = np.isfinite(value)
    axes.scatter(table["x"][~known], table["y"][~known], s=size, color=cluster_colour(-1), linewidths=0)
    drawn = axes.scatter(
        table["x"][known], table["y"][known], c=value[known], s=size, cmap="cividis", linewidths=0
    )
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.046)
    bar.set_label(plain_text(label), fontsize=NORMAL)
    bar.ax.tick_params(labelsize=SMALL)


def _classes(axes: Axes, table: pd.DataFrame, colour: str, label: str, size: float) -> None:
    values = sorted(table[colour].unique())
    by_value = (
        {value: cluster_colour(int(value)) for value in values}
        if colour == "cluster"
        else dict(zip(values, colours_of(map(str, values)).values(), strict=True))
    )
    for place, value in enumerate(values):
        own = table[table[colour] == value]
        axes.scatter(
            own["x"],
            own["y"],
            s=size,
            color=by_value[value],
            marker=cluster_marker(int(value) if colour == "cluster" else place),
            linewidths=0,
            label=plain_text(str(value)) if len(values) <= MOST_NAMES else "",
        )
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    legend(axes, title=plain_text(label), title_fontsize=SMALL, markerscale=2, **beside)
