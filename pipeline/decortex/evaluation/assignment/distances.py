"""Distances of neurons to clusters: the mean over a cluster's nearest neurons, up to a roll of orientation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Distances of so many pairs are held at once.
_PAIRS = 4_000_000


def cluster_distances(
    x: FloatArray,
    reference: FloatArray,
    labels: IntArray,
    n_clusters: int,
    *,
    n_neighbors: int,
    n_orientations: int = 1,
) -> FloatArray:
    """Distance of every neuron to every cluster.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
    reference : ndarray, shape (n_reference, n_features)
    labels : ndarray of int, shape (n_reference,)
        Cluster of every reference neuron, from 0.
    n_clusters : int
    n_neighbors : int
        The distance to a cluster is the mean over so many of its nearest neurons (over all, where it has fewer).
    n_orientations : int
        Features are orientations x features, and distances the smallest over rolls of orientation.

    Returns
    -------
    ndarray, shape (n_neurons, n_clusters)
        Infinite where a cluster has no reference neuron.
    """
    found = np.full((len(x), n_clusters), np.inf)
    members = [np.flatnonzero(labels == k) for k in range(n_clusters)]
    step = max(1, _PAIRS // max(1, len(reference)))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        distances = np.full((len(x[rows]), len(reference)), np.inf)
        for turned in rolled(x[rows], n_orientations):
            np.minimum(distances, cdist(turned, reference), out=distances)
        for k, inside in enumerate(members):
            if len(inside):
                m = min(n_neighbors, len(inside))
                nearest = np.partition(distances[:, inside], m - 1, axis=1)[:, :m]
                found[rows, k] = nearest.mean(axis=1)
    return found


def rolled(x: FloatArray, n_orientations: int) -> Iterator[FloatArray]:
    """Neurons at every roll of their orientations; feature index is orientation x features + feature."""
    if n_orientations == 1:
        yield x
        return
    parts = x.reshape(len(x), n_orientations, -1)
    for shift in range(n_orientations):
        yield np.roll(parts, shift, axis=1).reshape(x.shape)
