"""What every function may assume of an array of numbers that somebody hands over, checked in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

LARGEST_VALUE = 1e100  # beyond it sums of squares of a wide embedding may overflow
SMALLEST_SPREAD = 1e-100  # below it squares of differences vanish
_ADVICE = {
    "c": "Pass magnitudes, or real and imaginary parts as columns of their own.",
    "b": "Convert with .astype(int).",
}


def real_array(x: Any, name: str, *, kinds: str = "fiu") -> NDArray[Any]:
    """Make an array of real numbers; what is masked, ragged, complex or no number gets its sentence.

    Parameters
    ----------
    x : array_like
        Anything that numpy makes an array of.
    name : str
        What messages call it.
    kinds : str
        Kinds of dtype that are taken.

    Raises
    ------
    InputError
        If numpy makes no array of it (rows of unequal length, a tensor that needs gradients or is bfloat16), values
        are masked, or they are not real numbers.

    Examples
    --------
    >>> real_array([[1, 2]], "x").shape
    (1, 2)
    """
    if isinstance(x, np.ma.MaskedArray) and np.ma.getmaskarray(x).any():
        raise InputError(
            f"{name} is a masked array in which {int(np.ma.getmaskarray(x).sum())} values are masked: leave these"
            " neurons or features out; nothing is filled in silently."
        )
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name} should be an array of real numbers, (n_neurons, n_features), but cannot be made one: {first}"
        ) from None
    if array.dtype.kind not in kinds:
        advice = _ADVICE.get(array.dtype.kind, "Convert with .astype(float), which says what is no number.")
        raise InputError(
            f"{name} should hold real numbers (float or int), but its dtype is {array.dtype}. {advice}"
        )
    return array
