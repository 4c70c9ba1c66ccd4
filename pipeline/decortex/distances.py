"""Squared Euclidean distances that keep their digits: fast by expansion, by differences where that cancels.

|x - y|^2 = |x|^2 - 2 x'y + |y|^2 is one matrix product, but its rounding error is of the size of eps (|x|^2 + |y|^2)
however small the distance is: an offset of all neurons, or two neurons that are near each other and far from
the origin, lose everything. Here such entries are found and computed again from differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

FloatArray: TypeAlias = NDArray[np.float64]

CANCELLED = 1e-6  # of |x|^2 + |y|^2: below it the expansion has lost six digits of sixteen
MANY = 0.2  # share of the entries from which all are computed from differences
CENTRE_ROWS = 4096  # neurons whose median stands for the median of all
INNER_SHARE = 0.9  # of the neurons, by distance from the median, that a typical variance is taken of
CHUNK = 2**22  # array elements per step


def robust_centre(x: FloatArray) -> FloatArray:
    """Median of every feature over at most 4,096 evenly spaced neurons, (n_features,): few far ones do not move it."""
    step = max(1, -(-len(x) // CENTRE_ROWS))
    centre: FloatArray = np.median(x[::step], axis=0)
    return centre


def in_own_unit(x: FloatArray) -> tuple[FloatArray, float]:
    """Put the robust centre at 0 and the largest value at 1, so that no square overflows or vanishes; also the unit.

    Examples
    --------
    >>> in_own_unit(np.array([[1e-200], [3e-200], [2e-200]]))[1]
    1e-200
    """
    near = x - robust_centre(x)
    unit = float(np.abs(near).max(initial=0.0)) or 1.0
    return near / unit, unit


def typical_variance(x: FloatArray) -> float:
    """Variance, mean over features, of the 90 % of the neurons nearest to the median; of all where that is 0.

    A unit of the embedding squared that few far neurons do not stretch; 1 where all neurons are equal.
    """
    near = x - robust_centre(x)
    sizes = np.einsum("nd,nd->n", near, near)
    inner = near[sizes <= np.quantile(sizes, INNER_SHARE)]
    return float(inner.var(axis=0).mean()) or float(near.var(axis=0).mean()) or 1.0


def squared_distances(x: FloatArray, y: FloatArray) -> FloatArray:
    """Squared Euclidean distances of all pairs, each to about nine digits wherever the points lie.

    Parameters
    ----------
    x : ndarray of float64, shape (n, n_features)
        Points.
    y : ndarray of float64, shape (m, n_features)
        Other points.

    Returns
    -------
    ndarray of float64, shape (n, m)
        Exactly 0 for equal points.

    Examples
    --------
    >>> squared_distances(np.array([[1e9]]), np.array([[1e9 + 1], [0.0]]))
    array([[1.e+00, 1.e+18]])
    """
    size = np.einsum("nd,nd->n", x, x)[:, None] + np.einsum("md,md->m", y, y)
    squared = x @ y.T
    squared *= -2
    squared += size
    size *= CANCELLED
    lost = squared <= size
    n_lost = int(np.count_nonzero(lost))
    if n_lost > MANY * lost.size:
        exact: FloatArray = cdist(x, y, "sqeuclidean")
        return exact
    rows, columns = np.nonzero(lost)
    step = max(1, CHUNK // max(x.shape[1], 1))
    for first in range(0, n_lost, step):
        here = slice(first, first + step)
        difference = x[rows[here]] - y[columns[here]]
        squared[rows[here], columns[here]] = np.einsum("ld,ld->l", difference, difference)
    return squared


def distance_blocks(x: FloatArray, y: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows of x, their squared distances to all of y), few enough rows at a time to stay in memory."""
    step = max(1, CHUNK // max(len(y), x.shape[1]))
    for first in range(0, len(x), step):
        rows = slice(first, min(first + step, len(x)))
        yield rows, squared_distances(x[rows], y)


def nearest(x: FloatArray, centres: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Nearest centre of every point, of equal ones the first, and its squared distance: two arrays of shape (n,)."""
    labels = np.empty(len(x), dtype=np.int64)
    squared = np.empty(len(x))
    for rows, distances in distance_blocks(x, centres):
        labels[rows] = distances.argmin(axis=1)
        squared[rows] = distances.min(axis=1)
    return labels, squared
