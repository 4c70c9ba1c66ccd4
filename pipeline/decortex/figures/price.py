"""What fine-tuning costs and gains: the front of agreement and correlation, and paired changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from decortex.columns import BLACK, axis_label
from decortex.figures.style import (
    CLUSTER_MARKERS,
    DASHES,
    GREY,
    ONE_COLUMN,
    SMALL,
    check_table,
    colours_of,
    counted,
    dress,
    inches,
    legend,
    new_figure,
    numbers,
    plain_text,
)

_NOT = "not fine-tuned"


def agreement_front(rows: pd.DataFrame, *, title: str = "", width: float | None = None) -> Figure:
    """Draw agreement between networks against the change of correlation, over the weight of the clustering loss.

    Parameters
    ----------
    rows : DataFrame
        One row per method, K and fine-tuning, 'none' included: ``method``, ``k``, ``finetune``, ``beta``,
        ``ari_networks``, ``difference`` (mean correlation minus that of the equal-epoch control), ``on_front``.
        Rows without a number in either are left out.
    title : str
        Which study this is.
    width : float, optional
        Millimetres; print takes 89 (one column, the default) or 183 (two).

    Returns
    -------
    Figure
        One line per method and K from 'none' upwards in beta; filled: not beaten by another in both.

    Raises
    ------
    InputError
        If a column is missing or no row has both numbers.
    """
    columns = ("method", "k", "finetune", "beta", "ari_networks", "difference", "on_front")
    check_table(rows, columns, "the front")
    known = rows[rows["ari_networks"].notna() & rows["difference"].notna()]
    check_table(known, columns, "the front (rows with agreement and change)")
    starts = [f"{plain_text(str(m))}, K = {k}" for m, k in zip(known["method"], known["k"], strict=True)]
    known = known.assign(start=starts)
    colours = colours_of(starts)
    figure = new_figure(
        inches(width, ONE_COLUMN), 2.8, f"{title} ({counted(len(known), 'variant')})".lstrip()
    )
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=0.6)
    for place, (start, colour) in enumerate(colours.items()):
        own = known[known["start"] == start]
        # A variant whose weight the method does not know (DEC alone) stands last.
        own = own.assign(weight=numbers(own["beta"])).sort_values("weight", na_position="last")
        x, y = numbers(own["difference"]), numbers(own["ari_networks"])
        marker = CLUSTER_MARKERS[place % len(CLUSTER_MARKERS)]
        axes.plot(
            x, y, color=colour, linewidth=0.8, linestyle=DASHES[place % len(DASHES)], marker=marker, markersize=3.5,
            label=start,
        )  # fmt: skip
        front = own["on_front"].fillna(False).to_numpy(dtype=bool)
        faces = np.where(front, colour, "white")
        axes.scatter(x, y, s=18, facecolors=faces, edgecolors=colour, marker=marker, zorder=3)
        for name, where in zip(own["finetune"], zip(x, y, strict=True), strict=True):
            axes.annotate(
                _NOT if name == "none" else plain_text(str(name)),
                where,
                xytext=(3, 3),
                textcoords="offset points",
                fontsize=SMALL - 1,
            )
    dress(axes, x=axis_label("difference"), y=axis_label("ari_networks"))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    legend(axes)
    return figure


def paired_change(rows: pd.DataFrame, *, title: str = "", width: float | None = None) -> Figure:
    """Draw what every fine-tuning changed against its equal-epoch control.

    Parameters
    ----------
    rows : DataFrame
        One row per fine-tuned partition: ``method``, ``k``, ``finetune``, ``model_seed``, ``seed``,
        ``difference_over_sessions``, ``interval_low``, ``interval_high``, ``margin``, ``n_neurons``. An interval that
        is not defined (too few sessions) is not drawn, and ``difference`` stands where sessions give no mean.
    title : str
        Which study this is.
    width : float, optional
        Millimetres; print takes 89 (one column, the default) or 183 (two).

    Returns
    -------
    Figure
        One line per partition, sorted by fine-tuning; grey: the margin within which a change does not matter.

    Raises
    ------
    InputError
        If a column is missing or there is no row.
    """
    columns = (
        "method",
        "k",
        "finetune",
        "model_seed",
        "seed",
        "difference",
        "difference_over_sessions",
        "interval_low",
        "interval_high",
        "margin",
        "n_neurons",
    )
    check_table(rows, columns, "the paired change")
    table = rows.sort_values(["finetune", "method", "k", "model_seed", "seed"]).reset_index(drop=True)
    place = np.arange(len(table))
    change = np.where(
        np.isfinite(numbers(table["difference_over_sessions"])),
        numbers(table["difference_over_sessions"]),
        numbers(table["difference"]),
    )
    neurons = int(numbers(table["n_neurons"]).min())
    figure = new_figure(
        inches(width, ONE_COLUMN),
        1.0 + 0.14 * len(table),
        f"{title} ({counted(len(table), 'partition')}, n >= {neurons} neurons)".lstrip(),
    )
    axes = figure.subplots()
    margin = float(numbers(table["margin"]).max())
    axes.axvspan(-margin, margin, color=GREY, alpha=0.25, linewidth=0, label="margin")
    axes.axvline(0, color=BLACK, linewidth=0.6)
    axes.hlines(
        place, numbers(table["interval_low"]), numbers(table["interval_high"]), color=BLACK, linewidth=0.8
    )
    for i, (name, colour) in enumerate(colours_of(table["finetune"]).items()):
        own = (table["finetune"] == name).to_numpy()
        marker = CLUSTER_MARKERS[i % len(CLUSTER_MARKERS)]
        label = plain_text(str(name))
        axes.scatter(change[own], place[own], s=12, color=colour, marker=marker, zorder=3, label=label)
    axes.set_yticks(
        place,
        [
            plain_text(f"{r.method} K={r.k}, network {r.model_seed}, start {r.seed}")
            for r in table.itertuples(index=False)
        ],
    )
    axes.invert_yaxis()
    dress(axes, x=f"{axis_label('difference')}\nagainst the control (95 % over sessions)")
    axes.tick_params(axis="y", labelsize=SMALL - 1)
    legend(axes)
    return figure
