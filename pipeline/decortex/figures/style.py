"""What all figures share: sizes of print, colours that stay with their cluster, and plain axes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decortex.columns import CLUSTER_COLOURS
from decortex.errors import InputError

# Widths of one and two columns of a journal page, in inches (89 and 183 mm).
ONE_COLUMN, TWO_COLUMNS = 3.504, 7.205
WIDTHS = (89, 183)  # the same in millimetres
_NARROWEST, _WIDEST = 40.0, 400.0  # millimetres
SMALL, NORMAL = 6.0, 7.0  # points
LETTERS_AN_INCH = 15
_EQUATION = re.compile(r" (=|>=) ")

GREY = "#999999"
# After seven clusters the marker changes: the dashboard's look the same.
CLUSTER_MARKERS = ("o", "s", "D", "^", "P", "X", "*")
# Lines that differ from each other in grey, too.
DASHES = ("-", "--", ":", "-.")
# Of null models, beside their colours.
NULL_MARKERS = {"gaussian": "o", "t": "s", "permuted": "D", "copula": "^"}
NULL_DASHES = {"gaussian": "-", "t": "--", "permuted": ":", "copula": "-."}


def cluster_colour(cluster: int) -> str:
    """Colour of a cluster, the same in every figure; -1 (no cluster) is grey. Colours repeat after seven.

    Examples
    --------
    >>> cluster_colour(0) == cluster_colour(7)
    True
    """
    return GREY if cluster < 0 else CLUSTER_COLOURS[cluster % len(CLUSTER_COLOURS)]


def cluster_marker(cluster: int) -> str:
    """Marker of a cluster: each of seven has its own, and clusters that share a colour differ in it."""
    n = len(CLUSTER_MARKERS)
    return "o" if cluster < 0 else CLUSTER_MARKERS[(cluster + cluster // n) % n]


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """One colour a name, by the order in which the names first come.

    Examples
    --------
    >>> list(colours_of(["kmeans", "gmm", "kmeans"]))
    ['kmeans', 'gmm']
    """
    return {name: CLUSTER_COLOURS[i % len(CLUSTER_COLOURS)] for i, name in enumerate(dict.fromkeys(names))}


def check_table(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that a figure cannot be drawn from.

    Raises
    ------
    InputError
        If a column is missing or there is no row.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing or not len(table):
        lacks = f"no column {', '.join(missing)}" if missing else "no row"
        raise InputError(f"{what} needs rows with {', '.join(columns)}, but there is {lacks}.")


def inches(width: float | None, default: float) -> float:
    """A width in millimetres as inches; None takes the figure's own, in inches.

    Raises
    ------
    InputError
        If nothing can be read on that width.
    """
    if width is None:
        return default
    if not _NARROWEST <= width <= _WIDEST:
        raise InputError(f"a figure is {_NARROWEST:g} to {_WIDEST:g} millimetres wide, got {width:g}.")
    return width / 25.4


def beside(width: float, most: int, *, each: float = 1.75) -> int:
    """How many panels of so many inches each stand beside each other on a width in inches."""
    return max(1, min(most, int((width + 0.1) / each)))


def count_ticks(axes: Axes, counts: Iterable[Any]) -> None:
    """Ticks at the numbers of clusters that were computed and nowhere else; named where their names have room."""
    known = sorted({int(k) for k in counts})
    apart = (known[-1] - known[0]) * 0.16 / max(_inches_of(axes) - 0.5, 0.3)
    named: list[str] = []
    last: float | None = None
    for k in known:
        free = last is None or k - last >= apart
        named.append(str(k) if free else "")
        last = k if free else last
    axes.set_xticks(known, named)


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of this size in inches, with a title that may hold any text."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(wrapped(title, width), fontsize=NORMAL)
    return figure


def grid(figure: Figure, n: int, *, columns: int) -> list[Axes]:
    """As many axes as there are panels, in rows."""
    rows = -(-n // columns)
    every = np.atleast_1d(figure.subplots(rows, min(columns, n), squeeze=False)).ravel()
    for spare in every[n:]:
        spare.set_axis_off()
    return list(every[:n])


def dress(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Labels and ticks in the sizes of print, without the two spines that carry nothing."""
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    if title:
        axes.set_title(plain_text(title), fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    for side, spine in axes.spines.items():
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))


def legend(axes: Axes, **where: Any) -> None:
    """A small legend without a frame above the data, not on them, where anything is named."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        draw_legend(axes, handles, labels, **where)


def legend_below(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend for several titled panels, beneath all of them; what two panels call the same is named once."""
    named: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        each = max(len(text) for text in named) + 5
        figure.legend(
            list(named.values()),
            list(named),
            loc="outside lower left",
            ncols=max(1, min(len(named), int(figure.get_figwidth() * LETTERS_AN_INCH / each))),
            fontsize=SMALL,
            frameon=False,
            handlelength=1.8,
            columnspacing=1.0,
        )


def draw_legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str], **where: Any) -> None:
    """These handles above the axes, in rows that fit them; ``where`` puts them elsewhere."""
    place: dict[str, Any] = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "ncols": _in_a_row(axes, labels),
    }
    axes.legend(
        handles,
        labels,
        **{
            "fontsize": SMALL,
            "frameon": False,
            "borderaxespad": 0.3,
            "handlelength": 1.4,
            "columnspacing": 1.0,
            **(where or place),
        },
    )


def _in_a_row(axes: Axes, labels: Sequence[str]) -> int:
    """How many labels stand beside each other over these axes."""
    each = max(len(text) for text in labels) + 5  # its line or marker, too
    return max(1, min(len(labels), int(0.8 * _inches_of(axes) * LETTERS_AN_INCH / each)))


def _inches_of(axes: Axes) -> float:
    """Width of the column of a figure in which the axes stand."""
    spec = axes.get_subplotspec()
    share = 1.0 if spec is None else 1.0 / spec.get_gridspec().ncols
    figure = axes.get_figure(root=True)
    return (figure.get_figwidth() if figure is not None else ONE_COLUMN) * share


def counted(n: int, thing: str) -> str:
    """A number of things: '1 partition', '2 partitions'."""
    return f"{n} {thing if n == 1 else thing + 's'}"


def plain_text(text: str) -> str:
    """Names as they are: what matplotlib would read as mathematics or a second line stays text."""
    return text.replace("$", r"\$").replace("\n", " ")


def wrapped(text: str, width: float) -> str:
    """A text in as many lines as its letters need on this width, in inches."""
    whole = _EQUATION.sub("\u00a0\\1\u00a0", plain_text(text))  # a line does not end between K and its number
    return "\n".join(textwrap.wrap(whole, max(20, int(width * LETTERS_AN_INCH))))


def numbers(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as floats; None and text become NaN."""
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)


def figure3(value: float | None) -> str:
    """Three decimals, a dash for what is undefined."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.3f}"
