"""Representational geometry of networks: correlation of their geo-topological dissimilarities of the same neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from decortex.distances import robust_centre
from decortex.errors import InputError
from decortex.evaluation.agreement.networks import pairs_interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Neurons up to which every pair of them is compared, and pairs that are drawn of more neurons.
LARGEST_EXACT = 1_000
SAMPLED_PAIRS = 200_000
# Quantiles of the distances below which they are 0 and above which they are 1.
GEOMETRY = (0.0, 1.0)
NEIGHBOURHOODS = (0.0, 0.2)
TOPOLOGY = (0.1, 0.1)
SETTINGS = (GEOMETRY, NEIGHBOURHOODS, TOPOLOGY)
_CHUNK = 2**17  # elements of two embeddings that are subtracted at a time: they stay in the cache
_PAIRS_AT_ONCE = 2**16


@dataclass(frozen=True)
class GeometryAgreement:
    """How alike networks arrange the same neurons, at one setting of the geo-topological transform.

    Parameters
    ----------
    lower, upper : float
        Quantiles of the transform.
    n_neurons, n_pairs : int
        Neurons that every network's embedding holds, and pairs of them that were compared.
    is_exact : bool
        Whether these are all pairs of the neurons.
    correlation, rank_correlation : ndarray of float64, shape (n_networks, n_networks)
        Pearson's and Spearman's over pairs of neurons; 1 on the diagonal, NaN where all transformed distances of a
        network are equal.
    null : ndarray of float64, shape (n_permutations, n_networks, n_networks)
        Pearson's correlation after the neurons of every network but the first are permuted within their blocks.
    """

    lower: float
    upper: float
    n_neurons: int
    n_pairs: int
    is_exact: bool
    correlation: FloatArray
    rank_correlation: FloatArray
    null: FloatArray

    @property
    def mean(self) -> float | None:
        """Mean correlation over pairs of networks; None where one is not defined."""
        return _mean_over_pairs(self.correlation)

    @property
    def rank_mean(self) -> float | None:
        """Mean rank correlation over pairs of networks; None where one is not defined."""
        return _mean_over_pairs(self.rank_correlation)

    @property
    def null_means(self) -> list[float | None]:
        """Mean correlation over pairs of networks, of every permutation."""
        return [_mean_over_pairs(drawn) for drawn in self.null]

    def interval(self, level: float = 0.95) -> tuple[float | None, float | None]:
        """Interval of the mean by the jackknife over networks; (None, None) below three networks."""
        pairs = {
            (a, b): float(self.correlation[a, b]) for a, b in combinations(range(len(self.correlation)), 2)
        }
        return (None, None) if self.mean is None else pairs_interval(pairs, level)


def geo_topological(distances: FloatArray, lower: float, upper: float) -> FloatArray:
    r"""Transform distances so that the smallest are 0, the largest 1, and those between lie on a line.

    .. math:: g(d) = 0 \text{ if } d \le d_l, \quad 1 \text{ if } d \ge d_u, \quad \frac{d - d_l}{d_u - d_l}
        \text{ between}

    with :math:`d_l, d_u` the quantiles of all distances. l = 0 and u = 1 keeps the geometry; with a small u all
    distances beyond a neighbourhood count the same; l = u leaves who is a neighbour of whom, the topology.

    Parameters
    ----------
    distances : ndarray of float64, shape (n_pairs,)
        Of pairs of neurons.
    lower, upper : float
        Quantiles, 0 <= lower <= upper <= 1. Where both are one distance, larger distances are 1.

    Returns
    -------
    ndarray of float64, shape (n_pairs,)

    Raises
    ------
    InputError
        If the quantiles are out of order or out of bounds.

    Notes
    -----
    Lin & Kriegeskorte, "The topology and geometry of neural representations", PNAS 121(42), 2024.

    Examples
    --------
    >>> geo_topological(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.25, 0.75)
    array([0. , 0. , 0.5, 1. , 1. ])
    """
    _check_setting((lower, upper))
    low, high = np.quantile(distances, [lower, upper])
    return _between(distances, float(low), float(high))


def n_shared_neurons(embeddings: Sequence[NDArray[np.floating[Any]]]) -> int:
    """Count the neurons with finite values in every network's embedding, each (n_neurons, n_features).

    Examples
    --------
    >>> n_shared_neurons([np.ones((3, 2)), np.array([[1.0], [np.nan], [2.0]])])
    2
    """
    return int(np.all([np.isfinite(one).all(axis=1) for one in embeddings], axis=0).sum())


def neuron_pairs(n_neurons: int, n_pairs: int, seed: int) -> tuple[IntArray, IntArray]:
    """Pairs of neurons, first > second: all of them, or so many that are drawn without replacement.

    Parameters
    ----------
    n_neurons : int
        At least two.
    n_pairs : int
        All pairs are returned where there are no more than these.
    seed : int
        Of the draw.

    Returns
    -------
    first, second : ndarray of int64, shape (n,)

    Examples
    --------
    >>> neuron_pairs(3, 10, 0)
    (array([1, 2, 2]), array([0, 0, 1]))
    """
    total = n_neurons * (n_neurons - 1) // 2
    if total <= n_pairs:
        numbers = np.arange(total, dtype=np.int64)
    else:
        numbers = np.random.default_rng([seed, n_neurons]).choice(total, n_pairs, replace=False)
    # Pair number c = first (first - 1) / 2 + second; the root is exact up to rounding, which is put right.
    first = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    first -= first * (first - 1) // 2 > numbers
    first += first * (first + 1) // 2 <= numbers
    return first, numbers - first * (first - 1) // 2


def geometry_agreement(
    embeddings: Sequence[NDArray[np.floating[Any]]],
    settings: Sequence[tuple[float, float]] = SETTINGS,
    *,
    seed: int,
    blocks: NDArray[Any] | None = None,
    n_permutations: int = 99,
    largest_exact: int = LARGEST_EXACT,
    sampled_pairs: int = SAMPLED_PAIRS,
) -> list[GeometryAgreement]:
    """Correlate the geo-topological dissimilarities of every pair of networks over pairs of the same neurons.

    Representational similarity analysis (Kriegeskorte, Mur & Bandettini 2008) of Euclidean distances between neurons'
    embeddings. A network's axes may be rotated and its unit is free: neither changes the result. An embedding that
    moves with what is no property of the neuron's type (a preferred orientation, a norm) has to be made invariant
    before: give the invariant embedding.

    Parameters
    ----------
    embeddings : sequence of ndarray, each of shape (n_neurons, n_features)
        The same neurons in the same order, one array per network, at least two; features may differ in number. A neuron
        with a value that is not finite in any of them is left out of all.
    settings : sequence of (float, float)
        Lower and upper quantile of the transform, see `geo_topological`.
    seed : int
        Of the sample of pairs and of the permutations.
    blocks : ndarray, shape (n_neurons,), optional
        Session of every neuron; neurons are permuted within it. Default: among all. What sessions alone make networks
        agree on is then part of the null.
    n_permutations : int
        0 leaves the null empty.
    largest_exact : int
        Neurons up to which all pairs of them are compared.
    sampled_pairs : int
        Pairs that are drawn where there are more neurons; no array has more than n_networks times as many entries.

    Returns
    -------
    list of GeometryAgreement
        One per setting, on the same pairs and permutations.

    Raises
    ------
    InputError
        If there are fewer than two networks or three shared neurons, the networks hold different numbers of neurons,
        or a setting is out of bounds.

    Notes
    -----
    Permuted neurons keep a network's own geometry and lose which neuron is which (Mantel 1967). Every network is
    permuted by itself, so that the mean over pairs of networks has a null too. On a sample of pairs the thresholds
    are those of the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex import geometry_agreement
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    >>> found = geometry_agreement([x, 3 * x @ rotation], seed=0, n_permutations=19)
    >>> [round(one.mean, 6) for one in found]
    [1.0, 1.0, 1.0]
    """
    for setting in settings:
        _check_setting(setting)
    points, kept = _shared(embeddings)
    n = len(points[0])
    is_exact = n <= largest_exact
    first, second = neuron_pairs(n, n * (n - 1) // 2 if is_exact else sampled_pairs, seed)
    measured = [_Distances(x, first, second, keep_matrix=is_exact) for x in points]
    observed = np.stack([one.of(None) for one in measured])
    thresholds = {setting: np.quantile(observed, setting, axis=1) for setting in settings}
    sums = {
        setting: _Sums(len(points), len(first), _transformed(observed, thresholds[setting]).mean(axis=1))
        for setting in settings
    }
    correlations, ranks = {}, {}
    for setting in settings:
        transformed = _transformed(observed, thresholds[setting])
        correlations[setting] = sums[setting].correlation([transformed])
        ranked = np.stack([rankdata(row) for row in transformed])
        ranks[setting] = _Sums(len(points), len(first), ranked.mean(axis=1)).correlation([ranked])
    nulls = {setting: np.empty((n_permutations, len(points), len(points))) for setting in settings}
    rng = np.random.default_rng([seed, n, 1])
    members = [np.arange(n)] if blocks is None else _members(np.asarray(blocks), kept)
    for drawn in range(n_permutations):
        orders = [None, *(_permuted(members, n, rng) for _ in points[1:])]
        distances = np.stack([one.of(order) for one, order in zip(measured, orders, strict=True)])
        for setting in settings:
            parts = (
                _transformed(distances[:, at : at + _PAIRS_AT_ONCE], thresholds[setting])
                for at in range(0, len(first), _PAIRS_AT_ONCE)
            )
            nulls[setting][drawn] = sums[setting].correlation(parts)
    return [
        GeometryAgreement(
            lower=float(setting[0]),
            upper=float(setting[1]),
            n_neurons=n,
            n_pairs=len(first),
            is_exact=is_exact or len(first) == n * (n - 1) // 2,
            correlation=correlations[setting],
            rank_correlation=ranks[setting],
            null=nulls[setting],
        )
        for setting in settings
    ]


class _Distances:
    """Euclidean distances of chosen pairs in one embedding, of the neurons as they are or permuted."""

    def __init__(self, x: FloatArray, first: IntArray, second: IntArray, *, keep_matrix: bool) -> None:
        near = x - robust_centre(x)
        self._x = near / (float(np.abs(near).max(initial=0.0)) or 1.0)
        self._first, self._second = first, second
        self._matrix = None
        if keep_matrix:
            matrix = np.zeros((len(x), len(x)))
            matrix[first, second] = matrix[second, first] = self._measure(first, second)
            self._matrix = matrix.ravel()

    def of(self, order: IntArray | None) -> FloatArray:
        """Distances of the pairs, (n_pairs,), where ``order[i]`` takes the part of neuron i."""
        if order is None:
            first, second = self._first, self._second
        else:
            first, second = order[self._first], order[self._second]
        if self._matrix is None:
            return self._measure(first, second)
        found: FloatArray = self._matrix.take(first * len(self._x) + second)
        return found

    def _measure(self, first: IntArray, second: IntArray) -> FloatArray:
        found = np.empty(len(first))
        step = max(1, _CHUNK // max(self._x.shape[1], 1))
        for at in range(0, len(first), step):
            here = slice(at, at + step)
            difference = self._x[first[here]] - self._x[second[here]]
            found[here] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
        return found


class _Sums:
    """Correlations of rows from sums over parts of their columns, taken around values near the means."""

    def __init__(self, n_rows: int, n_columns: int, near: FloatArray) -> None:
        self._shape, self._n, self._near = (n_rows, n_rows), n_columns, near[:, None]

    def correlation(self, parts: Any) -> FloatArray:
        """Pearson correlation of every pair of rows; NaN where a row is constant."""
        total, products = np.zeros(self._shape[0]), np.zeros(self._shape)
        for part in parts:
            off = part - self._near
            total += off.sum(axis=1)
            products += off @ off.T
        covariance = products - np.outer(total, total) / self._n
        variance = covariance.diagonal().copy()
        variance[variance <= 1e-12 * np.maximum(products.diagonal(), np.finfo(float).tiny)] = np.nan
        scale = np.sqrt(variance)
        found: FloatArray = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
        return found


def _between(distances: FloatArray, low: float, high: float) -> FloatArray:
    if not high > low:
        return (distances > low).astype(np.float64)
    return np.clip((distances - low) / (high - low), 0.0, 1.0)


def _transformed(distances: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Transform every network's distances by its own thresholds, both (n_networks, ...) and (2, n_networks)."""
    rows = zip(distances, *thresholds, strict=True)
    return np.stack([_between(row, float(low), float(high)) for row, low, high in rows])


def _permuted(members: Sequence[IntArray], n: int, rng: np.random.Generator) -> IntArray:
    order = np.empty(n, dtype=np.int64)
    for own in members:
        order[own] = rng.permutation(own)
    return order


def _members(blocks: NDArray[Any], kept: NDArray[np.bool_]) -> list[IntArray]:
    if blocks.shape != kept.shape:
        raise InputError(
            f"expected one block per neuron, shape {kept.shape}, got {blocks.shape}; give each neuron's session."
        )
    numbers = np.unique(blocks[kept], return_inverse=True)[1].ravel()
    return [np.flatnonzero(numbers == one) for one in range(int(numbers.max()) + 1)]


def _shared(
    embeddings: Sequence[NDArray[np.floating[Any]]],
) -> tuple[list[FloatArray], NDArray[np.bool_]]:
    arrays = [np.asarray(one, dtype=np.float64) for one in embeddings]
    shapes = [one.shape for one in arrays]
    if len(arrays) < 2 or any(one.ndim != 2 for one in arrays) or len({shape[0] for shape in shapes}) != 1:
        raise InputError(
            "expected embeddings of the same neurons in at least two networks, each (n_neurons, n_features), got "
            f"{shapes}."
        )
    kept = np.all([np.isfinite(one).all(axis=1) for one in arrays], axis=0)
    if kept.sum() < 3:
        raise InputError(
            f"dissimilarities are compared over pairs of at least 3 neurons, but {int(kept.sum())} have finite "
            "values in every network; give embeddings that share neurons."
        )
    return [one[kept] for one in arrays], kept


def _check_setting(setting: tuple[float, float]) -> None:
    lower, upper = setting
    if not 0 <= lower <= upper <= 1:
        raise InputError(
            f"the quantiles of a geo-topological transform should be 0 <= lower <= upper <= 1, got {setting}."
        )


def _mean_over_pairs(matrix: FloatArray) -> float | None:
    values = matrix[np.triu_indices(len(matrix), 1)]
    return None if np.isnan(values).any() else float(values.mean())
