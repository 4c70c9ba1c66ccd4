"""Eigenvector bases that all K and seeds of a graph method share, and Laplacians solved by component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from decortex.clustering.cache import cache_key
from decortex.clustering.graph.eigen import BlockMap, Eigenpairs, Operator, smallest_eigenpairs
from decortex.clustering.inputs import FloatArray
from decortex.clustering.method import Points

SMALLEST_BASIS = 32
FACTOR_UP_TO = 3_000  # neurons of a component whose sparse factor surely fits; then shift and invert
SPARSE = 32  # entries per row up to which the factor stays sparse enough to be worth it from the start
SHIFT = 1e-9


def basis_size(n_clusters: int, n_neurons: int) -> int:
    """Number of eigenvectors computed for K: 32, or the next power of two, at most all.

    A function of K alone, so that labels do not depend on which other K a grid holds, while all usual K
    share one decomposition.
    """
    size = SMALLEST_BASIS
    while size < n_clusters:
        size *= 2
    return min(size, n_neurons)


@dataclass(frozen=True)
class Basis:
    """The smallest eigenpairs of a method's matrix, and what is known about their accuracy.

    Parameters
    ----------
    values : ndarray, shape (size,)
        Ascending.
    vectors : ndarray, shape (n_neurons, size)
        Orthonormal columns.
    n_components : int
        Connected components of the neighbour graph.
    member : ndarray of int32, shape (n_neurons,)
        Component of every neuron.
    residuals : ndarray, shape (size,)
        |M v - w v| of every pair.
    norm : float
        Largest eigenvalue of the matrix (estimate).
    n_iterations : int
        Iterations of the solver.
    converged : ndarray of bool, shape (size,)
        Whether the pair met its tolerance; false for all where an eigenvalue 0 is missing.
    zero : float
        Bound below which lie at least as many eigenvalues as the graph has components: 0 for a Laplacian.
    """

    values: FloatArray
    vectors: FloatArray
    n_components: int
    member: NDArray[np.int32]
    residuals: FloatArray
    norm: float
    n_iterations: int
    converged: NDArray[np.bool_]
    zero: float = 0.0

    @property
    def multiplicity(self) -> int:
        """Computed eigenvalues that are at most `zero`, up to 1e-10 of the norm."""
        return int(np.count_nonzero(self.values <= self.zero + 1e-10 * self.norm))


def shared_basis(
    points: Points, stage: str, version: int, params: Mapping[str, Any], make: Callable[[], Basis]
) -> Basis:
    """Return the memoised basis of this computation."""

    def arrays() -> dict[str, NDArray[Any]]:
        made = make()
        return {name: np.asarray(value) for name, value in vars(made).items()}

    stored = points.cache.compute(cache_key(stage, version, points.sha256, params), arrays)
    return Basis(
        values=stored["values"],
        vectors=stored["vectors"],
        n_components=int(stored["n_components"]),
        member=stored["member"],
        residuals=stored["residuals"],
        norm=float(stored["norm"]),
        n_iterations=int(stored["n_iterations"]),
        converged=stored["converged"],
        zero=float(stored["zero"]),
    )


def solve_by_component(
    matrix: sparse.csr_array,
    log_null: FloatArray,
    member: NDArray[np.int32],
    n_components: int,
    size: int,
) -> Basis:
    """Smallest eigenpairs of a Laplacian whose null vector on every component is exp(log_null / 2).

    Zeros are known exactly, one per component. The rest is solved on every component apart, orthogonal to its
    null vector, and merged: equal eigenvalues of different components cannot be missed.

    Parameters
    ----------
    matrix : sparse array, shape (n_neurons, n_neurons)
        Symmetric, positive semidefinite, block diagonal over the components.
    log_null : ndarray, shape (n_neurons,)
        Twice the logarithm of the null vectors' entries.
    member : ndarray of int32, shape (n_neurons,)
        Component of every neuron.
    n_components, size : int
        Number of components, of eigenpairs wanted.

    Returns
    -------
    Basis
    """
    n = matrix.shape[0]
    order = np.argsort(-np.bincount(member), kind="stable")
    places = [np.flatnonzero(member == component) for component in order[:size]]
    columns: list[_Column] = []
    solved: list[Eigenpairs] = []
    for rank, place in enumerate(places):
        local = np.exp((log_null[place] - log_null[place].max()) / 2)
        null = local / np.linalg.norm(local)
        columns.append(_Column(0.0, rank, place, null, converged=True))
        wanted = min(len(place) - 1, size - n_components)
        if wanted > 0:
            block = matrix[place][:, place] if n_components > 1 else matrix
            sparse_enough = block.nnz <= SPARSE * len(place)
            pairs = _solved(block, wanted, null, factor=sparse_enough)
            if not pairs.converged.all() and not sparse_enough:
                pairs = _solved(block, wanted, null, factor=True)
            solved.append(pairs)
            columns += [
                _Column(float(value), rank, place, vector, bool(good))
                for value, vector, good in zip(pairs.values, pairs.vectors.T, pairs.converged, strict=True)
            ]
    columns.sort(key=lambda column: (column.value, column.rank))
    del columns[size:]
    vectors = np.zeros((n, size))
    for j, column in enumerate(columns):
        vectors[column.place, j] = column.vector
    values = np.array([column.value for column in columns])
    return Basis(
        values=values,
        vectors=vectors,
        n_components=n_components,
        member=member,
        residuals=np.linalg.norm(matrix @ vectors - vectors * values, axis=0),
        norm=max((pairs.norm for pairs in solved), default=float(matrix.diagonal().max())),
        n_iterations=max((pairs.n_products for pairs in solved), default=0),
        converged=np.array([column.converged for column in columns]),
    )


def _solved(block: sparse.csr_array, wanted: int, null: FloatArray, *, factor: bool) -> Eigenpairs:
    return smallest_eigenpairs(laplacian_operator(block, factor=factor), wanted, locked=null[:, None])


@dataclass(frozen=True)
class _Column:
    """One eigenpair of one component."""

    value: float
    rank: int
    place: NDArray[np.int64]
    vector: FloatArray
    converged: bool


def laplacian_operator(matrix: sparse.csr_array, *, factor: bool = True) -> Operator:
    """Wrap a sparse Laplacian; a small one may come with its factor, so that the solver shifts and inverts."""
    n = matrix.shape[0]
    diagonal = matrix.diagonal()
    diagonal = np.where(diagonal > 0, diagonal, diagonal.max() or 1.0)
    return Operator(
        n=n,
        apply=lambda v: matrix @ v,
        diagonal=diagonal,
        stand_in=matrix,
        inverse=_factor(matrix, diagonal) if factor and n <= FACTOR_UP_TO else None,
    )


def _factor(matrix: sparse.csr_array, diagonal: FloatArray) -> BlockMap:
    root = 1 / np.sqrt(diagonal)
    scaling = sparse.diags_array(root)
    shifted = scaling @ matrix @ scaling + SHIFT * sparse.eye_array(len(diagonal))
    factor = splu(
        shifted.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return lambda v: root[:, None] * factor.solve(root[:, None] * v)
