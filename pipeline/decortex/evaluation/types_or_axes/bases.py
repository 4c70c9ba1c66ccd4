"""What embeddings are described by: indicators of clusters, principal axes, smooth functions of the first axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """Principal axes of the training neurons, by falling variance; scores of the first axis have unit variance."""

    mean: FloatArray
    directions: FloatArray

    @classmethod
    def of(cls, x: FloatArray, n_axes: int) -> Axes:
        """Principal axes of neurons x features; axes without variance are left out."""
        mean = x.mean(axis=0)
        _, s, v = np.linalg.svd(x - mean, full_matrices=False)
        kept = np.flatnonzero(s > 1e-9 * max(float(s[0]), np.finfo(float).tiny))[:n_axes]
        scale = s[0] / np.sqrt(len(x)) if len(kept) else 1.0
        return cls(mean, v[kept].T / scale)

    @property
    def n_axes(self) -> int:
        """Number of axes."""
        return int(self.directions.shape[1])

    def scores(self, x: FloatArray) -> FloatArray:
        """Positions on the axes, (n_neurons, n_axes)."""
        at: FloatArray = (x - self.mean) @ self.directions
        return at


@dataclass(frozen=True)
class Smooth:
    """Smooth functions of the first axes: cubic radial functions at landmarks (a thin-plate spline of low rank).

    Added to a constant and the axes themselves they are a natural spline, whose penalty is its roughness: the
    coefficients of `columns` have the identity as penalty (Wood 2003, J. R. Stat. Soc. B 65, 95).
    """

    landmarks: FloatArray
    transform: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, n_landmarks: int, rng: np.random.Generator) -> Smooth:
        """Functions of training neurons' scores, (n_neurons, n_axes), with random neurons as landmarks."""
        chosen = rng.choice(len(scores), size=min(n_landmarks, len(scores)), replace=False)
        at = np.unique(scores[chosen], axis=0)
        linear = np.column_stack([np.ones(len(at)), at])
        free = np.linalg.svd(linear, full_matrices=True)[0][:, linear.shape[1] :]
        roughness = free.T @ cdist(at, at) ** 3 @ free
        values, vectors = np.linalg.eigh(0.5 * (roughness + roughness.T))
        kept = values > 1e-9 * max(float(values[-1]), np.finfo(float).tiny)
        return cls(at, free @ (vectors[:, kept] / np.sqrt(values[kept])))

    def columns(self, scores: FloatArray) -> FloatArray:
        """Values of the functions, (n_neurons, n_functions)."""
        values: FloatArray = cdist(scores, self.landmarks) ** 3 @ self.transform
        return values


def indicators(labels: NDArray[np.integer[Any]], n_clusters: int) -> FloatArray:
    """One column per cluster, (n_neurons, n_clusters)."""
    columns: FloatArray = (labels[:, None] == np.arange(n_clusters)).astype(np.float64)
    return columns
