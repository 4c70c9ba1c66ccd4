"""Performance and cluster unit by unit (session or animal): contrasts over units, and the effect within each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, t

from decortex.evaluation.association.effect_sizes import ranked_share
from decortex.evaluation.association.multiple_testing import holm
from decortex.labels import assigned_only

FloatArray = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

# With fewer units nothing is said about those that were not recorded.
SMALLEST_SAMPLE = 5


@dataclass(frozen=True)
class Contrast:
    """One cluster against the other clusters of the same unit, over units.

    Parameters
    ----------
    cluster : int
        Its label.
    n_units : int
        Units that hold it and another cluster.
    difference : float or None
        Mean over units of (cluster's mean - mean of the unit's other neurons).
    low, high : float or None
        95 % interval from the t distribution on units; None below two.
    p, p_holm : float or None
        t test over units, alone and by Holm over clusters; None below five units.
    n_same_sign : int
        Units whose difference has the sign of the mean.
    p_sign : float or None
        Exact two-sided sign test; None below five units that differ from 0.
    """

    cluster: int
    n_units: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n_same_sign: int
    p_sign: float | None


@dataclass(frozen=True)
class UnitEffect:
    """How far scores are tied to cluster within one unit, by ranks; None where that is not defined there."""

    unit: str
    n_neurons: int
    n_clusters: int
    epsilon2_corrected: float | None
    low: float | None
    high: float | None
    p_kruskal: float | None


def cluster_contrasts(scores: FloatArray, labels: Labels, units: NDArray[Any]) -> tuple[Contrast, ...]:
    """Compare every cluster with the others of the same unit, unit by unit.

    Units differ in level; a difference within a unit does not carry it. Every unit counts once, however many
    neurons it holds. A neuron whose label is -1 is left out.

    Examples
    --------
    >>> import numpy as np
    >>> labels, units = np.tile([0, 1], 30), np.repeat(np.arange(6), 10)
    >>> scores = labels + 0.01 * np.arange(60)
    >>> round(cluster_contrasts(scores, labels, units)[1].difference, 2)
    1.01
    """
    labels, scores, units = assigned_only(labels, scores, units)
    found = [_contrast(scores, labels == cluster, units, int(cluster)) for cluster in np.unique(labels)]
    tested = [index for index, one in enumerate(found) if one.p is not None]
    corrected = dict(zip(tested, holm(np.array([found[index].p for index in tested])), strict=True))
    return tuple(
        Contrast(**{**one.__dict__, "p_holm": corrected.get(index)}) for index, one in enumerate(found)
    )


def unit_effects(scores: FloatArray, labels: Labels, units: NDArray[Any]) -> tuple[UnitEffect, ...]:
    """Kruskal-Wallis and its effect size within every unit; neurons whose label is -1 are left out.

    Examples
    --------
    >>> import numpy as np
    >>> (one,) = unit_effects(np.arange(20.0), np.repeat([0, 1], 10), np.repeat(["a"], 20))
    >>> round(one.epsilon2_corrected, 2)
    0.74
    """
    labels, scores, units = assigned_only(labels, scores, units)
    rows = []
    for unit in np.unique(units):
        y, own = scores[units == unit], labels[units == unit]
        k = len(np.unique(own))
        defined = 1 < k < len(y) and bool((y != y[0]).any())
        share = ranked_share(y, own) if defined else None
        rows.append(
            UnitEffect(
                unit=str(unit),
                n_neurons=len(y),
                n_clusters=k,
                epsilon2_corrected=None if share is None else share.corrected,
                low=None if share is None else share.low,
                high=None if share is None else share.high,
                p_kruskal=None if share is None else float(chi2.sf(share.share * (len(y) - 1), k - 1)),
            )
        )
    return tuple(rows)


def _contrast(scores: FloatArray, member: NDArray[np.bool_], units: NDArray[Any], cluster: int) -> Contrast:
    differences = []
    for unit in np.unique(units[member]):
        here = units == unit
        if (here & ~member).any():
            differences.append(float(scores[here & member].mean() - scores[here & ~member].mean()))
    values = np.array(differences)
    n = len(values)
    if not n:
        return Contrast(cluster, 0, None, None, None, None, None, 0, None)
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    half = None if error is None else float(t.ppf(0.975, n - 1)) * error
    nonzero = values[values != 0]
    testable = n >= SMALLEST_SAMPLE and error is not None and error > 0
    return Contrast(
        cluster=cluster,
        n_units=n,
        difference=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        p=float(2 * t.sf(abs(mean) / error, n - 1)) if testable and error else None,
        p_holm=None,
        n_same_sign=int((np.sign(values) == np.sign(mean)).sum()),
        p_sign=float(binomtest(int((nonzero > 0).sum()), len(nonzero)).pvalue)
        if len(nonzero) >= SMALLEST_SAMPLE
        else None,
    )
