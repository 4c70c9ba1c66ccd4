"""Performance and cluster in *these* sessions: Freedman-Lane permutation with covariates, max-T over a grid.

Says nothing about animals that were not recorded; that is `random_sessions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation.agreement import contingency
from decortex.evaluation.association.effect_sizes import Share, adjusted_share, one_hot, scaled_covariates
from decortex.evaluation.association.permutation import (
    RELATIVE_TOLERANCE,
    GroupSums,
    permutation_p,
    session_order,
    shuffled_blocks,
)
from decortex.evaluation.association.studentised import Contrasts, ResidualMaker, Statistic, studentised_null
from decortex.labels import assigned_in_all, assigned_only

FloatArray = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]
_ROUNDING = 1e-12  # relative to the largest score
SessionsStatus = Literal[
    "ok",
    "no_scores",
    "one_cluster",
    "constant_scores",
    "cluster_is_nuisance",
    "too_few_neurons",
    "clusters_too_small",
]


@dataclass(frozen=True)
class SessionsTest:
    """Whether scores and clusters are related within these sessions, covariates held fixed.

    Parameters
    ----------
    status : str
        'ok', 'no_scores', 'one_cluster', 'constant_scores' (nothing is left after sessions and covariates),
        'cluster_is_nuisance' (clusters say nothing that sessions and covariates do not), 'too_few_neurons' or
        'clusters_too_small' (fewer than two clusters hold `SMALLEST_CLUSTER` neurons: an effect, but no p).
    n_neurons, n_clusters, n_sessions : int
        That came.
    n_left_out : int
        Clusters of fewer than `SMALLEST_CLUSTER` neurons, which take no part in the studentised test.
    effect : Share or None
        Share of the variance between clusters after sessions and covariates (partial omega²), with its interval.
    p : float or None
        (b + 1)/(B + 1) under permutation of the reduced model's residuals within sessions; never 0.
    statistic, n_permutations, seed
        What was permuted ('studentised' or 'share'), how often, and with which seed.
    """

    status: SessionsStatus
    n_neurons: int
    n_clusters: int
    n_sessions: int
    n_left_out: int
    statistic: Statistic
    effect: Share | None
    p: float | None
    n_permutations: int
    seed: int


@dataclass(frozen=True)
class GridTest:
    """One test for a whole grid of partitions (every K and seed of one embedding and method).

    Parameters
    ----------
    status : str
        'ok', or that of the first partition where none can be tested.
    statuses : tuple of str
        Of every partition; those that are not 'ok' take no part.
    p : float or None
        Of the largest standardised statistic over the grid (max-T under shared permutations).
    best : int or None
        Position of the partition that reached it.
    p_single, p_adjusted : tuple of (float or None)
        Every partition's own p, and corrected over the grid (single-step, Westfall & Young 1993).
    n_left_out : tuple of int
        Clusters of every partition that are too small for the studentised statistic.
    statistic, n_permutations, seed
        What was permuted, how often, and with which seed.
    """

    status: SessionsStatus
    statuses: tuple[SessionsStatus, ...]
    p: float | None
    best: int | None
    p_single: tuple[float | None, ...]
    p_adjusted: tuple[float | None, ...]
    n_left_out: tuple[int, ...]
    statistic: Statistic
    n_permutations: int
    seed: int


def sessions_test(
    scores: FloatArray,
    labels: Labels,
    sessions: NDArray[Any],
    covariates: FloatArray | None = None,
    *,
    seed: int,
    n_permutations: int = 9999,
    statistic: Statistic = "studentised",
) -> SessionsTest:
    """Test one partition by Freedman-Lane permutation within sessions.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_neurons,)
        Finite scores.
    labels : ndarray of int, shape (n_neurons,)
        Clusters, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    sessions : ndarray, shape (n_neurons,)
        Session of each neuron.
    covariates : ndarray of float64, shape (n_neurons, n_covariates), optional
        What is held fixed besides the session's level; finite.
    seed, n_permutations : int
        Of the permutations.
    statistic : {'studentised', 'share'}
        'studentised' (default) gives every cluster a variance of its own (`studentised_null`); 'share' is the share of
        variance (`freedman_lane_null`), which rejects equal means too often where small clusters spread more.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores, labels, sessions = rng.normal(size=90), np.arange(90) % 3, np.arange(90) // 45
    >>> found = sessions_test(scores + labels, labels, sessions, seed=0, n_permutations=99)
    >>> found.status, found.p
    ('ok', 0.01)
    """
    labels, scores, sessions, covariates = assigned_only(labels, scores, sessions, covariates)
    nuisance = Nuisance.of(scores, sessions, covariates)
    _, effect = adjusted_effect(nuisance, scores, labels)
    grid = _Permuted.of(nuisance, [labels], statistic)
    p = None
    if grid.tested:
        observed, null = grid.null(nuisance, seed=seed, n_permutations=n_permutations)
        p = permutation_p(float(observed[0]), null[:, 0])
    return SessionsTest(
        status=grid.statuses[0],
        n_neurons=len(scores),
        n_clusters=len(np.unique(labels)),
        n_sessions=nuisance.n_sessions,
        n_left_out=grid.n_left_out[0],
        statistic=statistic,
        effect=effect,
        p=p,
        n_permutations=n_permutations,
        seed=seed,
    )


def adjusted_effect(
    nuisance: Nuisance, scores: FloatArray, labels: Labels
) -> tuple[SessionsStatus, Share | None]:
    """Partial omega² of one partition after sessions and covariates, or why there is none."""
    status = nuisance.status(labels)
    return status, adjusted_share(scores, labels, nuisance.columns) if status == "ok" else None


def grid_test(
    scores: FloatArray,
    partitions: Sequence[Labels],
    sessions: NDArray[Any],
    covariates: FloatArray | None = None,
    *,
    seed: int,
    n_permutations: int = 9999,
    statistic: Statistic = "studentised",
) -> GridTest:
    """Test a grid of partitions of the same neurons under shared permutations.

    Every statistic is standardised by the mean and standard deviation of its own permutations (the observed one
    among them), so that partitions into few and many clusters compete on one scale.
    Tested are the neurons that every partition assigns to a cluster (no label is -1).

    Parameters
    ----------
    scores, sessions, covariates, seed, n_permutations, statistic
        As in `sessions_test`.
    partitions : sequence of ndarray of int, each (n_neurons,)

    Raises
    ------
    InputError
        If there is no partition, shapes do not fit or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> labels, sessions = np.tile([0, 1], 60), np.repeat(np.arange(6), 20)
    >>> scores = labels + np.random.default_rng(0).normal(size=120)
    >>> round(grid_test(scores, [labels], sessions, seed=0, n_permutations=99).p, 2)
    0.01
    """
    if not partitions:
        raise InputError("expected at least one partition to test, none came.")
    partitions, kept = assigned_in_all(partitions)
    if len(kept) != len(scores):
        raise InputError(f"expected one label for each of {len(scores)} scores, got {len(kept)}.")
    partitions, scores, sessions = [one[kept] for one in partitions], scores[kept], np.asarray(sessions)[kept]
    covariates = None if covariates is None else covariates[kept]
    nuisance = Nuisance.of(scores, sessions, covariates)
    grid = _Permuted.of(nuisance, partitions, statistic)
    p, best = None, None
    single: list[float | None] = [None] * len(partitions)
    adjusted: list[float | None] = [None] * len(partitions)
    if grid.tested:
        observed, null = grid.null(nuisance, seed=seed, n_permutations=n_permutations)
        together = np.concatenate([observed[None], null])
        spread = together.std(axis=0)
        z = (together - together.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        largest = z[1:].max(axis=1)
        p, best = _reached(float(z[0].max()), largest), grid.tested[int(z[0].argmax())]
        for column, index in enumerate(grid.tested):
            single[index] = permutation_p(float(observed[column]), null[:, column])
            adjusted[index] = _reached(float(z[0, column]), largest)
    return GridTest(
        status="ok" if grid.tested else grid.statuses[0],
        statuses=grid.statuses,
        p=p,
        best=best,
        p_single=tuple(single),
        p_adjusted=tuple(adjusted),
        n_left_out=grid.n_left_out,
        statistic=statistic,
        n_permutations=n_permutations,
        seed=seed,
    )


@dataclass(frozen=True)
class _Permuted:
    """Which partitions of a grid are permuted, with which statistic, and why the others are not."""

    partitions: Sequence[Labels]
    statuses: tuple[SessionsStatus, ...]
    n_left_out: tuple[int, ...]
    tested: list[int]
    contrasts: list[Contrasts]  # of those tested; empty for shares of variance

    @classmethod
    def of(cls, nuisance: Nuisance, partitions: Sequence[Labels], statistic: Statistic) -> _Permuted:
        if statistic not in get_args(Statistic):
            raise InputError(f"statistic should be 'studentised' or 'share', got {statistic!r}.")
        statuses = [nuisance.status(labels) for labels in partitions]
        left_out, contrasts = [0] * len(partitions), []
        if statistic == "studentised":
            for index, labels in enumerate(partitions):
                if statuses[index] == "ok":
                    one = Contrasts.of(labels[nuisance.order], nuisance.residuals_of)
                    left_out[index] = one.n_left_out
                    if one.n_tested < 2:
                        statuses[index] = "clusters_too_small"
                    elif not one.rank:
                        statuses[index] = "cluster_is_nuisance"
                    else:
                        contrasts.append(one)
        tested = [index for index, status in enumerate(statuses) if status == "ok"]
        return cls(partitions, tuple(statuses), tuple(left_out), tested, contrasts)

    def null(self, nuisance: Nuisance, *, seed: int, n_permutations: int) -> tuple[FloatArray, FloatArray]:
        settings = {"seed": seed, "n_permutations": n_permutations}
        if not self.contrasts:
            return freedman_lane_null(nuisance, [self.partitions[one] for one in self.tested], **settings)
        residuals = nuisance.residuals[nuisance.order]
        return studentised_null(residuals, self.contrasts, nuisance.residuals_of, **settings)


@dataclass(frozen=True)
class Nuisance:
    """The reduced model: session levels and covariates, and what it leaves of the scores."""

    columns: FloatArray  # of sessions and covariates, as they came
    basis: FloatArray  # orthonormal, of the covariates after session levels
    residuals: FloatArray
    sessions: NDArray[np.int64]
    n_sessions: int
    order: NDArray[np.intp]  # that makes sessions contiguous
    residuals_of: ResidualMaker  # in this order

    @classmethod
    def of(cls, scores: FloatArray, sessions: NDArray[Any], covariates: FloatArray | None) -> Nuisance:
        """Fit session levels and covariates to the scores."""
        scaled = scaled_covariates(scores, sessions, covariates)
        dense = np.unique(sessions, return_inverse=True)[1].astype(np.int64)
        order = np.argsort(dense, kind="stable")
        residuals_of = ResidualMaker(dense[order], scaled[order])
        residuals, basis = np.empty_like(scores), np.empty((len(scores), residuals_of.rank))
        residuals[order], basis[order] = residuals_of(scores[order, None])[:, 0], residuals_of.basis()
        # What the reduced model explains wholly leaves rounding, which is no score.
        residuals[np.abs(residuals) <= _ROUNDING * np.abs(scores).max(initial=0.0)] = 0.0
        return cls(
            columns=np.column_stack([one_hot(dense), scaled]),
            basis=basis,
            residuals=residuals,
            sessions=dense,
            n_sessions=len(residuals_of.bounds) - 1,
            order=order,
            residuals_of=residuals_of,
        )

    def status(self, labels: Labels) -> SessionsStatus:
        """Whether one partition can be tested, and if not why."""
        n = len(self.residuals)
        if labels.shape != (n,):
            raise InputError(f"expected one label for each of {n} scores, got {labels.shape}.")
        if n == 0:
            return "no_scores"
        k = len(np.unique(labels))
        if k == 1:
            return "one_cluster"
        if n <= self.n_sessions + self.basis.shape[1] + k - 1:
            return "too_few_neurons"
        if not self.residuals.any():
            return "constant_scores"
        return "ok" if self.whitening(labels).shape[1] else "cluster_is_nuisance"

    def whitening(self, labels: Labels) -> FloatArray:
        """W with W W' the inverse of C' M C, C the cluster indicators: (n_clusters, rank)."""
        dense = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        table = contingency(dense, self.sessions)
        of_covariates = np.zeros((len(table), self.basis.shape[1]))
        np.add.at(of_covariates, dense, self.basis)
        cross = np.diag(table.sum(axis=1)) - (table / table.sum(axis=0)) @ table.T
        values, vectors = np.linalg.eigh(cross - of_covariates @ of_covariates.T)
        kept = values > 1e-8 * len(labels)
        whitening: FloatArray = vectors[:, kept] / np.sqrt(values[kept])
        return whitening


def freedman_lane_null(
    nuisance: Nuisance, partitions: Sequence[Labels], *, seed: int, n_permutations: int
) -> tuple[FloatArray, FloatArray]:
    r"""Share of what sessions and covariates leave that lies between clusters: observed and under permutation.

    The residuals e of the reduced model are permuted within sessions, :math:`y^* = \hat y + P e`, and both models
    are fitted again: with M the residual maker of sessions and covariates and C the cluster indicators,

    .. math:: T = \frac{|P_{MC} M y^*|^2}{|M y^*|^2} = \frac{|W' C' M P e|^2}{|M P e|^2}

    (Freedman & Lane 1983; Winkler et al. 2014). It orders permutations as the F statistic does.

    Returns
    -------
    observed : ndarray of float64, shape (n_partitions,)
    null : ndarray of float64, shape (n_permutations, n_partitions)
    """
    if n_permutations < 1:
        raise InputError(f"n_permutations should be at least 1, got {n_permutations}.")
    order, bounds = session_order(nuisance.sessions)
    residuals, basis = nuisance.residuals[order], nuisance.basis[order]
    ordered = [labels[order] for labels in partitions]
    groups = GroupSums(ordered)
    in_covariates = groups(basis) if basis.shape[1] else np.empty((len(groups.counts), 0))
    ends = [*groups.starts[1:], len(groups.counts)]
    whitenings = [nuisance.whitening(labels) for labels in partitions]
    total = float(residuals @ residuals)

    def statistics(values: FloatArray) -> FloatArray:
        along = basis.T @ values
        left = groups(values) - in_covariates @ along
        remaining = np.maximum(total - (along**2).sum(axis=0), np.finfo(float).tiny)
        found = np.empty((values.shape[1], len(partitions)))
        for column, (start, end, whitening) in enumerate(zip(groups.starts, ends, whitenings, strict=True)):
            found[:, column] = ((whitening.T @ left[start:end]) ** 2).sum(axis=0) / remaining
        return found

    observed = statistics(residuals[:, None])[0]
    blocks = shuffled_blocks(residuals, bounds, seed=seed, n_permutations=n_permutations)
    return observed, np.concatenate([statistics(block) for block in blocks])


def _reached(value: float, null: FloatArray) -> float:
    """(b + 1)/(B + 1) for standardised values, whose sign is free."""
    slack = RELATIVE_TOLERANCE * max(abs(value), 1.0)
    return (int(np.count_nonzero(null >= value - slack)) + 1) / (len(null) + 1)
