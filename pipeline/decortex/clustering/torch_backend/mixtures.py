"""EM of Gaussian and t mixtures by torch: what touches all neurons, on a GPU or the CPU, in double precision.

Sums over neurons go back to the host, where the few parameters of a mixture are updated by the same code for both
backends (t mixture), or by scikit-learn's rules (Gaussian mixture).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from decortex.clustering.inputs import FloatArray
from decortex.clustering.mixtures import Covariance, Mixture, component_offsets, middle_centre, whitening
from decortex.clustering.torch_backend.device import Held, numpy_of

ROUNDING = 1e-15  # of the terms of an expanded square, what their sum may be off by
NEGLIGIBLE = 1e-7  # error of a squared Mahalanobis distance that changes no label and no likelihood
RELEVANT = 1e-2  # distances below this share of the terms have cancelled
CANCELLED = 1e-8  # variance over the squared mean: below it the difference of moments has lost its digits
NOBODY = (
    10 * np.finfo(np.float64).eps
)  # as scikit-learn: keeps a component without neurons from dividing by zero


def squared_distances(x: Tensor, centres: FloatArray, scales: FloatArray) -> tuple[Tensor, FloatArray]:
    """Squared Mahalanobis distances on the device, (n_neurons, n_components), and log determinants.

    Raises
    ------
    InputError
        If a covariance matrix is singular.
    """
    there = _sender(x)
    if scales.ndim == 2:
        return _diagonal_distances(x, centres, scales), np.log(scales).sum(axis=1)
    roots, log_det = whitening(scales)
    delta = torch.stack(
        [
            (((x - there(centre)) @ there(root).T) ** 2).sum(dim=1)
            for centre, root in zip(centres, roots, strict=True)
        ],
        dim=1,
    )
    return delta, log_det


def _diagonal_distances(x: Tensor, centres: FloatArray, scales: FloatArray) -> Tensor:
    """Expand the square around a middle centre; what cancels there is computed again from differences."""
    there = _sender(x)
    middle = middle_centre(centres)
    means = centres - middle
    near = x - there(middle)
    size = (near**2) @ there(1 / scales).T + there((means**2 / scales).sum(axis=1))
    delta = size - 2 * (near @ there(means / scales).T)
    lost = (size * ROUNDING > NEGLIGIBLE) & (delta < RELEVANT * size)
    for j in torch.nonzero(lost.any(dim=0))[:, 0].tolist():
        rows = torch.nonzero(lost[:, j])[:, 0]
        delta[rows, j] = ((x[rows] - there(centres[j])) ** 2 / there(scales[j])).sum(dim=1)
    distances: Tensor = delta.clamp_(min=0)
    return distances


def _sender(like: Tensor) -> Any:
    return lambda array: torch.as_tensor(np.ascontiguousarray(array)).to(like.device)


class Pull:
    """Weights of neurons in every component's location and scale, (n_neurons, n_components), and sums of them."""

    def __init__(self, x: Tensor, pull: Tensor) -> None:
        self._x, self._pull = x, pull
        self._there = _sender(x)

    def strength(self) -> FloatArray:
        """Sum of the weights, (n_components,)."""
        return numpy_of(self._pull.sum(dim=0))

    def first(self) -> FloatArray:
        """Weighted sum of the neurons, (n_components, n_features)."""
        return numpy_of(self._pull.T @ self._x)

    def squares(self) -> FloatArray:
        """Weighted sum of their squares, (n_components, n_features)."""
        return numpy_of(self._pull.T @ self._x**2)

    def squares_around(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of squared differences from an offset, (n_features,)."""
        return numpy_of(self._pull[:, component] @ (self._x - self._there(offset)) ** 2)

    def scatter(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of outer products of differences from an offset, (n_features, n_features)."""
        difference = self._x - self._there(offset)
        return numpy_of((difference * self._pull[:, component, None]).T @ difference)


class TorchExpectation:
    """The E step of a t mixture on a device.

    Parameters
    ----------
    held : Held
        Where; neurons are sent there once.
    """

    def __init__(self, held: Held) -> None:
        self._held = held

    def __call__(self, x: FloatArray, mixture: Mixture) -> tuple[Pull, FloatArray, FloatArray, float]:
        """Weights, posterior mass and sum of log u - u of every component, mean log-likelihood; no rolls are taken.

        Parameters
        ----------
        x : ndarray, shape (n_neurons, n_features)
            Neurons.
        mixture : Mixture
            Components, each roll one of its own.
        """
        points = self._held(x)
        there = _sender(points)
        assert mixture.nu is not None
        nu, n_features = there(mixture.nu), x.shape[1]
        delta, log_det = squared_distances(points, mixture.centres, mixture.scales)
        offsets = component_offsets(mixture.weights, log_det, n_features, mixture.nu)
        joint = there(offsets) - (nu + n_features) / 2 * torch.log1p(delta / nu)
        total = torch.logsumexp(joint, dim=1)
        tau = torch.exp(joint - total[:, None])
        u = (nu + n_features) / (nu + delta)
        spread = numpy_of((tau * (torch.log(u) - u)).sum(dim=0))
        return Pull(points, tau * u), numpy_of(tau.sum(dim=0)), spread, float(total.mean())


def run_gaussian_em(
    held: Held,
    x: FloatArray,
    start: Mixture,
    *,
    covariance: Covariance,
    reg: float,
    max_iter: int,
    tol: float,
) -> GaussianMixture:
    """Run EM of a Gaussian mixture until the mean log-likelihood rises by less than the tolerance.

    Parameters
    ----------
    held : Held
        The device.
    x : ndarray, shape (n_neurons, n_features)
        Neurons around the origin.
    start : Mixture
        Where to start; one scale a component, variances or matrices as `covariance` asks.
    covariance : {'diag', 'full', 'tied', 'spherical'}
        Shape of the covariances.
    reg : float
        Added to every variance.
    max_iter, tol
        Stopping rule: iterations at most, nats per neuron.

    Returns
    -------
    GaussianMixture
        As scikit-learn's would be left by `fit` from this start.

    Raises
    ------
    InputError
        If a covariance is singular.
    """
    points = held(x)
    there = _sender(points)
    weights, means, scales = start.weights / start.weights.sum(), start.centres, start.scales
    bound, before, n_iter = -math.inf, math.nan, 0
    while n_iter < max_iter and not abs(bound - before) < tol:
        n_iter += 1
        before = bound
        delta, log_det = squared_distances(points, means, scales)
        joint = there(component_offsets(weights, log_det, x.shape[1], None)) - 0.5 * delta
        total = torch.logsumexp(joint, dim=1)
        bound = float(total.mean())
        pull = Pull(points, torch.exp(joint - total[:, None]))
        sizes = pull.strength() + NOBODY
        weights = sizes / len(x)
        weights = weights / weights.sum()
        means = pull.first() / sizes[:, None]
        scales = _scales(pull, sizes, means, covariance) + reg * _unit(covariance, x.shape[1])
    converged = abs(bound - before) < tol
    if not converged:
        warnings.warn(f"EM did not converge in {max_iter} iterations.", ConvergenceWarning, stacklevel=2)
    fitted = GaussianMixture(
        len(weights), covariance_type=covariance, reg_covar=reg, max_iter=max_iter, tol=tol
    )
    fitted.weights_, fitted.means_ = weights, means
    fitted.covariances_ = {"tied": scales[0], "spherical": scales[:, 0]}.get(covariance, scales)
    fitted.lower_bound_, fitted.converged_, fitted.n_iter_ = bound, converged, n_iter
    return fitted


def _unit(covariance: Covariance, n_features: int) -> FloatArray:
    """What reg is multiplied by: 1 for variances, the unit matrix for covariances."""
    return np.eye(n_features) if covariance in ("full", "tied") else np.ones(1)


def _scales(pull: Pull, sizes: FloatArray, means: FloatArray, covariance: Covariance) -> FloatArray:
    """Variances or covariances of the components, without reg."""
    if covariance in ("full", "tied"):
        each = np.stack([pull.scatter(j, mean) for j, mean in enumerate(means)])
        if covariance == "tied":
            return np.repeat((each.sum(axis=0) / sizes.sum())[None], len(means), axis=0)
        return np.asarray(each / sizes[:, None, None])
    variances = pull.squares() / sizes[:, None] - means**2
    for j in np.flatnonzero((variances < CANCELLED * means**2).any(axis=1)):
        variances[j] = pull.squares_around(int(j), means[j]) / sizes[j]
    if covariance == "spherical":
        variances = np.repeat(variances.mean(axis=1, keepdims=True), means.shape[1], axis=1)
    return variances
