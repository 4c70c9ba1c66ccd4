"""Permutation null within sessions, shared over many partitions. No parametric test here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from decortex.errors import InputError

FloatArray = NDArray[np.float64]

# 2^21 permuted scores at a time: 16 MiB.
_CHUNK_ELEMENTS = 2**21
# Two permutations of equal statistic differ by rounding; they must count as equal or p is too small.
RELATIVE_TOLERANCE = 1e-10


def session_ridits(scores: FloatArray, sessions: NDArray[np.int64]) -> FloatArray:
    """Rank scores within each session and centre: (rank - (n_s + 1)/2)/(n_s + 1), ties averaged.

    A session's level and spread drop out, so that sessions compare by order alone (van Elteren 1960).

    Parameters
    ----------
    scores : ndarray of float64, shape (n_neurons,)
        Finite scores.
    sessions : ndarray of int64, shape (n_neurons,)
        Session of each neuron, 0..n_sessions-1.

    Returns
    -------
    ndarray of float64, shape (n_neurons,)
        Between -1/2 and 1/2, with mean 0 in every session.
    """
    ridits = np.empty(len(scores))
    for session in np.unique(sessions):
        here = sessions == session
        n = int(here.sum())
        ridits[here] = (rankdata(scores[here]) - (n + 1) / 2) / (n + 1)
    return ridits


def within_session_null(
    scores: FloatArray,
    partitions: Sequence[NDArray[np.integer[Any]]],
    sessions: NDArray[np.integer[Any]],
    *,
    seed: int,
    n_permutations: int = 9999,
) -> tuple[FloatArray, FloatArray]:
    r"""Between-cluster rank variance of each partition, and under shuffling within sessions.

    .. math:: T = \frac{\sum_j n_j \bar s_j^2}{\sum_i s_i^2}

    with s the session ridits and :math:`\bar s_j` their mean in cluster j: the share of the within-session
    rank variance that lies between clusters.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_neurons,)
        Finite scores.
    partitions : sequence of ndarray of int, each (n_neurons,)
        Labels >= 0. All share the same permutations, so that maxima over them (max-T) are valid.
    sessions : ndarray of int, shape (n_neurons,)
        Session of each neuron; scores change places only within a session.
    seed : int
        Seed of the permutations: the same seed gives the same permutations, whatever the partitions.
    n_permutations : int
        Number of permutations.

    Returns
    -------
    observed : ndarray of float64, shape (n_partitions,)
    null : ndarray of float64, shape (n_permutations, n_partitions)
        0 throughout where all scores of every session are equal.

    Raises
    ------
    InputError
        If shapes do not fit, a score is not finite, or n_permutations < 1.
    """
    n = len(scores)
    if sessions.shape != (n,) or any(labels.shape != (n,) for labels in partitions):
        raise InputError(
            f"expected one session and one label for each of {n} scores, got {sessions.shape} and "
            f"{[labels.shape for labels in partitions]}."
        )
    if not np.isfinite(scores).all():
        raise InputError("scores should be finite; leave out the neurons whose score is undefined.")
    if n_permutations < 1:
        raise InputError(f"n_permutations should be at least 1, got {n_permutations}.")

    # Neurons sorted by session: a permutation then shuffles contiguous columns.
    dense = np.unique(sessions, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(dense, kind="stable")
    ridits = session_ridits(scores, dense)[order]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(dense))])
    groups = [_Groups(labels[order]) for labels in partitions]
    total = float((ridits**2).sum())
    scale = 1.0 / total if total > 0 else 0.0

    observed = np.array([group.between(ridits[None])[0] for group in groups]) * scale
    null = np.empty((n_permutations, len(partitions)))
    # One stream a session: the numbers do not depend on the size of the blocks.
    streams = [np.random.default_rng([seed, index]) for index in range(len(bounds) - 1)]
    block = max(1, _CHUNK_ELEMENTS // max(n, 1))
    for begin in range(0, n_permutations, block):
        size = min(block, n_permutations - begin)
        shuffled = np.tile(ridits, (size, 1))
        for rng, (start, end) in zip(streams, pairwise(bounds), strict=True):
            rng.permuted(shuffled[:, start:end], axis=1, out=shuffled[:, start:end])
        for column, group in enumerate(groups):
            null[begin : begin + size, column] = group.between(shuffled) * scale
    return observed, null


def permutation_p(observed: float, null: FloatArray) -> float:
    """P-value (b + 1)/(B + 1) with b the permutations that reach the observed value; never 0."""
    reached = int(np.count_nonzero(null >= observed * (1 - RELATIVE_TOLERANCE)))
    return (reached + 1) / (len(null) + 1)


class _Groups:
    """Column order that makes clusters contiguous, for summing many permutations at once."""

    def __init__(self, labels: NDArray[np.integer[Any]]) -> None:
        self._order = np.argsort(labels, kind="stable")
        _, starts, counts = np.unique(labels[self._order], return_index=True, return_counts=True)
        self._starts, self._counts = starts, counts

    def between(self, values: FloatArray) -> FloatArray:
        """Sum over clusters of size times squared mean: (n_rows, n_neurons) -> (n_rows,)."""
        sums = np.add.reduceat(values[:, self._order], self._starts, axis=1)
        return np.asarray((sums**2 / self._counts).sum(axis=1))
