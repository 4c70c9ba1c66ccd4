"""One finding of `decortex doctor`, and its sizes and times in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What.
    good : bool or None
        None: it cannot be known from here, or by this account.
    found : str
        How it is.
    todo : str
        What to do where it is not good.
    """

    name: str
    good: bool | None
    found: str
    todo: str = ""


def gigabytes(n: float) -> str:
    """Bytes in words: '3.2 GB', '0.4 MB'."""
    return f"{n / 1e9:,.1f} GB" if n >= 1e8 else f"{n / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """A time in words: '40 s', '12 min', '5 h', '3 d'."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
