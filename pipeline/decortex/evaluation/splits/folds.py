"""Folds of neurons, or of whole donors: which neurons are held out together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

IntArray = NDArray[np.int64]

# A group needs as many neurons of other donors than the one that has most of it.
_FEWEST_OF_OTHERS = 5


def donor_codes(donors: Any, n_neurons: int) -> IntArray | None:
    """Numbers 0, 1, ... for the donors' names; None without donors.

    Raises
    ------
    InputError
        If there is not one donor per neuron, or only a single donor.
    """
    if donors is None:
        return None
    names = np.asarray(donors)
    if names.shape != (n_neurons,):
        raise InputError(
            f"donors should name one donor per neuron, shape ({n_neurons},), but has shape {names.shape}."
        )
    if names.dtype.kind == "f" and not np.isfinite(names).all():
        raise InputError(
            "donors holds NaN or infinity: give every neuron a donor, or leave such neurons out."
        )
    kept, codes = np.unique(names.astype(str) if names.dtype.kind == "O" else names, return_inverse=True)
    if len(kept) < 2:
        raise InputError(
            f"All {n_neurons} neurons are of one donor ({kept[0]!r}): whole donors cannot be held out. Pass "
            "donors=None, and say that the types are those of one animal."
        )
    return codes.astype(np.int64).reshape(-1)


def draw_folds(n_neurons: int, donors: IntArray | None, n_folds: int, rng: np.random.Generator) -> IntArray:
    """Fold of every neuron.

    Without donors at random, of equal size. With donors whole donors go to a fold: about the largest first, into the
    fold that is smallest so far.

    Parameters
    ----------
    donors : ndarray of int64, shape (n_neurons,), optional
        Codes of the donors; some may have no neuron here.

    Examples
    --------
    >>> import numpy as np
    >>> np.bincount(draw_folds(10, None, 5, np.random.default_rng(0))).tolist()
    [2, 2, 2, 2, 2]
    """
    if donors is None:
        return rng.permutation(np.arange(n_neurons) % n_folds)
    sizes = np.bincount(donors)
    present = np.flatnonzero(sizes)
    n_folds = min(n_folds, len(present))
    order = present[np.argsort(-sizes[present] * rng.uniform(1.0, 1.5, len(present)), kind="stable")]
    filled = np.zeros(n_folds)
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for donor in order:
        fold_of[donor] = int(np.argmin(filled))
        filled[fold_of[donor]] += sizes[donor]
    folds: IntArray = fold_of[donors]
    return folds


def of_one_donor(groups: IntArray, donors: IntArray) -> NDArray[np.bool_]:
    """Which groups are those of one donor: a difference between animals looks like a type there.

    Parameters
    ----------
    groups, donors : ndarray of int64, shape (n_neurons,)
        Group of every neuron, below 0 for none, and its donor.

    Returns
    -------
    ndarray of bool, shape (n_groups,)
        Fewer than five neurons are not of the donor that has most.
    """
    counts = np.zeros((int(groups.max()) + 1, int(donors.max()) + 1), dtype=np.int64)
    inside = groups >= 0
    np.add.at(counts, (groups[inside], donors[inside]), 1)
    alone: NDArray[np.bool_] = counts.sum(axis=1) - counts.max(axis=1) < _FEWEST_OF_OTHERS
    return alone
