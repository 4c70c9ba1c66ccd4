"""Internal quality of one partition in one embedding: compactness against separation. No ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from decortex.arrays import LARGEST_VALUE
from decortex.distances import in_own_unit, robust_centre, squared_distances
from decortex.errors import InputError
from decortex.labels import assigned_only

QualityStatus = Literal["ok", "one_cluster", "all_singletons", "zero_spread"]

# 2^22 distances at a time: 32 MiB.
_CHUNK_DISTANCES = 2**22


@dataclass(frozen=True)
class QualityResult:
    """Quality of one partition; None where a measure is undefined, with the status saying why.

    Parameters
    ----------
    status : {'ok', 'one_cluster', 'all_singletons', 'zero_spread'}
        'zero_spread': every neuron lies on its cluster's centre, so that ratios to the spread have no value.
    n_neurons, n_clusters : int
        Neurons, and clusters that hold one.
    silhouette : float or None
        Mean silhouette of the sampled neurons, each against all neurons; higher is better.
    silhouette_n : int
        Neurons sampled.
    calinski_harabasz : float or None
        Between over within dispersion; higher is better.
    davies_bouldin : float or None
        Mean similarity of each cluster to its most similar one; lower is better.
    within : float
        Mean squared distance of a neuron to its cluster's mean, in squared units of the embedding.
    """

    status: QualityStatus
    n_neurons: int
    n_clusters: int
    silhouette: float | None
    silhouette_n: int
    calinski_harabasz: float | None
    davies_bouldin: float | None
    within: float


def cluster_quality(
    x: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    seed: int,
    silhouette_sample: int = 2000,
) -> QualityResult:
    """Measure how compact and separate the clusters are.

    Parameters
    ----------
    x : ndarray of float, shape (n_neurons, n_features)
        Embedding in which to measure (the untouched one is the yardstick for fine-tuned labels).
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    seed : int
        Chooses the neurons whose silhouette is taken.
    silhouette_sample : int
        At most so many neurons; 2,000 leave a noise of about .02.

    Raises
    ------
    InputError
        If the shapes do not fit, a value is not finite or beyond 1e100, or there is no neuron.

    Notes
    -----
    A sampled neuron is compared with *all* neurons, not with the sample: the estimate is unbiased, and a
    small cluster does not vanish from it. The cost is ``silhouette_sample * n_neurons * n_features``.
    Every measure is the same for an embedding to which a constant is added, and all but ``within`` for one in another
    unit: medians are subtracted and the largest value is 1 before anything is squared.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> round(cluster_quality(x, np.array([0, 0, 1, 1]), seed=0).silhouette, 2)
    0.98
    """
    labels, x = assigned_only(labels, x)
    if x.ndim != 2 or not len(x):
        raise InputError(
            "expected x of shape (n_neurons, n_features) and a label other than -1 for at least one neuron, got "
            f"{x.shape} with {len(labels)} labelled neurons."
        )
    if silhouette_sample < 1:
        raise InputError(f"silhouette_sample should be at least 1, got {silhouette_sample}.")
    if not (np.abs(x) <= LARGEST_VALUE).all():  # false for NaN, too
        raise InputError(
            f"the embedding holds NaN or infinite values, or some beyond {LARGEST_VALUE:g}; exclude those neurons,"
            " or give it in another unit."
        )
    values, unit = in_own_unit(x.astype(np.float64))
    found, dense, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n_neurons, n_clusters = len(x), len(found)
    squared = _squared_to_centre(values, dense, sizes)
    within = float(squared.mean()) * unit**2

    status: QualityStatus = "ok"
    if n_clusters == 1:
        status = "one_cluster"
    elif n_clusters == n_neurons:
        status = "all_singletons"
    elif float(squared.mean()) <= 1e-24 * float((values**2).sum(axis=1).mean()):
        status = "zero_spread"
    if status != "ok":
        return QualityResult(status, n_neurons, n_clusters, None, 0, None, None, within)

    sample = np.arange(n_neurons)
    if n_neurons > silhouette_sample:
        sample = np.sort(np.random.default_rng(seed).choice(n_neurons, silhouette_sample, replace=False))
    return QualityResult(
        status=status,
        n_neurons=n_neurons,
        n_clusters=n_clusters,
        silhouette=float(silhouettes(values, dense, sample).mean()),
        silhouette_n=len(sample),
        calinski_harabasz=calinski_harabasz(values, dense),
        davies_bouldin=davies_bouldin(values, dense),
        within=within,
    )


def silhouettes(
    x: NDArray[np.float64], labels: NDArray[np.integer[Any]], sample: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Silhouette (Rousseeuw 1987) of the sampled neurons against all neurons.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Embedding.
    labels : ndarray of int, shape (n_neurons,)
        Labels 0..n_clusters-1, every one held by a neuron, n_clusters >= 2.
    sample : ndarray of int, shape (n_sample,)
        Neurons to score.

    Returns
    -------
    ndarray of float64, shape (n_sample,)
        (b - a)/max(a, b); 0 for a neuron that is alone in its cluster.
    """
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    x = x - robust_centre(x)
    by_cluster = x[order]
    block = max(1, _CHUNK_DISTANCES // len(x))
    scores = []
    for begin in range(0, len(sample), block):
        chosen = sample[begin : begin + block]
        distances = np.sqrt(squared_distances(x[chosen], by_cluster))
        sums = np.add.reduceat(distances, starts, axis=1)  # (block, n_clusters)
        rows, own = np.arange(len(chosen)), labels[chosen]
        a = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
        means = sums / sizes
        means[rows, own] = np.inf
        b = means.min(axis=1)
        largest = np.maximum(a, b)
        scores.append(
            np.where((sizes[own] > 1) & (largest > 0), (b - a) / np.where(largest > 0, largest, 1), 0.0)
        )
    return np.concatenate(scores)


def calinski_harabasz(x: NDArray[np.float64], labels: NDArray[np.integer[Any]]) -> float | None:
    """Dispersion between over within clusters (Calinski & Harabasz 1974), each per degree of freedom.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Embedding.
    labels : ndarray of int, shape (n_neurons,)
        Labels, every neuron's >= 0.

    Returns
    -------
    float or None
        None where it is not defined: one cluster, only singletons, or no dispersion within clusters.
    """
    x = x - robust_centre(x)
    found, dense, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n, k = len(x), len(found)
    within = float(_squared_to_centre(x, dense, sizes).sum())
    total = float(((x - x.mean(axis=0)) ** 2).sum())
    if not 1 < k < n or within <= 1e-24 * total:
        return None
    between = float((sizes * ((_centres(x, dense, sizes) - x.mean(axis=0)) ** 2).sum(axis=1)).sum())
    return between * (n - k) / (within * (k - 1))


def davies_bouldin(x: NDArray[np.float64], labels: NDArray[np.integer[Any]]) -> float | None:
    """Mean over clusters of the largest (s_i + s_j)/d_ij (Davies & Bouldin 1979).

    s_i is the mean distance of cluster i's neurons to its centre, d_ij the distance of two centres.

    Parameters
    ----------
    x, labels
        As in `calinski_harabasz`.

    Returns
    -------
    float or None
        None where it is not defined: one cluster, only singletons, no spread, or two centres at one point.
    """
    x = x - robust_centre(x)
    found, dense, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    k = len(found)
    if not 1 < k < len(x):
        return None
    distances = np.sqrt(_squared_to_centre(x, dense, sizes))
    spread = np.bincount(dense, weights=distances) / sizes
    centres = _centres(x, dense, sizes)
    apart = cdist(centres, centres)
    np.fill_diagonal(apart, np.inf)
    if not apart.min() > 0 or not spread.any():
        return None
    return float(((spread[:, None] + spread) / apart).max(axis=1).mean())


def _centres(
    x: NDArray[np.float64], labels: NDArray[np.integer[Any]], sizes: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Mean of every cluster, (n_clusters, n_features)."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.asarray(np.add.reduceat(x[order], starts, axis=0) / sizes[:, None])


def _squared_to_centre(
    x: NDArray[np.float64], labels: NDArray[np.integer[Any]], sizes: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Squared distance of every neuron to its cluster's mean, (n_neurons,)."""
    deviation = x - _centres(x, labels, sizes)[labels]
    return np.asarray(np.einsum("ij,ij->i", deviation, deviation))
