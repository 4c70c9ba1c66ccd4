r"""Density valleys between neighbouring clusters, tested on neurons held out from the clustering.

Two clusters are separate types if the density of neurons falls between them. Projecting the neurons *of the two
clusters* on the line through their centres and looking for two modes does not test that: cells of a partition are
narrow at the face that they share, so that any continuum, cut into pieces, shows two modes. Here the neurons of a
**prism** along the line are counted, whatever their cluster: a set that does not narrow anywhere along the line.
The number of neurons expected in a window of the prism, as a function of the window's place t on the line,

.. math:: F(t) = \int_{W + t} f

is log-concave wherever the density f is (Prekopa 1973): F(t) >= min(F(0), F(1)) for 0 <= t <= 1, in any number of
dimensions. Gaussian clouds, uniform ones on any convex body and products of exponentials, cut into
any number of pieces, show no valley. Everything that is chosen (partition, prism, windows) is chosen on the
training neurons; the counts are those of neurons held out, so that the binomial test of F(t) >= min(F(0), F(1)) is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.covariance import ledoit_wolf_shrinkage

from decortex.evaluation.splits import principal_axes, whitener

FloatArray = NDArray[np.float64]
ValleyStatus = Literal["ok", "one_cluster", "zero_spread"]

# Windows span a third of the distance between the centres: one on each centre, one between.
_HALF_WINDOW = 1 / 6
_PLACES = np.linspace(1 / 4, 3 / 4, 13)


@dataclass(frozen=True)
class PairValley:
    """Held-out neurons along the line between two neighbouring clusters.

    Parameters
    ----------
    first, second : int
        Clusters, first < second.
    n_first, n_between, n_second : int
        Held-out neurons in the window on the first centre, between, on the second centre.
    depth : float or None
        n_between over the smaller of the other two; None where that is 0.
    p : float
        Exact p of 'the density between is at least that on the sparser side'.
    separated : bool
        p <= alpha and depth <= max_depth.
    """

    first: int
    second: int
    n_first: int
    n_between: int
    n_second: int
    depth: float | None
    p: float
    separated: bool


@dataclass(frozen=True)
class Valleys:
    """Valleys of one partition.

    Parameters
    ----------
    status : {'ok', 'one_cluster', 'zero_spread'}
        'zero_spread': the training neurons of every cluster coincide.
    pairs : tuple of PairValley
        Every cluster with its nearest neighbours.
    n_groups : int
        Groups of clusters after neighbours without a valley are joined: clusters that stand apart.
    n_held_out : int
        Neurons counted.
    """

    status: ValleyStatus
    pairs: tuple[PairValley, ...]
    n_groups: int
    n_held_out: int

    @property
    def n_separated(self) -> int:
        """Pairs with a valley."""
        return sum(pair.separated for pair in self.pairs)


def density_valleys(
    train: FloatArray,
    labels: NDArray[np.int16],
    centres: FloatArray,
    held_out: FloatArray,
    *,
    alpha: float = 0.05,
    max_depth: float = 0.5,
    n_nearest: int = 2,
) -> Valleys:
    """Look for a valley between every cluster and its nearest neighbours.

    Parameters
    ----------
    train, held_out : ndarray of float64, shape (n_train, n_features), (n_held_out, n_features)
        Neurons that were clustered, and neurons that were not.
    labels : ndarray of int, shape (n_train,)
        Clusters of the training neurons.
    centres : ndarray, shape (n_clusters, n_features)
        Centres of the clusters; those of empty clusters are left out.
    alpha, max_depth : float
        A valley is significant at alpha, and at most so deep relative to the sparser side.
    n_nearest : int
        Neighbours tested for each cluster.
    """
    kept = np.flatnonzero(np.bincount(labels, minlength=len(centres)))
    if len(kept) < 2:
        return Valleys("one_cluster", (), len(kept), len(held_out))
    residuals = train - centres[labels]
    n_features = train.shape[1]
    if len(train) < n_features:
        # Lines and prisms between centres lie in what the training neurons span, and the map below keeps that apart
        # from the rest: the same counts in as many coordinates as there are training neurons.
        mean = train.mean(axis=0)
        axes = principal_axes(train - mean)
        residuals = residuals @ axes
        train, held_out, centres = ((part - mean) @ axes for part in (train, held_out, centres))
    to_unit = _within_whitener(residuals, n_features)
    if to_unit is None:
        return Valleys("zero_spread", (), len(kept), len(held_out))
    points = [part @ to_unit for part in (train, held_out)]
    middle = centres[kept] @ to_unit
    pairs = []
    for i, j in _neighbours(middle, n_nearest):
        sides = [_along(part, middle, i, j) for part in points]
        between = _PLACES[np.argmin([_count(sides[0], place) for place in _PLACES])]
        n_first, n_between, n_second = (_count(sides[1], place) for place in (0.0, between, 1.0))
        fewest = min(n_first, n_second)
        depth = n_between / fewest if fewest else None
        p = float(binom.cdf(n_between, n_between + fewest, 0.5))
        apart = depth is not None and depth <= max_depth and p <= alpha
        pairs.append(
            PairValley(int(kept[i]), int(kept[j]), n_first, n_between, n_second, depth, p, bool(apart))
        )
    found = tuple(pairs)
    return Valleys("ok", found, _n_groups(found, kept), len(held_out))


def _within_whitener(residuals: FloatArray, n_features: int) -> FloatArray | None:
    """Map in which the clusters' shrunk pooled covariance is the identity: lines between centres separate best."""
    if residuals.shape[1] < n_features:
        return whitener(residuals, n_features)
    covariance = residuals.T @ residuals / len(residuals)
    scale = float(np.trace(covariance)) / n_features
    if not scale > 0:
        return None
    shrinkage = 0.0 if n_features == 1 else float(ledoit_wolf_shrinkage(residuals, assume_centered=True))
    covariance = (1 - shrinkage) * covariance + max(shrinkage, 1e-6) * scale * np.eye(n_features)
    values, vectors = np.linalg.eigh(covariance)
    to_unit: FloatArray = vectors / np.sqrt(values)
    return to_unit


def _neighbours(centres: FloatArray, n_nearest: int) -> list[tuple[int, int]]:
    squared = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = np.argsort(squared, axis=1, kind="stable")[:, : min(n_nearest, len(centres) - 1)]
    pairs = {(min(i, int(j)), max(i, int(j))) for i, row in enumerate(nearest) for j in row}
    return sorted(pair for pair in pairs if squared[pair] > 0)


def _along(points: FloatArray, centres: FloatArray, i: int, j: int) -> FloatArray:
    """Place on the line (0 at centre i, 1 at centre j) of the neurons inside the prism of this pair.

    Across the line, the prism holds what is nearer to the line than to any third centre beside it.
    """
    line = centres[j] - centres[i]
    length2 = float(line @ line)
    relative = points - centres[i]
    t = relative @ line / length2
    third = np.delete(centres, [i, j], axis=0) - centres[i]
    place = third @ line / length2
    beside = (place > -_HALF_WINDOW) & (place < 1 + _HALF_WINDOW)
    across = (third - place[:, None] * line)[beside]
    inside = (relative @ across.T <= (across**2).sum(axis=1) / 2).all(axis=1)
    kept: FloatArray = t[inside]
    return kept


def _count(t: FloatArray, place: float) -> int:
    return int(np.count_nonzero(np.abs(t - place) <= _HALF_WINDOW))


def _n_groups(pairs: tuple[PairValley, ...], kept: NDArray[np.int64]) -> int:
    """Number of groups of clusters when neighbours without a valley are joined."""
    group = {int(cluster): int(cluster) for cluster in kept}
    for pair in pairs:
        if not pair.separated:
            one, other = group[pair.first], group[pair.second]
            group = {cluster: one if of == other else of for cluster, of in group.items()}
    return len(set(group.values()))
