"""Gap statistic: within-cluster dispersion against uniform references (Tibshirani, Walther & Hastie 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from decortex.distances import robust_centre
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.selection.config import CriterionValue

FloatArray = NDArray[np.float64]


def dispersion(x: FloatArray, labels: NDArray[np.int16]) -> float:
    """Sum over neurons of the squared distance to their cluster's mean.

    Examples
    --------
    >>> import numpy as np
    >>> dispersion(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1], np.int16))
    2.0
    """
    sizes = np.bincount(labels)
    sums = np.zeros((len(sizes), x.shape[1]))
    np.add.at(sums, labels, x)
    means = sums / np.maximum(sizes, 1)[:, None]
    return float(((x - means[labels]) ** 2).sum())


def reference(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Neurons uniform in the box of the data along their principal axes ('Gap/PC').

    Examples
    --------
    >>> import numpy as np
    >>> reference(np.random.default_rng(0).normal(size=(30, 2)), np.random.default_rng(1)).shape
    (30, 2)
    """
    mean = x.mean(axis=0)
    _, _, right = np.linalg.svd(x - mean, full_matrices=False)
    turned = (x - mean) @ right.T
    drawn: FloatArray = rng.uniform(turned.min(axis=0), turned.max(axis=0), size=turned.shape)
    placed: FloatArray = drawn @ right + mean
    return placed


def gap_statistic(
    x: FloatArray, labels: NDArray[np.int16], clusterer: Clusterer, k: int, *, n_references: int, seed: int
) -> CriterionValue:
    """Gap(k) = mean_b log W_b(k) - log W(k); the interval is Gap -+ s_k, s_k = sd_b sqrt(1 + 1/B).

    Parameters
    ----------
    x, labels : ndarray, shape (n_neurons, n_features) and (n_neurons,)
        Embedding and its partition by the method.
    clusterer, k : Clusterer, int
        What is fitted to the references.
    n_references, seed : int
        References and their seed; those of one seed are the same for every K.
    """
    x = x - robust_centre(x)  # gap is the same wherever the neurons lie; sums of squares are not
    own = dispersion(x, labels)
    if own <= 1e-24 * float((x**2).sum()):
        return CriterionValue("gap", k, None, None, None, len(x), "zero_spread")
    logs = []
    for b in range(n_references):
        uniform = reference(x, np.random.default_rng([seed, b]))
        of = np.zeros(len(x), dtype=np.int16) if k == 1 else clusterer.fit(uniform, k, seed).labels
        logs.append(np.log(max(dispersion(uniform, of), np.finfo(float).tiny)))
    gap = float(np.mean(logs) - np.log(own))
    s = float(np.std(logs) * np.sqrt(1 + 1 / n_references))
    return CriterionValue("gap", k, gap, gap - s, gap + s, len(x), "ok")


def first_within_one_error(curve: Sequence[CriterionValue]) -> int | None:
    """Smallest k with Gap(k) >= Gap(k+1) - s_(k+1), over the values of a grid; None where no k satisfies it.

    Parameters
    ----------
    curve : sequence of CriterionValue
        Gap by ascending k, beginning with 1; k+1 is the next value of the grid.
    """
    defined = [point for point in curve if point.value is not None]
    for here, after in pairwise(defined):
        assert here.value is not None
        assert after.low is not None
        if here.value >= after.low:
            return here.k
    return None
