"""How many types stand apart: p of every number of groups, and the tree of splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decortex.columns import BLACK
from decortex.figures.style import (
    GREY,
    NORMAL,
    SMALL,
    TWO_COLUMNS,
    beside,
    check_table,
    cluster_colour,
    cluster_marker,
    dress,
    figure3,
    inches,
    new_figure,
    numbers,
    wrapped,
)

Types = frozenset[int]
# Smaller p are drawn here: what they differ by is no evidence that counts.
SMALLEST_P = 1e-12


def types_tree(
    levels: pd.DataFrame,
    splits: pd.DataFrame,
    *,
    alpha: float,
    sentence: str,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Draw the test of every number of groups beside the splits that it leaves.

    Parameters
    ----------
    levels : DataFrame
        One row a number of groups: ``n_groups``, ``p``, ``passed``.
    splits : DataFrame
        One row a split, coarsest first: ``left_types``, ``right_types`` (lists of int), ``n_left``, ``n_right``, ``p``,
        ``depth``; without a row where there are no types.
    alpha : float
        Level of every number of groups.
    sentence : str
        What stands in place of a tree where there is none.
    title : str
        Which embedding this is.
    width : float, optional
        Millimetres; print takes 89 (one column: the tree below) or 183 (two, the default).

    Returns
    -------
    Figure
        Left: p of every number of groups, filled where it passed. Right: the tree; at every split its p and the density
        between over that beside, at every leaf the type and its neurons.

    Raises
    ------
    InputError
        If a column is missing or no number of groups was tested.

    Examples
    --------
    >>> levels = pd.DataFrame({"n_groups": [2, 3], "p": [1e-6, 0.4], "passed": [True, False]})
    >>> one = {"left_types": [0], "right_types": [1], "n_left": 60, "n_right": 40, "p": 1e-6, "depth": 0.1}
    >>> len(types_tree(levels, pd.DataFrame([one]), alpha=0.02, sentence="2 types", title="v4").axes)
    2
    """
    check_table(levels, ("n_groups", "p", "passed"), "the figure of types")
    if len(splits):
        check_table(
            splits,
            ("left_types", "right_types", "n_left", "n_right", "p", "depth"),
            "the tree of types",
        )
    n_rows = max(len(splits), 2)
    size = inches(width, TWO_COLUMNS)
    if beside(size, 2, each=2.6) == 2:
        figure = new_figure(size, 1.4 + 0.32 * n_rows, title)
        tests, tree = figure.subplots(1, 2, width_ratios=(1, 2))
    else:
        below = 1.0 + 0.32 * n_rows
        figure = new_figure(size, 2.3 + below, title)
        tests, tree = figure.subplots(2, 1, height_ratios=(1.8, below))
    _draw_levels(tests, levels, alpha)
    if len(splits):
        _draw_tree(tree, splits)
    else:
        tree.text(0.5, 0.5, wrapped(sentence, 0.55 * size), ha="center", va="center", fontsize=NORMAL)
    tree.set_axis_off()
    return figure


def _draw_levels(axes: Axes, levels: pd.DataFrame, alpha: float) -> None:
    p = np.maximum(numbers(levels["p"]), SMALLEST_P)
    n_groups = numbers(levels["n_groups"])
    passed = levels["passed"].astype(bool).to_numpy()
    axes.axhline(alpha, color=GREY, linewidth=0.6, linestyle="--")
    axes.plot(n_groups, p, color=GREY, linewidth=0.6)
    for filled in (True, False):
        here = passed == filled
        axes.scatter(
            n_groups[here], p[here], s=14, edgecolors=BLACK, facecolors=BLACK if filled else "white", zorder=3
        )
    axes.set_yscale("log")
    axes.set_ylim(SMALLEST_P / 3, 3)
    axes.set_xticks(n_groups)
    dress(
        axes,
        x="groups",
        y=f"p of one group fewer (dashed: {alpha:g})",
        title="filled: these stand apart",
    )


def _draw_tree(axes: Axes, splits: pd.DataFrame) -> None:
    rows: list[dict[str, Any]] = [
        {
            **{str(name): value for name, value in row.items()},
            "left": frozenset(map(int, row["left_types"])),
            "right": frozenset(map(int, row["right_types"])),
        }
        for row in splits.to_dict("records")
    ]
    at: dict[Types, int] = {row["left"] | row["right"]: i for i, row in enumerate(rows)}
    order = _leaves(rows[0]["left"] | rows[0]["right"], rows, at)
    place = {kind: i for i, kind in enumerate(order)}

    def middle(types: Types) -> float:
        return float(np.mean([place[kind] for kind in types]))

    for i, row in enumerate(rows):
        ends = []
        for side in ("left", "right"):
            types, x = row[side], middle(row[side])
            below = at.get(types, len(rows))
            axes.plot([x, x], [-i, -below], color=BLACK, linewidth=0.8)
            ends.append(x)
            if len(types) == 1:
                (kind,) = types
                axes.scatter(
                    [x], [-below], s=24, color=cluster_colour(kind), marker=cluster_marker(kind), zorder=3
                )
                axes.annotate(
                    f"{kind}\nn = {row[f'n_{side}']}",
                    (x, -below),
                    xytext=(0, -5),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    fontsize=SMALL,
                )
        axes.plot(ends, [-i, -i], color=BLACK, linewidth=0.8)
        p = "p < .0001" if row["p"] < 1e-4 else f"p {row['p']:.4f}"
        depth = None if row["depth"] is None else float(row["depth"])
        axes.annotate(
            f"{p}, depth {figure3(depth)}",
            ((ends[0] + ends[1]) / 2, -i),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.set_ylim(-len(rows) - 0.9, 0.6)


def _leaves(types: Types, rows: list[dict[str, Any]], at: dict[Types, int]) -> list[int]:
    """Types from left to right, so that no two branches cross."""
    if types not in at:
        return sorted(types)
    row = rows[at[types]]
    return [*_leaves(row["left"], rows, at), *_leaves(row["right"], rows, at)]
