"""Is a mean change over sessions negligible: two one-sided tests, and the wild cluster bootstrap as a check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from decortex.errors import InputError

FloatArray = NDArray[np.float64]
EquivalenceStatus = Literal["ok", "no_scores", "one_session", "no_variation"]

# A change of the mean correlation that nobody would act on; every result stores the margin it was tested with.
DEFAULT_MARGIN = 0.005
# Webb's (2023) weights: mean 0, variance 1, six values, so that few sessions still give many different draws.
WEBB_WEIGHTS = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])


@dataclass(frozen=True)
class Equivalence:
    """Whether a mean over sessions lies within a margin of 0.

    Parameters
    ----------
    status : {'ok', 'no_scores', 'one_session', 'no_variation'}
        'no_variation': every session has the same change and no interval exists.
    margin : float
        The change that would matter.
    p : float or None
        Larger of the two one-sided p-values (Schuirmann 1987). Below .05 the 90 % interval lies inside the margin.
    equivalent : bool or None
        Whether p <= .05.
    p_zero : float or None
        Two-sided t test that the change is 0: the other question.
    wild_p : float or None
        The same question by wild cluster bootstrap; smallest possible with few sessions: not below 2/6^n or 1/B.
    wild_low, wild_high : float or None
        95 % interval by the studentised wild cluster bootstrap; None where it has no bounds (two sessions).
    """

    status: EquivalenceStatus
    margin: float
    p: float | None = None
    equivalent: bool | None = None
    p_zero: float | None = None
    wild_p: float | None = None
    wild_low: float | None = None
    wild_high: float | None = None


def equivalence(
    session_means: FloatArray, *, margin: float = DEFAULT_MARGIN, seed: int = 0, n_bootstrap: int = 9999
) -> Equivalence:
    """Test whether the mean over sessions is negligible.

    Parameters
    ----------
    session_means : ndarray of float64, shape (n_sessions,)
        One change a session, finite.
    margin : float
        Above 0: the smallest change that matters.
    seed, n_bootstrap : int
        Of the wild cluster bootstrap; where all its draws are not more than that, they are enumerated instead.

    Raises
    ------
    InputError
        If the margin is not positive, or a change is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> one = equivalence(np.array([0.0005, -0.0004, 0.0002, 0.0001]), margin=0.005)
    >>> one.equivalent
    True
    """
    if not margin > 0:
        raise InputError(f"the margin should be above 0, got {margin}: it is the change that would matter.")
    if not np.isfinite(session_means).all():
        raise InputError("the sessions' mean changes should be finite; leave out sessions without a score.")
    n = len(session_means)
    if n < 2:
        return Equivalence("one_session" if n else "no_scores", margin)
    mean, error = float(session_means.mean()), float(session_means.std(ddof=1) / np.sqrt(n))
    # Changes that are equal up to rounding have no spread to judge by.
    if error <= 1e-14 * max(abs(mean), margin):
        return Equivalence("no_variation", margin)
    p = max(float(t.sf((mean + margin) / error, n - 1)), float(t.cdf((mean - margin) / error, n - 1)))
    wild_p, wild_low, wild_high = wild_cluster_bootstrap(session_means, seed=seed, n_bootstrap=n_bootstrap)
    return Equivalence(
        status="ok",
        margin=margin,
        p=p,
        equivalent=p <= 0.05,
        p_zero=float(2 * t.sf(abs(mean) / error, n - 1)),
        wild_p=wild_p,
        wild_low=wild_low,
        wild_high=wild_high,
    )


def wild_cluster_bootstrap(
    session_means: FloatArray, *, seed: int, n_bootstrap: int, level: float = 0.95
) -> tuple[float, float | None, float | None]:
    """P of a mean of 0 and interval of the mean, by the studentised wild bootstrap of session means.

    Sessions keep their deviation from the mean, times a random weight; every draw is divided by its own standard
    error (Cameron, Gelbach & Miller 2008; weights of Webb 2023). For the p the deviations are from 0.

    Returns
    -------
    p, low, high : float
        The interval is None where it has no bounds.
    """
    n = len(session_means)
    mean, error = session_means.mean(), session_means.std(ddof=1) / np.sqrt(n)
    if len(WEBB_WEIGHTS) ** n <= n_bootstrap:
        weights = _every_weight(n)
    else:
        weights = np.random.default_rng([seed, n]).choice(WEBB_WEIGHTS, size=(n_bootstrap, n))
    under_zero = _studentised(weights * session_means)
    observed = abs(mean) / error
    reached = int(np.count_nonzero(np.abs(under_zero) >= observed * (1 - 1e-10)))
    p = (reached + 1) / (len(under_zero) + 1)
    around = _studentised(weights * (session_means - mean))
    # A draw whose sessions coincide is infinite, which no interpolation survives; with two sessions many do.
    low, high = np.quantile(around, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    if not (np.isfinite(low) and np.isfinite(high)):
        return float(p), None, None
    return float(p), float(mean - high * error), float(mean - low * error)


@cache
def _every_weight(n_sessions: int) -> FloatArray:
    return np.array(list(product(WEBB_WEIGHTS, repeat=n_sessions)))


def _studentised(draws: FloatArray) -> FloatArray:
    """Mean over standard error of every row; infinite where a row does not vary."""
    means, errors = draws.mean(axis=1), draws.std(axis=1, ddof=1) / np.sqrt(draws.shape[1])
    varied = errors > 1e-12 * np.abs(draws).max(initial=1e-300)
    infinite = np.where(means == 0, 0.0, np.copysign(np.inf, means))
    statistics: FloatArray = np.divide(means, errors, out=infinite, where=varied)
    return statistics
