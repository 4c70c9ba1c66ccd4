"""Shift-invariant k-means: neurons of rotation-equivariant networks, grouped up to a roll of orientation.

A row holds O orientations of F features, feature index o F + f. Turning the image rolls o, so that a neuron's
preferred orientation is a nuisance: functional types are defined up to a roll.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decortex.clustering.inputs import FloatArray
from decortex.clustering.mixtures import rolls
from decortex.errors import InputError


def check_orientations(x: FloatArray, n_orientations: int) -> None:
    """Refuse embeddings whose features do not divide into orientations.

    Raises
    ------
    InputError
        If O is below 1 or does not divide the number of features.

    Examples
    --------
    >>> import numpy as np
    >>> check_orientations(np.zeros((4, 16)), 8)    # 16 features: two at each of eight orientations
    """
    if n_orientations < 1 or x.shape[1] % n_orientations:
        raise InputError(
            f"n_orientations = {n_orientations} should divide the number of features, which is {x.shape[1]}: "
            "rows hold O orientations of F features, feature index o F + f."
        )


def shift_kmeans(
    x: FloatArray, n_clusters: int, n_orientations: int, rng: np.random.Generator, *, max_iter: int = 20
) -> tuple[NDArray[np.int64], FloatArray]:
    """k-means up to a roll of every neuron, from k-means++ seeds in the same distance: a start for shift-EM.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, O * F)
        Embedding.
    n_clusters, n_orientations : int
        K, O.
    rng : Generator
        Source of the seeds.
    max_iter : int
        Lloyd iterations at most.

    Returns
    -------
    labels : ndarray of int64, shape (n_neurons,)
        Nearest centre over all rolls.
    aligned : ndarray, shape (n_neurons, O * F)
        Neurons, turned to their centre.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])    # one feature at two orientations
    >>> labels, _ = shift_kmeans(x, 2, 2, np.random.default_rng(0))
    >>> bool(labels[0] == labels[1] != labels[2])
    True
    """
    norms = np.einsum("nd,nd->n", x, x)
    centres = np.empty((n_clusters, x.shape[1]))
    nearest = np.full(len(x), np.inf)
    for j in range(n_clusters):
        total = nearest.sum()
        uniform = j == 0 or not total > 0
        centres[j] = x[rng.choice(len(x), p=None if uniform else nearest / total)]
        nearest = np.minimum(
            nearest, np.maximum(_shift_distances(x, norms, centres[j : j + 1], n_orientations).min(1), 0)
        )
    labels = np.full(len(x), -1)
    aligned = x
    for _ in range(max_iter):
        best = np.argmin(_shift_distances(x, norms, centres, n_orientations), axis=1)
        previous, labels = labels, best // n_orientations
        aligned = _rolled(x, -(best % n_orientations), n_orientations)
        if np.array_equal(labels, previous):
            break
        sizes = np.bincount(labels, minlength=n_clusters)
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, aligned)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return labels.astype(np.int64), aligned


def _shift_distances(
    x: FloatArray, norms: FloatArray, centres: FloatArray, n_orientations: int
) -> FloatArray:
    """Squared distances to all rolls of the centres, (n_neurons, n_centres * O)."""
    candidates = rolls(centres, n_orientations)
    squared: FloatArray = (
        norms[:, None] - 2 * x @ candidates.T + np.einsum("cd,cd->c", candidates, candidates)
    )
    return squared


def _rolled(x: FloatArray, by: NDArray[np.int64], n_orientations: int) -> FloatArray:
    folded = x.reshape(len(x), n_orientations, -1)
    source = (np.arange(n_orientations) - by[:, None]) % n_orientations
    return np.take_along_axis(folded, source[:, :, None], axis=1).reshape(x.shape)
