"""Adjusted Rand index of every pair of many partitions: one number per pair, without the indices that take longer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.agreement.indices import Labels, _adjusted_rand, contingency


def rand_matrix(partitions: Sequence[Labels]) -> NDArray[np.float64]:
    """Adjusted Rand index (Hubert & Arabie 1985) of every pair, on the neurons that both place.

    Parameters
    ----------
    partitions : sequence of ndarray of int, shape (n_neurons,)
        Labels, as `decortex.labels.check_labels` takes them; -1 keeps a neuron out.

    Returns
    -------
    ndarray of float64, shape (n_partitions, n_partitions)
        Symmetric; NaN where both partitions are one cluster or share no neuron, on the diagonal too.

    Notes
    -----
    O(n_neurons) a pair.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([0, 0, 1, 1])
    >>> rand_matrix([a, 1 - a]).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    n = len(partitions)
    matrix = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i, n):
            matrix[i, j] = matrix[j, i] = _pair(contingency(partitions[i], partitions[j]))
    return matrix


def _pair(table: NDArray[np.int64]) -> float:
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    n = int(table.sum())
    together = int(np.sum(table * table)) - n
    in_a, in_b = int(np.sum(rows * rows)) - n, int(np.sum(columns * columns)) - n
    all_pairs = n * (n - 1)
    # One cluster against one, or singletons against singletons, is 0/0.
    if in_a == in_b and in_a in (0, all_pairs):
        return float("nan")
    return _adjusted_rand(together, in_a, in_b, all_pairs)
