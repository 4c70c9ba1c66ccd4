"""A value against the same value on surrogates: excess, z and p. Drawing the surrogates is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

ExcessStatus = Literal["ok", "not_observed", "no_null", "one_null", "constant_null"]


@dataclass(frozen=True)
class NullExcess:
    """How far an observed value lies above its null.

    Parameters
    ----------
    status : {'ok', 'not_observed', 'no_null', 'one_null', 'constant_null'}
        'not_observed', 'no_null': nothing to compare. 'one_null', 'constant_null': no spread, hence no z.
    observed : float or None
        The value.
    n_null : int
        Surrogates with a defined value.
    null_mean, null_sd : float or None
        Over them (ddof 1).
    excess : float or None
        observed - null_mean.
    z : float or None
        excess / null_sd; says how far, not how unlikely.
    p : float or None
        (b + 1)/(n_null + 1), b surrogates reach the observed value (up to rounding); large is extreme. Never
        below 1/(n_null + 1).
    """

    status: ExcessStatus
    observed: float | None
    n_null: int
    null_mean: float | None
    null_sd: float | None
    excess: float | None
    z: float | None
    p: float | None


def excess_over_null(observed: float | None, null: Sequence[float | None]) -> NullExcess:
    """Compare a value with its values on surrogates; None and NaN are not defined and left out.

    Examples
    --------
    >>> one = excess_over_null(0.7, [0.1, 0.2, 0.3])
    >>> (round(one.z, 1), one.p)
    (5.0, 0.25)
    """
    values = np.array([value for value in null if value is not None and np.isfinite(value)])
    n = len(values)
    mean = float(values.mean()) if n else None
    sd = float(values.std(ddof=1)) if n > 1 else None
    if observed is None or not np.isfinite(observed):
        return NullExcess("not_observed", None, n, mean, sd, None, None, None)
    if mean is None:
        return NullExcess("no_null", float(observed), 0, None, None, None, None, None)
    excess = float(observed) - mean
    tolerance = 1e-12 * max(1.0, abs(float(observed)))
    p = (int(np.count_nonzero(values >= observed - tolerance)) + 1) / (n + 1)
    if sd is None:
        return NullExcess("one_null", float(observed), n, mean, None, excess, None, p)
    if sd <= tolerance:
        return NullExcess("constant_null", float(observed), n, mean, sd, excess, None, p)
    return NullExcess("ok", float(observed), n, mean, sd, excess, excess / sd, p)
