"""Agreement between partitions of the same neurons: seeds, methods, ground truth. No null models here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from decortex.errors import InputError
from decortex.evaluation.agreement.mutual_information import (
    adjusted_mutual_information,
    entropy,
    mutual_information,
)
from decortex.labels import NOT_ASSIGNED, check_labels

AgreementStatus = Literal["ok", "one_cluster", "all_singletons"]
Labels = NDArray[np.integer[Any]]

# Cells above which labels are renumbered without gaps before they are counted.
_LARGE_TABLE = 10_000_000
# Cells of the largest table that is made: 1 GiB.
_LARGEST_TABLE = 2**27


@dataclass(frozen=True)
class Agreement:
    """Agreement of two partitions, corrected for chance where the index has a correction.

    Parameters
    ----------
    status : {'ok', 'one_cluster', 'all_singletons'}
        Both partitions are trivial in the same way: every index is 0/0 and None. One trivial partition
        against a real one is defined (ARI and AMI are 0) and 'ok'.
    n_neurons : int
        Neurons compared.
    ari, ami : float or None
        Adjusted Rand index (Hubert & Arabie 1985), adjusted mutual information (arithmetic mean).
    v_measure, fowlkes_mallows : float or None
        Not corrected for chance: they rise with the number of clusters alone. Fowlkes & Mallows' index of a partition
        into singletons is 0/0 and None.
    """

    status: AgreementStatus
    n_neurons: int
    ari: float | None
    ami: float | None
    v_measure: float | None
    fowlkes_mallows: float | None


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of the partitions at positions ``first`` < ``second`` of a list."""

    first: int
    second: int
    agreement: Agreement


@dataclass(frozen=True)
class MatchedConfusion:
    """Clusters of two partitions matched one to one so that they share most neurons.

    Parameters
    ----------
    table : ndarray of int64, shape (n_clusters_a, n_clusters_b)
        Neurons that cluster i of the first and cluster j of the second share.
    first, second : ndarray of int64, shape (n_matched,)
        Cluster ``first[m]`` is matched with ``second[m]``; n_matched is the smaller number of clusters.
    share : float
        Share of the neurons that lie in matched clusters.
    """

    table: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: float


def agreement(a: Labels, b: Labels) -> Agreement:
    """Compare two partitions of the same neurons; their numbering does not matter.

    Parameters
    ----------
    a, b : array_like of int, shape (n_neurons,)
        Labels (or known types), neuron by neuron, as `decortex.labels.check_labels` takes them. A neuron that
        either leaves without a cluster (-1) is not compared.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, share none, or are not labels.

    Notes
    -----
    O(n_neurons) for the contingency table; every index is computed from it.

    Examples
    --------
    >>> from decortex import agreement
    >>> agreement([0, 0, 1, 1], [5, 5, 2, 2]).ari
    1.0
    """
    a, b = _assigned_in_both(a, b)
    if len(a) and (int(a.max()) + 1) * (int(b.max()) + 1) > _LARGE_TABLE:
        a, b = (np.unique(labels, return_inverse=True)[1].astype(np.int64) for labels in (a, b))
        if a.max() == b.max() == len(a) - 1:
            return Agreement("all_singletons", len(a), None, None, None, None)
    return table_agreement(contingency(a, b))


def table_agreement(table: NDArray[np.int64]) -> Agreement:
    """Compare two partitions by their contingency table, (n_clusters_a, n_clusters_b); empty clusters count nothing.

    Raises
    ------
    InputError
        If the table holds no neuron.

    Examples
    --------
    >>> import numpy as np
    >>> table_agreement(np.array([[5, 0], [0, 3]])).ari
    1.0
    """
    n = int(table.sum())
    if n == 0:
        raise InputError("the two partitions share no neuron: there is nothing to compare.")
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    k_a, k_b = np.count_nonzero(rows), np.count_nonzero(columns)
    if k_a == k_b == 1:
        return Agreement("one_cluster", n, None, None, None, None)
    if k_a == k_b == n:
        return Agreement("all_singletons", n, None, None, None, None)
    # Counts of ordered pairs of neurons as Python integers, which do not overflow: together in both
    # partitions, in the first, in the second.
    both = int(np.sum(table * table)) - n
    in_a, in_b = int(np.sum(rows * rows)) - n, int(np.sum(columns * columns)) - n
    return Agreement(
        status="ok",
        n_neurons=n,
        ari=_adjusted_rand(both, in_a, in_b, n * (n - 1)),
        ami=0.0 if 1 in (k_a, k_b) else adjusted_mutual_information(table),
        v_measure=_v_measure(table),
        # no pair is together in a partition of singletons: 0/0
        fowlkes_mallows=float(both / np.sqrt(float(in_a) * float(in_b))) if in_a and in_b else None,
    )


def _adjusted_rand(both: int, in_a: int, in_b: int, pairs: int) -> float:
    """(index - expectation)/(mean of the maxima - expectation), in counts of pairs (Hubert & Arabie 1985)."""
    if both == in_a == in_b:
        return 1.0
    # Multiplied by the number of pairs, so that all but the last division are exact.
    return float(2 * (both * pairs - in_a * in_b) / (pairs * (in_a + in_b) - 2 * in_a * in_b))


def _v_measure(table: NDArray[np.int64]) -> float:
    """Harmonic mean of homogeneity and completeness (Rosenberg & Hirschberg 2007)."""
    total = entropy(table.sum(axis=1)) + entropy(table.sum(axis=0))
    return 2 * mutual_information(table) / total


def pairwise_agreement(partitions: Sequence[Labels]) -> list[PairAgreement]:
    """Compare every pair of partitions of a list once, in the order of its positions.

    Raises
    ------
    InputError
        If there are fewer than two partitions, or two that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([0, 0, 1, 1])
    >>> [pair.agreement.ari for pair in pairwise_agreement([a, 1 - a])]
    [1.0]
    """
    if len(partitions) < 2:
        raise InputError(
            f"agreement needs at least 2 partitions, got {len(partitions)}; run more seeds or methods."
        )
    return [
        PairAgreement(i, j, agreement(partitions[i], partitions[j]))
        for i, j in combinations(range(len(partitions)), 2)
    ]


def matched_confusion(a: Labels, b: Labels) -> MatchedConfusion:
    """Match clusters one to one (Hungarian assignment) so that most neurons agree.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, share none, or are not labels.

    Examples
    --------
    >>> import numpy as np
    >>> one = matched_confusion(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1]))
    >>> (one.second.tolist(), one.share)
    ([1, 0], 0.75)
    """
    a, b = _assigned_in_both(a, b)
    if not len(a):
        raise InputError("the two partitions share no neuron: there is nothing to compare.")
    return match_table(contingency(a, b))


def contingency(a: Labels, b: Labels, n_clusters: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """Count shared neurons: table[i, j] neurons have label i in ``a`` and j in ``b``.

    Parameters
    ----------
    a, b : array_like of int, shape (n_neurons,)
        Labels, as `decortex.labels.check_labels` takes them; -1 keeps a neuron out.
    n_clusters : tuple of int, optional
        Shape of the table; default: as many as the largest labels ask for.

    Returns
    -------
    ndarray of int64, shape n_clusters
        All zero where the two share no neuron.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, are not labels, or the table does not hold them.

    Examples
    --------
    >>> import numpy as np
    >>> contingency(np.array([0, 0, 1]), np.array([1, 1, 0])).tolist()
    [[0, 2], [1, 0]]
    """
    a, b = _same_neurons(a, b)
    needed = int(a.max(initial=-1)) + 1, int(b.max(initial=-1)) + 1
    rows, columns = n_clusters or needed
    if rows < needed[0] or columns < needed[1]:
        raise InputError(
            f"labels reach {needed[0] - 1} and {needed[1] - 1}, which a table of {rows} by {columns} clusters does "
            "not hold."
        )
    if rows * columns > _LARGEST_TABLE:
        raise InputError(
            f"a table of {rows} by {columns} clusters is too large: renumber the labels without gaps, "
            "np.unique(labels, return_inverse=True)[1]."
        )
    both = (a != NOT_ASSIGNED) & (b != NOT_ASSIGNED)
    pairs = a[both] * columns + b[both]
    return np.bincount(pairs, minlength=rows * columns).reshape(rows, columns).astype(np.int64)


def match_table(table: NDArray[np.int64]) -> MatchedConfusion:
    """Match the clusters of a contingency table one to one so that most neurons agree.

    Examples
    --------
    >>> import numpy as np
    >>> match_table(np.array([[1, 5], [4, 0]])).second.tolist()
    [1, 0]
    """
    first, second = linear_sum_assignment(table, maximize=True)
    return MatchedConfusion(
        table=table,
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        share=float(table[first, second].sum() / max(int(table.sum()), 1)),
    )


def _same_neurons(a: Labels, b: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = check_labels(a, name="the first labels"), check_labels(b, name="the second labels")
    if first.shape != second.shape:
        raise InputError(
            "expected two label arrays of the same neurons, (n_neurons,) each, got "
            f"{first.shape} and {second.shape}."
        )
    return first, second


def _assigned_in_both(a: Labels, b: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = _same_neurons(a, b)
    both = (first != NOT_ASSIGNED) & (second != NOT_ASSIGNED)
    return first[both], second[both]
