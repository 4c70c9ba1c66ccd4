"""From eigenvectors to labels: spectral rotation (Yu & Shi 2003) or k-means on normalised rows.

With many neurons the starts run on a random sample of the rows, and those that end in different optima near the best
go on with all rows (as in `decortex.clustering.multistart`). The rotation's first start is one of all rows: a
sample may miss the few neurons that an eigenvector is about.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.inputs import FloatArray, sklearn_state
from decortex.clustering.multistart import NEURONS_PER_CLUSTER

Discretiser: TypeAlias = Literal["rotation", "kmeans"]

MAX_ITERATIONS = 200
TOLERANCE = 1e-9  # rise of the overlap a row that ends the rotation
SAMPLE = 2_000  # rows that starts run on, or 50 a cluster where that is more
FEW_ROWS = 3  # samples: up to so many rows every start runs on all of them
SAMPLE_TOLERANCE = 1e-6
N_REFINED = 3  # starts at most that go on with all rows
SAME = 1e-5  # objectives of a sample that differ by less, relatively, are one optimum


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
    return np.ascontiguousarray(vectors / np.where(length > 0, length, 1.0))


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
        Eigenvectors, one row per neuron.
    discretiser : {'rotation', 'kmeans'}
        Which rule.
    n_starts : int
        Starts; the lowest objective is kept. Above 6,000 rows (150 per cluster) they run on a sample of 2,000 (50 per
        cluster), and of the optima found there the best, three at most, go on with all rows. The rotation's first start
        runs on all rows in any case, so that more starts never end higher than one.
    rng : Generator
        Source of the starts.
    row_norm : bool
        Whether rows are scaled to unit length first.

    Returns
    -------
    Discretisation
    """
    rows = normalise_rows(vectors) if row_norm else np.ascontiguousarray(vectors)
    if discretiser == "kmeans":
        return _by_kmeans(rows, n_starts, rng)
    starts = [_spread_rows(rows, rng)]
    sample = _sample(rows, n_starts, rng)
    if sample is None:
        starts += [_spread_rows(rows, rng) for _ in range(n_starts - 1)]
    else:
        screened = [
            rotate(sample, _spread_rows(sample, rng), tolerance=SAMPLE_TOLERANCE) for _ in range(n_starts - 1)
        ]
        starts += [one.rotation for one in different_optima(screened) if one.rotation is not None]
    return min((rotate(rows, start) for start in starts), key=lambda found: found.objective)


def _sample(rows: FloatArray, n_starts: int, rng: np.random.Generator) -> FloatArray | None:
    """Rows that the starts run on, or None where there are few rows or a single start."""
    size = max(SAMPLE, NEURONS_PER_CLUSTER * rows.shape[1])
    if n_starts == 1 or len(rows) <= FEW_ROWS * size:
        return None
    sample: FloatArray = rows[np.sort(rng.choice(len(rows), size=size, replace=False))]
    return sample


def different_optima(found: Sequence[Discretisation]) -> list[Discretisation]:
    """Return the best of each group of results with equal objective, at most three, best first."""
    kept: list[Discretisation] = []
    for one in sorted(found, key=lambda result: result.objective):
        if not kept or one.objective > kept[-1].objective * (1 + SAME):
            kept.append(one)
    return kept[:N_REFINED]


def rotate(rows: FloatArray, rotation: FloatArray, *, tolerance: float = TOLERANCE) -> Discretisation:
    """Alternate indicator and rotation: min over Y, R of |Y - rows R|^2, R'R = I, Y an indicator.

    With Y fixed the best R is V U' for the singular value decomposition Y' rows = U S V' (Yu & Shi, eq. 19).

    Parameters
    ----------
    rows : ndarray, shape (n_neurons, K)
        Normalised eigenvectors.
    rotation : ndarray, shape (K, K)
        R to start from.
    tolerance : float
        Rise of the overlap (sum of S) per row that ends the iteration.

    Returns
    -------
    Discretisation
    """
    n, k = rows.shape
    ones, ends = np.ones(n), np.arange(n + 1)
    overlap = -np.inf
    n_iterations = 0
    while n_iterations < MAX_ITERATIONS:
        n_iterations += 1
        labels = np.argmax(rows @ rotation, axis=1)
        sums = sparse.csr_array((ones, labels, ends), shape=(n, k)).T @ rows
        left, singular, right = np.linalg.svd(sums)
        rotation = (left @ right).T
        previous, overlap = overlap, float(singular.sum())
        if overlap - previous <= tolerance * n:
            break
    labels = np.argmax(rows @ rotation, axis=1)
    squared = n + float(np.einsum("nk,nk->", rows, rows)) - 2 * overlap
    return Discretisation(
        labels=labels,
        objective=max(squared, 0.0) / n,
        n_iterations=n_iterations,
        converged=bool(overlap - previous <= tolerance * n),
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
    sample = _sample(rows, n_starts, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than K: see status
        if sample is None:
            return _kmeans(rows, rng, n_init=n_starts)
        screened = [_kmeans(sample, rng, n_init=1) for _ in range(n_starts)]
        best = [_kmeans(rows, rng, init=one.centres, n_init=1) for one in different_optima(screened)]
    return min(best, key=lambda found: found.objective)


def _kmeans(rows: FloatArray, rng: np.random.Generator, **options: Any) -> Discretisation:
    fitted = KMeans(n_clusters=rows.shape[1], random_state=sklearn_state(rng), **options).fit(rows)
    return Discretisation(
        labels=fitted.labels_.astype(np.int64),
        objective=float(fitted.inertia_) / len(rows),
        n_iterations=int(fitted.n_iter_),
        converged=bool(fitted.n_iter_ < fitted.max_iter),
        centres=fitted.cluster_centers_,
    )
