"""What every clustering method may assume of its input, checked in one place. No algorithm here."""

from __future__ import annotations

import numbers
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from decortex.arrays import LARGEST_VALUE, SMALLEST_SPREAD, real_array
from decortex.errors import InputError

FloatArray: TypeAlias = NDArray[np.float64]


def check_points(x: Any, *, name: str = "x") -> FloatArray:
    """Return the neurons as a C-contiguous float64 array, or say what is wrong with them.

    Every real dtype is taken: float16, float32 and integers convert to float64 without loss, so that the
    same values give the same partition whatever they were stored as.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        One row per neuron.
    name : str
        What the message calls the array.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_features)

    Raises
    ------
    InputError
        If x is not two-dimensional, empty, complex, not numeric, masked, not finite, larger than 1e100, or its neurons
        differ by less than 1e-100 (but not by nothing).

    Examples
    --------
    >>> check_points([[1, 2], [3, 4]]).dtype.name
    'float64'
    """
    array = real_array(x, name)
    if array.ndim != 2:
        raise InputError(
            f"{name} should have shape (n_neurons, n_features), but has {array.ndim} dimension(s), shape "
            f"{array.shape}. For a single feature use {name}.reshape(-1, 1)."
        )
    if 0 in array.shape:
        raise InputError(
            f"{name} should hold at least one neuron and one feature, but its shape is {array.shape}."
        )
    points = np.ascontiguousarray(array, dtype=np.float64)
    largest = np.abs(points).max()
    if not largest <= LARGEST_VALUE:  # false for NaN, too
        wrong = ~(np.abs(points) <= LARGEST_VALUE)
        neurons = np.flatnonzero(wrong.any(axis=1))
        raise InputError(
            f"{name} should be finite and at most {LARGEST_VALUE:g} in magnitude, but {int(wrong.sum())} "
            f"value(s) in {len(neurons)} neuron(s) are not (first: neuron {neurons[0]}). Exclude these "
            "neurons or repair the embedding; none is dropped silently, because labels keep their order."
        )
    spread = float(np.ptp(points, axis=0).max())
    if 0 < spread < SMALLEST_SPREAD:
        raise InputError(
            f"the neurons of {name} differ by at most {spread:.2g} in any feature, and squares of such differences are"
            f" 0 in double precision: give {name} in a unit in which they differ by {SMALLEST_SPREAD:g} or more."
        )
    return points


def check_n_clusters(n_clusters: Any, n_neurons: int) -> int:
    """Return the number of clusters as an int.

    Raises
    ------
    InputError
        If it is not a whole number, below 1 or above the number of neurons.

    Examples
    --------
    >>> check_n_clusters(3, 10)
    3
    """
    if not isinstance(n_clusters, numbers.Integral) or isinstance(n_clusters, bool):
        raise InputError(f"n_clusters should be a whole number, but is {n_clusters!r}.")
    count = int(n_clusters)
    if count < 1:
        raise InputError(f"n_clusters should be at least 1, but is {n_clusters}.")
    if count > n_neurons:
        raise InputError(
            f"n_clusters = {n_clusters} is larger than the number of neurons ({n_neurons}): ask for at most "
            f"{n_neurons} clusters, or cluster more neurons."
        )
    if count > np.iinfo(np.int16).max:
        raise InputError(f"n_clusters should be at most {np.iinfo(np.int16).max}, but is {n_clusters}.")
    return count


def check_seed(seed: Any) -> int:
    """Return the seed as an int.

    Raises
    ------
    InputError
        If it is not a whole number or negative.

    Examples
    --------
    >>> check_seed(7)
    7
    """
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or int(seed) < 0:
        raise InputError(f"seed should be a whole number, 0 or larger, but is {seed!r}.")
    return int(seed)


def generator(seed: int, n_clusters: int) -> np.random.Generator:
    """Random numbers of one (K, seed): independent of every other K and seed of a grid."""
    return np.random.default_rng([seed, n_clusters])


def sklearn_state(rng: np.random.Generator) -> int:
    """Draw a `random_state` for scikit-learn."""
    return int(rng.integers(2**31 - 1))
