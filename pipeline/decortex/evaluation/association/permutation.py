"""Permutations within sessions, shared over many partitions, and the rank test by them. No parametric test here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from decortex.errors import InputError
from decortex.labels import assigned_in_all

FloatArray = NDArray[np.float64]

# 2^22 permuted scores at a time: 32 MiB, in at most so many columns.
_CHUNK_ELEMENTS = 2**22
_LARGEST_BLOCK = 512
# 1,024 neurons by 77 permutations stay in a processor's second cache while all partitions are summed over them.
_RUN_NEURONS = 1024
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

    Examples
    --------
    >>> import numpy as np
    >>> session_ridits(np.array([0.1, 0.3, 0.2]), np.array([0, 0, 0])).tolist()
    [-0.25, 0.25, 0.0]
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
        Labels. All share the same permutations, so that maxima over them (max-T) are valid. Neurons that one of
        them leaves without a cluster (-1) take no part.
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

    Examples
    --------
    >>> import numpy as np
    >>> labels, sessions = np.tile([0, 1], 10), np.repeat([0, 1], 10)
    >>> observed, null = within_session_null(np.arange(20.0), [labels], sessions, seed=0, n_permutations=9)
    >>> (observed.shape, null.shape)
    ((1,), (9, 1))
    """
    partitions, kept = assigned_in_all(partitions)
    n = len(scores)
    if sessions.shape != (n,) or any(labels.shape != (n,) for labels in partitions):
        raise InputError(
            f"expected one session and one label for each of {n} scores, got {sessions.shape} and "
            f"{[labels.shape for labels in partitions]}."
        )
    if len(partitions):
        partitions, scores, sessions = [one[kept] for one in partitions], scores[kept], sessions[kept]
    if not np.isfinite(scores).all():
        raise InputError("scores should be finite; leave out the neurons whose score is undefined.")
    if n_permutations < 1:
        raise InputError(f"n_permutations should be at least 1, got {n_permutations}.")

    dense = np.unique(sessions, return_inverse=True)[1].astype(np.int64)
    order, bounds = session_order(dense)
    ridits = session_ridits(scores, dense)[order]
    groups = GroupSums([labels[order] for labels in partitions])
    total = float((ridits**2).sum())
    scale = 1.0 / total if total > 0 else 0.0

    def between(values: FloatArray) -> FloatArray:
        squares = groups(values) ** 2 / groups.counts[:, None]
        return np.add.reduceat(squares, groups.starts, axis=0).T * scale

    if not partitions:
        return np.empty(0), np.empty((n_permutations, 0))
    observed = between(ridits[:, None])[0]
    blocks = shuffled_blocks(ridits, bounds, seed=seed, n_permutations=n_permutations)
    return observed, np.concatenate([between(block) for block in blocks])


def session_order(sessions: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Order that makes sessions 0..n_sessions-1 contiguous, and where each begins (and the last ends).

    Examples
    --------
    >>> import numpy as np
    >>> order, bounds = session_order(np.array([1, 0, 1]))
    >>> (order.tolist(), bounds.tolist())
    ([1, 0, 2], [0, 1, 3])
    """
    bounds = np.concatenate([[0], np.cumsum(np.bincount(sessions))]).astype(np.int64)
    return np.argsort(sessions, kind="stable"), bounds


def shuffled_blocks(
    values: FloatArray, bounds: NDArray[np.int64], *, seed: int, n_permutations: int
) -> Iterator[FloatArray]:
    """Yield values shuffled within contiguous sessions, (n_neurons, n_columns) at a time, a column per permutation.

    One stream of random numbers per session: neither the size of the blocks nor what is computed from them changes
    the permutations.

    Examples
    --------
    >>> import numpy as np
    >>> blocks = list(shuffled_blocks(np.arange(4.0), np.array([0, 2, 4]), seed=0, n_permutations=3))
    >>> sorted(blocks[0][:2, 0].tolist())    # neurons of the first session stay in it
    [0.0, 1.0]
    """
    streams = [np.random.default_rng([seed, index]) for index in range(len(bounds) - 1)]
    size = int(np.clip(_CHUNK_ELEMENTS // max(len(values), 1), 1, _LARGEST_BLOCK))
    for begin in range(0, n_permutations, size):
        shuffled = np.tile(values, (min(size, n_permutations - begin), 1))
        for rng, (start, end) in zip(streams, pairwise(bounds), strict=True):
            rng.permuted(shuffled[:, start:end], axis=1, out=shuffled[:, start:end])
        yield np.ascontiguousarray(shuffled.T)


def permutation_p(observed: float, null: FloatArray) -> float:
    """P-value (b + 1)/(B + 1) with b the permutations that reach the observed value; never 0.

    Examples
    --------
    >>> import numpy as np
    >>> permutation_p(3.0, np.array([1.0, 2.0, 4.0]))
    0.5
    """
    reached = int(np.count_nonzero(null >= observed * (1 - RELATIVE_TOLERANCE)))
    return (reached + 1) / (len(null) + 1)


class GroupSums:
    """Sums over the clusters of many partitions at once, as sparse products over cache-sized runs of neurons.

    Parameters
    ----------
    partitions : sequence of ndarray of int, each (n_neurons,)
        Labels >= 0, in one order of the neurons; at least one.

    Attributes
    ----------
    counts : ndarray of float64, shape (n_rows,)
        Neurons of every cluster, partitions one after the other, empty clusters left out.
    starts : ndarray of int, shape (n_partitions,)
        Row at which each partition begins.
    """

    def __init__(self, partitions: Sequence[NDArray[np.integer[Any]]]) -> None:
        dense = [np.unique(labels, return_inverse=True)[1] for labels in partitions]
        sizes = [int(labels.max()) + 1 for labels in dense]
        self.starts = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.intp)
        rows = np.stack([labels + start for labels, start in zip(dense, self.starts, strict=True)])
        n_rows, n = sum(sizes), rows.shape[1]
        self.counts = np.bincount(rows.ravel(), minlength=n_rows).astype(np.float64)
        self._runs = []
        for begin in range(0, n, _RUN_NEURONS):
            here = rows[:, begin : begin + _RUN_NEURONS]
            columns = np.broadcast_to(np.arange(here.shape[1]), here.shape)
            ones = np.ones(here.size)
            shape = (n_rows, here.shape[1])
            self._runs.append(sparse.csr_array((ones, (here.ravel(), columns.ravel())), shape=shape))

    def __call__(self, values: FloatArray) -> FloatArray:
        """Sum of every cluster: (n_neurons, n_columns) -> (n_rows, n_columns)."""
        sums = np.zeros((len(self.counts), values.shape[1]))
        for begin, run in zip(range(0, len(values), _RUN_NEURONS), self._runs, strict=True):
            sums += np.asarray(run @ values[begin : begin + _RUN_NEURONS])
        return sums
