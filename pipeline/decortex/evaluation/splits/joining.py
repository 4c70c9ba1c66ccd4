"""Groups from subclusters: the two groups whose boundary shows least of a valley are joined, until one is left.

Everything here sees training neurons only; counts are cross-fitted among them, so that the choice of windows does
not make a valley.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.splits.evidence import valley_p
from decortex.evaluation.splits.prisms import choose_windows, in_windows, prism_places
from decortex.evaluation.splits.subclusters import gabriel_pairs, kmeans, lloyd, whitener

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_INNER_FOLDS = 3
_N_WEAKEST = 3
_WARM_ITERATIONS = 5


@dataclass(frozen=True)
class Subclusters:
    """Over-clustering of the training neurons of a fold.

    Parameters
    ----------
    centres : ndarray, shape (n_subclusters, n_features)
    labels : ndarray of int64, shape (n_training,)
    whitener : ndarray, shape (n_features, n_features)
        `x @ whitener` has unit covariance within subclusters.
    pairs : ndarray of int64, shape (n_pairs, 2)
        Neighbours.
    n_features : int
        Of the embedding: more than the axes of the neurons where these are few.
    """

    centres: FloatArray
    labels: IntArray
    whitener: FloatArray
    pairs: IntArray
    n_features: int


@dataclass(frozen=True)
class Grouping:
    """Partition of one level.

    Parameters
    ----------
    subclusters : Subclusters
    groups : ndarray of int64, shape (n_subclusters,)
        Group of every subcluster, 0 to n_groups - 1.
    weakest : tuple of (int, int)
        The three boundaries with least evidence of a valley, or as many as there are.
    p : float
        Of the weakest, on training neurons.
    """

    subclusters: Subclusters
    groups: IntArray
    weakest: tuple[tuple[int, int], ...]
    p: float


def over_cluster(
    x: FloatArray, n_subclusters: int, rng: np.random.Generator, *, n_features: int | None = None
) -> Subclusters | None:
    """k-means subclusters, or None where they have no spread or fewer neurons than asked for differ.

    Parameters
    ----------
    n_features : int, optional
        Of the embedding, see `whitener`.
    """
    centres, labels = kmeans(x, n_subclusters, rng)
    if len(np.unique(labels)) < n_subclusters:
        return None
    n_features = n_features or x.shape[1]
    root = whitener(x - centres[labels], n_features)
    if root is None:
        return None
    return Subclusters(centres, labels, root, gabriel_pairs(centres @ root), n_features)


def groupings(
    x: FloatArray, found: Subclusters, max_groups: int, rng: np.random.Generator
) -> dict[int, Grouping]:
    """Join subclusters until one group is left; the partition of every level on the way.

    Parameters
    ----------
    x : ndarray, shape (n_training, n_features)

    Returns
    -------
    dict of Grouping
        By number of groups, 2 to max_groups.
    """
    n = len(found.centres)
    m, s = _cross_fitted(x, found, rng)
    neighbours = np.zeros((n, n), dtype=bool)
    neighbours[found.pairs[:, 0], found.pairs[:, 1]] = neighbours[found.pairs[:, 1], found.pairs[:, 0]] = True
    alive = list(range(n))
    group_of = np.arange(n)
    between, beside = (np.empty((n, n)) for _ in range(2))
    for k in alive:
        between[k], beside[k] = _effective(m[k], s[k])
    levels = {}
    while len(alive) > 1:
        first, second = _boundaries(neighbours, alive)
        p = valley_p(between[first, second], beside[first, second])
        # Where p is 1 to the last digit, the boundary with most between goes first.
        order = np.lexsort((beside[first, second] - between[first, second], -p))
        if len(alive) <= max_groups:
            number = {k: index for index, k in enumerate(alive)}
            weakest = tuple((number[int(first[at])], number[int(second[at])]) for at in order[:_N_WEAKEST])
            groups = np.array([number[int(k)] for k in group_of])
            levels[len(alive)] = Grouping(found, groups, weakest, float(p[order[0]]))
        a, b = int(first[order[0]]), int(second[order[0]])
        alive.remove(b)
        group_of[group_of == b] = a
        for weights in (m, s):
            weights[a] += weights[b]
            weights[:, a] = weights[a]
        neighbours[a] |= neighbours[b]
        neighbours[:, a] = neighbours[a]
        neighbours[a, a] = False
        between[a], beside[a] = _effective(m[a], s[a])
        between[:, a], beside[:, a] = between[a], beside[a]
    return levels


def _boundaries(neighbours: NDArray[np.bool_], alive: list[int]) -> tuple[IntArray, IntArray]:
    index = np.asarray(alive)
    first, second = np.nonzero(np.triu(neighbours[np.ix_(index, index)], 1))
    return index[first], index[second]


def _effective(m: NDArray[np.float32], s: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Effective sums over the last axis."""
    weight = m + s
    squares = np.einsum("kn,kn->k", weight, weight).astype(float)
    sums = [part.sum(axis=1, dtype=float) for part in (m, s)]
    scale = np.divide(sums[0] + sums[1], squares, where=squares > 0, out=np.zeros(len(squares)))
    return scale * sums[0], scale * sums[1]


def _cross_fitted(
    x: FloatArray, found: Subclusters, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whether each training neuron lies between, and beside, of every pair of subclusters.

    Centres, whitening and windows are those of the two thirds that do not hold the neuron. Refits start from the
    subclusters of all training neurons, so that they keep their names.

    Returns
    -------
    ndarray, ndarray, shape (n_subclusters, n_subclusters, n_training)
    """
    n = len(found.centres)
    m, s = (np.zeros((n, n, len(x)), dtype=np.float32) for _ in range(2))
    inner = rng.permutation(np.arange(len(x)) % _INNER_FOLDS)
    for fold in range(_INNER_FOLDS):
        fitted = inner != fold
        centres, labels = lloyd(x[fitted], found.centres, _WARM_ITERATIONS)
        root = whitener(x[fitted] - centres[labels], found.n_features)
        if root is None:
            continue
        centres = centres @ root
        apart = ((centres[found.pairs[:, 0]] - centres[found.pairs[:, 1]]) ** 2).sum(axis=1) > 0
        pairs = found.pairs[apart]
        places = prism_places(x @ root, centres, pairs)
        windows = choose_windows(places, fitted)
        counted = ~fitted[places.neuron]
        for weights, inside in zip((m, s), in_windows(places, windows), strict=True):
            entry = counted & inside
            i, j = pairs[places.pair[entry]].T
            weights[i, j, places.neuron[entry]] = weights[j, i, places.neuron[entry]] = 1.0
    return m, s
