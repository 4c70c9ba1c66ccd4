"""From losses on held-out neurons to an answer: two increments, each with a test, and a margin for the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from decortex.evaluation.types_or_axes.result import Answer, Increment, Reason

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Contrast:
    """A mean over neurons with its standard error over blocks."""

    mean: float
    error: float
    df: int

    @property
    def p(self) -> float:
        """One-sided, of 'not above zero'; a contrast that is zero in every neuron has 1."""
        if self.error == 0:
            return 0.0 if self.mean > 0 else 1.0
        return float(stats.t.sf(self.mean / self.error, self.df))

    def increment(self, alpha: float) -> Increment:
        """With the interval that belongs to one-sided tests at `alpha`."""
        half = float(stats.t.isf(alpha, self.df)) * self.error
        return Increment(self.mean, self.mean - half, self.mean + half, self.p)


def contrast(values: FloatArray, blocks: IntArray | None) -> Contrast:
    """Mean of one value per neuron, and its standard error from sums over blocks.

    With blocks, e_b = sum over the neurons of block b of (d_i - mean); the error is sqrt(B / (B - 1) sum_b e_b^2) / n
    (the cluster-robust variance of a mean), with B - 1 degrees of freedom. Without, every neuron is its own block.

    Parameters
    ----------
    values : ndarray, shape (n_neurons,)
    blocks : ndarray of int, shape (n_neurons,), or None
        From 0, without gaps.
    """
    mean = float(values.mean())
    rest = values - mean
    sums = rest if blocks is None else np.bincount(blocks, weights=rest)
    n_blocks = len(sums)
    error = float(np.sqrt(n_blocks / (n_blocks - 1) * (sums**2).sum()) / len(values))
    return Contrast(mean, error, n_blocks - 1)


def decide(
    explained: FloatArray,
    clusters_add: FloatArray,
    axes_add: FloatArray,
    *,
    blocks: IntArray | None,
    alpha: float,
    margin: float,
) -> tuple[Answer, Reason]:
    """Answer from what each description adds, neuron by neuron.

    Nothing predicts the target (`explained` not above zero): undecided. One description adds, and the other less than
    `margin` times as much: that one. Each adds more than `margin` times what the other adds: both. Else undecided.
    Everything is tested one-sided at `alpha`, differences neuron by neuron.
    """

    def above(values: FloatArray) -> bool:
        return contrast(values, blocks).p <= alpha

    if not above(explained):
        return "undecided", "not_predicted"
    clusters, axes = above(clusters_add), above(axes_add)
    if clusters and above(margin * clusters_add - axes_add):
        return "clusters", "decided"
    if axes and above(margin * axes_add - clusters_add):
        return "axes", "decided"
    if (
        clusters
        and axes
        and above(clusters_add - margin * axes_add)
        and above(axes_add - margin * clusters_add)
    ):
        return "both", "decided"
    return "undecided", "too_close"
