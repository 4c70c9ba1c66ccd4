"""E step of a t mixture, and the sums over neurons that its M step needs: by numpy here, by torch where asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, logsumexp

from decortex.clustering import torch_backend
from decortex.clustering.backend import BackendConfig
from decortex.clustering.inputs import FloatArray
from decortex.clustering.mixtures.base import Mixture, log_density, squared_distances

NU_BOUNDS = (0.5, 200.0)


class Pull(Protocol):
    """Weights of neurons in locations and scales, (n_neurons, n_components), by the sums that an M step needs."""

    def strength(self) -> FloatArray:
        """Sum of the weights, (n_components,)."""

    def first(self) -> FloatArray:
        """Weighted sum of the neurons, (n_components, n_features)."""

    def squares(self) -> FloatArray:
        """Weighted sum of their squares, (n_components, n_features)."""

    def squares_around(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of squared differences from an offset, (n_features,)."""

    def scatter(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of outer products of differences from an offset, (n_features, n_features)."""


class Expectation(Protocol):
    """An E step: weights, posterior mass and sum of log u - u of every component, mean log-likelihood."""

    def __call__(self, x: FloatArray, mixture: Mixture) -> tuple[Pull, FloatArray, FloatArray, float]:
        """Take the step; every component is one of its own, rolls included."""


@dataclass(frozen=True)
class NumpyPull:
    """These sums by numpy.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    pull : ndarray, shape (n_neurons, n_components)
        Their weights, not negative.
    """

    x: FloatArray
    pull: FloatArray

    @cached_property
    def _roots(self) -> FloatArray:
        return np.sqrt(self.pull.T)

    @cached_property
    def _buffer(self) -> FloatArray:
        return np.empty_like(self.x)

    def strength(self) -> FloatArray:
        """Sum of the weights."""
        return np.asarray(self.pull.sum(axis=0))

    def first(self) -> FloatArray:
        """Weighted sum of the neurons."""
        return self.pull.T @ self.x

    def squares(self) -> FloatArray:
        """Weighted sum of their squares."""
        return self.pull.T @ self.x**2

    def squares_around(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of squared differences from an offset."""
        return np.asarray(self.pull[:, component] @ (self.x - offset) ** 2)

    def scatter(self, component: int, offset: FloatArray) -> FloatArray:
        """Weighted sum of outer products of differences from an offset."""
        weighted = np.subtract(self.x, offset, out=self._buffer)
        weighted *= self._roots[component][:, None]
        return weighted.T @ weighted


def numpy_expectation(x: FloatArray, mixture: Mixture) -> tuple[Pull, FloatArray, FloatArray, float]:
    """Take the E step by numpy; see `Expectation`."""
    n_features, nu = x.shape[1], mixture.nu
    assert nu is not None
    delta, log_det = squared_distances(x, mixture.centres, mixture.scales)
    joint = log_density(delta, log_det, n_features, nu)
    with np.errstate(divide="ignore"):  # an empty component has weight 0
        joint += np.log(mixture.weights)
    total = logsumexp(joint, axis=1)
    tau = np.exp(joint - total[:, None], out=joint)
    u = (nu + n_features) / (nu + delta)
    spread = np.einsum("nj,nj->j", tau, np.log(u) - u)
    return NumpyPull(x, tau * u), tau.sum(axis=0), spread, float(total.mean())


def expectation_of(config: BackendConfig, device: str | None) -> Expectation:
    """Return what takes the E step: numpy, or torch on a device.

    Raises
    ------
    InputError
        If torch is asked for and has no such device.
    """
    if config.backend == "numpy":
        return numpy_expectation
    where = torch_backend.torch_device(device)
    return torch_backend.TorchExpectation(torch_backend.Held(where))


def degrees_of_freedom(
    mass: FloatArray, spread: FloatArray, before: FloatArray, n_features: int
) -> FloatArray:
    """Root of the equation for nu in every component, within NU_BOUNDS; `before` are the nu of the E step."""
    spread = spread.reshape(len(before), -1).sum(axis=1)
    half = (before + n_features) / 2
    constants = 1 + spread / np.maximum(mass, np.finfo(np.float64).tiny) + digamma(half) - np.log(half)
    low, high = NU_BOUNDS

    def slope(nu: float, constant: float) -> float:
        return float(np.log(nu / 2) - digamma(nu / 2) + constant)

    found = []
    for constant in constants:
        if slope(high, constant) >= 0:
            found.append(high)
        elif slope(low, constant) <= 0:
            found.append(low)
        else:
            found.append(float(brentq(slope, low, high, args=(constant,), xtol=1e-10)))
    return np.array(found)
