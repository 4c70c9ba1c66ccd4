"""A figure as bytes: the same figure gives the same bytes, whenever and wherever it is written."""

from __future__ import annotations

import io
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure

# Neither the time nor the version of the program belongs into a file that is compared or kept under its digest.
_NAMELESS: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def figure_bytes(figure: Figure, kind: Literal["svg", "pdf", "png"] = "svg") -> bytes:
    """Render a figure.

    Parameters
    ----------
    figure : Figure
        From a function of this package.
    kind : {'svg', 'pdf', 'png'}
        File format.

    Returns
    -------
    bytes
        Equal for equal figures: no time, no random identifiers.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "decortex", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, metadata=_NAMELESS[kind])
    return buffer.getvalue()
