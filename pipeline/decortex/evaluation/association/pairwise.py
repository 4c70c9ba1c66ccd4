"""Which clusters differ in performance: Mann-Whitney tests of all pairs with Holm's correction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from decortex.errors import InputError
from decortex.evaluation.association.multiple_testing import holm
from decortex.labels import assigned_only

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PairTest:
    """Two clusters compared; None where one of them has no defined score.

    Parameters
    ----------
    first, second : int
        The clusters, first < second.
    n_first, n_second : int
        Neurons with a defined score.
    rank_biserial : float or None
        2 U/(n_first n_second) - 1: 1 where every neuron of ``first`` scores higher, -1 where lower.
    p, p_holm : float or None
        Two-sided Mann-Whitney p, alone and corrected over all pairs of this partition. Like Kruskal-Wallis
        it takes the neurons of a session for independent.
    """

    first: int
    second: int
    n_first: int
    n_second: int
    rank_biserial: float | None
    p: float | None
    p_holm: float | None


def pairwise_tests(scores: FloatArray, labels: NDArray[np.integer[Any]]) -> tuple[PairTest, ...]:
    """Compare the scores of every pair of clusters.

    Parameters
    ----------
    scores : ndarray of float, shape (n_neurons,)
        NaN where undefined.
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.

    Raises
    ------
    InputError
        If the two do not describe the same neurons.

    Examples
    --------
    >>> import numpy as np
    >>> (pair,) = pairwise_tests(np.arange(8.0), np.repeat([0, 1], 4))
    >>> pair.rank_biserial
    -1.0
    """
    labels, scores = assigned_only(labels, scores)
    if scores.ndim != 1:
        raise InputError(f"expected one score per neuron, got scores of shape {scores.shape}.")
    defined = ~np.isnan(scores)
    values = {int(j): scores[defined & (labels == j)] for j in np.unique(labels)}
    tests = [_compare(i, j, values[i], values[j]) for i, j in combinations(sorted(values), 2)]
    tested = [index for index, test in enumerate(tests) if test.p is not None]
    corrected = dict(zip(tested, holm(np.array([tests[index].p for index in tested])), strict=True))
    return tuple(
        PairTest(t.first, t.second, t.n_first, t.n_second, t.rank_biserial, t.p, corrected.get(index))
        for index, t in enumerate(tests)
    )


def _compare(first: int, second: int, a: FloatArray, b: FloatArray) -> PairTest:
    if not len(a) or not len(b):
        return PairTest(first, second, len(a), len(b), None, None, None)
    result = mannwhitneyu(a, b, alternative="two-sided", method="asymptotic")
    # All values equal: no evidence of a difference, where the normal approximation would divide by 0.
    p = 1.0 if np.isnan(result.pvalue) else float(result.pvalue)
    return PairTest(
        first, second, len(a), len(b), float(2 * result.statistic / (len(a) * len(b)) - 1), p, None
    )
