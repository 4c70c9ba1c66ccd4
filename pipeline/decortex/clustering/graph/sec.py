"""Spectral embedded clustering (SEC): the sparse exact form, its linear map for new neurons. No solver here.

Nie, Zeng, Tsang, Xu & Zhang, IJCAI 2009 and IEEE Transactions on Neural Networks 22 (2011). With X the
centred neurons (columns), A the affinities and Lt = I - S, S = D^-1/2 A D^-1/2:

    min over F'F = I, W, b of  tr(F' Lt F) + mu (|X'W + 1b' - F|^2 + gamma tr(W'W))
    W = (XX' + gamma I)^-1 X F,   b = F'1/n,   so that F are the smallest eigenvectors of M = Lt + mu Lg,
    Lg = H - X'(XX' + gamma I)^-1 X = I - 11'/n - UU',   U = X'R^-1,   R'R = XX' + gamma I.

M is applied, never formed: a product costs its neighbours plus two thin multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular

from decortex.clustering import torch_backend
from decortex.clustering.backend import BackendConfig
from decortex.clustering.graph.basis import Basis, basis_size, shared_basis
from decortex.clustering.graph.discretise import Discretisation, discretise, normalise_rows
from decortex.clustering.graph.eigen import DENSE, GUARD, Eigenpairs, Operator, smallest_eigenpairs
from decortex.clustering.graph.neighbours import (
    Neighbours,
    component_vectors,
    components,
    group_copies,
    nearest_neighbours,
    normalised_affinity,
)
from decortex.clustering.graph.result import GraphFit, graph_result
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.result import ClusteringResult
from decortex.errors import InputError

VERSION = 2  # of the basis, in the cache
ALGORITHM_VERSION = 3
WEAK_REGRESSION = 0.1  # up to this mu the graph alone makes a good preconditioner
KNOWN_COMPONENTS = 64  # component vectors that the solver starts from


class SECConfig(BackendConfig):
    """Parameters of SEC."""

    mu: float = Field(1e-6, ge=0, description="weight of the linear regression; 0 is spectral clustering")
    gamma: float = Field(1.0, gt=0, description="ridge of the regression, in units of the embedding squared")
    n_neighbors: int = Field(5, ge=1, description="neighbours in the graph, the neuron itself not counted")
    discretisation: Literal["rotation", "kmeans"] = Field(
        "rotation", description="from eigenvectors to labels"
    )
    n_starts: int = Field(10, ge=1, description="starts of the discretisation; the lowest objective is kept")


@dataclass(frozen=True)
class SECProblem:
    """The matrix M of one embedding, graph and (mu, gamma).

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    neighbours : Neighbours
        Their graph.
    mu, gamma : float
        Weight and ridge of the regression.
    """

    x: FloatArray
    neighbours: Neighbours
    mu: float
    gamma: float

    @cached_property
    def mean(self) -> FloatArray:
        """Mean neuron, (n_features,)."""
        mean: FloatArray = self.x.mean(axis=0)
        return mean

    @cached_property
    def gram(self) -> FloatArray:
        """XX' + gamma I, (n_features, n_features)."""
        centred = self.x - self.mean
        gram: FloatArray = centred.T @ centred
        gram.flat[:: len(gram) + 1] += self.gamma
        return gram

    @cached_property
    def thin(self) -> FloatArray:
        """U = X'R^-1, (n_neurons, n_features)."""
        try:
            root = np.linalg.cholesky(self.gram)
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"SEC's regression is singular: gamma = {self.gamma:g} is lost to rounding beside features whose "
                f"squares sum to up to {self.gram.max():.3g}. Scale the embedding, or raise gamma."
            ) from error
        thin: FloatArray = solve_triangular(root, (self.x - self.mean).T, lower=True, check_finite=False).T
        return np.ascontiguousarray(thin)

    @cached_property
    def _graph(self) -> tuple[sparse.csr_array, FloatArray]:
        return normalised_affinity(self.neighbours)

    @property
    def affinity(self) -> sparse.csr_array:
        """S, (n_neurons, n_neurons), sparse."""
        return self._graph[0]

    def product(self, v: FloatArray) -> FloatArray:
        """M v for a block of vectors, (n_neurons, b)."""
        result: FloatArray = self.affinity @ v
        np.subtract(v, result, out=result)
        if self.mu > 0:
            result += self.mu * v
            result -= self.thin @ (self.mu * (self.thin.T @ v))
            result -= self.mu * v.mean(axis=0)
        return result

    @property
    def diagonal(self) -> FloatArray:
        """Diagonal of M."""
        n = len(self.x)
        diagonal: FloatArray = 1 + self.mu * np.maximum(
            1 - 1 / n - np.einsum("nd,nd->n", self.thin, self.thin), 0
        )
        return diagonal

    def _graph_part(self) -> sparse.csr_array:
        part: sparse.csr_array = ((1 + self.mu) * sparse.eye_array(len(self.x)) - self.affinity).tocsr()
        return part

    def _on_device(self, size: int, start: FloatArray, device: str) -> Eigenpairs:
        """The same eigenpairs by torch."""
        where = torch_backend.torch_device(device)
        affinity = torch_backend.sparse_map(self.affinity, where)
        thin, diagonal = (torch.as_tensor(array).to(where) for array in (self.thin, self.diagonal))

        def product(v: torch.Tensor) -> torch.Tensor:
            result = v - affinity(v)
            if self.mu > 0:
                result = result + self.mu * (v - thin @ (thin.T @ v) - v.mean(dim=0))
            return result

        return torch_backend.smallest_eigenpairs(
            product, diagonal, size, start=torch.as_tensor(start).to(where)
        )

    def basis(self, size: int, *, device: str | None = None) -> Basis:
        """Compute the `size` smallest eigenpairs of M, on a torch device if one is given.

        The solver starts from what is known: the constant and the largest principal components (eigenvectors
        of Lg) and sqrt(D) on every component (eigenvectors of Lt to 0), so that neither a large mu nor a
        graph in many pieces hides a direction from it.
        """
        n, n_features = self.x.shape
        n_components, member = components(self.neighbours)
        known = [component_vectors(member, self._graph[1], KNOWN_COMPONENTS)]
        if self.mu > 0:
            _, principal = eigh(
                self.thin.T @ self.thin, subset_by_index=(max(0, n_features - size), n_features - 1)
            )
            known += [np.full((n, 1), n**-0.5), self.thin @ principal[:, ::-1]]
        if device is not None and n > max(DENSE, 3 * (size + GUARD)):
            pairs = self._on_device(size, np.hstack(known), device)
        else:
            operator = Operator(
                n=n,
                apply=self.product,
                diagonal=self.diagonal,
                stand_in=self._graph_part() if self.mu <= WEAK_REGRESSION else None,
            )
            pairs = smallest_eigenpairs(operator, size, start=np.hstack(known))
        zeros = min(n_components, size)  # by Weyl's inequality as many eigenvalues are at most mu
        complete = bool(pairs.values[zeros - 1] <= self.mu + 1e-9 * pairs.norm)
        return Basis(
            values=pairs.values,
            vectors=pairs.vectors,
            n_components=n_components,
            member=member,
            residuals=pairs.residuals,
            norm=pairs.norm,
            n_iterations=pairs.n_products,
            converged=pairs.converged & complete,
            zero=self.mu,
        )


def prepare(points: Points, config: SECConfig) -> Fitter:
    """Build the graph; return the fitter, which shares one basis over all usual K and every seed."""
    device = None
    if config.backend == "torch":
        device = str(torch_backend.torch_device(points.device))
        points = replace(points, device=device)
    neighbours = nearest_neighbours(points, config.n_neighbors)
    problem = SECProblem(points.values, neighbours, config.mu, config.gamma)
    shared = config.model_dump(include={"mu", "gamma", "n_neighbors"})
    if device is not None:
        shared["backend"] = "torch"

    copies = group_copies(points.values, neighbours)

    def fitter(n_clusters: int, seed: int) -> ClusteringResult:
        n_clusters = check_n_clusters(n_clusters, len(points))
        size = basis_size(n_clusters, len(points))
        basis = shared_basis(
            points, "sec", VERSION, {**shared, "size": size}, lambda: problem.basis(size, device=device)
        )
        vectors = basis.vectors[:, :n_clusters]
        rng = generator(seed, n_clusters)
        found = discretise(vectors, config.discretisation, config.n_starts, rng)
        fit = GraphFit("sec", n_clusters, seed, basis, found, problem.product, copies)
        return graph_result(fit, points.values, lambda order: _linear_map(problem, vectors, found, order))

    return fitter


def _linear_map(
    problem: SECProblem,
    F: FloatArray,
    found: Discretisation,
    order: NDArray[np.int64],
) -> dict[str, FloatArray]:
    W = cho_solve(cho_factor(problem.gram), (problem.x - problem.mean).T @ F)
    fitted = {"W": W, "b": F.mean(axis=0), "mean": problem.mean}
    if found.rotation is not None:
        return {**fitted, "R": found.rotation[:, order]}
    assert found.centres is not None
    return {**fitted, "embedding_centres": found.centres[order]}


def linear_scores(result: ClusteringResult, x_new: FloatArray, _x: FloatArray | None = None) -> FloatArray:
    """Score of every cluster for new neurons: (W'(x - mean) + b) R; without R, nearness to k-means' centres.

    The rotation R learned in training is essential: the arg max of W'(x - mean) + b alone is not a label.
    """
    fitted = result.parameters
    y: FloatArray = (x_new - fitted["mean"]) @ fitted["W"] + fitted["b"]
    if "R" in fitted:
        return y @ fitted["R"]
    centres = fitted["embedding_centres"]
    nearness: FloatArray = 2 * normalise_rows(y) @ centres.T - (centres**2).sum(axis=1)
    return nearness


SEC = Method(
    name="sec",
    summary="spectral embedded clustering: eigenvectors that a linear map of the features can follow",
    cited="spectral embedded clustering (Nie et al. 2011)",
    config=SECConfig,
    algorithm_version=ALGORITHM_VERSION,
    prepare=prepare,
    scores=linear_scores,
    # The papers' 5 neighbours cut islands off readout embeddings: 15 and 30 stand beside them.
    presets={f"sec {n} neighbours": {"n_neighbors": n} for n in (5, 15, 30)},
    searches_neighbours=True,
)
