"""Stability of a clustering method under subsamples of neurons: pairs of refits compared on shared neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import ClusteringResult, fit
from decortex.errors import InputError
from decortex.evaluation.agreement.indices import contingency

StabilityStatus = Literal["ok", "too_few_neurons", "trivial"]


@dataclass(frozen=True)
class Clusterer:
    """A clustering method with its parameters.

    Parameters
    ----------
    method : str
        One of `decortex.clustering.methods`.
    params : mapping
        What differs from its defaults.
    """

    method: str
    params: Mapping[str, Any]

    def fit(self, x: NDArray[np.float64], n_clusters: int, seed: int) -> ClusteringResult:
        """Fit at this K and seed."""
        return fit(x, self.method, n_clusters=n_clusters, seed=seed, **self.params)


@dataclass(frozen=True)
class SubsampleStability:
    """Agreement between refits on subsamples of neurons; None where undefined.

    Parameters
    ----------
    status : {'ok', 'too_few_neurons', 'trivial'}
        'too_few_neurons': a subsample holds no more neurons than clusters. 'trivial': on the neurons that they
        share, both partitions of every pair are one cluster, or all singletons.
    value, low, high : float or None
        Mean adjusted Rand index over pairs of subsamples, on the neurons that both hold; smallest and largest.
    n_neurons, n_subsample, n_pairs : int
        Neurons in all, neurons a subsample, pairs of subsamples with a value.
    """

    status: StabilityStatus
    value: float | None
    low: float | None
    high: float | None
    n_neurons: int
    n_subsample: int
    n_pairs: int


def subsamples(n_neurons: int, n_subsamples: int, share: float, seed: int) -> list[NDArray[np.int64]]:
    """Neurons of every subsample, ascending; they depend on the number of neurons and the seed alone.

    Raises
    ------
    InputError
        If fewer than two subsamples are asked for, or the share does not lie between 0 and 1.

    Examples
    --------
    >>> [len(one) for one in subsamples(10, 3, 0.8, seed=0)]
    [8, 8, 8]
    """
    if n_subsamples < 2 or not 0 < share < 1:
        raise InputError(
            "stability compares at least 2 subsamples, each a share of the neurons between 0 and 1, got "
            f"n_subsamples = {n_subsamples} and share = {share}."
        )
    rng = np.random.default_rng([seed, n_neurons])
    size = round(share * n_neurons)
    return [np.sort(rng.choice(n_neurons, size, replace=False)).astype(np.int64) for _ in range(n_subsamples)]


def subsample_stability(
    x: NDArray[np.float64],
    clusterer: Clusterer,
    n_clusters: int,
    *,
    seed: int,
    n_subsamples: int = 3,
    share: float = 0.8,
) -> SubsampleStability:
    """Refit on subsamples of the neurons and compare every pair on the neurons that both hold.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Embedding.
    clusterer : Clusterer
        Method and parameters.
    n_clusters : int
        K, at least 2.
    seed : int
        Of the subsamples and of the fits.
    n_subsamples : int
        Refits; each pair of them is compared.
    share : float
        Share of the neurons in a subsample.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((20, 2)), np.ones((20, 2))] + np.linspace(0, 0.1, 40)[:, None]
    >>> subsample_stability(x, Clusterer("kmeans", {}), 2, seed=0).value
    1.0
    """
    chosen = subsamples(len(x), n_subsamples, share, seed)
    size = len(chosen[0])
    if size <= n_clusters:
        return SubsampleStability("too_few_neurons", None, None, None, len(x), size, 0)
    # A seed of its own for every refit: equal starts would agree by their starts.
    labels = [
        clusterer.fit(x[own], n_clusters, seed * n_subsamples + i).labels for i, own in enumerate(chosen)
    ]
    values = []
    for i, j in combinations(range(n_subsamples), 2):
        _, at_i, at_j = np.intersect1d(chosen[i], chosen[j], assume_unique=True, return_indices=True)
        one, other = labels[i][at_i], labels[j][at_j]
        value = adjusted_rand(contingency(one, other)) if len(one) else None
        if value is not None:
            values.append(value)
    if not values:
        return SubsampleStability("trivial", None, None, None, len(x), size, 0)
    mean = float(np.mean(values))
    return SubsampleStability("ok", mean, min(values), max(values), len(x), size, len(values))


def adjusted_rand(table: NDArray[np.int64]) -> float | None:
    """Adjusted Rand index (Hubert & Arabie 1985) of a contingency table; None where both partitions are trivial.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted_rand(np.array([[5, 0], [0, 3]]))
    1.0
    """
    counts = table.astype(np.float64)

    def pairs(n: NDArray[np.float64]) -> float:
        return float((n * (n - 1)).sum() / 2)

    together, rows, columns = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    everything = pairs(np.array([counts.sum()]))
    if rows == columns and rows in (0.0, everything):
        return None
    expected = rows * columns / everything
    return (together - expected) / ((rows + columns) / 2 - expected)
