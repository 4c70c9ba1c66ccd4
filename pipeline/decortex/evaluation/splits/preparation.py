"""Before types are counted: equal rows once, far outliers set aside, a sample of very many, principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.splits.config import SplitConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEIGHBOUR = 5
# Tukey's outer fence on the logarithm of the distance, whose spread is taken as at least .05.
_FENCE, _LEAST_SPREAD = 3.0, 0.05
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Prepared:
    """Neurons that decide.

    Parameters
    ----------
    points : ndarray, shape (n_deciding, n_axes)
        On their principal axes, centred; n_axes is n_features, or n_deciding where that is smaller.
    deciding : ndarray of int64, shape (n_deciding,)
        Which neurons these are.
    set_aside : ndarray of int64
        Outliers among all neurons.
    mean, axes : ndarray, shape (n_features,), (n_features, n_axes)
        `(x - mean) @ axes` are the coordinates of any other neuron; off these axes it is equally far from all that
        decide.
    """

    points: FloatArray
    deciding: IntArray
    set_aside: IntArray
    mean: FloatArray
    axes: FloatArray

    @property
    def n_features(self) -> int:
        """Features of the embedding, more than axes where the neurons are fewer."""
        return len(self.axes)

    def coordinates(self, x: FloatArray) -> FloatArray:
        """Any neurons on the principal axes of those that decide."""
        moved: FloatArray = (x - self.mean) @ self.axes
        return moved


def prepare(x: FloatArray, config: SplitConfig, rng: np.random.Generator) -> Prepared:
    """Choose the neurons that decide and rotate them.

    Equal rows carry no density: one of each is kept. Of more than `max_neurons` a random sample decides. A neuron
    is set aside if its distance to the fifth neighbour lies beyond Q3 + 3 (Q3 - Q1) of its logarithm.
    """
    first, same_as = _distinct_rows(x)
    deciding = np.sort(first)
    if len(deciding) > config.max_neurons:
        deciding = np.sort(rng.choice(deciding, config.max_neurons, replace=False))
    sample = x[deciding]
    mean = sample.mean(axis=0)
    far, fence = _outliers(sample - mean, config)
    aside = np.zeros(len(x), dtype=bool)
    aside[deciding[far]] = True
    if fence is not None and len(deciding) < len(first):
        others = np.setdiff1d(first, deciding)
        aside[others] = _neighbour_distance(x[others] - mean, sample[~far] - mean, exclude_self=False) > fence
    set_aside = np.flatnonzero(aside[first][same_as])
    kept = deciding[~far]
    mean = x[kept].mean(axis=0)
    centred = x[kept] - mean
    axes = principal_axes(centred)
    return Prepared(centred @ axes, kept, set_aside, mean, axes)


def principal_axes(centred: FloatArray) -> FloatArray:
    """Principal axes of centred neurons, the longest first; with fewer neurons than features, those that they span.

    Parameters
    ----------
    centred : ndarray, shape (n_neurons, n_features)

    Returns
    -------
    ndarray, shape (n_features, n_axes)
        n_axes is the smaller of n_neurons and n_features: distances between neurons are the same on these axes.

    Examples
    --------
    >>> import numpy as np
    >>> principal_axes(np.array([[1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])).shape
    (3, 2)
    """
    if len(centred) < centred.shape[1]:
        spanned: FloatArray = np.linalg.svd(centred, full_matrices=False)[2].T
        return spanned
    axes: FloatArray = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    return axes


def _distinct_rows(x: FloatArray) -> tuple[IntArray, IntArray]:
    """First neuron of every group of equal rows, and the group of every neuron: rows compared as bytes."""
    positive = np.ascontiguousarray(x + 0.0)  # -0 is 0
    rows = positive.view(np.dtype((np.void, positive.itemsize * positive.shape[1]))).reshape(-1)
    _, first, same_as = np.unique(rows, return_index=True, return_inverse=True)
    return first, same_as.reshape(-1)


def _outliers(x: FloatArray, config: SplitConfig) -> tuple[NDArray[np.bool_], float | None]:
    """Which neurons lie far from all others, and the distance to the fifth neighbour from which on they do."""
    none = np.zeros(len(x), dtype=bool)
    if len(x) <= _NEIGHBOUR + 1:
        return none, None
    distance = _neighbour_distance(x, x, exclude_self=True)
    logarithm = np.log(np.maximum(distance, np.finfo(float).tiny))
    low, high = np.quantile(logarithm, [0.25, 0.75])
    fence = float(high + _FENCE * max(high - low, _LEAST_SPREAD))
    at_most = int(config.max_outlier_share * len(x))
    order = np.argsort(-logarithm, kind="stable")[:at_most]
    none[order[logarithm[order] > fence]] = True
    return none, float(np.exp(fence))


def _neighbour_distance(x: FloatArray, others: FloatArray, *, exclude_self: bool) -> FloatArray:
    """Distance of every row of x to its fifth neighbour among others."""
    squares = (others**2).sum(axis=1)
    rank = min(_NEIGHBOUR + exclude_self, len(others)) - 1
    found = np.empty(len(x))
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        squared = squares - 2 * part @ others.T + (part**2).sum(axis=1)[:, None]
        found[start : start + step] = np.partition(squared, rank, axis=1)[:, rank]
    distance: FloatArray = np.sqrt(np.maximum(found, 0.0))
    return distance
