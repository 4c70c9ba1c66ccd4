"""The three descriptions of one fold, clusters, axes, and both, each at the freedom that training neurons choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import fit_grid, predict
from decortex.evaluation.types_or_axes.bases import Axes, Smooth, indicators
from decortex.evaluation.types_or_axes.config import TypesOrAxesConfig
from decortex.evaluation.types_or_axes.regression import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Columns of training neurons, centred within their blocks, and of held-out neurons, less the training neurons' mean.
Pair = tuple[FloatArray, FloatArray]

# The descriptions that are predicted from, in the order of `FoldPredictions.values`.
DESCRIPTIONS = ("mean", "clusters", "axes", "axes_wide", "both")


@dataclass(frozen=True)
class Candidate:
    """One model: its columns on training and held-out neurons, and its freedom.

    Parameters
    ----------
    design : Design
        Of the training neurons.
    free, penalised : ndarray
        The same columns of held-out neurons.
    freedom : int
        Degrees of freedom without the mean.
    n_clusters : int
        Clusters in it; 1: none.
    """

    design: Design
    free: FloatArray
    penalised: FloatArray
    freedom: int
    n_clusters: int

    @classmethod
    def of(cls, free: Pair, freedom: int, n_clusters: int, penalised: Pair | None = None) -> Candidate:
        """Candidate of free and penalised columns."""
        smooth = (free[0][:, :0], free[1][:, :0]) if penalised is None else penalised
        return cls(Design.of(free[0], smooth[0]), free[1], smooth[1], freedom, n_clusters)

    def error(self, y: FloatArray) -> float:
        """Mean squared error on training neurons, each left out."""
        return float(self.design.left_out(y, self.freedom).mean())

    def predicted(self, y: FloatArray) -> FloatArray:
        """Target of held-out neurons, as a difference from the mean."""
        free, weights = self.design.fit(y, self.freedom)
        values: FloatArray = self.free @ free + self.penalised @ weights
        return values


@dataclass(frozen=True)
class FoldPredictions:
    """Predictions of held-out neurons.

    Parameters
    ----------
    values : ndarray, shape (5, n_held_out, n_targets)
        By `DESCRIPTIONS`.
    n_clusters, axes_freedom : int
        Chosen.
    """

    values: FloatArray
    n_clusters: int
    axes_freedom: int


def fold_predictions(
    x: FloatArray,
    y: FloatArray,
    held_out: FloatArray,
    *,
    blocks: IntArray | None,
    seed: int,
    config: TypesOrAxesConfig,
) -> FoldPredictions:
    """Predict the target of held-out neurons by every description, chosen and fitted on training neurons.

    Clusters choose their number K. Axes choose among straight and smooth functions with at most K - 1 degrees of
    freedom, wide axes with at most 2 (K - 1). Both choose among everything with at most 2 (K - 1): clusters with axes,
    and either alone.

    Parameters
    ----------
    x : ndarray, shape (n_training, n_features)
    y : ndarray, shape (n_training, n_targets)
    held_out : ndarray, shape (n_held_out, n_features)
    blocks : ndarray of int, shape (n_training,), or None
        Everything is fitted to differences within blocks.
    seed : int
        Of clusters and landmarks.
    config : TypesOrAxesConfig

    Returns
    -------
    FoldPredictions
    """
    counts = usable_counts(config, len(x))
    freedoms = [k - 1 for k in counts]
    axes = axis_columns(x, held_out, freedoms[-1], blocks=blocks, seed=seed, config=config)
    within = y - block_means(y, blocks)
    nothing = (np.zeros((len(x), 0)), np.zeros((len(held_out), 0)))
    mean = Candidate.of(nothing, 0, 1)
    clusters: dict[int, Pair] = {}
    for found in fit_grid(x, config.method, n_clusters=counts, seeds=[seed], **config.params):
        k = found.n_clusters
        pair = (indicators(found.labels, k), indicators(predict(found, held_out, x=x), k))
        clusters[k] = centred(pair, blocks)
    best_clusters = best([mean, *(Candidate.of(pair, k - 1, k) for k, pair in clusters.items())], within)
    most = 2 * max(best_clusters.n_clusters - 1, 1)
    alone = axes.candidates(nothing, [f for f in freedoms if f <= most], 1)
    best_axes = best([mean, *(one for one in alone if 2 * one.freedom <= most)], within)
    wide = best([mean, *alone], within)
    mixed = [
        one
        for k, pair in clusters.items()
        if k <= best_clusters.n_clusters
        for one in axes.candidates(pair, [f for f in freedoms if f + k - 1 <= most], k)
    ]
    both = best([best_clusters, wide, *mixed], within)
    chosen = (mean, best_clusters, best_axes, wide, both)
    values = y.mean(axis=0) + np.stack([one.predicted(within) for one in chosen])
    return FoldPredictions(values, best_clusters.n_clusters, best_axes.freedom)


def usable_counts(config: TypesOrAxesConfig, n_training: int) -> list[int]:
    """Numbers of clusters that leave enough training neurons per cluster, ascending."""
    return sorted(k for k in set(config.n_clusters) if k * config.min_per_cluster <= n_training)


def best(candidates: Sequence[Candidate], y: FloatArray) -> Candidate:
    """The candidate with the smallest error on training neurons left out one by one; of equals the first."""
    return candidates[int(np.argmin([candidate.error(y) for candidate in candidates]))]


@dataclass(frozen=True)
class AxisColumns:
    """Scores on principal axes, and smooth functions of the first ones by their number."""

    scores: Pair
    smooth: dict[int, Pair]

    def candidates(self, beside: Pair, freedoms: Sequence[int], n_clusters: int) -> list[Candidate]:
        """Straight and smooth axes of these freedoms, alone or beside indicators of clusters."""
        found = []
        for f in freedoms:
            if f <= self.scores[0].shape[1]:
                found.append(Candidate.of(_joined(beside, self.scores, f), f + n_clusters - 1, n_clusters))
        for q, functions in self.smooth.items():
            wider = [f + n_clusters - 1 for f in freedoms if f > q]
            if wider:
                first = Candidate.of(_joined(beside, self.scores, q), wider[0], n_clusters, functions)
                found += [first, *(replace(first, freedom=f) for f in wider[1:])]
        return found


def axis_columns(
    x: FloatArray,
    held_out: FloatArray,
    n_axes: int,
    *,
    blocks: IntArray | None,
    seed: int,
    config: TypesOrAxesConfig,
) -> AxisColumns:
    """Axes and smooth functions of training neurons, applied to both."""
    axes = Axes.of(x, n_axes)
    scores = (axes.scores(x), axes.scores(held_out))
    rng = np.random.default_rng(seed)
    smooth = {}
    for q in sorted(set(config.smooth_axes)):
        if q <= axes.n_axes:
            functions = Smooth.of(scores[0][:, :q], config.n_landmarks, rng)
            smooth[q] = centred(
                (functions.columns(scores[0][:, :q]), functions.columns(scores[1][:, :q])), blocks
            )
    return AxisColumns(centred(scores, blocks), smooth)


def _joined(beside: Pair, scores: Pair, n_axes: int) -> Pair:
    train = np.column_stack([beside[0], scores[0][:, :n_axes]])
    return train, np.column_stack([beside[1], scores[1][:, :n_axes]])


def centred(columns: Pair, blocks: IntArray | None) -> Pair:
    """Training columns less the mean of their block, held-out columns less the mean of the training neurons."""
    train, test = columns
    return train - block_means(train, blocks), test - train.mean(axis=0)


def block_means(values: FloatArray, blocks: IntArray | None) -> FloatArray:
    """Mean over the neurons of the same block, for every neuron and column; without blocks over all neurons."""
    if blocks is None:
        return np.broadcast_to(values.mean(axis=0), values.shape)
    names, codes = np.unique(blocks, return_inverse=True)
    member = indicators(codes, len(names))
    means: FloatArray = ((member.T @ values) / member.sum(axis=0)[:, None])[codes]
    return means
