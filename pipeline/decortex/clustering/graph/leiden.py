"""Leiden communities of the neighbour graph: by a given resolution, or by the resolution that gives the K asked for.

Modularity at resolution r of a partition of the graph A with degrees d and 2m = sum_i d_i (Reichardt & Bornholdt 2006):

    Q = sum_c [ A(c, c) / 2m  -  r (d(c) / 2m)^2 ]

is maximised by the Leiden algorithm (Traag, Waltman & van Eck 2019; graspologic-native). The number of communities is
its outcome. A table of partitions asks for K, so that by default the resolution is searched for: bisection of log2 r on
a fixed ladder, of which every rung is one run that all K of a grid share.
"""

from __future__ import annotations

from typing import Annotated, Literal

import graspologic_native
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from decortex.clustering.cache import cache_key
from decortex.clustering.graph.neighbours import components, group_copies, nearest_neighbours
from decortex.clustering.graph.result import LARGEST_SHARE, neighbour_scores, one_label_each
from decortex.clustering.graph.spectral import connectivity
from decortex.clustering.inputs import FloatArray, check_n_clusters
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order, relabel
from decortex.config import Config
from decortex.errors import InputError

VERSION = 1
WIDEST = 16.0  # log2 of the largest resolution that is tried; its inverse is the smallest
MOST_JOINED = 5_000  # communities, of which every pair is compared
MOST_SWEEPS = 1_000  # of one pass; guards against moves that undo each other by rounding
HALVINGS = 14  # the last step is .004 octaves


class LeidenConfig(Config):
    """Parameters of Leiden."""

    n_neighbors: int = Field(10, ge=2, description="neighbours in the graph, the neuron itself counted")
    resolution: Annotated[float, Field(gt=0, le=2**WIDEST)] | Literal["searched"] = Field(
        "searched",
        description="K is an outcome, at most the one asked for; 'searched': what gives the K asked for",
    )
    iterations: int = Field(2, ge=1, le=100, description="passes, each from the last one's communities")


def modularity(affinity: sparse.csr_array, labels: NDArray[np.integer], resolution: float = 1.0) -> float:
    """Modularity of a partition of a graph, the larger the better.

    Parameters
    ----------
    affinity : sparse array, shape (n_neurons, n_neurons)
        Symmetric weights.
    labels : ndarray of int, shape (n_neurons,)
        Community of every neuron.
    resolution : float
        1: Newman & Girvan's.

    Examples
    --------
    >>> modularity(sparse.csr_array([[0, 1.0], [1.0, 0]]), np.array([0, 0]))
    0.0
    """
    degree = np.bincount(labels, weights=affinity.sum(axis=1))
    edges = affinity.tocoo()
    inside = edges.data[labels[edges.row] == labels[edges.col]].sum()
    return float((inside - resolution * (degree**2).sum() / degree.sum()) / degree.sum())


def leiden_communities(
    affinity: sparse.csr_array, *, resolution: float = 1.0, seed: int = 0, iterations: int = 2
) -> NDArray[np.int64]:
    """Communities of a weighted graph by one run of the Leiden algorithm on modularity.

    Parameters
    ----------
    affinity : sparse array, shape (n_nodes, n_nodes)
        Symmetric weights without a diagonal, at least one above 0.
    resolution : float
        1: Newman & Girvan's modularity. Larger values give more communities.
    seed : int
        Of the order in which nodes are moved.
    iterations : int
        Passes, each from the last one's communities.

    Returns
    -------
    ndarray of int64, shape (n_nodes,)
        Numbered from 0, in no order that means anything.

    Notes
    -----
    Traag, Waltman & van Eck, "From Louvain to Leiden", Sci. Rep. 9, 5233, 2019 (graspologic-native).

    Examples
    --------
    >>> leiden_communities(sparse.csr_array(np.kron(np.eye(2), [[0, 1.0], [1.0, 0]])))
    array([0, 0, 1, 1])
    """
    n = int(affinity.shape[0])
    csr = (affinity.indptr.astype(np.int64), affinity.indices.astype(np.int32), affinity.data)
    how = {"iterations": iterations, "max_local_moving_iterations": MOST_SWEEPS}
    _, member = graspologic_native.leiden_csr(*csr, n, resolution=resolution, seed=seed, **how)
    found = np.array([member[i] for i in range(n)], dtype=np.int64)
    return np.unique(found, return_inverse=True)[1].ravel()


def join_communities(
    affinity: sparse.csr_array, labels: NDArray[np.int64], n_clusters: int, resolution: float
) -> NDArray[np.int64]:
    """Join two communities at a time, always those whose union costs the least modularity, until K are left."""
    if (count := int(labels.max()) + 1) > MOST_JOINED:
        raise InputError(f"resolution {resolution:g} gives {count} communities, too many to join: lower it.")
    member = sparse.eye_array(count, format="csr")[labels]
    between: FloatArray = (member.T @ affinity @ member).toarray() / affinity.sum()
    labels = labels.copy()
    while len(between) > n_clusters:
        degree = between.sum(axis=1)
        gain = between - resolution * np.outer(degree, degree)
        gain[np.tril_indices(len(gain))] = -np.inf
        one, other = np.unravel_index(int(gain.argmax()), gain.shape)  # one < other
        between[one] += between[other]
        between[:, one] += between[:, other]
        between = np.delete(np.delete(between, other, axis=0), other, axis=1)
        labels[labels == other] = one
        labels[labels > other] -= 1
    return labels


def prepare(points: Points, config: LeidenConfig) -> Fitter:
    """Build the graph; return the fitter, whose runs of one seed are shared over all K."""
    x = points.values
    neighbours = nearest_neighbours(points, config.n_neighbors - 1)
    affinity = connectivity(neighbours)
    affinity.sort_indices()  # now, and not by a later product in place, beside the copies below
    copies = group_copies(x, neighbours)
    n_components = components(neighbours)[0]
    graph = affinity.copy()

    def communities(resolution: float, seed: int) -> NDArray[np.int64]:
        """Labels from 0 of one run."""

        def run() -> dict[str, NDArray[np.int32]]:
            found = leiden_communities(graph, resolution=resolution, seed=seed, iterations=config.iterations)
            return {"labels": found.astype(np.int32)}

        params = {"n_neighbors": config.n_neighbors, "iterations": config.iterations}
        key = cache_key("leiden", VERSION, points.sha256, {**params, "resolution": resolution, "seed": seed})
        labels = one_label_each(points.cache.compute(key, run)["labels"].astype(np.int64), copies)
        return np.unique(labels, return_inverse=True)[1].ravel()

    def search(n_clusters: int, seed: int) -> tuple[NDArray[np.int64], float, int]:
        """Labels with K communities, or with the least number above that was met, else the largest below."""
        at, step, runs, above, below = 0.0, WIDEST / 2, 0, None, None
        for runs in range(1, HALVINGS + 1):
            labels = communities(2.0**at, seed)
            count = int(labels.max()) + 1
            if count == n_clusters:
                return labels, 2.0**at, runs
            if count > n_clusters:
                above, at = (labels, 2.0**at), at - step
            else:
                below, at = (labels, 2.0**at), at + step
            step /= 2
        labels, resolution = above or below  # type: ignore[misc]  # one of them was met
        return labels, resolution, runs

    def fitter(n_clusters: int, seed: int) -> ClusteringResult:
        n_clusters = check_n_clusters(n_clusters, len(x))
        given = None if config.resolution == "searched" else config.resolution
        labels, resolution, runs = (
            search(n_clusters, seed) if given is None else (communities(given, seed), given, 1)
        )
        communities_found = int(labels.max()) + 1
        if communities_found > n_clusters:
            labels = join_communities(affinity, labels, n_clusters, resolution)
        order = canonical_order(labels, n_clusters)
        own = relabel(labels, order)
        sizes = np.bincount(own, minlength=n_clusters)
        sums = np.stack([np.bincount(own, weights=f, minlength=n_clusters) for f in x.T], axis=1)
        status: FitStatus = "ok"
        if communities_found > n_clusters:
            status = "not_converged"
        elif given is None and communities_found < n_clusters:
            status = "empty_cluster"
        elif communities_found > 1 and sizes.max() / len(x) > LARGEST_SHARE:
            status = "fragmented"
        return ClusteringResult(
            method="leiden",
            labels=own,
            n_clusters=n_clusters,
            seed=seed,
            objective=-modularity(affinity, labels, 1.0 if given is None else given),
            n_iterations=runs * config.iterations,
            converged=status != "not_converged",
            status=status,
            parameters={
                "centres": sums / np.where(sizes > 0, sizes, np.nan)[:, None],
                "n_neighbors": np.array([config.n_neighbors], dtype=np.float64),
            },
            diagnostics={
                "n_components": float(n_components),
                "resolution": resolution,
                "n_communities": float(communities_found),
                "modularity": modularity(affinity, labels, resolution),
            },
        )

    return fitter


LEIDEN = Method(
    name="leiden",
    summary="communities of the neighbour graph; the resolution is given, or searched for the K asked for",
    cited="Leiden communities (Traag, Waltman & van Eck 2019)",
    config=LeidenConfig,
    algorithm_version=VERSION,
    prepare=prepare,
    scores=neighbour_scores,
    presets={"leiden": {}, "leiden resolution 1": {"resolution": 1.0}},
    searches_neighbours=True,
)
