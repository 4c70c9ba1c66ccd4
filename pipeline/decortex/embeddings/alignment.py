"""Alignment of neurons of rotation-equivariant networks towards one common orientation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from decortex.clustering import FloatArray, check_orientations, check_points
from decortex.clustering.mixtures import rolls


@dataclass(frozen=True)
class Alignment:
    """Neurons turned towards one common orientation.

    Parameters
    ----------
    aligned : ndarray, shape (n_neurons, O * F)
        Rows of length at most 1.
    turns : ndarray, shape (n_neurons, O)
        Weight of every roll of a neuron's row of length one in its aligned row.
    angles : ndarray, shape (n_neurons,)
        By how much each neuron was turned, radians of the orientation circle, in [0, 2 pi).
    temperature : float
        Sharpness T of the turn.
    objective : float
        Mean squared distance between aligned neurons, plus the price of blur.
    converged : bool
        Whether the optimiser met its tolerance.
    """

    aligned: FloatArray
    turns: FloatArray
    angles: FloatArray
    temperature: float
    objective: float
    converged: bool


def align_rotations(
    x: FloatArray,
    n_orientations: int,
    *,
    rng: np.random.Generator,
    n_starts: int = 3,
    blur_price: float = 1.5,
    max_temperature: float = 1.5,
) -> Alignment:
    """Turn all neurons towards one common mean, softly.

    With w_n the normalised row, roll_i its roll by i orientations, c_ni = softmax_i(T cos(2 pi i / O - theta_n))
    and a_n = sum_i c_ni roll_i(w_n), minimise over all theta and one T

        mean_nm |a_n - a_m|^2 + blur_price * mean_n |sum_i c_i(theta = 0) roll_i(w_n) - w_n|^2.

    The alignment of Ustyuzhaninov et al. (ICLR 2020). There is one mean for all neurons: types that do not
    resemble each other may be turned apart; fft_magnitude and the rotation-invariant mixture avoid that.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, O * F)
        Embedding.
    n_orientations : int
        O.
    rng : Generator
        Source of the starting angles.
    n_starts : int
        Random starts beside the best turn towards the neuron of largest norm; lowest objective kept.
    blur_price, max_temperature : float
        Weight of the second term; bound on T.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        If O does not divide the number of features.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.eye(4)    # one feature at four orientations, rolled
    >>> align_rotations(x, 4, rng=np.random.default_rng(0)).turns.shape
    (4, 4)
    """
    x = check_points(x)
    check_orientations(x, n_orientations)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.where(length > 0, length, 1.0)
    turned = rolls(unit, n_orientations).reshape(len(x), n_orientations, -1)
    grid = 2 * np.pi * np.arange(n_orientations) / n_orientations
    towards = turned @ unit[np.argmax(length[:, 0])]
    starts = [grid[np.argmax(towards, axis=1)]]
    starts += [rng.uniform(0, 2 * np.pi, len(x)) for _ in range(n_starts)]
    problem = _AlignmentProblem(turned, grid, blur_price)
    bounds = [(None, None)] * len(x) + [(0.0, max_temperature)]
    found = min(
        (
            minimize(problem, np.append(start, 1.0), jac=True, method="L-BFGS-B", bounds=bounds)
            for start in starts
        ),
        key=lambda result: float(result.fun),
    )
    weights = problem.weights(found.x[:-1], found.x[-1])
    return Alignment(
        aligned=np.einsum("no,nod->nd", weights, turned),
        turns=weights,
        angles=np.mod(found.x[:-1], 2 * np.pi),
        temperature=float(found.x[-1]),
        objective=float(found.fun),
        converged=bool(found.success),
    )


class _AlignmentProblem:
    """Objective of `align_rotations` and its gradient in (theta_1 .. theta_n, T)."""

    def __init__(self, turned: FloatArray, grid: FloatArray, blur_price: float) -> None:
        self._turned = turned
        self._grid = grid
        self._blur_price = blur_price
        correlation = np.einsum("nod,nd->o", turned, turned[:, 0]) / len(turned)
        lags = np.subtract.outer(np.arange(len(grid)), np.arange(len(grid))) % len(grid)
        self._gram = correlation[lags]  # mean over neurons of <roll_i, roll_k>

    def weights(self, angles: FloatArray, temperature: float) -> FloatArray:
        """Softmax over the rolls, (n, O)."""
        logits = temperature * np.cos(self._grid - angles[:, None])
        logits -= logits.max(axis=1, keepdims=True)
        weights: FloatArray = np.exp(logits)
        weights /= weights.sum(axis=1, keepdims=True)
        return weights

    def __call__(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Return the objective and its gradient."""
        angles, temperature = point[:-1], point[-1]
        n = len(angles)
        c = self.weights(angles, temperature)
        aligned = np.einsum("no,nod->nd", c, self._turned)
        away = aligned - aligned.mean(axis=0)
        by_weight = (4 / n) * np.einsum("nd,nod->no", away, self._turned)
        by_logit = c * (by_weight - (c * by_weight).sum(axis=1, keepdims=True))
        difference = self._grid - angles[:, None]
        still = self.weights(np.zeros(1), temperature)[0]
        excess = still.copy()
        excess[0] -= 1
        blur = float(excess @ self._gram @ excess)
        blur_by_weight = 2 * self._gram @ excess
        blur_by_logit = still * (blur_by_weight - still @ blur_by_weight)
        gradient = np.empty(n + 1)
        gradient[:-1] = temperature * (by_logit * np.sin(difference)).sum(axis=1)
        gradient[-1] = (by_logit * np.cos(difference)).sum()
        gradient[-1] += self._blur_price * float(blur_by_logit @ np.cos(self._grid))
        objective = 2 * float((away**2).sum()) / n + self._blur_price * blur
        return objective, gradient
