"""From eigenvectors to labels: spectral rotation (Yu & Shi 2003) or k-means on normalised rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.inputs import FloatArray, sklearn_state

Discretiser: TypeAlias = Literal["rotation", "kmeans"]

MAX_ITERATIONS = 200


@dataclass(frozen=True)
class Discretisation:
    """Labels of the best of several starts.

    Parameters
    ----------
    labels : ndarray of int, shape (n_neurons,)
        0 <= label < K.
    objective : float
        What the starts were compared by, lower is better: mean squared distance of the normalised rows to
        the rotated indicators, or to the centres.
    n_iterations : int
        Iterations of the best start.
    converged : bool
        Whether it stopped by itself.
    rotation : ndarray, shape (K, K), or None
        R of the spectral rotation: label = arg max of (row R).
    centres : ndarray, shape (K, K), or None
        Centres of k-means among the normalised rows.
    """

    labels: NDArray[np.int64]
    objective: float
    n_iterations: int
    converged: bool
    rotation: FloatArray | None = None
    centres: FloatArray | None = None


def normalise_rows(vectors: FloatArray) -> FloatArray:
    """Scale every row to unit length; rows of zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asfortranarray(vectors / np.where(length > 0, length, 1.0))


def discretise(
    vectors: FloatArray,
    discretiser: Discretiser,
    n_starts: int,
    rng: np.random.Generator,
    *,
    row_norm: bool = True,
) -> Discretisation:
    """Return the best of `n_starts` discretisations of these eigenvectors.

    Parameters
    ----------
    vectors : ndarray, shape (n_neurons, K)
        Eigenvectors, one row a neuron.
    discretiser : {'rotation', 'kmeans'}
        Which rule.
    n_starts : int
        Starts; the lowest objective is kept.
    rng : Generator
        Source of the starts.
    row_norm : bool
        Whether rows are scaled to unit length first.

    Returns
    -------
    Discretisation
    """
    rows = normalise_rows(vectors) if row_norm else np.asfortranarray(vectors)
    if discretiser == "kmeans":
        return _by_kmeans(rows, n_starts, rng)
    return min((_rotate(rows, rng) for _ in range(n_starts)), key=lambda found: found.objective)


def _rotate(rows: FloatArray, rng: np.random.Generator) -> Discretisation:
    """Alternate indicator and rotation: min over Y, R of |Y - rows R|^2, R'R = I, Y an indicator.

    With Y fixed the best R is V U' for the singular value decomposition Y' rows = U S V' (Yu & Shi, eq. 19).
    """
    n, k = rows.shape
    rotation = _spread_rows(rows, rng)
    overlap = -np.inf
    n_iterations = 0
    while n_iterations < MAX_ITERATIONS:
        n_iterations += 1
        labels = np.argmax(rows @ rotation, axis=1)
        sums = np.stack([np.bincount(labels, weights=rows[:, j], minlength=k) for j in range(k)], axis=1)
        left, singular, right = np.linalg.svd(sums)
        rotation = (left @ right).T
        previous, overlap = overlap, float(singular.sum())
        if overlap - previous <= 1e-9 * n:
            break
    labels = np.argmax(rows @ rotation, axis=1)
    squared = n + float(np.einsum("nk,nk->", rows, rows)) - 2 * overlap
    return Discretisation(
        labels=labels,
        objective=max(squared, 0.0) / n,
        n_iterations=n_iterations,
        converged=bool(overlap - previous <= 1e-9 * n),
        rotation=rotation,
    )


def _spread_rows(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Begin with a random row; add, one by one, the row least aligned with those chosen (Yu & Shi, step 5)."""
    n, k = rows.shape
    start = np.zeros((k, k))
    start[:, 0] = rows[rng.integers(n)]
    alignment = np.zeros(n)
    for column in range(1, k):
        alignment += np.abs(rows @ start[:, column - 1])
        start[:, column] = rows[np.argmin(alignment)]
    return start


def _by_kmeans(rows: FloatArray, n_starts: int, rng: np.random.Generator) -> Discretisation:
    k = rows.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than K: see status
        fitted = KMeans(n_clusters=k, n_init=n_starts, random_state=sklearn_state(rng)).fit(
            np.ascontiguousarray(rows)
        )
    return Discretisation(
        labels=fitted.labels_.astype(np.int64),
        objective=float(fitted.inertia_) / len(rows),
        n_iterations=int(fitted.n_iter_),
        converged=bool(fitted.n_iter_ < fitted.max_iter),
        centres=fitted.cluster_centers_,
    )
