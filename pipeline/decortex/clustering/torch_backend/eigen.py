"""Smallest eigenpairs by torch: the block Davidson method of `graph.eigen`, with its vectors on a GPU or the CPU.

Products, projections and the Chebyshev preconditioner run on the device in double precision; the projected problem
of a few dozen rows is solved on the host. Tolerances and the order of steps are those of `graph.eigen`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh
from torch import Tensor

from decortex.clustering.graph import (
    BLOCKS,
    DEGREE,
    GUARD,
    MAX_PRODUCTS,
    N_ACTIVE,
    Eigenpairs,
    extended,
    restarted,
    tolerances,
)
from decortex.clustering.inputs import FloatArray
from decortex.clustering.torch_backend.device import numpy_of

TensorMap: TypeAlias = Callable[[Tensor], Tensor]

POWER_STEPS = 30  # of the estimate of the largest eigenvalue, which serves tolerances and the polynomial only


def sparse_map(matrix: sparse.csr_array, where: torch.device) -> TensorMap:
    """Return the product with a sparse matrix on a device."""
    rows = torch.as_tensor(matrix.indptr.astype(np.int64))
    columns = torch.as_tensor(matrix.indices.astype(np.int64))
    values = torch.as_tensor(matrix.data.astype(np.float64))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse", UserWarning)  # that torch calls such tensors new
        there = torch.sparse_csr_tensor(rows, columns, values, size=matrix.shape, check_invariants=True).to(
            where
        )
    return lambda v: there @ v


def smallest_eigenpairs(
    apply: TensorMap, diagonal: Tensor, n_wanted: int, *, start: Tensor, max_products: int = MAX_PRODUCTS
) -> Eigenpairs:
    """Compute the `n_wanted` smallest eigenpairs of a symmetric positive semidefinite operator.

    Parameters
    ----------
    apply : callable
        (n, b) tensor -> (n, b) tensor: the operator.
    diagonal : tensor, shape (n,)
        Its diagonal, positive.
    n_wanted : int
        Number of pairs, at most a third of n less the guard vectors.
    start : tensor, shape (n, m)
        Vectors that the basis holds from the beginning.
    max_products : int
        Vectors added to the basis before the solver gives up and says so.

    Returns
    -------
    Eigenpairs
        On the host.
    """
    n = len(diagonal)
    rng = np.random.default_rng(
        0
    )  # any start serves; a fixed one keeps the result a function of the operator

    def random(count: int) -> Tensor:
        return torch.as_tensor(rng.standard_normal((n, count))).to(diagonal.device)

    norm = _largest(apply, random(4))
    precondition = _chebyshev(apply, diagonal, random(4))
    basis = _Basis(apply, n, int(BLOCKS * (n_wanted + GUARD)) + start.shape[1], diagonal.device)
    n_kept = n_wanted + GUARD
    basis.expand(torch.hstack([start, precondition(random(n_kept))]))
    while basis.size < n_kept:  # nearly dependent vectors were dropped
        basis.expand(random(n_kept - basis.size))
    n_products = n_kept
    pending = np.ones(n_wanted, dtype=bool)
    while True:
        values, coefficients = eigh(basis.projected, subset_by_index=(0, n_kept - 1))
        tolerance = tolerances(norm, values, n_wanted)
        active = np.flatnonzero(pending)[:N_ACTIVE]
        residuals = basis.residuals(coefficients[:, active], values[active])
        good = _norms(residuals) <= tolerance[active]
        pending[active[good]] = False
        if not pending.any():  # those found earlier have moved a little since: look at all of them again
            everything = basis.residuals(coefficients[:, :n_wanted], values[:n_wanted])
            pending = _norms(everything) > 2 * tolerance
            if not pending.any():
                break
            continue
        if n_products >= max_products:
            break
        if good.all():
            continue
        new = precondition(residuals[:, torch.as_tensor(np.flatnonzero(~good)).to(residuals.device)])
        n_products += new.shape[1]
        basis.make_room(coefficients, active[~good], new.shape[1])
        basis.expand(new)
    values, tolerance = values[:n_wanted], tolerance[:n_wanted]
    vectors = basis.ritz_vectors(coefficients[:, :n_wanted])
    left = _norms(apply(vectors) - vectors * basis.there(values))
    return Eigenpairs(
        values=values,
        vectors=numpy_of(vectors),
        residuals=left,
        norm=norm,
        n_products=n_products,
        converged=left <= 4 * tolerance,
    )


class _Basis:
    """Orthonormal vectors V and their images AV on the device, the projected operator V'AV on the host."""

    def __init__(self, apply: TensorMap, n: int, capacity: int, where: torch.device) -> None:
        self._apply, self._capacity, self._where = apply, capacity, where
        # A vector is a row in memory, so that a block of them is contiguous.
        self._V = torch.empty((capacity, n), dtype=torch.float64, device=where).T
        self._AV = torch.empty((capacity, n), dtype=torch.float64, device=where).T
        self.size = 0
        self._previous: FloatArray | None = None
        self.projected: FloatArray = np.zeros((0, 0))

    def there(self, array: FloatArray) -> Tensor:
        """Send a small array to the device."""
        return torch.as_tensor(np.ascontiguousarray(array)).to(self._where)

    def expand(self, new: Tensor) -> None:
        """Add the part of these vectors that is orthogonal to the basis."""
        V = self._V[:, : self.size]
        for _ in range(2):  # twice is enough
            new = new / new.norm(dim=0).clamp(min=float(np.finfo(np.float64).tiny))
            new = new - V @ (V.T @ new)
            new = _orthonormal(new)
        before, self.size = self.size, self.size + new.shape[1]
        self._V[:, before : self.size] = new
        self._AV[:, before : self.size] = self._apply(new)
        columns = numpy_of(self._V[:, : self.size].T @ self._AV[:, before : self.size])
        self.projected = extended(self.projected, columns)

    def residuals(self, ritz: FloatArray, values: FloatArray) -> Tensor:
        """A x - w x of the Ritz vectors with these coefficients."""
        there = self.there(ritz)
        return self._AV[:, : self.size] @ there - (self._V[:, : self.size] @ there) * self.there(values)

    def ritz_vectors(self, ritz: FloatArray) -> Tensor:
        """Vectors with these coefficients, orthonormal to machine precision."""
        vectors: Tensor = torch.linalg.qr(self._V[:, : self.size] @ self.there(ritz))[0]
        return vectors

    def make_room(self, ritz: FloatArray, active: NDArray[np.int64], n_new: int) -> None:
        """Where `n_new` more do not fit, restart from the Ritz vectors and the active ones of the step before."""
        if self.size + n_new <= self._capacity:
            self._previous = ritz
            return
        kept = restarted(ritz, self._previous, active, self._capacity - ritz.shape[1] - n_new)
        size, there = kept.shape[1], self.there(kept)
        self._V[:, :size] = self._V[:, : self.size] @ there
        self._AV[:, :size] = self._AV[:, : self.size] @ there
        self.projected = kept.T @ self.projected @ kept
        self.size = size
        self._previous = np.eye(size, ritz.shape[1])


def _norms(vectors: Tensor) -> FloatArray:
    return numpy_of(vectors.norm(dim=0))


def _orthonormal(vectors: Tensor) -> Tensor:
    """Orthonormal basis of the columns' span; directions below rounding are dropped."""
    values, rotation = eigh(numpy_of(vectors.T @ vectors))
    kept = values > 1e-13 * max(values[-1], np.finfo(np.float64).tiny)
    return vectors @ torch.as_tensor(rotation[:, kept] / np.sqrt(values[kept])).to(vectors.device)


def _largest(apply: TensorMap, v: Tensor) -> float:
    """Estimate the largest eigenvalue to a few per cent, from below, by subspace iteration."""
    for _ in range(POWER_STEPS):
        v = apply(torch.linalg.qr(v)[0])
    v = torch.linalg.qr(v)[0]
    return float(np.linalg.eigvalsh(numpy_of(v.T @ apply(v)))[-1])


def _chebyshev(apply: TensorMap, diagonal: Tensor, v: Tensor) -> TensorMap:
    """Chebyshev semi-iteration for A t = r (Saad, Iterative Methods, algorithm 12.1), Jacobi-scaled."""
    root = diagonal.rsqrt()[:, None]

    def scaled(t: Tensor) -> Tensor:
        return root * apply(root * t)

    top = 1.1 * _largest(scaled, v)
    bottom = top / (0.4 * DEGREE**2)
    middle, half = (top + bottom) / 2, (top - bottom) / 2

    def polynomial(r: Tensor) -> Tensor:
        rho = half / middle
        rest = root * (r / r.norm(dim=0))
        step = rest / middle
        total = step.clone()
        for _ in range(DEGREE - 1):
            rest = rest - scaled(step)
            rho_next = 1 / (2 * middle / half - rho)
            step = rho_next * rho * step + 2 * rho_next / half * rest
            total = total + step
            rho = rho_next
        found: Tensor = root * total
        return found

    return polynomial
