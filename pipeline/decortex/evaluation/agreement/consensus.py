"""Consensus of many partitions of the same neurons by cumulative voting. No n x n matrix, no clustering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from decortex.clustering import canonical_order, relabel
from decortex.errors import InputError
from decortex.evaluation.agreement.indices import contingency
from decortex.labels import assigned_in_all

_MAX_ROUNDS = 100
# Starting references that are tried: the partitions that agree most with all others.
_N_STARTS = 5


@dataclass(frozen=True)
class Consensus:
    """The partition that many partitions, matched to each other, vote for.

    Parameters
    ----------
    labels : ndarray of int16, shape (n_neurons,)
        0 is the largest cluster; -1 where no partition places the neuron.
    support : ndarray of float64, shape (n_neurons,)
        Share of the partitions that place the neuron whose matched cluster is the neuron's own; NaN where
        none does. With m partitions it cannot fall below 1/m.
    n_votes : ndarray of int64, shape (n_neurons,)
        Partitions that place the neuron.
    matches : ndarray of int64, shape (n_partitions, n_clusters)
        ``matches[b, j]``: the consensus cluster that cluster j of partition b is matched with.
    agreement : float
        Mean over pairs of partitions of the share of shared neurons that lie in matched clusters (the
        criterion, 0 to 1).
    n_rounds : int
        Rounds until no matching changed.
    """

    labels: NDArray[np.int16]
    support: NDArray[np.float64]
    n_votes: NDArray[np.int64]
    matches: NDArray[np.int64]
    agreement: float
    n_rounds: int


def consensus(partitions: Sequence[NDArray[np.integer[Any]]], n_clusters: int) -> Consensus:
    r"""Match the clusters of all partitions to common ones and let every partition vote.

    Parameters
    ----------
    partitions : sequence of ndarray of int, each of shape (n_neurons,)
        At least two; labels below ``n_clusters``, -1 where a partition does not place a neuron.
    n_clusters : int
        Clusters of the consensus.

    Returns
    -------
    Consensus
        Ties go to the consensus cluster with the lower number.

    Raises
    ------
    InputError
        If there are fewer than two partitions, a label is too high, or the lengths differ.

    Notes
    -----
    Voting after Dimitriadou, Weingessel & Hornik (Int. J. Pattern Recognit. Artif. Intell. 16(7), 2002), with
    the fixed-point iteration for Euclidean soft consensus partitions of Hornik (J. Stat. Softw. 14(12), 2005):
    with membership matrices M_b and permutations P_b it climbs

    .. math:: \sum_{b < c} \mathrm{tr}\big((M_b P_b)^T M_c P_c\big)

    by matching one partition at a time (Hungarian assignment) to the sum of all others, until none moves, from
    the five partitions that agree most with the rest; the best end is kept. M_b' M_c is the contingency table of
    b and c: after one pass over the neurons per pair, all work is on n_clusters x n_clusters tables.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex import consensus
    >>> once, again = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    >>> found = consensus([once, again, once], 2).labels
    >>> bool(found[0] == found[1] != found[2] == found[3])
    True
    """
    partitions, _ = assigned_in_all(partitions)
    _check(partitions, n_clusters)
    tables = _pair_tables(partitions, n_clusters)
    shared = {pair: max(int(table.sum()), 1) for pair, table in tables.items()}
    best: tuple[float, int, NDArray[np.int64]] | None = None
    for start in _starts(tables, shared, len(partitions)):
        matches, n_rounds = _climb(tables, len(partitions), n_clusters, start)
        found = float(
            np.mean([_overlap(tables[b, c], matches[b], matches[c]) / shared[b, c] for b, c in tables])
        )
        if best is None or found > best[0] + 1e-12:
            best = (found, n_rounds, matches)
    assert best is not None
    return _vote(partitions, best[2], n_clusters, agreement=best[0], n_rounds=best[1])


def _check(partitions: Sequence[NDArray[np.integer[Any]]], n_clusters: int) -> None:
    if len(partitions) < 2:
        raise InputError(f"a consensus needs at least 2 partitions, got {len(partitions)}; run more seeds.")
    highest = max(int(one.max(initial=-1)) for one in partitions)
    if highest >= n_clusters:
        raise InputError(
            f"labels should lie below n_clusters={n_clusters}, but reach {highest}; give the largest number of "
            "clusters that a partition has."
        )


Tables = dict[tuple[int, int], NDArray[np.int64]]


def _pair_tables(partitions: Sequence[NDArray[np.integer[Any]]], n_clusters: int) -> Tables:
    """Contingency tables of all pairs b < c."""
    shape = (n_clusters, n_clusters)
    return {
        (b, c): contingency(partitions[b], partitions[c], shape)
        for b, c in combinations(range(len(partitions)), 2)
    }


def _starts(tables: Tables, shared: dict[tuple[int, int], int], n: int) -> list[int]:
    """Partitions in falling order of their mean matched share with all others."""
    total = np.zeros(n)
    for (b, c), table in tables.items():
        first, second = linear_sum_assignment(table, maximize=True)
        total[[b, c]] += table[first, second].sum() / shared[b, c]
    return [int(b) for b in np.argsort(-total, kind="stable")[:_N_STARTS]]


def _climb(tables: Tables, n: int, n_clusters: int, start: int) -> tuple[NDArray[np.int64], int]:
    """Match partitions one at a time to the sum of those matched already, until nothing changes."""
    matches = np.tile(np.arange(n_clusters), (n, 1))
    order = [start, *(b for b in range(n) if b != start)]
    for place, b in enumerate(order[1:], start=1):
        matches[b] = _best(_votes(tables, matches, b, order[:place]))
    rows = np.arange(n_clusters)
    for n_rounds in range(1, _MAX_ROUNDS + 1):
        changed = False
        for b in order:
            votes = _votes(tables, matches, b, [c for c in order if c != b])
            found = _best(votes)
            if votes[rows, found].sum() > votes[rows, matches[b]].sum():
                matches[b], changed = found, True
        if not changed:
            return matches, n_rounds
    return matches, _MAX_ROUNDS


def _votes(tables: Tables, matches: NDArray[np.int64], b: int, others: Sequence[int]) -> NDArray[np.int64]:
    """Votes of the others for each pair (cluster of b, common cluster), (n_clusters, n_clusters)."""
    votes = np.zeros((matches.shape[1], matches.shape[1]), dtype=np.int64)
    for c in others:
        table = tables[b, c] if b < c else tables[c, b].T
        votes[:, matches[c]] += table  # a permutation: no index comes twice
    return votes


def _best(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Common cluster of each cluster, so that votes are most."""
    found: NDArray[np.int64] = linear_sum_assignment(votes, maximize=True)[1]
    return found


def _overlap(table: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> int:
    """Neurons in matched clusters of two partitions."""
    back = np.argsort(c)  # cluster of the second partition by common cluster
    return int(table[np.arange(len(b)), back[b]].sum())


def _vote(
    partitions: Sequence[NDArray[np.integer[Any]]],
    matches: NDArray[np.int64],
    n_clusters: int,
    *,
    agreement: float,
    n_rounds: int,
) -> Consensus:
    n = len(partitions[0])
    votes = np.zeros((n, n_clusters), dtype=np.int32)
    for one, match in zip(partitions, matches, strict=True):
        placed = np.flatnonzero(one >= 0)
        votes[placed, match[one[placed]]] += 1
    n_votes = votes.sum(axis=1, dtype=np.int64)
    placed = n_votes > 0
    labels = np.where(placed, votes.argmax(axis=1), -1)
    order = canonical_order(labels[placed], n_clusters)
    numbered = np.full(n, -1, dtype=np.int16)
    numbered[placed] = relabel(labels[placed], order)
    new_number = np.argsort(order)
    support = np.full(n, np.nan)
    support[placed] = votes.max(axis=1)[placed] / n_votes[placed]
    return Consensus(
        labels=numbered,
        support=support,
        n_votes=n_votes,
        matches=new_number[matches],
        agreement=agreement,
        n_rounds=n_rounds,
    )
