"""Normalised spectral clustering as scikit-learn defines it, on a solver and a graph shared over K and seeds.

Affinity: the mean of the directed 0/1 graph of `n_neighbors` nearest (the neuron itself counted, as
scikit-learn counts) and its transpose. Embedding: the K smallest eigenvectors of I - D^-1/2 A D^-1/2, divided
by sqrt(D). Labels: k-means on the embedding (von Luxburg 2007; scikit-learn's `SpectralClustering`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from decortex.clustering.graph.basis import Basis, basis_size, shared_basis, solve_by_component
from decortex.clustering.graph.discretise import discretise
from decortex.clustering.graph.neighbours import Neighbours, components, group_copies, nearest_neighbours
from decortex.clustering.graph.result import GraphFit, graph_result, neighbour_scores
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.result import ClusteringResult
from decortex.config import Config

VERSION = 2  # of the basis, in the cache
ALGORITHM_VERSION = 3


class SpectralConfig(Config):
    """Parameters of spectral clustering."""

    n_neighbors: int = Field(10, ge=2, description="neighbours in the graph, the neuron itself counted")
    discretisation: Literal["kmeans", "rotation"] = Field("kmeans", description="from eigenvectors to labels")
    n_starts: int = Field(10, ge=1, description="starts of the discretisation; the lowest objective is kept")


def connectivity(neighbours: Neighbours) -> sparse.csr_array:
    """Return A = (C + C')/2, C_ij = 1 where j is among i's neighbours; the diagonal is left out."""
    n, k = neighbours.indices.shape
    directed = sparse.csr_array(
        (np.ones(n * k), neighbours.indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n)
    )
    affinity: sparse.csr_array = ((directed + directed.T) / 2).tocsr()
    return affinity


def prepare(points: Points, config: SpectralConfig) -> Fitter:
    """Build the Laplacian; return the fitter, which shares one basis over all usual K and every seed."""
    neighbours = nearest_neighbours(points, config.n_neighbors - 1)
    affinity = connectivity(neighbours)
    degree = affinity.sum(axis=1)
    scaling = sparse.diags_array(1 / np.sqrt(degree))
    matrix = (sparse.eye_array(len(points)) - scaling @ affinity @ scaling).tocsr()

    def basis_of(size: int) -> Basis:
        n_components, member = components(neighbours)
        return solve_by_component(matrix, np.log(degree), member, n_components, size)

    copies = group_copies(points.values, neighbours)

    def fitter(n_clusters: int, seed: int) -> ClusteringResult:
        n_clusters = check_n_clusters(n_clusters, len(points))
        size = basis_size(n_clusters, len(points))
        params = {"n_neighbors": config.n_neighbors, "size": size}
        basis = shared_basis(points, "spectral", VERSION, params, lambda: basis_of(size))
        embedding: FloatArray = basis.vectors[:, :n_clusters] / np.sqrt(degree)[:, None]
        rng = generator(seed, n_clusters)
        found = discretise(
            embedding,
            config.discretisation,
            config.n_starts,
            rng,
            row_norm=config.discretisation == "rotation",
        )
        fit = GraphFit("spectral", n_clusters, seed, basis, found, lambda v: matrix @ v, copies)
        width = np.array([config.n_neighbors], dtype=np.float64)
        return graph_result(fit, points.values, lambda _: {"n_neighbors": width})

    return fitter


SPECTRAL = Method(
    name="spectral",
    summary="normalised spectral clustering on the neighbour graph",
    cited="normalised spectral clustering (Shi & Malik 2000)",
    config=SpectralConfig,
    algorithm_version=ALGORITHM_VERSION,
    prepare=prepare,
    scores=neighbour_scores,
    presets={"spectral": {}},
    searches_neighbours=True,
)
