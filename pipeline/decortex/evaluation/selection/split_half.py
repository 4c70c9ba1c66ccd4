"""Random halvings of the neurons, each half held out once: valleys, prediction strength, held-out likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import predict
from decortex.evaluation.agreement import Clusterer, contingency
from decortex.evaluation.selection.config import CriterionStatus, CriterionValue, SelectionConfig
from decortex.evaluation.selection.density_valleys import Valleys, density_valleys
from decortex.evaluation.selection.information_criteria import companion, held_out_likelihood, log_likelihoods

FloatArray = NDArray[np.float64]
# Centres and distances of these methods are not those of the neurons as they stand.
_NO_LINE = ("rotation_tmixture",)


@dataclass(frozen=True)
class HalvesResult:
    """What held-out neurons say of one K.

    Parameters
    ----------
    values : tuple of CriterionValue
        'valley_share', 'separated_groups', 'prediction_strength', 'held_out_likelihood'.
    valleys : tuple of Valleys
        One for each half held out, with all their pairs.
    """

    values: tuple[CriterionValue, ...]
    valleys: tuple[Valleys, ...]


def halvings(n_neurons: int, n_splits: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(training, held out) neurons: both directions of every random halving; independent of K.

    Examples
    --------
    >>> train, held_out = halvings(10, 1, seed=0)[0]
    >>> (len(train), len(held_out))
    (5, 5)
    """
    halves = []
    for split in range(n_splits):
        order = np.random.default_rng([seed, split, n_neurons]).permutation(n_neurons)
        one, other = np.sort(order[: n_neurons // 2]), np.sort(order[n_neurons // 2 :])
        halves += [(one, other), (other, one)]
    return halves


def prediction_strength(held_out: NDArray[np.int16], predicted: NDArray[np.int16]) -> float:
    """Smallest share of pairs of a held-out cluster that the other half's clusters keep together.

    Parameters
    ----------
    held_out, predicted : ndarray of int, shape (n_held_out,)
        The held-out neurons' own clusters, and those that the other half assigns them to.

    Notes
    -----
    Tibshirani & Walther (2005): min over own clusters j of sum_i n_ij (n_ij - 1) / (n_j (n_j - 1)), n_ij neurons
    of j assigned to i: O(n_neurons). A cluster of one neuron holds no pair and counts as 0.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 0, 1, 1], np.int16)
    >>> prediction_strength(labels, labels)
    1.0
    """
    table = contingency(held_out, predicted).astype(np.float64)
    sizes = table.sum(axis=1)
    table, sizes = table[sizes > 0], sizes[sizes > 0]
    kept = (table * (table - 1)).sum(axis=1)
    return float(np.where(sizes > 1, kept / np.maximum(sizes * (sizes - 1), 1), 0.0).min())


def judge_halves(x: FloatArray, clusterer: Clusterer, k: int, config: SelectionConfig) -> HalvesResult:
    """Fit each half at this K and judge it by the other.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Embedding.
    clusterer, k : Clusterer, int
        Method and number of clusters.
    config : SelectionConfig
        Number of halvings, level and depth of a valley, seed.
    """
    halves = halvings(len(x), config.n_splits, config.seed)
    mixture = companion(clusterer)
    same = mixture is clusterer
    if len(x) // 2 <= k:
        names = ("valley_share", "separated_groups", "prediction_strength", "held_out_likelihood")
        return HalvesResult(
            tuple(CriterionValue(name, k, None, None, None, len(x), "too_few_neurons") for name in names), ()
        )
    fits = [clusterer.fit(x[train], k, config.seed) for train, _ in halves]
    scale = _unit(x)
    likelihoods = []
    for own, (train, held_out) in zip(fits, halves, strict=True):
        fitted = own if same else mixture.fit(x[train] / scale, k, config.seed)
        units = 1.0 if same else scale
        likelihoods.append(log_likelihoods(fitted, x[held_out] / units) - x.shape[1] * np.log(units))
    values = [held_out_likelihood(k, likelihoods)]
    if k == 1:
        return HalvesResult(tuple(values), ())
    strengths = []
    for i, (train, held_out) in enumerate(halves):
        paired = fits[i ^ 1]  # the fit to the held-out half of the same halving
        assigned = predict(fits[i], x[held_out], x=x[train])
        if (
            paired.k_effective > 1
        ):  # all pairs of a single cluster are kept together by nothing that was found
            strengths.append(prediction_strength(paired.labels, assigned))
    if strengths:
        half = float(np.std(strengths) / np.sqrt(len(strengths)))
        mean = float(np.mean(strengths))
        values.append(CriterionValue("prediction_strength", k, mean, mean - half, mean + half, len(x), "ok"))
    else:
        values.append(CriterionValue("prediction_strength", k, None, None, None, len(x), "one_cluster"))
    if clusterer.method in _NO_LINE:
        values += [
            CriterionValue(name, k, None, None, None, len(x), "not_defined")
            for name in ("valley_share", "separated_groups")
        ]
        return HalvesResult(tuple(values), ())
    valleys = tuple(
        density_valleys(
            x[train],
            own.labels,
            own.parameters["centres"],
            x[held_out],
            alpha=config.alpha,
            max_depth=config.max_depth,
        )
        for own, (train, held_out) in zip(fits, halves, strict=True)
    )
    return HalvesResult((*values, *_summarised(valleys, k, len(x))), valleys)


def _summarised(valleys: tuple[Valleys, ...], k: int, n: int) -> list[CriterionValue]:
    """Share of pairs with a valley, and number of groups; mean over the parts held out, and their range."""
    defined = [one for one in valleys if one.status == "ok" and one.pairs]
    if not defined:
        status: CriterionStatus = next((one.status for one in valleys if one.status != "ok"), "one_cluster")
        return [
            CriterionValue(name, k, None, None, None, n, status)
            for name in ("valley_share", "separated_groups")
        ]
    shares = [one.n_separated / len(one.pairs) for one in defined]
    pooled = sum(one.n_separated for one in defined) / sum(len(one.pairs) for one in defined)
    groups = [float(one.n_groups) for one in defined]
    return [
        CriterionValue("valley_share", k, pooled, min(shares), max(shares), n, "ok"),
        CriterionValue("separated_groups", k, float(np.mean(groups)), min(groups), max(groups), n, "ok"),
    ]


def _unit(x: FloatArray) -> float:
    """Root of the mean variance of the features; 1 where nothing varies."""
    return float(np.sqrt(x.var(axis=0).mean())) or 1.0
