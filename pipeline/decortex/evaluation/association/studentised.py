"""Wald statistics of clusters whose spreads differ, observed and permuted within sessions, for many partitions.

Shares of variance, which take one spread for all clusters, are in `freedman_lane` and `permutation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from decortex.errors import InputError
from decortex.evaluation.association.effect_sizes import orthonormal
from decortex.evaluation.association.permutation import GroupSums, shuffled_blocks

FloatArray = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

# 'studentised': every cluster has a variance of its own. 'share': one variance for all, as F and Kruskal-Wallis have.
Statistic = Literal["studentised", "share"]

# With fewer neurons a cluster's spread cannot be told from a difference of its mean: it is left out and counted.
SMALLEST_CLUSTER = 8
# Where every cluster has so many neurons, its mean is normal whatever the residuals that are permuted into it.
LARGE_CLUSTER = 50
# Degrees of freedom that the variance within all clusters adds to a cluster's own, in the statistic and where residuals
# are scaled before they change places. The first keeps tied scores from a variance of 0; the second was chosen by
# rejection rates at 8 neurons (docs/science/calibration-sessions.md).
_PRIOR_DF = 0.25
_SCALE_DF = 4.0
# Relative to the variance of all neurons: below it clusters are as good as without spread.
_SMALLEST_VARIANCE = 1e-12
_RANK_TOLERANCE = 1e-8


class ResidualMaker:
    """Residuals of session levels and covariates, for neurons whose sessions are contiguous.

    Covariates that vary within one session only (slopes by session) touch no other session: sessions that share no
    covariate are projected apart, which costs what common slopes cost.

    Parameters
    ----------
    sessions : ndarray of int64, shape (n_neurons,)
        0..n_sessions-1, sorted.
    covariates : ndarray of float64, shape (n_neurons, n_covariates)
        Finite columns of unit variance.

    Attributes
    ----------
    bounds : ndarray of int64, shape (n_sessions + 1,)
        Where each session begins, and the last ends.
    rank : int
        Columns that the covariates add to the session levels.
    """

    def __init__(self, sessions: NDArray[np.int64], covariates: FloatArray) -> None:
        self.sessions = sessions
        n = len(sessions)
        counts = np.bincount(sessions)
        self.bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._counts = counts[:, None].astype(np.float64)
        self._blocks: list[tuple[Any, FloatArray]] = []
        if covariates.shape[1] and n:
            starts = self.bounds[:-1]
            spread = np.maximum.reduceat(covariates, starts) - np.minimum.reduceat(covariates, starts)
            varies = (spread > 0).astype(np.int64)
            n_blocks, block = connected_components(sparse.csr_array(varies @ varies.T), directed=False)
            centred = self._centred(covariates)
            for index in range(n_blocks):
                rows = np.flatnonzero((block == index)[sessions])
                columns = np.flatnonzero(varies[block == index].any(axis=0))
                basis = orthonormal(centred[np.ix_(rows, columns)], scale=float(np.sqrt(n)))
                contiguous = rows[-1] - rows[0] + 1 == len(rows)
                if basis.shape[1]:
                    self._blocks.append((slice(rows[0], rows[-1] + 1) if contiguous else rows, basis))
        self.rank = sum(basis.shape[1] for _, basis in self._blocks)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Residuals of columns: (n_neurons, n_columns) -> the same shape."""
        left = self._centred(values)
        for rows, basis in self._blocks:
            left[rows] -= basis @ (basis.T @ left[rows])
        return left

    def basis(self) -> FloatArray:
        """Orthonormal columns of the covariates after session levels: (n_neurons, rank)."""
        columns = np.zeros((len(self.sessions), self.rank))
        begin = 0
        for rows, basis in self._blocks:
            columns[rows, begin : begin + basis.shape[1]] = basis
            begin += basis.shape[1]
        return columns

    def _centred(self, values: FloatArray) -> FloatArray:
        if not len(values):
            return values
        means = np.add.reduceat(values, self.bounds[:-1], axis=0) / self._counts
        centred: FloatArray = values - means[self.sessions]
        return centred


@dataclass(frozen=True)
class Contrasts:
    """The clusters of one partition that are compared, after session levels and covariates.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_neurons,)
        0..n_tested-1 for clusters that are compared; n_tested for the neurons of all others.
    n_tested, n_left_out : int
        Clusters that are compared, and those with fewer than `SMALLEST_CLUSTER` neurons.
    directions : ndarray of float64, shape (n_groups, rank)
        W with W' times the sums of the groups in ``labels`` the whitened contrasts; rank 0: nothing to compare.
    spreads : ndarray of float64, shape (n_tested, rank, rank)
        What one unit of variance in each cluster adds to the covariance of the contrasts.
    """

    labels: NDArray[np.int64]
    n_tested: int
    n_left_out: int
    directions: FloatArray
    spreads: FloatArray

    @classmethod
    def of(cls, labels: Labels, residuals_of: ResidualMaker) -> Contrasts:
        """Choose the clusters to compare.

        Parameters
        ----------
        labels : ndarray of int, shape (n_neurons,)
            Clusters, in the order of ``residuals_of``.
        residuals_of : ResidualMaker
            Of session levels and covariates.
        """
        dense = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        tested = np.bincount(dense) >= SMALLEST_CLUSTER
        n_tested = int(tested.sum())
        place = np.where(tested, np.cumsum(tested) - 1, n_tested)[dense]
        indicators = np.zeros((len(labels), n_tested + 1))
        indicators[np.arange(len(labels)), place] = 1.0
        Z = residuals_of(indicators)
        # The neurons of clusters that are left out have a level of their own in the reduced model.
        Z, rest = Z[:, :-1], Z[:, -1]
        left = float(rest @ rest)
        slope = (rest @ Z) / left if left > _RANK_TOLERANCE else np.zeros(n_tested)
        Z = Z - rest[:, None] * slope
        values, vectors = np.linalg.eigh(Z.T @ Z) if n_tested else (np.empty(0), np.empty((0, 0)))
        kept = values > _RANK_TOLERANCE * len(labels)
        directions = vectors[:, kept] / np.sqrt(values[kept])
        whitened = Z @ directions
        rank = directions.shape[1]
        spreads = np.zeros((n_tested, rank, rank))
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place[order], np.arange(n_tested + 1))
        for cluster in range(n_tested):
            rows = whitened[order[bounds[cluster] : bounds[cluster + 1]]]
            spreads[cluster] = rows.T @ rows
        if not tested.all():
            directions = np.vstack([directions, -(slope @ directions)])
        return cls(place, n_tested, int((~tested).sum()), directions, spreads)

    @property
    def rank(self) -> int:
        """Degrees of freedom between the clusters that are compared."""
        return int(self.directions.shape[1])

    @property
    def large(self) -> bool:
        """Whether every cluster that is compared has many neurons."""
        return bool(np.bincount(self.labels)[: self.n_tested].min(initial=LARGE_CLUSTER) >= LARGE_CLUSTER)

    def scale(self, residuals: FloatArray) -> FloatArray:
        """Standard deviation of every neuron's cluster, shrunk to that within all clusters: (n_neurons,)."""
        counts = np.bincount(self.labels).astype(np.float64)
        sums = np.bincount(self.labels, weights=residuals)
        within = np.bincount(self.labels, weights=residuals**2) - sums**2 / np.maximum(counts, 1)
        within, df = np.maximum(within, 0.0), np.maximum(counts - 1, 0)
        pooled = within.sum() / df.sum()
        if pooled <= _SMALLEST_VARIANCE * (residuals**2).mean():
            return np.ones(len(residuals))
        scale: FloatArray = np.sqrt((within + _SCALE_DF * pooled) / (df + _SCALE_DF))[self.labels]
        return scale


class WaldStatistics:
    r"""Wald statistics of the clusters of many partitions, each cluster with a variance of its own.

    With M the residual maker of the reduced model, m = M y*, C the cluster indicators and :math:`s_j^2` the variance of
    m in cluster j,

    .. math:: T = U' \Big( \sum_j s_j^2 Z_j' Z_j \Big)^{-} U, \quad U = C' m, \; Z = M C

    which is James' (1951) statistic where the reduced model is one level.

    Parameters
    ----------
    contrasts : sequence of Contrasts
        One a partition, of at least two comparable clusters each.
    """

    def __init__(self, contrasts: Sequence[Contrasts]) -> None:
        self.contrasts = contrasts
        self.sums = GroupSums([one.labels for one in contrasts])

    def __call__(self, m: FloatArray) -> FloatArray:
        """Statistics of residuals: (n_neurons, n_columns) -> (n_columns, n_partitions)."""
        n, columns = m.shape
        sums, squares = self.sums(m), self.sums(m**2)
        counts = self.sums.counts[:, None]
        within = np.maximum(squares - sums**2 / counts, 0.0)
        smallest = _SMALLEST_VARIANCE * (m**2).sum(axis=0) / n + np.finfo(float).tiny
        found = np.zeros((columns, len(self.contrasts)))
        for column, (start, one) in enumerate(zip(self.sums.starts, self.contrasts, strict=True)):
            rows = slice(start, start + one.n_tested)
            df = counts[rows] - 1
            pooled = np.maximum(within[rows].sum(axis=0) / df.sum(), smallest)
            variance = (within[rows] + _PRIOR_DF * pooled) / (df + _PRIOR_DF)
            U = (one.directions.T @ sums[start : start + len(one.directions)]).T
            V = (variance.T @ one.spreads.reshape(one.n_tested, -1)).reshape(columns, one.rank, one.rank)
            found[:, column] = (U * np.linalg.solve(V, U[:, :, None])[:, :, 0]).sum(axis=1)
        return found


def studentised_null(
    residuals: FloatArray,
    contrasts: Sequence[Contrasts],
    residuals_of: ResidualMaker,
    *,
    seed: int,
    n_permutations: int,
) -> tuple[FloatArray, FloatArray]:
    r"""Wald statistics observed and under permutation of residuals within sessions.

    A statistic that is studentised by cluster has one distribution in large samples whatever the clusters' spreads, so
    that its permutations are a reference also where scores of different clusters cannot be exchanged (Janssen 1997;
    Chung & Romano 2013; Pauly, Brunner & Konietschke 2015). With clusters of fewer than `LARGE_CLUSTER` neurons the
    residuals are divided by their cluster's standard deviation before they change places, and multiplied by that of the
    cluster they come to: :math:`y^* = \hat y + D P D^{-1} e`. Without it a small cluster gets the heavier tails of
    all neurons together.

    Parameters
    ----------
    residuals : ndarray of float64, shape (n_neurons,)
        Of the reduced model, sessions contiguous.
    contrasts : sequence of Contrasts
        One a partition, each of rank 1 or more. All share the permutations, so that maxima over them are valid.
    residuals_of : ResidualMaker
        Of the reduced model, in the same order.
    seed, n_permutations : int
        Of the permutations.

    Returns
    -------
    observed : ndarray of float64, shape (n_partitions,)
    null : ndarray of float64, shape (n_permutations, n_partitions)

    Raises
    ------
    InputError
        If n_permutations < 1 or there is no partition.
    """
    if n_permutations < 1:
        raise InputError(f"n_permutations should be at least 1, got {n_permutations}.")
    if not contrasts:
        raise InputError("expected at least one partition to test, none came.")
    large = [index for index, one in enumerate(contrasts) if one.large]
    shares = (
        [(large, np.ones(len(residuals)), WaldStatistics([contrasts[i] for i in large]))] if large else []
    )
    for index, one in enumerate(contrasts):
        if not one.large:
            shares.append(([index], one.scale(residuals), WaldStatistics([one])))
    observed = np.empty(len(contrasts))
    null = np.empty((n_permutations, len(contrasts)))
    for columns, _, statistics in shares:
        observed[columns] = statistics(residuals[:, None])[0]
    places = np.arange(len(residuals), dtype=np.float64)
    begin = 0
    for block in shuffled_blocks(places, residuals_of.bounds, seed=seed, n_permutations=n_permutations):
        order = block.astype(np.intp)
        rows = np.arange(begin, begin + order.shape[1])
        for columns, scale, statistics in shares:
            permuted = residuals_of(scale[:, None] * (residuals / scale)[order])
            null[rows[:, None], np.asarray(columns)] = statistics(permuted)
        begin += len(rows)
    return observed, null
