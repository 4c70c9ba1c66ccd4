"""What would have been detected: the smallest change that a sample shows, and types planted into partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation.agreement.indices import contingency, matched_confusion
from decortex.evaluation.agreement.networks import means_interval
from decortex.evaluation.agreement.subsamples import adjusted_rand

POWER = 0.8
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
Labels = NDArray[np.integer[Any]]


def detectable_effect(sd: float, n: int, *, level: float = 0.95, power: float = POWER) -> float | None:
    """Smallest true mean whose two-sided t interval leaves zero out, on its side, with a given probability.

    Parameters
    ----------
    sd : float
        Standard deviation of one value, of the sample itself.
    n : int
        Values: networks (their pseudo-values), or generators.
    level : float
        Of the interval.
    power : float
        Probability of detection.

    Returns
    -------
    float or None
        In the unit of ``sd``, by the noncentral t distribution; None below two values. 0 where nothing varies.

    Raises
    ------
    InputError
        If ``sd`` is negative or a probability lies outside (0, 1).

    Examples
    --------
    >>> round(detectable_effect(1.0, 10), 3)
    0.996
    """
    from scipy import optimize, stats  # noqa: PLC0415  (what reads a database loads no scipy)

    if sd < 0 or not 0 < level < 1 or not 0 < power < 1:
        raise InputError(
            f"expected a standard deviation from 0 on and probabilities between 0 and 1, got {sd}, {level} and {power}."
        )
    if n < 2:
        return None
    critical = stats.t.ppf((1 + level) / 2, n - 1)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift)) - power

    shift = optimize.brentq(missing, 0.0, 20.0 * critical)
    return float(sd * shift / np.sqrt(n))


@dataclass(frozen=True)
class PlantedEffect:
    """Types planted at one strength.

    Parameters
    ----------
    share : float
        Share of every network's neurons that took the cluster of their planted type.
    change : float
        Mean change of the agreement between networks that this made, over draws.
    truth_change : float
        Mean change of the adjusted Rand index with the planted types.
    detected : float
        Share of the draws in which the interval of the change lies above zero.
    """

    share: float
    change: float
    truth_change: float
    detected: float


def planted_effects(
    partitions: Sequence[Labels],
    changes: NDArray[np.float64],
    types: Labels,
    *,
    seed: int,
    shares: Sequence[float] = SHARES,
    n_draws: int = 50,
    level: float = 0.95,
) -> list[PlantedEffect]:
    """Plant types into the partitions of several networks, and say how often a change of agreement is detected.

    In every network a random share of the neurons, drawn for it alone, takes the cluster that is matched with its
    planted type. What is added to a network's agreement with the others is added to the change that the network really
    showed, less the mean change: networks differ as they did, and the test is the study's, an interval over networks
    (`means_interval`).

    Parameters
    ----------
    partitions : sequence of ndarray of int, shape (n_neurons,)
        One a network, three or more.
    changes : ndarray of float64, shape (n_networks,)
        Change of every network's mean agreement with the others, as it was measured.
    types : ndarray of int, shape (n_neurons,)
        What is planted: known types, or the partition that networks vote for.
    seed : int
        Of the draws.
    shares : sequence of float
        Strengths.
    n_draws : int
        Draws a strength.
    level : float
        Of the interval.

    Returns
    -------
    list of PlantedEffect
        One a share.

    Raises
    ------
    InputError
        If there are fewer than three networks, other numbers of changes, or partitions of other neurons.

    Examples
    --------
    >>> import numpy as np
    >>> types = np.repeat([0, 1], 20)
    >>> noisy = [np.random.default_rng(seed).integers(0, 2, 40) for seed in range(3)]
    >>> found = planted_effects(noisy, np.zeros(3), types, seed=0, shares=(0.4,), n_draws=5)
    >>> found[0].share
    0.4
    """
    n = len(partitions)
    sizes = {len(one) for one in (*partitions, types)}
    if n < 3 or len(changes) != n or len(sizes) != 1:
        raise InputError(
            f"expected three networks or more, one change each and partitions of the same neurons as the types, got "
            f"{n} networks, {len(changes)} changes and {sorted(sizes)} neurons."
        )
    rng = np.random.default_rng(seed)
    targets = [_matched(one, types) for one in partitions]
    noise = changes - changes.mean()
    before, truth = _means(partitions), np.mean([_rand(one, types) for one in partitions])
    found = []
    for share in shares:
        gains, nearer, hits = [], [], 0
        for _ in range(n_draws):
            planted = [
                np.where(rng.random(len(types)) < share, target, one)
                for one, target in zip(partitions, targets, strict=True)
            ]
            gain = _means(planted) - before
            low, _ = means_interval(gain + noise, level)
            hits += low is not None and low > 0
            gains.append(gain.mean())
            nearer.append(np.mean([_rand(one, types) for one in planted]) - truth)
        found.append(PlantedEffect(share, float(np.mean(gains)), float(np.mean(nearer)), hits / n_draws))
    return found


def smallest_detected(effects: Sequence[PlantedEffect], power: float = POWER) -> PlantedEffect | None:
    """Weakest planted effect from which on all stronger ones are detected with a given probability; None if none is.

    Examples
    --------
    >>> smallest_detected([]) is None
    True
    """
    found = None
    for one in sorted(effects, key=lambda effect: -effect.share):
        if one.detected < power:
            break
        found = one
    return found


def _matched(labels: Labels, types: Labels) -> Labels:
    """Cluster that is matched with every neuron's type; types beyond the clusters get numbers of their own.

    A neuron without a type, or that the partition does not place, keeps its label.
    """
    match = matched_confusion(types, labels)
    cluster = {int(a): int(b) for a, b in zip(match.first, match.second, strict=True)}
    beyond = int(labels.max()) + 1
    found: Labels = np.array([cluster.get(int(one), beyond + int(one)) for one in types])
    kept: Labels = np.where((types < 0) | (labels < 0), labels, found)
    return kept


def _rand(a: Labels, b: Labels) -> float:
    return adjusted_rand(contingency(a, b)) or 0.0


def _means(partitions: Sequence[Labels]) -> NDArray[np.float64]:
    """Mean agreement of every network with the others."""
    n = len(partitions)
    table = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            table[i, j] = table[j, i] = _rand(partitions[i], partitions[j])
    means: NDArray[np.float64] = table.sum(axis=1) / (n - 1)
    return means
