"""Every criterion of one number of clusters on one embedding, and the same values on a surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import ClusteringResult, check_n_clusters, check_points
from decortex.distances import in_own_unit
from decortex.evaluation.agreement import (
    Clusterer,
    adjusted_rand,
    agreement,
    contingency,
    subsample_stability,
)
from decortex.evaluation.quality import calinski_harabasz, davies_bouldin, silhouettes
from decortex.evaluation.selection.config import (
    CriterionStatus,
    CriterionValue,
    NullCriterion,
    SelectionConfig,
)
from decortex.evaluation.selection.density_valleys import Valleys
from decortex.evaluation.selection.gap import gap_statistic
from decortex.evaluation.selection.information_criteria import companion, information_criteria
from decortex.evaluation.selection.split_half import judge_halves

FloatArray = NDArray[np.float64]
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class CountCriteria:
    """All criteria of one K.

    Parameters
    ----------
    k : int
        Number of clusters.
    n_neurons : int
        Neurons.
    fit_status : str
        Of the partition of all neurons.
    values : tuple of CriterionValue
        One a criterion; for K = 1 only those that have a value there (gap, BIC, ICL, held-out likelihood).
    valleys : tuple of Valleys
        Density valleys, for each half of the neurons held out.
    """

    k: int
    n_neurons: int
    fit_status: str
    values: tuple[CriterionValue, ...]
    valleys: tuple[Valleys, ...]


def count_criteria(x: FloatArray, clusterer: Clusterer, k: int, config: SelectionConfig) -> CountCriteria:
    """Compute every criterion of one K.

    Parameters
    ----------
    x : ndarray of float, shape (n_neurons, n_features)
        Embedding.
    clusterer : Clusterer
        Method and parameters.
    k : int
        Number of clusters; 1 gives the baseline of the criteria that have one.
    config : SelectionConfig
        How often to refit.

    Raises
    ------
    InputError
        If x is not a finite matrix, or k is below 1 or above the number of neurons.
    """
    values = check_points(x)
    k = check_n_clusters(k, len(values))
    fitted = clusterer.fit(values, k, config.seed)
    found = [
        gap_statistic(
            values, fitted.labels, clusterer, k, n_references=config.n_references, seed=config.seed
        ),
        *_mixture_criteria(values, clusterer, fitted, config),
    ]
    halves = judge_halves(values, clusterer, k, config)
    found += halves.values
    if k > 1:
        criteria: tuple[NullCriterion, ...] = (
            "silhouette",
            "calinski_harabasz",
            "davies_bouldin",
            "stability",
        )
        judged = partition_criteria(values, clusterer, k, config, criteria=criteria, fitted=fitted)
        found += [_with_interval(one, values, fitted.labels, config) for one in judged]
        fragmented = float(fitted.status == "fragmented")
        found.append(CriterionValue("fragmented", k, fragmented, fragmented, fragmented, len(values), "ok"))
    return CountCriteria(k, len(values), fitted.status, tuple(found), halves.valleys)


def partition_criteria(
    x: FloatArray,
    clusterer: Clusterer,
    k: int,
    config: SelectionConfig,
    *,
    criteria: tuple[NullCriterion, ...],
    fitted: ClusteringResult | None = None,
) -> tuple[CriterionValue, ...]:
    """Values that are compared with null models: the same function for the data and for a surrogate.

    Parameters
    ----------
    x, clusterer, k, config
        As in `count_criteria`.
    criteria : tuple of str
        Which of 'stability', 'silhouette', 'calinski_harabasz', 'davies_bouldin'.
    fitted : ClusteringResult, optional
        The partition of all neurons, where it is known.

    Returns
    -------
    tuple of CriterionValue
        Intervals: of the silhouette 95 % over the sampled neurons; of the stability the range over pairs of
        subsamples; of Calinski-Harabasz and Davies-Bouldin none here (`count_criteria` adds them).
    """
    found = []
    if set(criteria) != {"stability"}:
        labels = (fitted or clusterer.fit(x, k, config.seed)).labels
        found += [value for value in _quality(x, labels, k, config, criteria) if value.criterion in criteria]
    if "stability" in criteria:
        stable = subsample_stability(
            x, clusterer, k, seed=config.seed, n_subsamples=config.n_subsamples, share=config.share
        )
        found.append(
            CriterionValue(
                "stability", k, stable.value, stable.low, stable.high, stable.n_subsample, stable.status
            )
        )
    return tuple(found)


def _quality(
    x: FloatArray,
    labels: NDArray[np.int16],
    k: int,
    config: SelectionConfig,
    criteria: tuple[NullCriterion, ...],
) -> list[CriterionValue]:
    names: tuple[NullCriterion, ...] = ("silhouette", "calinski_harabasz", "davies_bouldin")
    found, dense = np.unique(labels, return_inverse=True)
    if len(found) in (1, len(x)):
        status: CriterionStatus = "one_cluster" if len(found) == 1 else "all_singletons"
        return [CriterionValue(name, k, None, None, None, len(x), status) for name in names]
    x, _ = in_own_unit(x)
    spread = x - np.stack([x[dense == j].mean(axis=0) for j in range(len(found))])[dense]
    if (spread**2).sum() <= 1e-24 * (x**2).sum():
        return [CriterionValue(name, k, None, None, None, len(x), "zero_spread") for name in names]
    rows = []
    if "silhouette" in criteria:
        sample = np.arange(len(x))
        if len(x) > config.silhouette_sample:
            rng = np.random.default_rng(config.seed)
            sample = np.sort(rng.choice(len(x), config.silhouette_sample, replace=False))
        each = silhouettes(x, dense, sample)
        mean, half = float(each.mean()), float(_NORMAL * each.std() / np.sqrt(len(each)))
        rows.append(CriterionValue("silhouette", k, mean, mean - half, mean + half, len(each), "ok"))
    if "calinski_harabasz" in criteria:
        rows.append(_ratio("calinski_harabasz", k, calinski_harabasz(x, dense), len(x)))
    if "davies_bouldin" in criteria:
        rows.append(_ratio("davies_bouldin", k, davies_bouldin(x, dense), len(x)))
    return rows


def _ratio(name: NullCriterion, k: int, ratio: float | None, n: int) -> CriterionValue:
    status: CriterionStatus = "ok" if ratio is not None else "not_defined"
    return CriterionValue(name, k, ratio, None, None, n, status)


def _with_interval(
    one: CriterionValue, x: FloatArray, labels: NDArray[np.int16], config: SelectionConfig
) -> CriterionValue:
    """Add the 95 % interval over neurons resampled with their labels, where a criterion has no other."""
    scores = {"calinski_harabasz": calinski_harabasz, "davies_bouldin": davies_bouldin}
    if one.value is None or one.criterion not in scores:
        return one
    return _resampled(one, len(x), config, lambda own: scores[one.criterion](x[own], labels[own]))


def _resampled(
    one: CriterionValue, n: int, config: SelectionConfig, score: Callable[[NDArray[np.int64]], float | None]
) -> CriterionValue:
    """Quantiles of a score over resampled neurons, moved by the bias that repeated neurons bring."""
    rng = np.random.default_rng([config.seed, one.k])
    found = []
    for _ in range(config.n_resamples):
        value = score(np.sort(rng.integers(n, size=n)))
        if value is not None and np.isfinite(value):
            found.append(float(value))
    if len(found) < 2 or one.value is None:
        return one
    low, high = np.quantile(found, [0.025, 0.975]) + (one.value - float(np.mean(found)))
    return replace(one, low=min(float(low), one.value), high=max(float(high), one.value))


def _mixture_criteria(
    x: FloatArray, clusterer: Clusterer, fitted: ClusteringResult, config: SelectionConfig
) -> list[CriterionValue]:
    """BIC and ICL of the mixture, and the agreement of the partition with that of a mixture (PPP)."""
    k = fitted.n_clusters
    mixture = companion(clusterer)
    if mixture is clusterer:
        other, scale = fitted, 1.0
    else:
        scale = float(np.sqrt(x.var(axis=0).mean())) or 1.0
        other = mixture.fit(x / scale, k, config.seed)
    # In the units of the embedding: a change of units moves every log density by a constant.
    shift = 2 * x.size * float(np.log(scale))
    rows = [
        replace(one, value=one.value + shift, low=one.low + shift, high=one.high + shift)
        for one in information_criteria(other, x / scale)
        if one.value is not None and one.low is not None and one.high is not None
    ]
    if k == 1:
        return rows
    centroid = fitted if mixture is not clusterer else Clusterer("kmeans", {}).fit(x, k, config.seed)
    found = agreement(centroid.labels, other.labels)
    agreed = CriterionValue("method_agreement", k, found.ari, None, None, len(x), found.status)
    one, two = centroid.labels, other.labels
    rows.append(
        _resampled(agreed, len(x), config, lambda own: adjusted_rand(contingency(one[own], two[own])))
    )
    return rows
