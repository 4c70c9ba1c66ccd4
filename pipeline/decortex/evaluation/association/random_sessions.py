"""Performance and cluster in the *population* of sessions or animals: sessions are the sample, not neurons.

What holds in the recorded sessions alone is `these_sessions`; differences unit by unit are in `by_unit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ncfdtr
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from decortex.evaluation.association.by_session import SMALLEST_SAMPLE
from decortex.evaluation.association.effect_sizes import (
    adjusted_share,
    one_hot,
    orthonormal,
    scaled_covariates,
)
from decortex.evaluation.association.mixed_model import RandomInterceptFit, fit_random_intercept
from decortex.labels import assigned_only

FloatArray = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

# Standard deviation within cells over that of all scores: below it the ratio of the two variances has no bound.
_SMALLEST_WITHIN = 5e-4

PopulationStatus = Literal[
    "ok",
    "no_scores",
    "one_cluster",
    "constant_scores",
    "too_few_units",
    "too_few_cells",
    "too_few_neurons",
    "perfect_fit",
]
MixedStatus = Literal[
    "ok",
    "no_scores",
    "one_cluster",
    "constant_scores",
    "one_session",
    "too_few_neurons",
    "perfect_fit",
]


@dataclass(frozen=True)
class PopulationTest:
    """Cluster against the variation of clusters over units (sessions or animals).

    Parameters
    ----------
    status : str
        'ok', 'no_scores', 'one_cluster', 'constant_scores', 'too_few_units' (below five), 'too_few_cells' (units
        hold too few clusters in common), 'too_few_neurons' or 'perfect_fit' (neurons of a cell do not differ, so that
        nothing is left to compare with). Whatever is not 'ok' has no numbers.
    n_units, n_cells : int
        Units, and pairs of unit and cluster that hold a neuron.
    f, df, df_residual, p : float, int or None
        Wald F of the clusters by restricted likelihood; its denominator has the cells less unit levels and
        cluster effects as degrees of freedom (containment).
    p_likelihood : float or None
        Likelihood-ratio test of the same model (chi-square). Too small at few sessions: reported, not recommended.
    effect, effect_low, effect_high : float or None
        Share of the variation of cells that is cluster, (df F - df)/(df F - df + n_cells), and its 95 % interval
        from the noncentral F distribution; cut at 0.
    interaction_variance, residual_variance : float or None
        Of the cluster-by-unit effects, and of neurons within a cell.
    """

    status: PopulationStatus
    n_units: int
    n_cells: int
    f: float | None = None
    df: int | None = None
    df_residual: int | None = None
    p: float | None = None
    p_likelihood: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    interaction_variance: float | None = None
    residual_variance: float | None = None


@dataclass(frozen=True)
class MixedTest:
    """Scores ~ cluster + covariates + (1 | session), and the same with fixed session levels.

    Parameters
    ----------
    status : str
        'ok', or why there are no numbers; 'one_session': only the fixed model exists; 'perfect_fit': neurons of a
        session and cluster do not differ.
    chi2, df, p : float, int or None
        Likelihood-ratio test of the clusters by maximum likelihood.
    session_variance, residual_variance : float or None
        Of the full model.
    f_fixed, p_fixed : float or None
        F test with session levels as fixed effects, to read instead where sessions are few.
    """

    status: MixedStatus
    chi2: float | None = None
    df: int | None = None
    p: float | None = None
    session_variance: float | None = None
    residual_variance: float | None = None
    f_fixed: float | None = None
    p_fixed: float | None = None


def population_test(
    scores: FloatArray,
    labels: Labels,
    sessions: NDArray[Any],
    covariates: FloatArray | None = None,
    *,
    units: NDArray[Any] | None = None,
) -> PopulationTest:
    r"""Test clusters against cluster-by-unit effects.

    .. math:: y = \text{session} + X\beta + \text{cluster}_j + u_{ja} + e, \quad u_{ja} \sim N(0, \tau^2)

    with fixed session levels and a random effect for every pair of cluster j and unit a.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_neurons,)
        Finite scores.
    labels : ndarray of int, shape (n_neurons,)
        Clusters, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    sessions : ndarray, shape (n_neurons,)
        Session of each neuron.
    covariates : ndarray of float64, shape (n_neurons, n_covariates), optional
        Fixed slopes; finite.
    units : ndarray, shape (n_neurons,), optional
        What was sampled from the population, each a session or several (an animal). Default: the sessions.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> labels, sessions = np.tile([0, 1], 60), np.repeat(np.arange(6), 20)
    >>> scores = labels + np.random.default_rng(0).normal(size=120)
    >>> one = population_test(scores, labels, sessions)
    >>> (one.status, bool(one.p < 0.05))
    ('ok', True)
    """
    labels, scores, sessions, covariates, units = assigned_only(labels, scores, sessions, covariates, units)
    columns = scaled_covariates(scores, sessions, covariates)
    unit = np.unique(sessions if units is None else units, return_inverse=True)[1].astype(np.int64)
    cluster = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    k = int(cluster.max(initial=-1)) + 1
    cell = np.unique(unit * max(k, 1) + cluster, return_inverse=True)[1]
    n_units, n_cells = int(unit.max(initial=-1)) + 1, int(cell.max(initial=-1)) + 1

    def undefined(status: PopulationStatus) -> PopulationTest:
        return PopulationTest(status, n_units, n_cells)

    trivial = _trivial(scores, k)
    if trivial is not None:
        return undefined(trivial)
    if n_units < SMALLEST_SAMPLE:
        return undefined("too_few_units")
    reduced, extra = _designs(sessions, columns, cluster)
    first = np.unique(cell, return_index=True)[1]
    rank = np.linalg.matrix_rank(np.column_stack([one_hot(unit), one_hot(cluster)])[first])
    df, df_residual = extra.shape[1], n_cells - int(rank)
    if df == 0 or df_residual < 1 or len(scores) <= reduced.shape[1] + df:
        return undefined("too_few_cells" if df == 0 or df_residual < 1 else "too_few_neurons")
    if _nothing_left(scores, reduced):
        return undefined("constant_scores")
    if n_cells < len(scores) and _nothing_left(
        scores, orthonormal(np.column_stack([one_hot(cell), columns]))
    ):
        return undefined("perfect_fit")
    full = np.column_stack([reduced, extra])
    fit = fit_random_intercept(scores, full, cell, reml=True)
    f = wald_f(fit, slice(reduced.shape[1], None))
    likelihood = likelihood_ratio(scores, reduced, full, cell)[0]
    effect, low, high = cell_effect(f, df, df_residual)
    return PopulationTest(
        status="ok",
        n_units=n_units,
        n_cells=n_cells,
        f=f,
        df=df,
        df_residual=df_residual,
        p=float(f_distribution.sf(f, df, df_residual)),
        p_likelihood=float(chi2.sf(likelihood, df)),
        effect=effect,
        effect_low=low,
        effect_high=high,
        interaction_variance=fit.group_variance,
        residual_variance=fit.residual_variance,
    )


def mixed_test(
    scores: FloatArray, labels: Labels, sessions: NDArray[Any], covariates: FloatArray | None = None
) -> MixedTest:
    """Test clusters in a mixed model with a random level per session; the sample is neurons, without those labelled -1.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> labels, sessions = np.tile([0, 1], 60), np.repeat(np.arange(6), 20)
    >>> scores = labels + np.random.default_rng(0).normal(size=120)
    >>> mixed_test(scores, labels, sessions).status
    'ok'
    """
    labels, scores, sessions, covariates = assigned_only(labels, scores, sessions, covariates)
    columns = scaled_covariates(scores, sessions, covariates)
    trivial = _trivial(scores, len(np.unique(labels)))
    if trivial is not None:
        return MixedTest(trivial)
    session = np.unique(sessions, return_inverse=True)[1]
    cluster = one_hot(labels)
    reduced = orthonormal(np.column_stack([np.ones(len(scores)), columns]))
    extra = orthonormal(cluster - reduced @ (reduced.T @ cluster), scale=1.0)
    levels, _ = _designs(sessions, columns, labels)
    if len(scores) <= levels.shape[1] + cluster.shape[1]:
        return MixedTest("too_few_neurons")
    if _nothing_left(scores, levels):
        return MixedTest("constant_scores")
    if _nothing_left(scores, orthonormal(np.column_stack([levels, cluster]))):
        return MixedTest("perfect_fit")
    fixed = adjusted_share(scores, labels, levels)
    f_fixed = None if fixed is None else fixed.f
    p_fixed = None if fixed is None else float(f_distribution.sf(fixed.f, fixed.df, fixed.df_residual))
    if session.max() == 0 or not extra.shape[1]:
        return MixedTest("one_session", f_fixed=f_fixed, p_fixed=p_fixed)
    statistic, fit = likelihood_ratio(scores, reduced, np.column_stack([reduced, extra]), session)
    return MixedTest(
        status="ok",
        chi2=statistic,
        df=extra.shape[1],
        p=float(chi2.sf(statistic, extra.shape[1])),
        session_variance=fit.group_variance,
        residual_variance=fit.residual_variance,
        f_fixed=f_fixed,
        p_fixed=p_fixed,
    )


def likelihood_ratio(
    scores: FloatArray, reduced: FloatArray, full: FloatArray, groups: NDArray[np.integer[Any]]
) -> tuple[float, RandomInterceptFit]:
    """Twice the gain in log-likelihood (never below 0), and the full model, both by maximum likelihood."""
    fit = fit_random_intercept(scores, full, groups)
    smaller = fit_random_intercept(scores, reduced, groups)
    return max(2 * (fit.log_likelihood - smaller.log_likelihood), 0.0), fit


def wald_f(fit: RandomInterceptFit, columns: slice) -> float:
    """F of some fixed effects against their covariance."""
    beta, covariance = fit.beta[columns], fit.covariance[columns, columns]
    return float(beta @ np.linalg.solve(covariance, beta) / len(beta))


def cell_effect(f: float, df: int, df_residual: int, level: float = 0.95) -> tuple[float, float, float]:
    """Share of the variation of cells between clusters, and its interval by inverting the noncentral F.

    With noncentrality d the share is d/(d + n), n = df + df_residual + 1 (Steiger 2004).

    Examples
    --------
    >>> effect, low, high = cell_effect(5.0, 3, 20)
    >>> bool(low <= effect <= high)
    True
    """
    n = df + df_residual + 1
    tail = (1 - level) / 2
    estimate = df * (f - 1)
    bounds = [_noncentrality(f, df, df_residual, probability) for probability in (1 - tail, tail)]
    low, high = (bound / (bound + n) for bound in bounds)
    return max(estimate, 0.0) / (max(estimate, 0.0) + n), low, high


def _noncentrality(f: float, df: int, df_residual: int, probability: float) -> float:
    """Noncentrality under which F stays below ``f`` with this probability; 0 where none does."""
    if f_distribution.cdf(f, df, df_residual) <= probability:
        return 0.0
    # The distribution of scipy.stats gives the same bits, and takes a hundred times as long for one number.
    high = 1.0
    while ncfdtr(df, df_residual, high, f) > probability:
        high *= 2
    return float(brentq(lambda d: ncfdtr(df, df_residual, d, f) - probability, 0.0, high, xtol=1e-10))


def _designs(sessions: NDArray[Any], covariates: FloatArray, labels: Labels) -> tuple[FloatArray, FloatArray]:
    """Orthonormal columns of sessions and covariates, and those that clusters add."""
    reduced = orthonormal(np.column_stack([one_hot(sessions), covariates]))
    indicators = one_hot(labels)
    return reduced, orthonormal(indicators - reduced @ (reduced.T @ indicators), scale=1.0)


def _trivial(scores: FloatArray, k: int) -> Literal["no_scores", "one_cluster", "constant_scores"] | None:
    if not len(scores):
        return "no_scores"
    if k == 1:
        return "one_cluster"
    return "constant_scores" if (scores == scores[0]).all() else None


def _nothing_left(scores: FloatArray, reduced: FloatArray, *, share: float = 1e-10) -> bool:
    residual = scores - reduced @ (reduced.T @ scores)
    return bool(residual.std() <= share * scores.std())
