"""Smallest eigenpairs of a large symmetric operator: preconditioned block Davidson. Knows no graph, no method.

A block method, because graph Laplacians have multiple eigenvalues (one 0 per component, and more in any
symmetric piece), of which single-vector Lanczos silently misses copies. Each step expands the basis by the
preconditioned residuals of the pairs that have not converged, solves the projected problem, and restarts
with the best Ritz vectors and those of the step before (Stathopoulos & Saad 1998; LOBPCG is the case of three
blocks). The preconditioner is a Chebyshev polynomial in the Jacobi-scaled operator, or a sparse factor where
the caller has one. The state is a few dozen vectors; nothing of size n x n is formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh

from decortex.clustering.inputs import FloatArray

BlockMap: TypeAlias = Callable[[FloatArray], FloatArray]

GUARD = 8  # vectors beyond those asked for: they speed up the last ones
BLOCKS = 2.5  # blocks of vectors in the basis before a restart
DENSE = 300  # operators up to this size are solved directly: cheaper than one iteration
N_ACTIVE = 16  # pairs worked on at a time: the lowest that have not converged
MAX_PRODUCTS = 3_000
DEGREE = 5  # of the Chebyshev preconditioner


@dataclass(frozen=True)
class Operator:
    """A symmetric positive semidefinite operator on vectors of length n.

    Parameters
    ----------
    n : int
        Length of its vectors.
    apply : callable
        (n, b) array -> (n, b) array.
    diagonal : ndarray, shape (n,)
        Its diagonal, positive.
    stand_in : sparse array or None
        Sparse matrix close to the operator, or equal to it, that the polynomial is taken of.
    inverse : callable or None
        Approximate inverse that takes the place of the polynomial.
    """

    n: int
    apply: BlockMap
    diagonal: FloatArray
    stand_in: sparse.csr_array | None = None
    inverse: BlockMap | None = None


@dataclass(frozen=True)
class Eigenpairs:
    """The smallest eigenpairs, ascending.

    Parameters
    ----------
    values : ndarray, shape (n_wanted,)
        Eigenvalues.
    vectors : ndarray, shape (n, n_wanted)
        Orthonormal columns.
    residuals : ndarray, shape (n_wanted,)
        |A v_j - w_j v_j|.
    norm : float
        Estimate of the operator's largest eigenvalue.
    n_products : int
        Vectors that the basis was built from.
    converged : ndarray of bool, shape (n_wanted,)
        Whether the residual met its tolerance.
    """

    values: FloatArray
    vectors: FloatArray
    residuals: FloatArray
    norm: float
    n_products: int
    converged: NDArray[np.bool_]


def smallest_eigenpairs(
    operator: Operator,
    n_wanted: int,
    *,
    start: FloatArray | None = None,
    locked: FloatArray | None = None,
    max_products: int = MAX_PRODUCTS,
) -> Eigenpairs:
    """Compute the `n_wanted` smallest eigenpairs.

    An eigenvector's angle error is its residual over the gap to what the basis does not hold. A pair has
    converged when its residual is at most 1e-6 of its distance to the last vector carried along (and 1e-8
    |A|); where that distance vanishes, at most min(1e-11 |A|, 1e-8 w), w the largest wanted eigenvalue. A
    tolerance relative to |A| alone would hide non-convergence where the wanted eigenvalues are many orders of
    magnitude smaller.

    Parameters
    ----------
    operator : Operator
        Symmetric, positive semidefinite.
    n_wanted : int
        Number of pairs, at most n minus the locked vectors.
    start : ndarray, shape (n, m), optional
        Vectors that the basis should hold from the beginning.
    locked : ndarray, shape (n, l), optional
        Known orthonormal eigenvectors; the pairs returned are orthogonal to them.
    max_products : int
        Vectors added to the basis before the solver gives up and says so.

    Returns
    -------
    Eigenpairs
    """
    n = operator.n
    locked = np.zeros((n, 0)) if locked is None else locked
    if n <= max(DENSE, 3 * (n_wanted + GUARD)):
        return _dense(operator, n_wanted, locked)
    rng = np.random.default_rng(
        0
    )  # any start serves; a fixed one keeps the result a function of the operator
    norm = _largest(operator.apply, n, rng, scale=2.0 ** np.round(np.log2(operator.diagonal.max())))
    precondition = operator.inverse or _chebyshev(operator, rng)
    basis = _Basis(
        operator, locked, capacity=int(BLOCKS * (n_wanted + GUARD)) + (0 if start is None else start.shape[1])
    )
    first = precondition(rng.standard_normal((n, n_wanted + GUARD)))
    basis.expand(first if start is None else np.hstack([start, first]))
    n_kept = n_wanted + GUARD
    while basis.size < n_kept:  # nearly dependent vectors were dropped
        basis.expand(rng.standard_normal((n, n_kept - basis.size)))
    n_products = n_kept
    pending = np.ones(n_wanted, dtype=bool)
    while True:
        values, coefficients = eigh(basis.projected, subset_by_index=(0, n_kept - 1))
        tolerance = tolerances(norm, values, n_wanted)
        active = np.flatnonzero(pending)[:N_ACTIVE]
        residuals = basis.residuals(coefficients[:, active], values[active])
        good = np.linalg.norm(residuals, axis=0) <= tolerance[active]
        pending[active[good]] = False
        if not pending.any():  # those found earlier have moved a little since: look at all of them again
            everything = basis.residuals(coefficients[:, :n_wanted], values[:n_wanted])
            pending = np.linalg.norm(everything, axis=0) > 2 * tolerance
            if not pending.any():
                break
            continue
        if n_products >= max_products:
            break
        if good.all():
            continue
        new = precondition(residuals[:, ~good])
        n_products += new.shape[1]
        basis.make_room(coefficients, active[~good], new.shape[1])
        basis.expand(new)
    values, tolerance = values[:n_wanted], tolerance[:n_wanted]
    vectors = basis.ritz_vectors(coefficients[:, :n_wanted])
    residuals = np.linalg.norm(operator.apply(vectors) - vectors * values, axis=0)
    return Eigenpairs(
        values=values,
        vectors=vectors,
        residuals=residuals,
        norm=norm,
        n_products=n_products,
        converged=residuals <= 4 * tolerance,
    )


def tolerances(norm: float, values: FloatArray, n_wanted: int) -> FloatArray:
    """Residual that each wanted pair must reach, (n_wanted,); see `smallest_eigenpairs`."""
    rounding = 100 * float(np.finfo(np.float64).eps) * norm
    strict = min(1e-11 * norm, 1e-8 * max(float(values[n_wanted - 1]), 0.0)) + rounding
    by_gap = np.minimum(1e-6 * (values[-1] - values[:n_wanted]), 1e-8 * norm)
    tolerances: FloatArray = np.maximum(by_gap, strict)
    return tolerances


class _Basis:
    """Orthonormal vectors V, their images AV and the projected operator V'AV, in arrays of fixed size."""

    def __init__(self, operator: Operator, locked: FloatArray, *, capacity: int) -> None:
        self._operator = operator
        self._locked = locked
        self._capacity = capacity
        self._V = np.empty((operator.n, capacity), order="F")
        self._AV = np.empty((operator.n, capacity), order="F")
        self.size = 0
        self._previous: FloatArray | None = None
        self.projected: FloatArray = np.zeros((0, 0))

    def expand(self, new: FloatArray) -> None:
        """Add the part of these vectors that is orthogonal to the basis."""
        old = slice(0, self.size)
        for _ in range(2):  # twice is enough
            new = new / np.maximum(np.linalg.norm(new, axis=0), np.finfo(np.float64).tiny)
            new -= self._locked @ (self._locked.T @ new)
            new -= self._V[:, old] @ (self._V[:, old].T @ new)
            new = _orthonormal(new)
        added = slice(self.size, self.size + new.shape[1])
        self._V[:, added] = new
        self._AV[:, added] = self._operator.apply(new)
        self.size = added.stop
        all_ = slice(0, self.size)
        columns = self._V[:, all_].T @ self._AV[:, added]
        self.projected = extended(self.projected, columns)

    def residuals(self, ritz: FloatArray, values: FloatArray) -> FloatArray:
        """A x - w x of the Ritz vectors with these coefficients."""
        found: FloatArray = self._AV[:, : self.size] @ ritz
        found -= (self._V[:, : self.size] @ ritz) * values
        return found

    def ritz_vectors(self, ritz: FloatArray) -> FloatArray:
        """Vectors with these coefficients, orthonormal to machine precision."""
        vectors: FloatArray = np.linalg.qr(self._V[:, : self.size] @ ritz)[0]
        return vectors

    def make_room(self, ritz: FloatArray, active: NDArray[np.int64], n_new: int) -> None:
        """Where `n_new` more do not fit, restart from the Ritz vectors and the active ones of the step before."""
        if self.size + n_new <= self._capacity:
            self._previous = ritz
            return
        kept = restarted(ritz, self._previous, active, self._capacity - ritz.shape[1] - n_new)
        size = kept.shape[1]
        self._V[:, :size] = self._V[:, : self.size] @ kept
        self._AV[:, :size] = self._AV[:, : self.size] @ kept
        self.projected = kept.T @ self.projected @ kept
        self.size = size
        self._previous = np.eye(size, ritz.shape[1])


def extended(projected: FloatArray, columns: FloatArray) -> FloatArray:
    """The projected matrix with the columns of the vectors that joined its basis, (size, n_new), and symmetric."""
    before, size = len(projected), len(columns)
    whole = np.empty((size, size))
    whole[:before, :before] = projected
    whole[:, before:] = columns
    whole[before:, :] = columns.T
    corner = whole[before:, before:]
    whole[before:, before:] = (corner + corner.T) / 2
    return whole


def restarted(
    ritz: FloatArray, previous: FloatArray | None, active: NDArray[np.int64], room: int
) -> FloatArray:
    """Coefficients that a basis restarts from: the Ritz vectors, and what active ones of the step before add."""
    if previous is None:
        return ritz
    before = np.zeros((len(ritz), previous.shape[1]))
    before[: len(previous)] = previous
    before = before[:, active][:, :room]
    for _ in range(2):
        before = before - ritz @ (ritz.T @ before)
        before = _orthonormal(before) if before.shape[1] else before
    return np.hstack([ritz, before])


def _orthonormal(vectors: FloatArray) -> FloatArray:
    """Orthonormal basis of the columns' span; directions below rounding are dropped."""
    values, rotation = eigh(vectors.T @ vectors)
    kept = values > 1e-13 * max(values[-1], np.finfo(np.float64).tiny)
    basis: FloatArray = vectors @ (rotation[:, kept] / np.sqrt(values[kept]))
    return basis


def _chebyshev(operator: Operator, rng: np.random.Generator) -> BlockMap:
    """Chebyshev semi-iteration for A t = r (Saad, Iterative Methods, algorithm 12.1), Jacobi-scaled.

    The polynomial damps the upper part of the spectrum and amplifies what lies below. Where a sparse matrix
    stands in for A, single precision is enough for it and twice as fast: a preconditioner changes how soon the
    solver is done, not what it finds.
    """
    root = 1 / np.sqrt(operator.diagonal)[:, None]
    scaled: BlockMap
    if operator.stand_in is None:
        dtype: type[np.floating[Any]] = np.float64

        def scaled(v: FloatArray) -> FloatArray:
            return root * operator.apply(root * v)

    else:
        dtype = np.float32
        scaling = sparse.diags_array(root[:, 0])
        single = sparse.csr_array((scaling @ operator.stand_in @ scaling).tocsr().astype(np.float32))

        def scaled(v: FloatArray) -> FloatArray:
            product: FloatArray = single @ v
            return product

    top = 1.05 * _largest(scaled, operator.n, rng, scale=1.0)
    bottom = top / (0.4 * DEGREE**2)
    middle, half = (top + bottom) / 2, (top - bottom) / 2

    def apply(r: FloatArray) -> FloatArray:
        rho = half / middle
        scale = np.linalg.norm(r, axis=0)
        rest = (root * (r / scale)).astype(dtype)
        step = rest / dtype(middle)
        total = step.copy()
        for _ in range(DEGREE - 1):
            rest -= scaled(step)
            rho_next = 1 / (2 * middle / half - rho)
            step *= dtype(rho_next * rho)
            step += dtype(2 * rho_next / half) * rest
            total += step
            rho = rho_next
        found: FloatArray = root * total
        return found

    return apply


def _largest(apply: BlockMap, n: int, rng: np.random.Generator, *, scale: float) -> float:
    """Estimate the largest eigenvalue to a few per cent, from below; ARPACK takes 1e-10 for 0, hence the scale."""
    linear = LinearOperator((n, n), matvec=lambda v: apply(v.reshape(-1, 1))[:, 0] / scale, dtype=np.float64)
    found = eigsh(linear, k=1, which="LA", tol=1e-2, v0=rng.standard_normal(n), return_eigenvectors=False)
    return float(found[0]) * scale


def _dense(operator: Operator, n_wanted: int, locked: FloatArray) -> Eigenpairs:
    matrix = operator.apply(np.eye(operator.n))
    matrix = (matrix + matrix.T) / 2
    values = np.linalg.eigvalsh(matrix)
    norm = float(values[-1])
    above = 2 * norm if norm > 0 else 1.0  # of the size of the matrix: a larger shift would drown it
    lifted = matrix + locked @ locked.T * above  # known vectors leave for the top of the spectrum
    values, vectors = eigh(lifted, subset_by_index=(0, n_wanted - 1))
    residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    return Eigenpairs(values, vectors, residuals, norm, n_products=0, converged=np.ones(n_wanted, dtype=bool))
