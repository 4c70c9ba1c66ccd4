"""P-values of several tests corrected together: Holm within a partition, Benjamini-Hochberg over a study."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

FloatArray = NDArray[np.float64]


def holm(p: FloatArray) -> list[float]:
    """Holm's (1979) step-down correction: controls the chance of any false rejection.

    Raises
    ------
    InputError
        If a p-value does not lie in 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> [round(p, 3) for p in holm(np.array([0.01, 0.04, 0.5]))]
    [0.03, 0.08, 0.5]
    """
    _check(p)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return _in_place(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: FloatArray) -> list[float]:
    """Adjust by Benjamini & Hochberg (1995): controls the expected share of false rejections.

    Valid for independent tests and for those that depend positively, as partitions of the same neurons do
    (Benjamini & Yekutieli 2001).

    Raises
    ------
    InputError
        If a p-value does not lie in 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> [round(p, 3) for p in benjamini_hochberg(np.array([0.01, 0.04, 0.5]))]
    [0.03, 0.06, 0.5]
    """
    _check(p)
    order = np.argsort(-p, kind="stable")
    stepped = np.minimum.accumulate(p[order] * len(p) / (len(p) - np.arange(len(p))))
    return _in_place(np.minimum(stepped, 1.0), order)


def _in_place(values: FloatArray, order: NDArray[np.intp]) -> list[float]:
    placed = np.empty(len(values))
    placed[order] = values
    return [float(value) for value in placed]


def _check(p: FloatArray) -> None:
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("p-values should lie between 0 and 1; leave out the tests that are not defined.")
