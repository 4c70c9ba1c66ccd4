"""Local discriminant models and global integration (LDMGI): its sparse Laplacian. No solver here.

Yang, Xu, Nie, Yan & Zhuang, IEEE Transactions on Image Processing 19 (2010). Around every neuron lies a clique
of k neurons (itself and its k - 1 nearest); with X_i its k columns, centred by H = I - 11'/k:

    L_i = H (H X_i'X_i H + lambda I)^-1 H,   L = sum_i S_i L_i S_i',   min over G'G = I of tr(G' L G).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.linalg import helmert

from decortex.clustering.graph.basis import Basis, basis_size, shared_basis, solve_by_component
from decortex.clustering.graph.discretise import discretise
from decortex.clustering.graph.neighbours import (
    CHUNK,
    Neighbours,
    components,
    group_copies,
    nearest_neighbours,
)
from decortex.clustering.graph.result import GraphFit, graph_result, neighbour_scores
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.result import ClusteringResult
from decortex.config import Config

VERSION = 2  # of the basis, in the cache
ALGORITHM_VERSION = 3


class LDMGIConfig(Config):
    """Parameters of LDMGI."""

    lam: float = Field(
        1.0, gt=0, description="lambda, the ridge of the local models, in units of the embedding squared"
    )
    n_neighbors: int = Field(5, ge=2, description="neurons in a clique, the neuron itself counted")
    discretisation: Literal["rotation", "kmeans"] = Field(
        "rotation", description="from eigenvectors to labels"
    )
    n_starts: int = Field(10, ge=1, description="starts of the discretisation; the lowest objective is kept")


def local_models(x: FloatArray, cliques: NDArray[np.int32], lam: float) -> FloatArray:
    """Return L_i of every clique, (n_cliques, k, k).

    The centred clique has k - 1 degrees of freedom. Q, an orthonormal basis of the complement of 1, takes the
    constant direction out before the inverse; left in, it would enter as 1/lambda and leave as rounding, which
    for a small lambda is larger than the result. L_i = Q (Q'X_i'X_i Q + lambda I)^-1 Q' for any k and d.
    """
    k = cliques.shape[1]
    Q = helmert(k).T  # (k, k - 1)
    models = np.empty((len(cliques), k, k))
    step = max(1, CHUNK // (k * x.shape[1]))
    for first in range(0, len(cliques), step):
        rows = cliques[first : first + step]
        difference = x[rows] - x[rows[:, :1]]
        reduced = np.matmul(Q.T, difference)  # (step, k - 1, n_features)
        values, vectors = np.linalg.eigh(reduced @ reduced.transpose(0, 2, 1))
        root = (Q @ vectors) / np.sqrt(np.maximum(values, 0) + lam)[:, None, :]
        models[first : first + step] = root @ root.transpose(0, 2, 1)
    return models


def laplacian(x: FloatArray, neighbours: Neighbours, lam: float) -> sparse.csr_array:
    """Return L = sum_i S_i L_i S_i', sparse, positive semidefinite, with L 1 = 0 on every component."""
    n = len(x)
    cliques = np.hstack([np.arange(n, dtype=np.int32)[:, None], neighbours.indices])
    k = cliques.shape[1]
    models = local_models(x, cliques, lam)
    matrix = sparse.coo_array(
        (models.ravel(), (np.repeat(cliques, k, axis=1).ravel(), np.tile(cliques, (1, k)).ravel())),
        shape=(n, n),
    ).tocsr()
    symmetric: sparse.csr_array = ((matrix + matrix.T) / 2).tocsr()
    return symmetric


def prepare(points: Points, config: LDMGIConfig) -> Fitter:
    """Build the Laplacian; return the fitter, which shares one basis over all usual K and every seed."""
    neighbours = nearest_neighbours(points, config.n_neighbors - 1)
    matrix = laplacian(points.values, neighbours, config.lam)
    shared = config.model_dump(include={"lam", "n_neighbors"})

    def basis_of(size: int) -> Basis:
        n_components, member = components(neighbours)
        return solve_by_component(matrix, np.zeros(len(points)), member, n_components, size)

    copies = group_copies(points.values, neighbours)

    def fitter(n_clusters: int, seed: int) -> ClusteringResult:
        n_clusters = check_n_clusters(n_clusters, len(points))
        size = basis_size(n_clusters, len(points))
        basis = shared_basis(points, "ldmgi", VERSION, {**shared, "size": size}, lambda: basis_of(size))
        rng = generator(seed, n_clusters)
        found = discretise(basis.vectors[:, :n_clusters], config.discretisation, config.n_starts, rng)
        fit = GraphFit("ldmgi", n_clusters, seed, basis, found, lambda v: matrix @ v, copies)
        width = np.array([config.n_neighbors], dtype=np.float64)
        return graph_result(fit, points.values, lambda _: {"n_neighbors": width})

    return fitter


LDMGI = Method(
    name="ldmgi",
    summary="local discriminant models, integrated over the graph",
    cited="local discriminant models and global integration (Yang et al. 2010)",
    config=LDMGIConfig,
    algorithm_version=ALGORITHM_VERSION,
    prepare=prepare,
    scores=neighbour_scores,
    presets={f"ldmgi {n} neighbours": {"n_neighbors": n} for n in (5, 15, 30)},
    searches_neighbours=True,
)
