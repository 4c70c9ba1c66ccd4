"""Simulated continua: no types, however they are cut. Features only; `worlds.py` names them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Rng = np.random.Generator


def rotated(rng: Rng, x: FloatArray, n_features: int) -> FloatArray:
    """Put x into a random subspace of more dimensions."""
    frame = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    return x @ frame[: x.shape[1]]


def noisy(rng: Rng, x: FloatArray, n_features: int, sd: float) -> FloatArray:
    """The same, with isotropic noise in all dimensions."""
    return rotated(rng, x, n_features) + sd * rng.standard_normal((len(x), n_features))


def unit(x: FloatArray) -> FloatArray:
    """Rows of length one; rows of zeros stay out."""
    length = np.linalg.norm(x, axis=1)
    kept: FloatArray = x[length > 0] / length[length > 0, None]
    return kept


def gauss(rng: Rng, n: int, d: int) -> FloatArray:
    """One Gaussian cloud, standard deviations from 2 to .5."""
    return rng.standard_normal((n, d)) * np.linspace(2, 0.5, d)


def student(rng: Rng, n: int, df: float) -> FloatArray:
    """One multivariate t cloud."""
    return gauss(rng, n, 16) * np.sqrt(df / rng.chisquare(df, (n, 1)))


def ring(rng: Rng, n: int) -> FloatArray:
    """A circle of radius 5 with noise of .5."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return noisy(rng, 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 16, 0.5)


def half_moon(rng: Rng, n: int, d: int, sd: float) -> FloatArray:
    """Half a circle of radius 5."""
    angle = rng.uniform(0, np.pi, n)
    return noisy(rng, 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), d, sd)


def torus(rng: Rng, n: int) -> FloatArray:
    """A torus of radii 6 and 2 in space, noise .3."""
    a, b = rng.uniform(0, 2 * np.pi, (2, n))
    r = 6 + 2 * np.cos(b)
    return noisy(rng, np.stack([r * np.cos(a), r * np.sin(a), 2 * np.sin(b)], axis=1), 8, 0.3)


def sphere(rng: Rng, n: int) -> FloatArray:
    """The surface of a ball in three dimensions, noise .2."""
    return noisy(rng, 4 * unit(rng.standard_normal((n, 3))), 8, 0.2)


def swiss_roll(rng: Rng, n: int) -> FloatArray:
    """A rolled sheet, even in its own coordinates, noise .3."""
    t = 1.5 * np.pi * np.sqrt(1 + 8 * rng.random(n))  # arc length is about t^2 / 2
    return noisy(rng, np.stack([t * np.cos(t), 21 * rng.random(n), t * np.sin(t)], axis=1), 8, 0.3)


def core_and_halo(rng: Rng, n: int, d: int) -> FloatArray:
    """A dense core of 60 % inside a halo four times as wide: one mode."""
    wide = np.where(rng.random((n, 1)) < 0.6, 1.0, 4.0)
    return wide * rng.standard_normal((n, d))


def sparse_independent(rng: Rng, n: int) -> FloatArray:
    """Non-negative independent features, half of them zero."""
    return (rng.random((n, 16)) < 0.5) * rng.exponential(size=(n, 16))


def sparse_correlated(rng: Rng, n: int, gain: float) -> FloatArray:
    """Rectified features that share three factors, with log-normal gains per neuron."""
    latent = rng.standard_normal((n, 3)) @ rng.standard_normal((3, 16)) + rng.standard_normal((n, 16))
    return np.exp(0.5 * latent + gain * rng.standard_normal((n, 1))) * (latent > 0)


def parts(rng: Rng, n: int, shape: float) -> FloatArray:
    """Non-negative mixtures of six sparse parts with gamma loadings."""
    basis = rng.exponential(size=(6, 24)) * (rng.random((6, 24)) < 0.4)
    return rng.gamma(shape, size=(n, 6)) @ basis + 0.05 * rng.exponential(size=(n, 24))


def sparse_axes(rng: Rng, n: int) -> FloatArray:
    """Sixteen exponential features, each active in 8 % of the neurons, rows of length one: a mode at every axis."""
    x = unit((rng.random((3 * n, 16)) < 0.08) * rng.exponential(size=(3 * n, 16)))
    return x[:n]


def log_normal_gains(rng: Rng, n: int) -> FloatArray:
    """A Gaussian cloud about a direction, every neuron with a log-normal gain."""
    x = 2 * rng.standard_normal(16) + rng.standard_normal((n, 16))
    return x * np.exp(0.6 * rng.standard_normal((n, 1)))


def two_gains(rng: Rng, n: int) -> FloatArray:
    """|N| in 16 dimensions times .4 or 2: two populations by norm, one shape."""
    return np.abs(rng.standard_normal((n, 16))) * rng.choice([0.4, 2.0], (n, 1))


def simplex(rng: Rng, n: int, corners: int) -> FloatArray:
    """Even mixtures of archetypes."""
    return rng.dirichlet(np.ones(corners), n) @ (
        4 * rng.standard_normal((corners, 16))
    ) + 0.5 * rng.standard_normal((n, 16))


def gradient(rng: Rng, n: int, axes: int) -> FloatArray:
    """Uniform over 12 standard deviations along one axis or two."""
    return noisy(rng, 12 * rng.random((n, axes)), 16, 1.0)


def density_gradient(rng: Rng, n: int, df: int) -> FloatArray:
    """A long axis, ever less dense along it (squared normals for df 1, exponential for 2)."""
    return noisy(rng, 4 * rng.chisquare(df, (n, 1)), 16, 1.0)


def duplicated(rng: Rng, n: int) -> FloatArray:
    """A Gaussian cloud, 30 % of the neurons copies of others."""
    x = gauss(rng, n, 16)
    copied = rng.random(n) < 0.3
    x[copied] = x[rng.integers(n, size=int(copied.sum()))]
    return x


def prototypes(rng: Rng, n: int) -> FloatArray:
    """Half of a Gaussian cloud repeats twelve of its neurons exactly."""
    x = gauss(rng, n, 16)
    x[n // 2 :] = x[rng.integers(12, size=n - n // 2)]
    return x
