"""A figure as bytes: the same figure gives the same bytes, whenever and wherever it is written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure

Kind = Literal["svg", "pdf", "png"]

# Neither the time nor the version of the program belongs into a file that is compared or kept under its digest.
_NAMELESS: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
# What each format calls the three things that a file says of itself.
_FIELDS = {
    "svg": {"title": "Title", "key": "Description", "versions": "Source"},
    "pdf": {"title": "Title", "key": "Subject", "versions": "Keywords"},
    "png": {"title": "Title", "key": "Description", "versions": "Source"},
}
RESOLUTION = 300  # dots per inch, of png


def figure_bytes(figure: Figure, kind: Kind = "svg", *, about: Mapping[str, str] | None = None) -> bytes:
    """Render a figure.

    Parameters
    ----------
    figure : Figure
        From a function of this package.
    kind : {'svg', 'pdf', 'png'}
        File format.
    about : mapping, optional
        ``title``, ``key`` (which rows it shows) and ``versions`` (what computed and drew them), for the file's own
        metadata: Title, Subject and Keywords of a pdf; Title, Description and Source of the others.

    Returns
    -------
    bytes
        Equal for equal figures: no time, no random identifiers.
    """
    said = {_FIELDS[kind][name]: text for name, text in (about or {}).items()}
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "decortex", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=kind, metadata={**_NAMELESS[kind], **said}, dpi=RESOLUTION)
    return buffer.getvalue()
