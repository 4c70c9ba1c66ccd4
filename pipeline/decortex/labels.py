"""What every function may assume of cluster labels, checked in one place: integers, -1 for no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decortex.errors import InputError

NOT_ASSIGNED = -1


def check_labels(labels: ArrayLike, *, name: str = "labels") -> NDArray[np.int64]:
    """Return labels as native int64, whatever integer type they were stored in.

    Parameters
    ----------
    labels : array_like of int, shape (n_neurons,)
        Cluster of each neuron: any integer type, signed or unsigned, of any width and byte order. A cluster is 0
        or larger; -1 says that the neuron has none (as in the codes of a pandas Categorical, and HDBSCAN's noise).
    name : str
        What the message calls them.

    Returns
    -------
    ndarray of int64, shape (n_neurons,)

    Raises
    ------
    InputError
        If they are not one-dimensional, not integers, below -1, or beyond int64.

    Examples
    --------
    >>> check_labels(np.array([0, 2, -1], dtype=">i4"))
    array([ 0,  2, -1])
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(
            f"{name} should be one label per neuron, shape (n_neurons,), but have the shape {array.shape}."
        )
    if array.dtype.kind not in "iu" and array.size:
        advice = {
            "f": "Convert them: -1 where a label is missing (NaN), .astype(int) for whole numbers.",
            "b": "For two clusters convert them with .astype(int).",
        }.get(array.dtype.kind, "Number them: np.unique(labels, return_inverse=True)[1].")
        raise InputError(
            f"{name} should be integers, a cluster from 0 on or -1 for none, but their dtype is {array.dtype}. {advice}"
        )
    if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise InputError(
            f"{name} should fit into int64, but reach {int(array.max())}; was -1 (no cluster) stored as unsigned? "
            "Convert with .astype('int64') where it was written."
        )
    checked = array.astype(np.int64)
    if checked.size and checked.min() < NOT_ASSIGNED:
        raise InputError(
            f"{name} should be 0 or larger, or -1 for a neuron without a cluster, but the smallest is "
            f"{checked.min()}. Renumber the clusters from 0 on."
        )
    return checked


def assigned_only(labels: ArrayLike, *others: NDArray[Any] | None, name: str = "labels") -> tuple[Any, ...]:
    """Labels of the neurons that have a cluster, and what else is known of just these neurons.

    Parameters
    ----------
    labels : array_like of int, shape (n_neurons,)
        As `check_labels` takes them.
    *others : ndarray, shape (n_neurons, ...), or None
        Scores, sessions, points; None stays None.
    name : str
        What messages call the labels.

    Returns
    -------
    tuple
        Labels (int64) and the others, without the neurons whose label is -1, in the same order.

    Raises
    ------
    InputError
        If the labels are not labels, or an array does not describe the same neurons.

    Examples
    --------
    >>> assigned_only(np.array([1, -1, 0]), np.array([0.5, 0.6, 0.7]))
    (array([1, 0]), array([0.5, 0.7]))
    """
    checked = check_labels(labels, name=name)
    known = [None if one is None else np.asarray(one) for one in others]
    if any(one is not None and one.shape[:1] != checked.shape for one in known):
        shapes = ", ".join(str(one.shape) for one in known if one is not None)
        raise InputError(
            f"expected {len(checked)} {name} and all else to describe the same neurons, one label per neuron, got "
            f"arrays of shape {shapes}."
        )
    if checked.size == 0 or checked.min() > NOT_ASSIGNED:
        return (checked, *known)
    kept = checked != NOT_ASSIGNED
    return (checked[kept], *(None if one is None else one[kept] for one in known))


def assigned_in_all(partitions: Sequence[ArrayLike]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Check partitions that are compared with each other, and say which neurons every one of them assigns.

    Parameters
    ----------
    partitions : sequence of array_like of int, each (n_neurons,)
        As `check_labels` takes them.

    Returns
    -------
    partitions : list of ndarray of int64, each (n_neurons,)
        Whole, -1 included.
    kept : ndarray of bool, shape (n_neurons,)
        Neurons without a -1; empty where there is no partition.

    Raises
    ------
    InputError
        If one is not made of labels, or they are not of the same neurons.
    """
    checked = [check_labels(one, name=f"labels of partition {i}") for i, one in enumerate(partitions)]
    lengths = sorted({len(one) for one in checked})
    if len(lengths) > 1:
        raise InputError(f"partitions should label the same neurons, but have {lengths} of them.")
    kept = np.ones(lengths[0] if lengths else 0, dtype=bool)
    for one in checked:
        kept &= one != NOT_ASSIGNED
    return checked, kept
