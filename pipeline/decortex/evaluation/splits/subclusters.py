"""k-means subclusters of one fold's training neurons, their whitening and who is a neighbour of whom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STARTS, _SHORT, _LONG = 3, 5, 30


def nearest(x: FloatArray, centres: FloatArray) -> IntArray:
    """Index of the nearest centre of every row."""
    closest: IntArray = ((centres**2).sum(axis=1) - 2 * x @ centres.T).argmin(axis=1)
    return closest


def lloyd(x: FloatArray, centres: FloatArray, n_iterations: int) -> tuple[FloatArray, IntArray]:
    """Lloyd iterations from given centres; a subcluster that loses its last neuron keeps its centre.

    Returns
    -------
    centres : ndarray, shape (n_subclusters, n_features)
    labels : ndarray of int64, shape (n_neurons,)
        Of the returned centres.
    """
    rows = np.arange(len(x))
    labels = nearest(x, centres)
    for _ in range(n_iterations):
        member = np.zeros((len(x), len(centres)))
        member[rows, labels] = 1.0
        sizes = member.sum(axis=0)
        centres = np.where(sizes[:, None] > 0, (member.T @ x) / np.maximum(sizes, 1.0)[:, None], centres)
        before, labels = labels, nearest(x, centres)
        if np.array_equal(before, labels):
            break
    return centres, labels


def kmeans(
    x: FloatArray, n_subclusters: int, rng: np.random.Generator, n_starts: int = _STARTS
) -> tuple[FloatArray, IntArray]:
    """k-means from the best of a few short k-means++ starts.

    References
    ----------
    Arthur & Vassilvitskii, "k-means++", SODA 2007.
    """
    best: tuple[float, FloatArray] | None = None
    for _ in range(n_starts):
        centres, labels = lloyd(x, _plus_plus(x, n_subclusters, rng), _SHORT)
        cost = float(((x - centres[labels]) ** 2).sum())
        if best is None or cost < best[0]:
            best = cost, centres
    assert best is not None
    return lloyd(x, best[1], _LONG)


def _plus_plus(x: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    squares = (x**2).sum(axis=1)
    chosen = [int(rng.integers(len(x)))]
    distance = np.full(len(x), np.inf)
    for _ in range(k - 1):
        last = x[chosen[-1]]
        distance = np.minimum(distance, np.maximum(squares - 2 * x @ last + last @ last, 0.0))
        total = np.cumsum(distance)
        at = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        chosen.append(min(at, len(x) - 1))
    return x[chosen]


def whitener(residuals: FloatArray, n_features: int | None = None) -> FloatArray | None:
    """Map that makes the pooled covariance within groups, Ledoit-Wolf shrunk, the identity; None without spread.

    Parameters
    ----------
    residuals : ndarray, shape (n_neurons, n_axes)
    n_features : int, optional
        Features of the embedding, where the axes are those that the neurons span; default: n_axes.

    Notes
    -----
    Residuals have no variance off the axes, and the covariance is shrunk towards a sphere in all features. So off the
    axes the map is a multiple of the identity, which changes no distance between neurons on them.

    References
    ----------
    Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate Analysis
    88, 2004 (as `sklearn.covariance.ledoit_wolf_shrinkage` with `assume_centered=True`).

    Examples
    --------
    >>> import numpy as np
    >>> residuals = np.random.default_rng(0).standard_normal((2000, 2)) * [5.0, 1.0]
    >>> bool(np.allclose(np.cov((residuals @ whitener(residuals)).T), np.eye(2), atol=0.1))
    True
    """
    n, n_axes = residuals.shape
    n_features = n_features or n_axes
    covariance = residuals.T @ residuals / n
    scale = float(np.trace(covariance)) / n_features
    if not scale > 0:
        return None
    # Squared distance to a sphere, and how much of it is sampling error.
    delta = float((covariance**2).sum()) / n_features - scale**2
    error = (float(((residuals**2).sum(axis=1) ** 2).sum()) / n - float((covariance**2).sum())) / (
        n * n_features
    )
    shrinkage = min(error, delta) / delta if n_features > 1 and delta > 0 and error > 0 else 0.0
    covariance = (1 - shrinkage) * covariance + max(shrinkage, 1e-6) * scale * np.eye(n_axes)
    inverse_root: FloatArray
    if (
        n_axes < n_features
    ):  # hundreds of axes: a triangular root, the other one turned, takes a tenth of the time
        inverse_root = solve_triangular(np.linalg.cholesky(covariance), np.eye(n_axes), lower=True).T
        return inverse_root
    values, vectors = np.linalg.eigh(covariance)
    inverse_root = vectors / np.sqrt(values)
    return inverse_root


def gabriel_pairs(centres: FloatArray) -> IntArray:
    """Pairs of centres with no third centre inside the ball whose diameter the two span.

    Returns
    -------
    ndarray of int64, shape (n_pairs, 2)
        First index smaller; pairs of equal centres are left out. The graph of the pairs is connected.

    References
    ----------
    Gabriel & Sokal, Systematic Zoology 18, 1969.
    """
    squares = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    first, second = np.triu_indices(len(centres), 1)
    length = squares[first, second]
    through = squares[first] + squares[second]
    rows = np.arange(len(first))
    through[rows, first] = through[rows, second] = np.inf
    keep = (through.min(axis=1) >= length) & (length > 0)
    pairs: IntArray = np.stack([first[keep], second[keep]], axis=1)
    return pairs
