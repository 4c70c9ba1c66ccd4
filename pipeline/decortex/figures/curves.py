"""Loss curves of a fine-tuning: losses, performance against the control, and the state of the clustering."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from decortex.columns import BLACK, BLUE, CLUSTER_COLOURS, GREEN, ORANGE, PURPLE, VERMILION
from decortex.errors import InputError
from decortex.figures.style import (
    CLUSTER_MARKERS,
    TWO_COLUMNS,
    beside,
    draw_legend,
    dress,
    inches,
    new_figure,
)

REQUIRED = ("epoch", "train_loss", "validation_correlation", "loss", "kl")
_PENALTY = ("penalty", "L1 penalty", PURPLE)
_STATE = (
    ("mean_max_q", "mean max q", BLUE),
    ("entropy_mean_q", "entropy of mean q / log K", GREEN),
    ("share_changed", "labels changed (share)", ORANGE),
    ("share_clamped", "scales clamped (share)", PURPLE),
)


def loss_curves(
    epochs: pd.DataFrame, control: pd.DataFrame | None = None, *, title: str = "", width: float | None = None
) -> Figure:
    """Draw what every epoch of one fine-tuning did.

    Parameters
    ----------
    epochs : DataFrame
        Rows of ``DECFinetune.Epoch`` of one key: ``epoch``, ``train_loss``, ``loss``, ``kl``,
        ``validation_correlation``, and what there is of ``penalty``, ``mean_max_q``, ``entropy_mean_q``,
        ``share_changed``, ``share_clamped`` and ``distance_over_scale``. Undefined values are gaps.
    control : DataFrame, optional
        Rows of ``ContinuedTraining.Epoch``: ``epoch`` and ``validation_correlation``.
    title : str
        Which fine-tuning this is; the number of epochs is added.
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two, the default).

    Returns
    -------
    Figure
        Three panels over epochs: losses (prediction loss in its own unit, KL in nats per neuron), correlation on
        validation trials, shares and distances of the clustering.

    Raises
    ------
    InputError
        If a column is missing or there is no epoch.
    """
    missing = [name for name in REQUIRED if name not in epochs.columns]
    if missing or not len(epochs):
        what = f"no column {', '.join(missing)}" if missing else "no epoch"
        raise InputError(f"loss curves need rows of DECFinetune.Epoch of one key, but there is {what}.")
    table = epochs.sort_values("epoch")
    number = f"{len(table)} epoch{'s' if len(table) > 1 else ''}"
    size = inches(width, TWO_COLUMNS)
    columns = 3 if beside(size, 3) == 3 else 1
    rows = 3 // columns
    figure = new_figure(size, 0.6 + 2.4 * rows, f"{title} ({number})" if title else number)
    losses, performance, state = figure.subplots(rows, columns, squeeze=False).ravel()
    _losses(losses, table)
    _performance(performance, table, control)
    _state(state, table)
    for axes in (losses, performance, state):
        dress(axes, x="epoch", y=axes.get_ylabel())
        axes.set_xlim(float(table["epoch"].min()) - 0.5, axes.get_xlim()[1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _line(axes: Axes, table: pd.DataFrame, name: str, label: str, colour: str) -> bool:
    """Draw one quantity if any epoch has it; returns whether one did."""
    if name not in table.columns:
        return False
    values = pd.to_numeric(table[name], errors="coerce")
    if not values.notna().any():
        return False
    marker = CLUSTER_MARKERS[CLUSTER_COLOURS.index(colour)]  # a colour has its marker, as clusters have
    axes.plot(table["epoch"], values, color=colour, label=label, marker=marker, markersize=2.5, linewidth=1.2)
    return True


def _losses(axes: Axes, table: pd.DataFrame) -> None:
    drawn = _line(axes, table, "train_loss", "prediction loss", BLACK)
    drawn |= _line(axes, table, *_PENALTY)
    axes.set_ylabel("loss (lower is better),\nmean over images and neurons")
    beside = axes.twinx()
    _line(beside, table, "loss", "β KL", ORANGE)
    _line(beside, table, "kl", "KL", VERMILION)
    _dress_beside(beside, "clustering loss (nats per neuron)")
    _legend(axes, [axes, beside] if drawn else [beside])


def _performance(axes: Axes, table: pd.DataFrame, control: pd.DataFrame | None) -> None:
    _line(axes, table, "validation_correlation", "fine-tuned", BLUE)
    if control is not None:
        _line(axes, control.sort_values("epoch"), "validation_correlation", "control", BLACK)
    axes.set_ylabel("validation correlation\n(higher is better)")
    _legend(axes, [axes])


def _state(axes: Axes, table: pd.DataFrame) -> None:
    for name, label, colour in _STATE:
        _line(axes, table, name, label, colour)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share")
    beside = axes.twinx()
    if _line(beside, table, "distance_over_scale", "centre distance / scale", VERMILION):
        _dress_beside(beside, "smallest centre distance / scale")
        beside.set_ylim(bottom=0)
    else:
        beside.set_axis_off()
    _legend(axes, [axes, beside])


def _dress_beside(axes: Axes, label: str) -> None:
    """A second ordinate on the right."""
    dress(axes, y=label)
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)


def _legend(axes: Axes, panels: Sequence[Axes]) -> None:
    handles, labels = [], []
    for panel in panels:
        found = panel.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    if handles:
        draw_legend(axes, handles, labels)
