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

AgreementStatus = Literal["ok", "one_cluster", "all_singletons"]
Labels = NDArray[np.integer[Any]]

# Cells above which labels are renumbered without gaps before they are counted.
_LARGE_TABLE = 10_000_000


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
        Not corrected for chance: they rise with the number of clusters alone.
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
    a, b : ndarray of int, shape (n_neurons,)
        Labels >= 0 (or known types), neuron by neuron.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, or a label is negative.

    Notes
    -----
    O(n_neurons) for the contingency table; every index is computed from it.
    """
    _check(a, b)
    if (int(a.max()) + 1) * (int(b.max()) + 1) > _LARGE_TABLE:
        a, b = (np.unique(labels, return_inverse=True)[1] for labels in (a, b))
        if a.max() == b.max() == len(a) - 1:
            return Agreement("all_singletons", len(a), None, None, None, None)
    return table_agreement(shared_table(a, b))


def table_agreement(table: NDArray[np.int64]) -> Agreement:
    """Compare two partitions by their contingency table, (n_clusters_a, n_clusters_b); empty clusters count nothing.

    Raises
    ------
    InputError
        If the table holds no neuron.
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
        fowlkes_mallows=0.0 if both == 0 else float(both / np.sqrt(float(in_a) * float(in_b))),
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
    """
    if len(partitions) < 2:
        raise InputError(
            f"agreement needs at least 2 partitions, got {len(partitions)}; run more seeds or methods."
        )
    return [
        PairAgreement(i, j, agreement(partitions[i], partitions[j]))
        for i, j in combinations(range(len(partitions)), 2)
    ]


def contingency(a: Labels, b: Labels) -> NDArray[np.int64]:
    """Count shared neurons: table[i, j] neurons have label i in ``a`` and j in ``b``.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, or a label is negative.
    """
    _check(a, b)
    return shared_table(a, b)


def matched_confusion(a: Labels, b: Labels) -> MatchedConfusion:
    """Match clusters one to one (Hungarian assignment) so that most neurons agree.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, or a label is negative.
    """
    return match_table(contingency(a, b))


def shared_table(a: Labels, b: Labels, n_clusters: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """Contingency table over the neurons that both partitions place (label >= 0).

    Parameters
    ----------
    a, b : ndarray of int, shape (n_neurons,)
        Labels; a negative one keeps a neuron out.
    n_clusters : tuple of int, optional
        Shape of the table; default: as many as the largest labels ask for.

    Returns
    -------
    ndarray of int64, shape n_clusters
        All zero where the two share no neuron.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, or are not integers.
    """
    if a.ndim != 1 or a.shape != b.shape or not all(np.issubdtype(x.dtype, np.integer) for x in (a, b)):
        raise InputError(
            "expected two integer label arrays of the same neurons, (n_neurons,) each, got "
            f"{a.dtype}{a.shape} and {b.dtype}{b.shape}."
        )
    rows, columns = n_clusters or (int(a.max(initial=-1)) + 1, int(b.max(initial=-1)) + 1)
    placed = (a >= 0) & (b >= 0)
    pairs = a[placed].astype(np.int64) * columns + b[placed]
    return np.bincount(pairs, minlength=rows * columns).reshape(rows, columns).astype(np.int64)


def match_table(table: NDArray[np.int64]) -> MatchedConfusion:
    """Match the clusters of a contingency table one to one so that most neurons agree."""
    first, second = linear_sum_assignment(table, maximize=True)
    return MatchedConfusion(
        table=table,
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        share=float(table[first, second].sum() / max(int(table.sum()), 1)),
    )


def _check(a: Labels, b: Labels) -> None:
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise InputError(
            "expected two label arrays of the same neurons, (n_neurons,) each and not empty, got "
            f"{a.shape} and {b.shape}."
        )
    for labels in (a, b):
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise InputError(
                f"labels should be integers >= 0, got dtype {labels.dtype} with smallest {labels.min()}; "
                "leave out the neurons that have no cluster."
            )
