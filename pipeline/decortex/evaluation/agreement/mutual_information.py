"""Mutual information of two partitions and its expectation by chance, from their contingency table alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

# The hypergeometric distribution of a shared count is summed over its mean +- (9 standard deviations + 20):
# what lies outside is far below the last bit of the sum.
_REACH_SD = 9.0
_REACH = 20.0
# Terms held at once; a table of 500 x 500 clusters has tens of millions of them.
_CHUNK = 2_000_000


def entropy(counts: NDArray[np.int64]) -> float:
    """Entropy of a partition in nats, from the sizes of its clusters, (n_clusters,)."""
    share = counts[counts > 0] / counts.sum()
    return float(-np.sum(share * np.log(share)))


def mutual_information(table: NDArray[np.int64]) -> float:
    """Mutual information of two partitions in nats, from their contingency table, (n_rows, n_columns).

    Examples
    --------
    >>> import numpy as np
    >>> round(mutual_information(np.array([[5, 0], [0, 5]])), 3)    # log 2
    0.693
    """
    n = float(table.sum())
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    i, j = np.nonzero(table)
    shared = table[i, j].astype(np.float64)
    log_ratio = (
        np.log(shared)
        + np.log(n)
        - np.log(rows[i].astype(np.float64))
        - np.log(columns[j].astype(np.float64))
    )
    return float(max(np.sum(shared / n * log_ratio), 0.0))


def expected_mutual_information(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    r"""Mean mutual information in nats of two random partitions with these cluster sizes.

    .. math:: E = \sum_{ij} \sum_m \frac{m}{n} \log\frac{n m}{a_i b_j} \, P(m \mid a_i, b_j, n)

    with P hypergeometric (Vinh, Epps & Bailey, JMLR 11, 2010, eq. 24a).

    Parameters
    ----------
    rows, columns : ndarray of int64, shape (n_rows,) and (n_columns,)
        Cluster sizes of both partitions; both sum to the number of neurons.

    Notes
    -----
    The sum over m runs over the region that carries the distribution's mass, not over all of its range:
    O(n_rows n_columns sqrt(largest size)) instead of O(n_rows n_columns largest size).

    Examples
    --------
    >>> import numpy as np
    >>> sizes = np.array([5, 5])
    >>> round(expected_mutual_information(sizes, sizes), 3)
    0.06
    """
    rows, columns = rows[rows > 0], columns[columns > 0]
    n = int(rows.sum())
    if n < 2:
        return 0.0
    a, b = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    mean = a * (b / n)
    sd = np.sqrt(mean * (1 - a / n) * (n - b) / (n - 1))
    reach = _REACH_SD * sd + _REACH
    first = np.maximum(np.maximum(np.floor(mean - reach).astype(np.int64), a + b - n), 1)
    last = np.minimum(np.ceil(mean + reach).astype(np.int64), np.minimum(a, b))
    length = np.maximum(last - first + 1, 0)
    total, ends = 0.0, np.cumsum(length)
    begin = 0
    while begin < len(a):
        done = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), begin + 1)
        part = slice(begin, end)
        total += _sum_terms(a[part], b[part], first[part], length[part], n)
        begin = end
    return total


def adjusted_mutual_information(table: NDArray[np.int64]) -> float:
    """Mutual information corrected for chance, over the mean of both entropies (AMI, arithmetic).

    Two partitions that are both trivial have no value; the caller says so before.
    """
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    chance = expected_mutual_information(rows, columns)
    numerator = mutual_information(table) - chance
    denominator = (entropy(rows) + entropy(columns)) / 2 - chance
    tiny = float(np.finfo(np.float64).eps)
    denominator = min(denominator, -tiny) if denominator < 0 else max(denominator, tiny)
    return float(numerator / denominator)


def _sum_terms(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    first: NDArray[np.int64],
    length: NDArray[np.int64],
    n: int,
) -> float:
    """Sum over m of the pairs (a, b), each from ``first`` on for ``length`` terms."""
    log_factorial = _log_factorials(n)
    constant = (
        log_factorial[a] + log_factorial[b] + log_factorial[n - a] + log_factorial[n - b] - log_factorial[n]
    )
    which = np.repeat(np.arange(len(a)), length)
    begin = np.cumsum(length) - length
    m = np.arange(len(which)) - begin[which] + first[which]
    a_m, b_m = a[which], b[which]
    log_p = (
        constant[which]
        - log_factorial[m]
        - log_factorial[a_m - m]
        - log_factorial[b_m - m]
        - log_factorial[n - a_m - b_m + m]
    )
    log_ratio = np.log(m * (n / (a_m * b_m.astype(np.float64))))
    return float(np.sum(m / n * log_ratio * np.exp(log_p)))


@lru_cache(maxsize=4)
def _log_factorials(n: int) -> NDArray[np.float64]:
    """Logarithms of m! for m = 0 .. n."""
    values: NDArray[np.float64] = gammaln(np.arange(n + 1) + 1.0)
    values.setflags(write=False)
    return values
