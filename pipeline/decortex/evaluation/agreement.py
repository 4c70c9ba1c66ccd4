"""Agreement between partitions of the same neurons: seeds, methods, ground truth. No null models here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    fowlkes_mallows_score,
    v_measure_score,
)

from decortex.errors import InputError

AgreementStatus = Literal["ok", "one_cluster", "all_singletons"]
Labels = NDArray[np.integer[Any]]


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
    O(n_neurons) through the contingency table; scikit-learn computes every index.
    """
    _check(a, b)
    n = len(a)
    k_a, k_b = len(np.unique(a)), len(np.unique(b))
    if k_a == k_b == 1:
        return Agreement("one_cluster", n, None, None, None, None)
    if k_a == k_b == n:
        return Agreement("all_singletons", n, None, None, None, None)
    return Agreement(
        status="ok",
        n_neurons=n,
        ari=float(adjusted_rand_score(a, b)),
        ami=float(adjusted_mutual_info_score(a, b)),
        v_measure=float(v_measure_score(a, b)),
        fowlkes_mallows=float(fowlkes_mallows_score(a, b)),
    )


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
    n_rows, n_columns = int(a.max()) + 1, int(b.max()) + 1
    pairs = a.astype(np.int64) * n_columns + b.astype(np.int64)
    return np.bincount(pairs, minlength=n_rows * n_columns).reshape(n_rows, n_columns).astype(np.int64)


def matched_confusion(a: Labels, b: Labels) -> MatchedConfusion:
    """Match clusters one to one (Hungarian assignment) so that most neurons agree.

    Raises
    ------
    InputError
        If they do not label the same number of neurons, or a label is negative.
    """
    table = contingency(a, b)
    first, second = linear_sum_assignment(table, maximize=True)
    return MatchedConfusion(
        table=table,
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        share=float(table[first, second].sum() / len(a)),
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
