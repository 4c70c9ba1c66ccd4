"""Exact nearest neighbours, found once for all graph methods, and the graphs built from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from decortex.clustering.cache import cache_key
from decortex.clustering.graph.neighbours_torch import candidates
from decortex.clustering.inputs import FloatArray
from decortex.clustering.method import Points
from decortex.distances import distance_blocks, robust_centre
from decortex.errors import InputError

VERSION = 2
WIDTH = 32  # neighbours searched for at least: one search serves every usual n_neighbors
UNSURE_SINGLE = 1e-3  # the same for spare candidates that were searched in single precision
CHUNK = 2**22  # array elements per step where pairs are taken apart
SEARCH_ROUNDING = 1e-15  # of |x|^2, what an expanded squared distance may be off by
SINGLE_ROUNDING = 1e-6  # the same in single precision, on a GPU
UNSURE = 1e-6  # of the last neighbour's squared distance, above which differences search again


@dataclass(frozen=True)
class Neighbours:
    """The nearest other neurons of every neuron, by rising distance, equal distances by index.

    Parameters
    ----------
    indices : ndarray of int32, shape (n_neurons, n_neighbors)
        Never the neuron itself; duplicates of it count as neighbours at distance 0.
    distances : ndarray of float64, shape (n_neurons, n_neighbors)
        Euclidean, computed from differences (exactly 0 for duplicates).
    """

    indices: NDArray[np.int32]
    distances: FloatArray

    def __len__(self) -> int:
        """Return the number of neurons."""
        return len(self.indices)


def nearest_neighbours(points: Points, n_neighbors: int) -> Neighbours:
    """Return the `n_neighbors` nearest other neurons of every neuron, by brute force, memoised.

    Raises
    ------
    InputError
        If there are not that many other neurons.
    """
    n = len(points)
    if n_neighbors >= n:
        raise InputError(
            f"the graph needs {n_neighbors} other neurons beside each (n_neighbors counts the neuron itself in"
            f" spectral, leiden and ldmgi), but there are {n} neurons. Lower n_neighbors or cluster more neurons."
        )
    width = WIDTH
    while width < n_neighbors:
        width *= 2
    width = min(width, n - 1)
    key = cache_key("neighbours", VERSION, points.sha256, {"width": width})
    found = points.cache.compute(key, lambda: _search(points.values, width, points.device))
    return Neighbours(found["indices"][:, :n_neighbors], found["distances"][:, :n_neighbors])


def _search(x: FloatArray, width: int, device: str | None) -> dict[str, NDArray[np.int32] | FloatArray]:
    x = x - robust_centre(x)
    if device is None:
        searched = NearestNeighbors(n_neighbors=width, algorithm="brute").fit(x)
        indices = searched.kneighbors(return_distance=False).astype(np.int32)
    else:
        indices = candidates(x, width, device)
    distances = _lengths(x, indices)  # the search's own distances suffer cancellation near 0
    if device is not None:
        order = np.lexsort((indices, distances), axis=1)[:, :width]
        indices, distances = (np.take_along_axis(array, order, axis=1) for array in (indices, distances))
    size = np.einsum("nd,nd->n", x, x)
    single = device is not None and not device.startswith("cpu")
    rounding, unsure = (SINGLE_ROUNDING, UNSURE_SINGLE) if single else (SEARCH_ROUNDING, UNSURE)
    lost = np.flatnonzero(rounding * size > unsure * distances[:, -1] ** 2)
    step = max(1, CHUNK // len(x))
    for first in range(
        0, len(lost), step
    ):  # far from the centre expansion tells near neighbours apart no more
        rows = lost[first : first + step]
        exact = cdist(x[rows], x, "sqeuclidean")
        exact[np.arange(len(rows)), rows] = np.inf
        indices[rows] = np.argpartition(exact, width - 1, axis=1)[:, :width]
    distances[lost] = _lengths(x, indices[lost], lost)
    order = np.lexsort((indices, distances), axis=1)
    return {
        "indices": np.take_along_axis(indices, order, axis=1),
        "distances": np.take_along_axis(distances, order, axis=1),
    }


def _lengths(x: FloatArray, indices: NDArray[np.int32], rows: NDArray[np.int64] | None = None) -> FloatArray:
    """Distances from neurons (all, or `rows`) to those that are indexed, from differences, (n_rows, width)."""
    own = x if rows is None else x[rows]
    distances = np.empty(indices.shape)
    step = max(1, CHUNK // (indices.shape[1] * x.shape[1]))
    for first in range(0, len(own), step):
        here = slice(first, first + step)
        difference = x[indices[here]] - own[here, None, :]
        distances[here] = np.sqrt(np.einsum("nkd,nkd->nk", difference, difference))
    return distances


def nearest_among(x: FloatArray, x_new: FloatArray, n_neighbors: int) -> NDArray[np.int64]:
    """Return the neurons of x nearest to each new one, nearest first, (n_new, at most n_neighbors)."""
    middle, width = robust_centre(x), min(n_neighbors, len(x))
    found = []
    for _, distances in distance_blocks(x_new - middle, x - middle):
        some = np.argpartition(distances, width - 1, axis=1)[:, :width]
        order = np.lexsort((some, np.take_along_axis(distances, some, axis=1)), axis=1)
        found.append(np.take_along_axis(some, order, axis=1))
    nearest: NDArray[np.int64] = np.concatenate(found)
    return nearest


def group_copies(x: FloatArray, neighbours: Neighbours) -> NDArray[np.int64] | None:
    """Number of its group of equal neurons for every neuron, (n_neurons,); None where no two are equal."""
    paired = np.flatnonzero(neighbours.distances[:, 0] == 0)
    if not len(paired):
        return None
    groups = np.unique(x[paired], axis=0, return_inverse=True)[1].ravel()
    found = np.empty(len(x), dtype=np.int64)
    alone = np.setdiff1d(np.arange(len(x)), paired, assume_unique=True)
    found[paired] = groups
    found[alone] = int(groups.max()) + 1 + np.arange(len(alone))
    return found


def components(neighbours: Neighbours) -> tuple[int, NDArray[np.int32]]:
    """Connected components of the neighbour graph: their number, and the one of every neuron."""
    n, k = neighbours.indices.shape
    pattern = sparse.csr_array(
        (np.ones(n * k, dtype=np.int8), (np.repeat(np.arange(n), k), neighbours.indices.ravel())),
        shape=(n, n),
    )
    count, member = connected_components(pattern, directed=False)
    return int(count), member.astype(np.int32)


def normalised_affinity(neighbours: Neighbours) -> tuple[sparse.csr_array, FloatArray]:
    """S = D^-1/2 A D^-1/2 of locally scaled Gaussian weights, and the logarithm of the degrees D.

    A_ij = exp(-d_ij^2 / (s_i s_j)) where one is among the other's neighbours, s_i the distance to the last of
    i's neighbours (Zelnik-Manor & Perona 2004). Weights of an outlier underflow long before their normalised
    form does, so that everything is computed with logarithms: no neuron loses its last edge to rounding.
    Where more duplicates than neighbours make s_i zero, the smallest positive scale stands in for it.

    Returns
    -------
    S : sparse array, shape (n_neurons, n_neurons)
        Symmetric, zero diagonal.
    log_degree : ndarray, shape (n_neurons,)
        exp(log_degree / 2), restricted to a component, is an eigenvector of S to the eigenvalue 1.
    """
    n, k = neighbours.indices.shape
    scale = neighbours.distances[:, -1].copy()
    positive = scale > 0
    scale[~positive] = scale[positive].min() if positive.any() else 1.0
    rows = np.repeat(np.arange(n, dtype=np.int32), k)
    columns = neighbours.indices.ravel()
    first, second = np.minimum(rows, columns), np.maximum(rows, columns)
    _, where = np.unique(first.astype(np.int64) * n + second, return_index=True)
    first, second = first[where], second[where]
    log_weight = -(neighbours.distances.ravel()[where] ** 2) / (scale[first] * scale[second])
    rows = np.concatenate([first, second])
    columns = np.concatenate([second, first])
    both = np.concatenate([log_weight, log_weight])
    peak = np.full(n, -np.inf)
    np.maximum.at(peak, rows, both)
    log_degree = peak + np.log(np.bincount(rows, weights=np.exp(both - peak[rows]), minlength=n))
    values = np.exp(both - (log_degree[rows] + log_degree[columns]) / 2)
    affinity = sparse.csr_array((values, (rows, columns)), shape=(n, n))
    return affinity, log_degree


def component_vectors(member: NDArray[np.int32], log_degree: FloatArray, count: int) -> FloatArray:
    """Orthonormal eigenvectors of the largest `count` components, (n_neurons, count): sqrt(D) on each."""
    largest = np.argsort(-np.bincount(member), kind="stable")[:count]
    vectors = np.zeros((len(member), len(largest)))
    for column, component in enumerate(largest):
        inside = member == component
        local = np.exp((log_degree[inside] - log_degree[inside].max()) / 2)
        vectors[inside, column] = local / np.linalg.norm(local)
    return vectors
