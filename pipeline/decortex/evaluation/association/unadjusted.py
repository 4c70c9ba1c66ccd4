"""Does a neuron's performance depend on its cluster: naive effects and tests, and ranks within sessions.

Covariates are in `these_sessions`, animals that were not recorded in `population`, pairs in `pairwise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from decortex.errors import InputError
from decortex.evaluation.association.effect_sizes import Share, adjusted_share, ranked_share
from decortex.evaluation.association.permutation import (
    permutation_p,
    session_order,
    session_ridits,
    within_session_null,
)
from decortex.evaluation.association.studentised import Contrasts, ResidualMaker, Statistic, studentised_null
from decortex.labels import assigned_only

FloatArray = NDArray[np.float64]

AssociationStatus = Literal["ok", "no_scores", "one_cluster", "constant_scores", "too_few_neurons"]
PermutationStatus = Literal[
    "ok", "not_tested", "cluster_is_session", "constant_in_sessions", "clusters_too_small"
]


@dataclass(frozen=True)
class ClusterSummary:
    """Scores of one cluster; None where no (or one, for the standard deviation) score is defined."""

    cluster: int
    n: int
    n_defined: int
    mean: float | None
    median: float | None
    sd: float | None


@dataclass(frozen=True)
class AssociationResult:
    """Performance against cluster, first as effect sizes; None where undefined, a status saying why.

    Parameters
    ----------
    status : str
        'ok', 'no_scores' (all undefined), 'one_cluster', 'constant_scores' or 'too_few_neurons' (not more
        neurons than clusters).
    n_neurons, n_excluded, n_clusters, n_sessions : int
        Neurons tested, neurons of a cluster left out because their score is undefined, and the clusters and sessions
        that the tested neurons come from.
    h, p_kruskal : float or None
        Kruskal-Wallis statistic (corrected for ties) and its chi-square p. Naive: it takes neurons of a
        session for independent, so a session effect alone makes it significant.
    epsilon2 : float or None
        H/(n - 1), share of the variance of the ranks between clusters (Tomczak & Tomczak 2014).
    epsilon2_corrected : float or None
        (H - k + 1)/(n - k): 0 on average where nothing depends on cluster; may be negative.
    epsilon2_low, epsilon2_high : float or None
        95 % interval of the corrected effect (`effects.share_interval`); like H it ignores sessions.
    f, p_anova : float or None
        One-way analysis of variance of the scores themselves; naive as H is. None where a cluster's scores are equal.
    omega2, omega2_low, omega2_high : float or None
        (SS_b - (k - 1) MS_w)/(SS_t + MS_w) of that analysis, and its 95 % interval.
    permutation_status : str
        'ok', 'not_tested' (status is not 'ok'), 'cluster_is_session' (no session holds two clusters),
        'constant_in_sessions' (no session holds two different scores among its clusters) or 'clusters_too_small'
        (fewer than two clusters hold `SMALLEST_CLUSTER` neurons: an effect, but no p).
    permutation_statistic : {'studentised', 'share'}
        What was permuted: ranks studentised by cluster, or `epsilon2_within` itself.
    n_clusters_left_out : int
        Clusters of fewer than `SMALLEST_CLUSTER` neurons, which take no part in the studentised test.
    epsilon2_within : float or None
        The same share for ranks within sessions: what is left when session levels are removed.
    p_permutation : float or None
        (b + 1)/(B + 1) of the statistic under permutation within sessions; speaks of these sessions.
    n_permutations, seed : int
        Permutations and their seed.
    clusters : tuple of ClusterSummary
        Every cluster, also those whose scores are all undefined.
    """

    status: AssociationStatus
    n_neurons: int
    n_excluded: int
    n_clusters: int
    n_sessions: int
    h: float | None
    p_kruskal: float | None
    epsilon2: float | None
    epsilon2_corrected: float | None
    epsilon2_low: float | None
    epsilon2_high: float | None
    f: float | None
    p_anova: float | None
    omega2: float | None
    omega2_low: float | None
    omega2_high: float | None
    permutation_status: PermutationStatus
    permutation_statistic: Statistic
    n_clusters_left_out: int
    epsilon2_within: float | None
    p_permutation: float | None
    n_permutations: int
    seed: int
    clusters: tuple[ClusterSummary, ...]


def associate(
    scores: FloatArray,
    labels: NDArray[np.integer[Any]],
    sessions: NDArray[Any],
    *,
    seed: int,
    n_permutations: int = 9999,
    statistic: Statistic = "studentised",
) -> AssociationResult:
    """Test whether scores differ between clusters, naively and within sessions.

    Parameters
    ----------
    scores : ndarray of float, shape (n_neurons,)
        One score per neuron; NaN where undefined (left out and counted).
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    sessions : ndarray, shape (n_neurons,)
        Session of each neuron, as name or number.
    seed : int
        Seed of the permutations.
    n_permutations : int
        Permutations within sessions.
    statistic : {'studentised', 'share'}
        'studentised' (default) gives the ranks of every cluster a variance of their own; 'share' permutes
        `epsilon2_within`, which rejects equal medians too often where small clusters spread more.

    Raises
    ------
    InputError
        If the three do not describe the same neurons, a score is infinite, or there is no such statistic.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels, sessions = np.arange(90) % 3, np.arange(90) // 45
    >>> found = associate(rng.normal(size=90) + labels, labels, sessions, seed=0, n_permutations=99)
    >>> found.permutation_status, found.p_permutation
    ('ok', 0.01)
    """
    if statistic not in get_args(Statistic):
        raise InputError(f"statistic should be 'studentised' or 'share', got {statistic!r}.")
    labels, scores, sessions = assigned_only(labels, np.asarray(scores, dtype=np.float64), sessions)
    _check(scores, sessions)
    defined = ~np.isnan(scores)
    y, cluster = scores[defined], np.unique(labels[defined], return_inverse=True)[1].astype(np.int64)
    session = np.unique(sessions[defined], return_inverse=True)[1].astype(np.int64)
    n = len(y)
    k = int(cluster.max()) + 1 if n else 0

    status: AssociationStatus = "ok"
    if n == 0:
        status = "no_scores"
    elif k == 1:
        status = "one_cluster"
    elif n <= k:
        status = "too_few_neurons"
    elif (y == y[0]).all():
        status = "constant_scores"

    ranked = plain = None
    permutation_status: PermutationStatus = "not_tested"
    within = p_permutation = None
    if status == "ok":
        ranked, plain = ranked_share(y, cluster), adjusted_share(y, cluster)
        permutation_status = _exchangeable(y, cluster, session)
    n_left_out = 0
    if permutation_status == "ok":
        within = _share_of_ridits(y, cluster, session)
    if permutation_status == "ok" and statistic == "share":
        observed, null = within_session_null(y, [cluster], session, seed=seed, n_permutations=n_permutations)
        p_permutation = permutation_p(float(observed[0]), null[:, 0])
    elif permutation_status == "ok":
        order, _ = session_order(session)
        residuals_of = ResidualMaker(session[order], np.empty((n, 0)))
        contrasts = Contrasts.of(cluster[order], residuals_of)
        n_left_out = contrasts.n_left_out
        if contrasts.rank:
            ridits = session_ridits(y, session)[order]
            observed, null = studentised_null(
                ridits, [contrasts], residuals_of, seed=seed, n_permutations=n_permutations
            )
            p_permutation = permutation_p(float(observed[0]), null[:, 0])
        else:
            permutation_status = "clusters_too_small" if contrasts.n_tested < 2 else "cluster_is_session"
    return AssociationResult(
        status=status,
        n_neurons=n,
        n_excluded=len(scores) - n,
        n_clusters=k,
        n_sessions=int(session.max()) + 1 if n else 0,
        **_naive(ranked, plain, n),
        permutation_status=permutation_status,
        permutation_statistic=statistic,
        n_clusters_left_out=n_left_out,
        epsilon2_within=within,
        p_permutation=p_permutation,
        n_permutations=n_permutations,
        seed=seed,
        clusters=summarise_clusters(scores, labels),
    )


def summarise_clusters(scores: FloatArray, labels: NDArray[np.integer[Any]]) -> tuple[ClusterSummary, ...]:
    """Count, mean, median and standard deviation (ddof 1) of the defined scores in every cluster; -1 is none.

    Examples
    --------
    >>> import numpy as np
    >>> found = summarise_clusters(np.array([0.1, 0.3, 0.5]), np.array([0, 0, 1]))
    >>> [(one.cluster, one.n_defined, round(one.mean, 2)) for one in found]
    [(0, 2, 0.2), (1, 1, 0.5)]
    """
    labels, scores = assigned_only(labels, scores)
    summaries = []
    for cluster in np.unique(labels):
        here = scores[labels == cluster]
        values = here[~np.isnan(here)]
        n = len(values)
        summaries.append(
            ClusterSummary(
                cluster=int(cluster),
                n=len(here),
                n_defined=n,
                mean=float(values.mean()) if n else None,
                median=float(np.median(values)) if n else None,
                sd=float(values.std(ddof=1)) if n > 1 else None,
            )
        )
    return tuple(summaries)


def _naive(ranked: Share | None, plain: Share | None, n: int) -> dict[str, Any]:
    """Effects and p-values that take neurons for independent; None where there are none."""
    tested = None if plain is None or np.isinf(plain.f) else plain
    return {
        "h": None if ranked is None else ranked.share * (n - 1),
        "p_kruskal": None if ranked is None else float(chi2.sf(ranked.share * (n - 1), ranked.df)),
        "epsilon2": None if ranked is None else ranked.share,
        "epsilon2_corrected": None if ranked is None else ranked.corrected,
        "epsilon2_low": None if ranked is None else ranked.low,
        "epsilon2_high": None if ranked is None else ranked.high,
        "f": None if tested is None else tested.f,
        "p_anova": None
        if tested is None
        else float(f_distribution.sf(tested.f, tested.df, tested.df_residual)),
        "omega2": None if plain is None else plain.corrected,
        "omega2_low": None if plain is None else plain.low,
        "omega2_high": None if plain is None else plain.high,
    }


def _share_of_ridits(y: FloatArray, cluster: NDArray[np.int64], session: NDArray[np.int64]) -> float:
    """Share of the variance of ranks within sessions that lies between clusters."""
    ridits = session_ridits(y, session)
    sums = np.bincount(cluster, weights=ridits)
    return float((sums**2 / np.bincount(cluster)).sum() / (ridits @ ridits))


def _exchangeable(y: FloatArray, cluster: NDArray[np.int64], session: NDArray[np.int64]) -> PermutationStatus:
    """Whether shuffling within sessions can change anything at all."""
    varied = False
    for one in np.unique(session):
        here = session == one
        if len(np.unique(cluster[here])) > 1:
            varied = True
            if len(np.unique(y[here])) > 1:
                return "ok"
    return "constant_in_sessions" if varied else "cluster_is_session"


def _check(scores: FloatArray, sessions: NDArray[Any]) -> None:
    if scores.ndim != 1 or sessions.ndim != 1:
        raise InputError(
            f"expected one score and one session per neuron, got shapes {scores.shape} and {sessions.shape}."
        )
    if np.isinf(scores).any():
        raise InputError("scores should be finite or NaN (undefined), but an infinite one came.")
