"""Ridge regression with free columns: fitted at a given freedom, judged by leaving one neuron out in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Leverage above this counts as this: a neuron that alone decides a column says nothing of the next neuron.
_MAX_LEVERAGE = 0.99
# Directions shorter than this share of the longest carry no information in double precision.
_RANK = 1e-7


@dataclass(frozen=True)
class Design:
    """Free columns and penalised columns of one model, decomposed for any freedom.

    Parameters
    ----------
    free, penalised : ndarray, shapes (n_neurons, n_free), (n_neurons, n_penalised)
        As given; the penalty is the identity.
    basis : ndarray, shape (n_neurons, rank)
        Orthonormal columns that span the free columns.
    left, singular, right : ndarray
        Singular value decomposition of the penalised columns after the free ones are projected out.
    """

    free: FloatArray
    penalised: FloatArray
    basis: FloatArray
    left: FloatArray
    singular: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, free: FloatArray, penalised: FloatArray | None = None) -> Design:
        """Decompose."""
        z = free[:, :0] if penalised is None else penalised
        basis = spanning(free)
        rest = z - basis @ (basis.T @ z)
        # The Gram matrix is small; directions that its precision cannot resolve are below `_RANK` anyway.
        power, right = np.linalg.eigh(rest.T @ rest) if z.shape[1] else (np.zeros(0), np.zeros((0, 0)))
        kept = power > _RANK**2 * max(float(power[-1]), np.finfo(float).tiny) if len(power) else power > 0
        singular = np.sqrt(power[kept])
        return cls(free, z, basis, rest @ (right[:, kept] / singular), singular, right[:, kept].T)

    @property
    def least(self) -> int:
        """Degrees of freedom of the free columns alone."""
        return int(self.basis.shape[1])

    def ridge_of(self, degrees: float) -> float:
        """Penalty at which the fit has so many degrees of freedom; infinite at or below the least."""
        wanted = degrees - self.least
        if wanted <= 0 or len(self.singular) == 0:
            return float("inf")
        if wanted >= len(self.singular):
            return 0.0
        power = self.singular**2
        low, high = -40.0, 40.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            too_free = float((power / (power + power.max() * np.exp(middle))).sum()) > wanted
            low, high = (middle, high) if too_free else (low, middle)
        return float(power.max() * np.exp(0.5 * (low + high)))

    def left_out(self, y: FloatArray, degrees: float) -> FloatArray:
        """Squared errors with each neuron left out, (n_neurons, n_targets)."""
        shrink = self._shrink(self.ridge_of(degrees))
        fitted = self.basis @ (self.basis.T @ y) + self.left @ (shrink[:, None] * (self.left.T @ y))
        return left_out_errors(y, fitted, (self.basis**2).sum(axis=1) + (self.left**2) @ shrink)

    def fit(self, y: FloatArray, degrees: float) -> tuple[FloatArray, FloatArray]:
        """Coefficients of the free and of the penalised columns."""
        ridge = self.ridge_of(degrees)
        if np.isinf(ridge):
            weights = np.zeros((self.penalised.shape[1], y.shape[1]))
        else:
            scale = self.singular / (self.singular**2 + ridge)
            weights = self.right.T @ (scale[:, None] * (self.left.T @ y))
        if not self.free.shape[1]:
            return np.zeros((0, y.shape[1])), weights
        free = np.linalg.lstsq(self.free, y - self.penalised @ weights, rcond=_RANK)[0]
        return np.asarray(free, dtype=np.float64), weights

    def _shrink(self, ridge: float) -> FloatArray:
        if np.isinf(ridge):
            return np.zeros(len(self.singular))
        shrink: FloatArray = self.singular**2 / (self.singular**2 + ridge)
        return shrink


def spanning(columns: FloatArray) -> FloatArray:
    """Orthonormal columns that span these, (n_neurons, rank)."""
    if not columns.shape[1]:
        return columns
    power, vectors = np.linalg.eigh(columns.T @ columns)
    kept = power > _RANK**2 * max(float(power[-1]), np.finfo(float).tiny)
    return np.linalg.qr(columns @ (vectors[:, kept] / np.sqrt(power[kept])))[0]


def left_out_errors(y: FloatArray, fitted: FloatArray, leverage: FloatArray) -> FloatArray:
    """Squared errors of a linear smoother with each neuron left out: ((y - fitted) / (1 - leverage))^2."""
    errors: FloatArray = ((y - fitted) / (1 - np.minimum(leverage, _MAX_LEVERAGE))[:, None]) ** 2
    return errors
