"""What fine-tuning does to recordings beside what it does to surrogates without types."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decortex.columns import BLACK, COLUMNS, NULL_COLOURS, axis_label, written
from decortex.figures.style import (
    GREY,
    NULL_MARKERS,
    SMALL,
    TWO_COLUMNS,
    beside,
    check_table,
    dress,
    grid,
    inches,
    legend_below,
    new_figure,
    numbers,
)

STATES = ("before", "after", "change")


def finetuned_nulls(values: pd.DataFrame, *, title: str = "", width: float | None = None) -> Figure:
    """Draw one measure before and after fine-tuning and its change, on the recordings and on every surrogate.

    Parameters
    ----------
    values : DataFrame
        One row per state, null model and surrogate: ``state`` ('before', 'after', 'change'), ``null_kind``,
        ``null_value``, ``observed``, ``p`` (both repeated over surrogates), ``measure``.
    title : str
        Which fine-tuning this is.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two, the default).

    Returns
    -------
    Figure
        One panel per measure. Dots: surrogates; black: the recordings, with p of the change in the panel's title.

    Raises
    ------
    InputError
        If a column is missing or there is no row.
    """
    check_table(
        values, ("state", "null_kind", "null_value", "observed", "p", "measure"), "the figure of nulls"
    )
    measures = list(dict.fromkeys(values["measure"]))
    kinds = sorted(values["null_kind"].unique())
    size = inches(width, TWO_COLUMNS)
    columns = beside(size, 2, each=3.0)
    figure = new_figure(size, 0.8 + 2.1 * -(-len(measures) // columns), title)
    panels = grid(figure, len(measures), columns=columns)
    for axes, measure in zip(panels, measures, strict=True):
        own = values[values["measure"] == measure]
        axes.axhline(0, color=GREY, linewidth=0.6)
        for j, kind in enumerate(kinds):
            for place, state in enumerate(STATES):
                at = own[(own["null_kind"] == kind) & (own["state"] == state)]
                x = place + 0.6 * ((j + 0.5) / len(kinds) - 0.5)
                label = f"surrogates: {kind}" if place == 0 else ""
                spread = np.full(len(at), x)
                axes.scatter(
                    spread,
                    numbers(at["null_value"]),
                    s=6,
                    color=NULL_COLOURS.get(kind, GREY),
                    marker=NULL_MARKERS.get(kind, "o"),
                    linewidths=0,
                    label=label,
                )
                if len(at):
                    label = "recordings" if place == 0 and j == 0 else ""
                    axes.scatter([x], numbers(at["observed"])[:1], s=22, marker="_", color=BLACK, label=label)
        change = own[own["state"] == "change"].drop_duplicates("null_kind").sort_values("null_kind")
        p = ", ".join(written("p", value) for value in numbers(change["p"]))
        known = measure in COLUMNS
        axes.set_xticks(range(len(STATES)), STATES)
        called = COLUMNS[measure].heading if known else measure.replace("_", " ")
        dress(axes, y=axis_label(measure) if known else called, title=f"{called}: p of the change {p or '-'}")
        axes.title.set_fontsize(SMALL)
    legend_below(figure, figure.axes)
    return figure
