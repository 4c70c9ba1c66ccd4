"""Number of clusters that speaks for a table of neurons: that of the types, else one that describes."""

from __future__ import annotations

from typing import Literal

KFrom = Literal["types", "asked", "default"]
DEFAULT_K = 8  # where the neurons do not stand apart in types: a description, not a finding


def chosen_k(n_types: int | None, *, asked: int | None, n_neurons: int) -> tuple[int, KFrom]:
    """Number of clusters to show, and where it comes from; the default leaves two neurons per cluster.

    Examples
    --------
    >>> chosen_k(None, asked=4, n_neurons=100)
    (4, 'asked')
    """
    if asked is not None:
        return asked, "asked"
    if n_types is not None and n_types > 1:
        return n_types, "types"
    return max(2, min(DEFAULT_K, n_neurons // 2)), "default"
