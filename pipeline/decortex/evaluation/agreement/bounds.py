"""What an index of agreement can be, and intervals of it cut there. Loads nothing: readers of results use it."""

from __future__ import annotations

# What an adjusted Rand index can be: Chacón & Rastrojo, Adv. Data Anal. Classif. 17, 2023, show the least.
ARI_BOUNDS = (-0.5, 1.0)
CORRELATION_BOUNDS = (-1.0, 1.0)


def cut_interval(
    low: float | None, high: float | None, bounds: tuple[float, float]
) -> tuple[float | None, float | None]:
    """Cut an interval of an index at what the index can be; never one of a difference of two.

    Examples
    --------
    >>> cut_interval(0.223, 1.144, ARI_BOUNDS)
    (0.223, 1.0)
    """
    least, most = bounds
    return (
        None if low is None else min(max(low, least), most),
        None if high is None else min(max(high, least), most),
    )
