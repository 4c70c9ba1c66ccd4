"""Held-out counts at one boundary between two groups, in the two ways of `evidence.KINDS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.splits.evidence import KINDS
from decortex.evaluation.splits.path import density_path
from decortex.evaluation.splits.prisms import choose_windows, in_windows, prism_places
from decortex.evaluation.splits.subclusters import whitener

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass
class FoldData:
    """Neurons of one fold.

    Parameters
    ----------
    points : ndarray, shape (n_neurons, n_features)
        All neurons.
    training : ndarray of bool, shape (n_neurons,)
        The others are held out.
    path_points : ndarray, shape (n_neurons, n_features)
        All neurons whitened by the finest subclusters: long ones would take a bend for spread.
    rng : Generator
        Of the nodes of density paths.
    n_features : int
        Of the embedding, see `whitener`.
    """

    points: FloatArray
    training: NDArray[np.bool_]
    path_points: FloatArray
    rng: np.random.Generator
    n_features: int
    held_out: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self.held_out = np.where(self.training, -1, np.cumsum(~self.training) - 1)


def count_centres(data: FoldData, labels: IntArray, a: int, b: int) -> FloatArray:
    """Held-out neurons in the prism between the centres of groups a and b (third groups bound it).

    Parameters
    ----------
    labels : ndarray of int64, shape (n_neurons,)
        Group of every neuron; below 0: none.
    """
    n_groups = int(labels.max()) + 1
    used = data.training & (labels >= 0)
    x, own = data.points[used], labels[used]
    sizes = np.bincount(own, minlength=n_groups)
    n_held_out = int((~data.training).sum())
    if sizes.min() == 0:
        return np.zeros((n_held_out, 2))
    member = np.zeros((len(x), n_groups))
    member[np.arange(len(x)), own] = 1.0
    centres = (member.T @ x) / sizes[:, None]
    root = whitener(x - centres[own], data.n_features)
    if root is None or not ((centres[a] - centres[b]) ** 2).sum() > 0:
        return np.zeros((n_held_out, 2))
    places = prism_places(data.points @ root, centres @ root, np.array([[a, b]]))
    index = data.held_out[places.neuron]
    counted = [
        np.bincount(index[(index >= 0) & inside], minlength=n_held_out)
        for inside in in_windows(places, choose_windows(places, data.training))
    ]
    return np.stack(counted, axis=1).astype(float)


def count_path(data: FoldData, labels: IntArray, a: int, b: int) -> tuple[FloatArray, float]:
    """Held-out neurons of groups a and b at the least dense point of the densest path, and at the sparser mode.

    Returns
    -------
    ndarray, shape (n_held_out, 2)
    float
        p of the valley on the training neurons; 1 where there is no path.
    """
    held_out = np.flatnonzero(~data.training)
    counts = np.zeros((len(held_out), 2))
    chosen = data.training & ((labels == a) | (labels == b))
    second = labels[chosen] == b
    if second.all() or not second.any():
        return counts, 1.0
    path = density_path(data.path_points[chosen], second, data.rng)
    if path is None:
        return counts, 1.0
    here = np.isin(labels[held_out], (a, b))
    counts[here] = path.count(data.path_points[held_out[here]]).T
    return counts, path.p


@dataclass(frozen=True)
class CountedBoundary:
    """Counts of one boundary in one fold.

    Parameters
    ----------
    held_out : ndarray, shape (n_held_out, 2, 2)
        Neurons between and beside, in the order of `evidence.KINDS`.
    p_training : float
        Of the path's valley on the training neurons.
    """

    held_out: FloatArray
    p_training: float


def count_boundaries(
    data: FoldData,
    labels: IntArray,
    pairs: Sequence[tuple[int, int]],
) -> list[CountedBoundary]:
    """Both counts of some boundaries.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_neurons,)
        Group of every neuron, training and held out; below 0: none.
    pairs : sequence of (int, int)
        Groups on either side.
    """
    counted = []
    for a, b in pairs:
        held_out = np.zeros((int((~data.training).sum()), len(KINDS), 2))
        held_out[:, 0], p_training = count_path(data, labels, a, b)
        held_out[:, 1] = count_centres(data, labels, a, b)
        counted.append(CountedBoundary(held_out, p_training))
    return counted
