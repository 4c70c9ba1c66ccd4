"""Macro F1 and balanced accuracy of predicted classes, with intervals over the groups that were left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

LEVEL = 0.95


@dataclass(frozen=True)
class Score:
    """One score and its 95 % interval over the groups that were left out.

    Parameters
    ----------
    value : float
        Of the predictions of all groups together.
    low, high : float or None
        None with one group, or where neurons are not a sample of groups.
    """

    value: float
    low: float | None = None
    high: float | None = None


def confusions(
    truth: NDArray[np.integer[Any]],
    predicted: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    n_classes: int,
) -> NDArray[np.int64]:
    """Count neurons by group, class and predicted class, (n_groups, n_classes, n_classes).

    Examples
    --------
    >>> import numpy as np
    >>> confusions(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), 2).tolist()
    [[[1, 0], [1, 0]]]
    """
    n_groups = int(groups.max(initial=-1)) + 1
    cells = (groups.astype(np.int64) * n_classes + truth) * n_classes + predicted
    counted = np.bincount(cells, minlength=n_groups * n_classes**2)
    return counted.reshape(n_groups, n_classes, n_classes).astype(np.int64)


def balanced_accuracy(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over classes of the share that is predicted right, of tables (..., class, predicted).

    A class without neurons takes no part.

    Examples
    --------
    >>> import numpy as np
    >>> balanced_accuracy(np.array([[8, 2], [1, 1]])).tolist()
    0.65
    """
    sizes = tables.sum(axis=-1)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    recall = np.divide(right, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    shares: NDArray[np.float64] = recall.sum(axis=-1) / np.maximum((sizes > 0).sum(axis=-1), 1)
    return shares


def macro_f1(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over classes of 2 right/(true + predicted), of tables (..., class, predicted); absent classes left out.

    A class that is neither there nor predicted takes no part, as in scikit-learn's ``f1_score``.

    Examples
    --------
    >>> import numpy as np
    >>> macro_f1(np.array([[5, 0], [0, 5]])).tolist()
    1.0
    """
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    f1 = np.divide(2 * right, both, out=np.zeros(both.shape), where=both > 0)
    means: NDArray[np.float64] = f1.sum(axis=-1) / np.maximum((both > 0).sum(axis=-1), 1)
    return means


SCORES = {"macro_f1": macro_f1, "balanced_accuracy": balanced_accuracy}


def score_groups(tables: NDArray[np.int64], *, interval: bool) -> dict[str, Score]:
    """Score the predictions of all groups together, with intervals over groups.

    Parameters
    ----------
    tables : ndarray of int64, shape (n_groups, n_classes, n_classes)
        Of each group, as `confusions` counts them.
    interval : bool
        Whether the groups are a sample that an interval can rest on.

    Returns
    -------
    dict of str to Score
        'macro_f1' and 'balanced_accuracy'.

    Notes
    -----
    Jackknife: the score without each group in turn gives the standard error, and t with n_groups - 1 degrees of
    freedom the interval, so that few animals give a wide one (Efron & Tibshirani 1993, ch. 11). Bounds are cut at 0
    and 1.

    Examples
    --------
    >>> import numpy as np
    >>> score_groups(np.array([[[5, 0], [0, 5]]]), interval=False)["macro_f1"].value
    1.0
    """
    whole = tables.sum(axis=0)
    n = len(tables)
    found = {}
    for name, score in SCORES.items():
        value = float(score(whole))
        if not interval or n < 2:
            found[name] = Score(value)
            continue
        without = score(whole - tables)
        se = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
        reach = float(t.ppf((1 + LEVEL) / 2, n - 1)) * se
        found[name] = Score(value, max(value - reach, 0.0), min(value + reach, 1.0))
    return found
