"""Shares of variance between clusters (omega², epsilon²) with intervals from influence functions. No test here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtr, chndtr
from scipy.stats import rankdata, t

from decortex.errors import InputError

FloatArray = NDArray[np.float64]

# Below this corrected share the scale of the interval, which has no slope at 0, is taken at this share.
_SMALLEST_SHARE = 1e-4
# Degrees of freedom that the variance within all clusters adds to a cluster's own: a single neuron has none.
_PRIOR_DF = 0.25


@dataclass(frozen=True)
class Share:
    """Share of variance between clusters, and its interval.

    Parameters
    ----------
    share : float
        Sum of squares between clusters over the total, both after the nuisance terms: R², or partial eta².
    corrected : float
        The same without what chance adds; may be negative.
    low, high : float
        95 % interval of the corrected share, cut to [0, 1].
    f : float
        Ratio of mean squares.
    df, df_residual : int
        Their degrees of freedom.
    """

    share: float
    corrected: float
    low: float
    high: float
    f: float
    df: int
    df_residual: int


def ranked_share(y: FloatArray, labels: NDArray[np.integer[Any]], *, level: float = 0.95) -> Share:
    r"""Share of the variance of the ranks between clusters, corrected as (H - k + 1)/(n - k).

    Parameters
    ----------
    y : ndarray of float64, shape (n_neurons,)
        Finite scores, not all equal.
    labels : ndarray of int, shape (n_neurons,)
        Clusters, at least two; more neurons than clusters.
    level : float
        Of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> round(ranked_share(np.arange(20.0), np.repeat([0, 1], 10)).corrected, 2)
    0.74
    """
    n = len(y)
    ranks = (rankdata(y) - 0.5) / n
    total, residual = ranks - ranks.mean(), _without_means(ranks, labels)
    indicators = one_hot(labels)
    basis = orthonormal(indicators - indicators.mean(axis=0), scale=1.0)
    chance = Chance.of(total, residual, labels, basis, np.full(n, 1 / n))
    df = len(np.unique(labels)) - 1
    share = _share(total, residual)
    corrected = (share * (n - 1) - df) / (n - 1 - df)
    influence = _influence(total, residual) + _rank_influence(y, total, residual)
    spread = influence_spread(influence, labels, df_residual=n - 1 - df)
    low, high = share_interval(chance, corrected, spread, level=level)
    return Share(share, corrected, low, high, _f(share, df, n - 1 - df), df, n - 1 - df)


def adjusted_share(
    y: FloatArray,
    labels: NDArray[np.integer[Any]],
    nuisance: FloatArray | None = None,
    *,
    level: float = 0.95,
) -> Share | None:
    r"""Share of the variance of scores between clusters after nuisance terms; corrected as partial omega².

    .. math:: \omega^2 = \frac{SS_b - q \, MS_w}{SS_b + (n - q) \, MS_w}

    with q degrees of freedom between clusters. Without nuisance this is the omega² of a one-way analysis of
    variance, (SS_b - q MS_w)/(SS_t + MS_w).

    Parameters
    ----------
    y : ndarray of float64, shape (n_neurons,)
        Finite scores.
    labels : ndarray of int, shape (n_neurons,)
        Clusters.
    nuisance : ndarray of float64, shape (n_neurons, n_columns), optional
        Columns whose contribution is removed first; must span the constant. Default: the constant.
    level : float
        Of the interval.

    Returns
    -------
    Share or None
        None where clusters add nothing to the nuisance, or nothing is left to compare with.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.r_[np.linspace(0, 1, 10), np.linspace(2, 3, 10)]
    >>> round(adjusted_share(y, np.repeat([0, 1], 10)).corrected, 2)
    0.9
    """
    n = len(y)
    Q0 = orthonormal(np.ones((n, 1)) if nuisance is None else nuisance)
    indicators = one_hot(labels)
    Q1 = orthonormal(indicators - Q0 @ (Q0.T @ indicators), scale=1.0)
    df, df_residual = Q1.shape[1], n - Q0.shape[1] - Q1.shape[1]
    total = y - Q0 @ (Q0.T @ y)
    if df == 0 or df_residual < 1 or not (total**2).sum() > 1e-20 * max((y**2).sum(), 1e-300):
        return None
    residual = total - Q1 @ (Q1.T @ total)
    share = _share(total, residual)
    within = (1 - share) / df_residual
    corrected = (share - df * within) / (share + (n - df) * within) if within > 0 else 1.0
    chance = Chance.of(total, residual, labels, Q1, (Q0**2).sum(axis=1))
    spread = influence_spread(_influence(total, residual), labels, df_residual=df_residual)
    low, high = share_interval(chance, corrected, spread, level=level)
    return Share(share, corrected, low, high, _f(share, df, df_residual), df, df_residual)


@dataclass(frozen=True)
class Chance:
    """What chance adds to a share of variance where every cluster has a variance of its own.

    Parameters
    ----------
    corrected : float
        The share without it: (SS_b - B)/(SS_b - B + W).
    variance : float
        Of the share where there is no effect.
    between, within : float
        B, the sum of squares between clusters that is expected without an effect, over the total; and W, the neurons'
        variance within clusters, over the total.
    df : float
        Of the chi-square distribution that has the mean and variance of chance (Satterthwaite 1946).
    """

    corrected: float
    variance: float
    between: float
    within: float
    df: float

    @classmethod
    def of(
        cls,
        total: FloatArray,
        residual: FloatArray,
        labels: NDArray[np.integer[Any]],
        basis: FloatArray,
        leverage: FloatArray,
    ) -> Chance:
        r"""From what nuisance and clusters leave, the clusters' orthonormal columns, and the nuisance's leverage.

        With :math:`s_j^2` the residual variance of cluster j, :math:`h_i` the leverage of neuron i on the clusters'
        columns Q and :math:`A = \sum_j s_j^2 Q_j'Q_j`: B = tr A and the variance of SS_b is 2 tr A². With one variance
        for all clusters this is q MS_w and 2 q MS_w².
        """
        dense = np.unique(labels, return_inverse=True)[1]
        counts = np.bincount(dense)
        own = (basis**2).sum(axis=1)
        squares = np.bincount(dense, weights=residual**2)
        df = np.maximum(np.bincount(dense, weights=1 - own - leverage), 0.0)
        variance = (squares + _PRIOR_DF * squares.sum() / df.sum()) / (df + _PRIOR_DF)
        scaled = basis * np.sqrt(variance)[dense, None]
        A = scaled.T @ scaled
        whole = float(total @ total)
        between, within = float(np.trace(A)), float(counts @ variance)
        effect = whole - float(residual @ residual) - between
        corrected = effect / (effect + within) if effect + within > 0 else 1.0
        squared = float((A**2).sum())
        return cls(
            corrected=corrected,
            variance=2 * squared / whole**2,
            between=between / whole,
            within=within / whole,
            df=between**2 / squared if squared > 0 else float(basis.shape[1]),
        )


def influence_spread(
    influence: FloatArray, labels: NDArray[np.integer[Any]], *, df_residual: int
) -> tuple[float, float]:
    r"""Variance of a share by the delta method, :math:`\sum_i IF_i^2/(n \, df_w)`, and its degrees of freedom.

    Every cluster adds a part that is known as well as its own neurons allow, with their number less one as degrees of
    freedom; those of the sum are Satterthwaite's (1946).
    """
    dense = np.unique(labels, return_inverse=True)[1]
    parts = np.bincount(dense, weights=influence**2) / (len(influence) * df_residual)
    own = np.maximum(np.bincount(dense) - 1, 1)
    squared = float((parts**2 / own).sum())
    return float(parts.sum()), float(parts.sum()) ** 2 / squared if squared > 0 else float(df_residual)


def share_interval(
    chance: Chance, corrected: float, spread: tuple[float, float], *, level: float = 0.95
) -> tuple[float, float]:
    r"""Interval of a corrected share from the influence of every neuron on it, on Fisher's scale.

    The variance of the estimate is the delta method's (``spread``: `influence_spread`) plus that of chance (`Chance`;
    :math:`2 q (1 - R^2)^2/n^2` where clusters have one variance), which is left where the effect is 0 and the influence
    vanishes. The interval is symmetric in :math:`\operatorname{artanh} \sqrt{R^2}` around the share without what chance
    adds at the clusters' own variances, has the quantiles of t at the spread's degrees of freedom, is cut at 0 and 1,
    and holds the corrected share. That scale has no slope at 0: an estimate near chance, below :math:`5 B/W`, has the
    upper bound of the noncentral chi-square distribution (`chance_bound`) where that is the lower one.
    """
    r2 = min(max(chance.corrected, _SMALLEST_SHARE), 1 - 1e-12)
    variance = spread[0] + chance.variance
    root = np.sqrt(r2)
    half = t.ppf((1 + level) / 2, spread[1]) * np.sqrt(variance) / (2 * root * (1 - r2))
    low, high = np.arctanh(root) - half, np.arctanh(root) + half
    upper = float(np.tanh(high) ** 2)
    if chance.corrected * chance.within < 5 * chance.between:
        upper = min(upper, chance_bound(chance, level=level))
    inside = min(max(corrected, 0.0), 1.0)
    return min(float(np.tanh(max(low, 0.0)) ** 2), inside), max(upper, inside)


def chance_bound(chance: Chance, *, level: float = 0.95) -> float:
    r"""Largest share under which so small an estimate is not rare, where the effect is of the size of chance.

    SS_b of clusters without an effect is B/df times a chi-square with df degrees of freedom, and noncentral otherwise.
    The bound is the share at which a value as small as the observed one has probability (1 - level)/2; an estimate
    below its own expectation without an effect counts as that expectation.
    """
    share = min(chance.corrected, 1 - 1e-12)
    scale = chance.between / chance.df
    effect = chance.within * share / (1 - share)
    observed = max((effect + chance.between) / scale, chance.df) if scale > 0 else chance.df
    tail = (1 - level) / 2

    def excess(noncentrality: float) -> float:
        # The distributions of scipy.stats give the same bits, and take a hundred times as long for one number.
        if noncentrality == 0:
            return float(chdtr(chance.df, observed)) - tail
        return float(chndtr(observed, chance.df, noncentrality)) - tail

    with np.errstate(over="ignore"):
        largest = brentq(excess, 0.0, 10 * observed + 100.0) * scale
    return float(largest / (largest + chance.within)) if largest + chance.within > 0 else 1.0


def orthonormal(columns: FloatArray, *, scale: float | None = None) -> FloatArray:
    """Orthonormal basis of the span of columns, columns that repeat others left out.

    Parameters
    ----------
    columns : ndarray of float64, shape (n_rows, n_columns)
        Any columns.
    scale : float, optional
        Singular values up to 1e-8 of it count as 0; default: the largest one.

    Examples
    --------
    >>> import numpy as np
    >>> orthonormal(np.array([[1.0, 2.0], [1.0, 2.0]])).shape    # the second column repeats the first
    (2, 1)
    """
    if columns.shape[1] == 0:
        return columns
    values, vectors = np.linalg.eigh(columns.T @ columns)
    floor = (values[-1] if scale is None else scale**2) * 1e-12
    kept = values > max(floor, 0.0)
    basis: FloatArray = columns @ (vectors[:, kept] / np.sqrt(values[kept]))
    # Once more: the squared condition number of the cross products costs half of the digits.
    return np.linalg.qr(basis)[0] if basis.shape[1] else basis


def one_hot(labels: NDArray[Any]) -> FloatArray:
    """Indicator columns of the values that occur: (n_neurons, n_values).

    Examples
    --------
    >>> import numpy as np
    >>> one_hot(np.array([0, 1, 1])).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    values, dense = np.unique(labels, return_inverse=True)
    columns: FloatArray = np.eye(len(values))[dense]
    return columns


def _share(total: FloatArray, residual: FloatArray) -> float:
    return float(1 - (residual @ residual) / (total @ total))


def _f(share: float, df: int, df_residual: int) -> float:
    return float("inf") if share >= 1 else share / df / ((1 - share) / df_residual)


def _influence(total: FloatArray, residual: FloatArray) -> FloatArray:
    """IF_i of R² = 1 - E[e²]/E[t²]: both projections are minima, so that only the squares themselves move it."""
    share = _share(total, residual)
    influence: FloatArray = ((1 - share) * total**2 - residual**2) / (total**2).mean()
    return influence


def _rank_influence(y: FloatArray, total: FloatArray, residual: FloatArray) -> FloatArray:
    """What neuron i does to R² by shifting the ranks of all neurons above it (ties: by half)."""
    n = len(y)
    slope = (1 - _share(total, residual)) * total - residual
    values, dense = np.unique(y, return_inverse=True)
    at = np.bincount(dense, weights=slope, minlength=len(values))
    above = np.cumsum(at[::-1])[::-1] - at / 2
    pushed = above[dense] / n
    influence: FloatArray = 2 / (total**2).mean() * (pushed - pushed.mean())
    return influence


def _without_means(values: FloatArray, labels: NDArray[np.integer[Any]]) -> FloatArray:
    dense = np.unique(labels, return_inverse=True)[1]
    residual: FloatArray = values - (np.bincount(dense, weights=values) / np.bincount(dense))[dense]
    return residual


def scaled_covariates(
    scores: FloatArray, sessions: NDArray[Any], covariates: FloatArray | None
) -> FloatArray:
    """Check that scores, sessions and covariates go together, and scale covariates to unit variance.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_covariates)
        Without columns where there are no covariates; a constant one becomes 0.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.
    """
    n = len(scores)
    columns = np.empty((n, 0)) if covariates is None else covariates
    if scores.shape != (n,) or sessions.shape != (n,) or columns.ndim != 2 or len(columns) != n:
        raise InputError(
            f"expected one session and one row of covariates for each of {n} scores, got {sessions.shape} and "
            f"{columns.shape}."
        )
    if not (np.isfinite(scores).all() and np.isfinite(columns).all()):
        raise InputError(
            "scores and covariates should be finite; leave out the neurons of which one is undefined."
        )
    if not n:
        return columns
    spread = columns.std(axis=0)
    scaled: FloatArray = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled
