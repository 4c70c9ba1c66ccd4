"""A study in one figure: its five answers, a map, agreement over K beside surrogates, performance, fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decortex.columns import BLACK, BLUE
from decortex.figures.style import (
    CLUSTER_MARKERS,
    GREY,
    SMALL,
    TWO_COLUMNS,
    beside,
    check_table,
    cluster_colour,
    cluster_marker,
    colours_of,
    count_ticks,
    dress,
    figure3,
    inches,
    legend,
    new_figure,
    numbers,
    plain_text,
    wrapped,
)

_HEIGHT, _HEIGHT_IN_A_COLUMN = 6.2, 10.6
_TEXT_WIDTH = 3.3  # inches, of the answers' panel


def study_summary(
    answers: Sequence[Mapping[str, Any]],
    neurons: pd.DataFrame,
    agreement: pd.DataFrame,
    changes: pd.DataFrame,
    *,
    marks: Mapping[str, str],
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw what a study answers, two columns wide.

    Parameters
    ----------
    answers : sequence of mapping
        ``question``, ``answer``, ``effect``, ``low``, ``high``, ``compared_with``.
    neurons : DataFrame
        One row per neuron of one partition: ``x``, ``y`` (a view, NaN where there is none), ``cluster`` (-1: in none)
        and ``score`` (correlation to average, test; NaN where undefined).
    agreement : DataFrame
        One row per method and K: ``method``, ``k``, ``ari_seeds`` (mean adjusted Rand index between networks) and
        ``ari_null`` (of surrogates without types; NaN where nobody asked). May have no row.
    changes : DataFrame
        One row per fine-tuning: ``finetune``, ``change``, ``low``, ``high``: of the agreement between networks, against
        its own starts. May have no row.
    marks : mapping
        Mark of every verdict.
    title : str
        Which study and partition this is.
    width : float, optional
        Millimetres; print takes 89 (one column: panels below each other) or 183 (two, the default).

    Returns
    -------
    Figure
        Five panels, a to e; a panel without rows says so.

    Raises
    ------
    InputError
        If a column is missing, or there is no neuron or no answer.
    """
    check_table(pd.DataFrame(answers), ("question", "answer", "effect"), "a summary's answers")
    check_table(neurons, ("x", "y", "cluster", "score"), "a summary's neurons")
    size = inches(width, TWO_COLUMNS)
    if beside(size, 2, each=3.0) == 2:
        figure = new_figure(size, _HEIGHT, title)
        axes = figure.subplot_mosaic([["a", "b"], ["a", "c"], ["d", "e"]])
    else:
        figure = new_figure(size, _HEIGHT_IN_A_COLUMN, title)
        axes = figure.subplot_mosaic([[name] for name in "abcde"], height_ratios=(2.2, 1.3, 1.1, 1.1, 0.9))
    _answers(axes["a"], answers, marks)
    _map(axes["b"], neurons)
    _agreement(axes["c"], agreement)
    _performance(axes["d"], neurons)
    _changes(axes["e"], changes)
    for name, one in axes.items():
        one.set_title(name, loc="left", fontsize=9, fontweight="bold")
    return figure


def _answers(axes: Axes, answers: Sequence[Mapping[str, Any]], marks: Mapping[str, str]) -> None:
    axes.set_axis_off()
    lines = []
    for row in answers:
        lines.append(wrapped(str(row["question"]), _TEXT_WIDTH))
        lines.append(f"   {marks[row['answer']]} {row['answer']}")
        if row["effect"] is not None:
            between = "" if row["low"] is None else f" [{_figure(row['low'])}, {_figure(row['high'])}]"
            against = wrapped(f"against {row['compared_with']}", _TEXT_WIDTH).replace("\n", "\n   ")
            lines.append(f"   {_figure(row['effect'])}{between}\n   {against}")
        lines.append("")
    text = "\n".join(lines)
    # DejaVu Sans, which matplotlib brings, has the marks of all verdicts.
    axes.text(
        0, 0.97, text, va="top", ha="left", fontsize=SMALL + 0.5, family="DejaVu Sans", linespacing=1.35
    )


def _figure(value: float) -> str:
    """Whole numbers, as of types, without decimals."""
    return f"{value:.0f}" if float(value).is_integer() else figure3(value)


def _map(axes: Axes, neurons: pd.DataFrame) -> None:
    placed = neurons[np.isfinite(numbers(neurons["x"])) & np.isfinite(numbers(neurons["y"]))]
    if not len(placed):
        _nothing(axes, "no view of these neurons is drawn")
        return
    for cluster, own in placed.groupby("cluster"):
        at = int(str(cluster))
        axes.scatter(
            own["x"],
            own["y"],
            s=4,
            color=cluster_colour(at),
            marker=cluster_marker(at),
            linewidths=0,
            label=str(at),
        )
    axes.set_aspect("equal", adjustable="datalim")
    dress(axes, title="neurons on a view; gaps mean nothing")
    axes.set_xticks([])
    axes.set_yticks([])


def _agreement(axes: Axes, table: pd.DataFrame) -> None:
    if not len(table) or not np.isfinite(numbers(table["ari_seeds"])).any():
        _nothing(axes, "agreement of networks was not asked")
        return
    colours = colours_of(str(name) for name in table["method"])
    for i, (method, own) in enumerate(table.sort_values("k").groupby("method", sort=False)):
        marker = CLUSTER_MARKERS[i % len(CLUSTER_MARKERS)]
        colour = colours[str(method)]
        axes.plot(
            own["k"], numbers(own["ari_seeds"]), marker=marker, markersize=3, linewidth=1, color=colour,
            label=plain_text(str(method)),
        )  # fmt: skip
        null = numbers(own["ari_null"])
        if np.isfinite(null).any():
            axes.plot(
                own["k"], null, marker=marker, markersize=3, linewidth=1, color=GREY, linestyle=":",
                label=f"{plain_text(str(method))}, surrogates",
            )  # fmt: skip
    count_ticks(axes, table["k"])
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.0)
    dress(axes, x="number of clusters", y="ARI between networks\n(1 is best)")
    # Its letter stands at the left.
    legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)


def _performance(axes: Axes, neurons: pd.DataFrame) -> None:
    kept = neurons.assign(score=numbers(neurons["score"]))
    kept = kept[np.isfinite(kept["score"]) & (kept["cluster"] >= 0)]
    if not len(kept):
        _nothing(axes, "no neuron has a score")
        return
    clusters = sorted(int(one) for one in kept["cluster"].unique())
    for place, cluster in enumerate(clusters):
        scores = kept.loc[kept["cluster"] == cluster, "score"].to_numpy()
        low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
        jitter = place + np.linspace(-0.3, 0.3, len(scores))
        axes.scatter(jitter, scores, s=2, color=cluster_colour(cluster), alpha=0.5, linewidths=0)
        axes.vlines(place, low, high, color=BLACK, linewidth=1.5)
        axes.scatter([place], [middle], s=10, color=BLACK, zorder=3)
    axes.set_xticks(range(len(clusters)), [str(one) for one in clusters])
    dress(axes, x="cluster", y="test correlation\n(higher is better)")


def _changes(axes: Axes, table: pd.DataFrame) -> None:
    known = table[np.isfinite(numbers(table["change"]))] if len(table) else table
    if not len(known):
        _nothing(axes, "nothing was fine-tuned on two networks")
        return
    places = np.arange(len(known))
    change = numbers(known["change"])
    low, high = (np.where(np.isfinite(numbers(known[n])), numbers(known[n]), change) for n in ("low", "high"))
    axes.errorbar(
        change,
        places,
        xerr=np.stack([change - low, high - change]),
        fmt="o",
        markersize=4,
        color=BLUE,
        linewidth=1,
    )
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(places, [plain_text(str(name)) for name in known["finetune"]])
    axes.set_ylim(len(known) - 0.5, -0.5)
    dress(axes, x="change of ARI between networks (higher is better)")


def _nothing(axes: Axes, why: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", fontsize=SMALL, transform=axes.transAxes)
