"""What fine-tuning does to recordings beside what it does to surrogates without types."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decortex.figures.style import (
    BLACK,
    GREY,
    NULL_COLOURS,
    TWO_COLUMNS,
    check_table,
    dress,
    figure3,
    grid,
    legend,
    new_figure,
    numbers,
)

STATES = ("before", "after", "change")


def finetuned_nulls(values: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw one measure before and after fine-tuning and its change, on the recordings and on every surrogate.

    Parameters
    ----------
    values : DataFrame
        One row a state, null model and surrogate: ``state`` ('before', 'after', 'change'), ``null_kind``,
        ``null_value``, ``observed``, ``p`` (both repeated over surrogates), ``measure``.
    title : str
        Which fine-tuning this is.

    Returns
    -------
    Figure
        One panel a measure. Dots: surrogates; black: the recordings, with p of the change in the panel's title.

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
    figure = new_figure(TWO_COLUMNS, 0.5 + 2.1 * -(-len(measures) // 2), title)
    for i, (axes, measure) in enumerate(zip(grid(figure, len(measures), columns=2), measures, strict=True)):
        own = values[values["measure"] == measure]
        axes.axhline(0, color=GREY, linewidth=0.6)
        for j, kind in enumerate(kinds):
            for place, state in enumerate(STATES):
                at = own[(own["null_kind"] == kind) & (own["state"] == state)]
                x = place + 0.6 * ((j + 0.5) / len(kinds) - 0.5)
                label = f"surrogates: {kind}" if place == 0 else ""
                spread = np.full(len(at), x)
                axes.scatter(
                    spread, numbers(at["null_value"]), s=6, color=NULL_COLOURS.get(kind, GREY), label=label
                )
                if len(at):
                    label = "recordings" if place == 0 and j == 0 else ""
                    axes.scatter([x], numbers(at["observed"])[:1], s=22, marker="_", color=BLACK, label=label)
        change = own[own["state"] == "change"].drop_duplicates("null_kind").sort_values("null_kind")
        p = ", ".join(figure3(value) for value in numbers(change["p"]))
        axes.set_xticks(range(len(STATES)), STATES)
        dress(axes, title=f"{measure.replace('_', ' ')}: p of the change {p or '-'}")
        if i == 0:
            legend(axes)
    return figure
