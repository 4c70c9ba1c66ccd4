"""How sure is a mean agreement over pairs of networks: an interval with networks, not pairs, as the sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation.agreement.bounds import cut_interval
from decortex.evaluation.performance import t_interval


def pairs_interval(
    pairs: Mapping[tuple[int, int], float],
    level: float = 0.95,
    *,
    bounds: tuple[float, float] | None = None,
) -> tuple[float | None, float | None]:
    r"""Interval of a mean over all pairs of networks, by the jackknife over networks.

    Pairs that share a network are not independent: three networks are three pairs, but a sample of three networks.
    With :math:`\theta` the mean over all pairs and :math:`\theta_{(i)}` that without network i, the pseudo-values
    :math:`n\theta - (n - 1)\theta_{(i)}` have :math:`\theta` as their mean; the interval is Student's on them.

    Parameters
    ----------
    pairs : mapping of (int, int) to float
        Agreement of every pair of networks, each pair once.
    level : float
        Of the interval.
    bounds : tuple of float, optional
        Least and largest value that the index can have (`ARI_BOUNDS`), at which the ends are cut: the t distribution
        knows none, and with three networks it reaches beyond 1. Default: not cut, as for differences.

    Returns
    -------
    tuple of float or None
        Ends; (None, None) below three networks, whose single pair has no spread.

    Raises
    ------
    InputError
        If a pair is missing or there twice.

    Notes
    -----
    Arvesen, "Jackknifing U-statistics", Ann. Math. Stat. 40, 1969. With three networks it has two degrees of
    freedom and is wide.

    Examples
    --------
    >>> low, high = pairs_interval({(0, 1): 0.5, (0, 2): 0.6, (1, 2): 0.7})
    >>> round(low, 3), round(high, 3)
    (0.103, 1.097)
    >>> pairs_interval({(0, 1): 0.5, (0, 2): 0.6, (1, 2): 0.7}, bounds=(-0.5, 1.0))[1]
    1.0
    """
    networks = sorted({network for pair in pairs for network in pair})
    n = len(networks)
    unordered = {frozenset(pair) for pair in pairs}
    if len(unordered) != len(pairs) or len(pairs) != n * (n - 1) // 2:
        raise InputError(
            f"expected every pair of {n} networks once, {n * (n - 1) // 2} in all, got {len(pairs)}: {sorted(pairs)}."
        )
    if n < 3:
        return None, None
    whole = float(np.mean(list(pairs.values())))
    without = [np.mean([value for pair, value in pairs.items() if one not in pair]) for one in networks]
    low, high = t_interval(n * whole - (n - 1) * np.array(without, dtype=np.float64), level)
    return (low, high) if bounds is None else cut_interval(low, high, bounds)


def pseudo_values(means: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Jackknife pseudo-values of a mean over all pairs, from every network's mean over its own pairs.

    .. math:: \theta + \frac{2(n-1)}{n-2}(m_i - \theta), \qquad m_i = \frac{1}{n-1} \sum_{j \ne i} a_{ij}

    Each pair counts in two means, so that these spread less than a sample of networks: four times for three networks.

    Parameters
    ----------
    means : ndarray of float64, shape (n_networks,)
        Of at least three networks, every pair of them compared.

    Returns
    -------
    ndarray of float64, shape (n_networks,)

    Raises
    ------
    InputError
        If there are fewer.

    Examples
    --------
    >>> import numpy as np
    >>> pseudo_values(np.array([0.6, 0.7, 0.8])).round(2).tolist()
    [0.3, 0.7, 1.1]
    """
    n = len(means)
    if n < 3:
        raise InputError(
            f"the jackknife over pairs of networks needs at least 3 networks, got {n}; add networks."
        )
    values: NDArray[np.float64] = means.mean() + 2 * (n - 1) / (n - 2) * (means - means.mean())
    return values


def means_interval(means: NDArray[np.float64], level: float = 0.95) -> tuple[float | None, float | None]:
    """Interval of a mean over all pairs of networks, as `pairs_interval`, from every network's mean over its pairs.

    Parameters
    ----------
    means : ndarray of float64, shape (n_networks,)
        Mean agreement, or change of it, of every network with all others.
    level : float
        Of the interval.

    Returns
    -------
    tuple of float or None
        Ends; (None, None) below three networks: two have one pair, which has no spread.

    Examples
    --------
    >>> low, high = means_interval(np.array([0.55, 0.6, 0.65]))    # pairs .5, .6 and .7
    >>> round(low, 3), round(high, 3)
    (0.103, 1.097)
    """
    return (None, None) if len(means) < 3 else t_interval(pseudo_values(means), level)
