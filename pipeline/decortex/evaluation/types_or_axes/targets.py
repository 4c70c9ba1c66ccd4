"""Targets as columns of numbers: scores and features in units of their spread, categories as indicators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def target_columns(
    target: Any, n_neurons: int, *, categorical: bool | None, standardise: bool
) -> tuple[FloatArray, BoolArray]:
    """Columns of a target, and the neurons that have it.

    Parameters
    ----------
    target : array_like, shape (n_neurons,) or (n_neurons, n_targets)
        Numbers; or categories, one per neuron.
    n_neurons : int
        Of the embedding.
    categorical : bool or None
        Whether values are categories; None: text is, numbers are not.
    standardise : bool
        Whether columns of numbers are divided by their standard deviation.

    Returns
    -------
    columns : ndarray, shape (n_with_target, n_targets)
        Mean 0; of categories, indicators, whose squared error is the Brier score.
    defined : ndarray of bool, shape (n_neurons,)
        Neurons without NaN in any column; of categories, without None, NaN, empty text or a negative number.

    Raises
    ------
    InputError
        If the target does not fit the neurons, is not finite, or is the same in all of them.
    """
    values = np.asarray(target)
    if values.ndim not in (1, 2) or len(values) != n_neurons:
        raise InputError(
            f"the target must have one row per neuron, ({n_neurons},) or ({n_neurons}, n_targets); got shape "
            f"{values.shape}. Give neurons without a target NaN."
        )
    if categorical or (categorical is None and values.dtype.kind in "OUSb"):
        return _categories(values)
    try:
        numbers = values.astype(np.float64).reshape(n_neurons, -1)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the target holds values that are no numbers ({error}); name it categorical."
        ) from error
    if numbers.shape[1] == 0:
        raise InputError("the target has no columns.")
    if np.isinf(numbers).any():
        raise InputError("the target holds infinite values; give neurons without a target NaN.")
    defined: BoolArray = np.logical_not(np.isnan(numbers).any(axis=1))
    if not defined.any():
        raise InputError("no neuron has a target: every row holds NaN.")
    columns = numbers[defined] - numbers[defined].mean(axis=0)
    spread = columns.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(numbers[defined]).max(axis=0), np.finfo(float).tiny)
    if not varies.any():
        raise InputError("the target is the same in all neurons; there is nothing to predict.")
    columns = columns[:, varies]
    return (columns / spread[varies] if standardise else columns), defined


def _categories(values: NDArray[Any]) -> tuple[FloatArray, BoolArray]:
    if values.ndim == 2:
        if values.shape[1] != 1:
            raise InputError(
                f"categories are one per neuron, shape ({len(values)},); got {values.shape}. Compare sets of labels "
                "one after the other."
            )
        values = values[:, 0]
    defined = np.array([not _missing(one) for one in values], dtype=bool)
    names, codes = np.unique([str(one) for one in values[defined]], return_inverse=True)
    if len(names) < 2:
        raise InputError(f"the target has {len(names)} categories; at least two are needed.")
    columns = (codes[:, None] == np.arange(len(names))).astype(np.float64)
    return columns - columns.mean(axis=0), defined


def _missing(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_)):
        return bool(np.isnan(value) or value < 0)
    return str(value) == ""
