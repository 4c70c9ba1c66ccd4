"""Linear mixed model with one random intercept, by maximum (or restricted) likelihood from group sums.

The likelihood depends on the data only through cross products and sums within groups, so that one evaluation costs
the same for 300 neurons as for 50,000; statsmodels' MixedLM is the reference in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.optimize import minimize_scalar

from decortex.errors import InputError

FloatArray = NDArray[np.float64]

# Variance of the groups over that of the residuals: natural logarithms of the search, in its two steps.
_LOG_RATIOS = np.linspace(-16.0, 18.0, 18)
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class RandomInterceptFit:
    """A fitted y = X beta + b_group + e.

    Parameters
    ----------
    log_likelihood : float
        At the optimum; restricted if ``reml``.
    beta : ndarray of float64, shape (n_columns,)
        Fixed effects.
    covariance : ndarray of float64, shape (n_columns, n_columns)
        Of the fixed effects, given the variances.
    residual_variance, group_variance : float
        Of e, and of b; the second is 0 where the likelihood falls with it.
    reml : bool
        Whether the likelihood is the restricted one.
    """

    log_likelihood: float
    beta: FloatArray
    covariance: FloatArray
    residual_variance: float
    group_variance: float
    reml: bool


def fit_random_intercept(
    y: FloatArray, X: FloatArray, groups: NDArray[np.integer[Any]], *, reml: bool = False
) -> RandomInterceptFit:
    r"""Fit a linear mixed model with one random intercept per group.

    .. math:: y = X\beta + b_{g} + e, \quad b \sim N(0, \tau^2), \; e \sim N(0, \sigma^2)

    With :math:`\lambda = \tau^2/\sigma^2`, group sums s_g and sizes n_g, the weighted cross products are
    :math:`X'V^{-1}X = X'WX + \sum_g s_g s_g'/(n_g (1 + n_g\lambda))`, W the centring within groups, and
    :math:`\log|V| = \sum_g \log(1 + n_g\lambda)`; the profile over :math:`\lambda` is searched on a grid and
    then by Brent's method.

    Parameters
    ----------
    y : ndarray of float64, shape (n_neurons,)
        Finite scores.
    X : ndarray of float64, shape (n_neurons, n_columns)
        Fixed effects, of full column rank.
    groups : ndarray of int, shape (n_neurons,)
        Group of each neuron, >= 0.
    reml : bool
        Maximise the restricted likelihood.

    Raises
    ------
    InputError
        If shapes do not fit, X is not of full column rank, or there are no degrees of freedom left.

    References
    ----------
    Laird & Ware (1982), Biometrics 38; Harville (1977), JASA 72.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([1.0, 1.1, 3.0, 3.1, 5.0, 5.1])
    >>> fit = fit_random_intercept(y, np.ones((6, 1)), np.array([0, 0, 1, 1, 2, 2]))
    >>> fit.beta.round(2).tolist()
    [3.05]
    """
    n, p = X.shape
    if y.shape != (n,) or groups.shape != (n,):
        raise InputError(
            f"expected one score and one group for each of {n} rows of X, got {y.shape}, {groups.shape}."
        )
    if n <= p:
        raise InputError(f"a mixed model of {p} fixed effects needs more than {p} neurons, got {n}.")
    # Orthonormal columns: the normal equations are then as well conditioned as X itself.
    Q, R = np.linalg.qr(X)
    if np.abs(np.diag(R)).min() <= 1e-10 * np.abs(np.diag(R)).max():
        raise InputError("X should be of full column rank; leave out the columns that repeat others.")
    start = Q.T @ y
    residuals = y - Q @ start
    scale = float(residuals.std()) or 1.0
    likelihood = _Profile.of(residuals / scale, Q, groups, reml=reml)
    coarse = [likelihood(ratio) for ratio in np.exp(_LOG_RATIOS)]
    best = int(np.argmax(coarse))
    low, high = _LOG_RATIOS[max(best - 1, 0)], _LOG_RATIOS[min(best + 1, len(_LOG_RATIOS) - 1)]
    found = minimize_scalar(
        lambda log_ratio: -likelihood(float(np.exp(log_ratio))),
        bounds=(float(low), float(high)),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    ratio = float(np.exp(found.x))
    if likelihood(0.0) >= likelihood(ratio):
        ratio = 0.0
    beta, inverse, rss = likelihood.solve(ratio)
    variance = rss / likelihood.degrees * scale**2
    to_columns = np.linalg.inv(R)
    log_likelihood = likelihood(ratio) - likelihood.degrees * float(np.log(scale))
    return RandomInterceptFit(
        log_likelihood=log_likelihood - float(np.log(np.abs(np.diag(R))).sum()) * reml,
        beta=to_columns @ (beta * scale + start),
        covariance=variance * (to_columns @ inverse @ to_columns.T),
        residual_variance=variance,
        group_variance=variance * ratio,
        reml=reml,
    )


@dataclass(frozen=True)
class _Profile:
    """Log-likelihood as a function of the ratio of the two variances."""

    within: FloatArray  # [X y]'[X y] less the groups' means
    sums: FloatArray  # of [X y] in each group
    counts: FloatArray
    degrees: int
    reml: bool

    @classmethod
    def of(cls, y: FloatArray, X: FloatArray, groups: NDArray[np.integer[Any]], *, reml: bool) -> _Profile:
        both = np.column_stack([X, y])
        order = np.argsort(groups, kind="stable")
        _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(both[order], starts, axis=0)
        n, p = X.shape
        within = both[order] - np.repeat(sums / counts[:, None], counts, axis=0)
        return cls(within.T @ within, sums, counts.astype(np.float64), n - p if reml else n, reml)

    def solve(self, ratio: float) -> tuple[FloatArray, FloatArray, float]:
        """Fixed effects, inverse of X'V^-1 X, and residual sum of squares, V in units of the residual variance."""
        factor, product, total = self._factor(ratio)
        beta = dpotrs(factor, product, lower=True)[0]
        inverse = dpotrs(factor, np.eye(len(product)), lower=True)[0]
        return beta, inverse, float(total - product @ beta)

    def __call__(self, ratio: float) -> float:
        factor, product, total = self._factor(ratio)
        rss = max(float(total - product @ dpotrs(factor, product, lower=True)[0]), np.finfo(float).tiny)
        spread = self.degrees * (np.log(2 * np.pi * rss / self.degrees) + 1)
        spread += np.log1p(ratio * self.counts).sum()
        if self.reml:
            spread += 2 * np.log(np.diag(factor)).sum()
        return float(-spread / 2)

    def _factor(self, ratio: float) -> tuple[FloatArray, FloatArray, float]:
        # Sums of what varies within groups and between them: differences would lose the first at large ratios.
        weights = 1 / (self.counts * (1 + ratio * self.counts))
        cross = self.within + (self.sums * weights[:, None]).T @ self.sums
        # LAPACK itself: what scipy.linalg looks at first takes longer than so small a matrix does.
        factor, failed = dpotrf(cross[:-1, :-1], lower=True, clean=False)
        if failed:
            raise np.linalg.LinAlgError(f"X'V^-1 X is not positive definite at ratio {ratio}")
        return factor, cross[:-1, -1], float(cross[-1, -1])
