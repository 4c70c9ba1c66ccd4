"""From curves to a number of clusters: excess over null models, the decision, and what single criteria would say."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from decortex.evaluation.nulls import NullKind
from decortex.evaluation.selection.config import CriterionStatus, CriterionValue, SelectionConfig
from decortex.evaluation.selection.gap import first_within_one_error

# Share of the networks whose partition is fragmented, above which a K is not supported.
MOST_NETWORKS = 0.5
# What is better of each criterion, and so which K it chooses by itself.
CRITERIA: Mapping[str, Literal["highest", "lowest", "first", "largest", "excess", "valleys"]] = {
    "silhouette": "highest",
    "calinski_harabasz": "highest",
    "davies_bouldin": "lowest",
    "bic": "lowest",
    "icl": "lowest",
    "gap": "first",
    "held_out_likelihood": "highest",
    "prediction_strength": "largest",
    "stability": "highest",
    "excess_stability": "excess",
    "separated_groups": "valleys",
    "method_agreement": "highest",
    "seed_agreement": "highest",
}


@dataclass(frozen=True)
class Excess:
    """One value of one K against one null model.

    Parameters
    ----------
    criterion, k, kind
        What is compared: criterion, number of clusters, null model.
    observed : float or None
        On the data.
    null_mean, null_low, null_high : float or None
        Mean, 2.5 and 97.5 % quantile over surrogates.
    n_surrogates : int
        Surrogates with a value.
    n_used : int
        Neurons behind each value, the same for the data and every surrogate.
    z : float or None
        (observed - mean)/sd over surrogates, its sign turned where lower is better: above 0 is better.
    p : float or None
        (b + 1)/(B + 1), b surrogates of B at least as good; never 0.
    status : str
        'ok'; 'too_few_surrogates' (none, or z undefined with one), 'constant_null' (z is undefined), or the data's.
    """

    criterion: str
    k: int
    kind: NullKind
    observed: float | None
    null_mean: float | None
    null_low: float | None
    null_high: float | None
    n_surrogates: int
    n_used: int
    z: float | None
    p: float | None
    status: CriterionStatus


@dataclass(frozen=True)
class Support:
    """Whether one K is supported, and why not; reasons are codes.

    Parameters
    ----------
    k : int
        Number of clusters.
    supported : bool
        No reason speaks against it.
    reasons : tuple of str
        'not_above_<null>', 'no_<null>' (the comparison has no value), 'few_valleys', 'valleys_<status>',
        'stability_<status>', 'fragmented' (one cluster of a graph method holds over 90 % of the neurons),
        'not_judged' (no surrogates were drawn, as the decision does not depend on this K).
    """

    k: int
    supported: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class KDecision:
    """The number of clusters that the data support, or None.

    Parameters
    ----------
    k : int or None
        None: no K is supported, which is what a continuum gives.
    reason : str
        'supported', 'not_above_nulls' (no K has stability above all nulls), 'no_valleys' (none has valleys between
        most neighbours), 'neither' (both hold), 'never_both' (each is met by some K, none by one), 'fragmented'
        (both are met, by fragmented partitions only), 'undefined' (nothing could be judged).
    support : tuple of Support
        Every K of the grid.
    choices : mapping of str to (int or None)
        What every single criterion chooses by its own rule.
    """

    k: int | None
    reason: str
    support: tuple[Support, ...]
    choices: Mapping[str, int | None]


def excess(observed: CriterionValue, kind: NullKind, surrogates: Sequence[CriterionValue]) -> Excess:
    """Compare a value with the same value of surrogates.

    Parameters
    ----------
    observed : CriterionValue
        On the data.
    kind : str
        Null model of the surrogates.
    surrogates : sequence of CriterionValue
        The same criterion and K.
    """
    values = np.array([one.value for one in surrogates if one.value is not None], dtype=np.float64)
    n = len(values)
    mean = float(values.mean()) if n else None
    low, high = (float(q) for q in np.quantile(values, [0.025, 0.975])) if n else (None, None)
    status: CriterionStatus = "ok"
    z = p = None
    if observed.value is None:
        status = observed.status
    elif n == 0:
        status = "too_few_surrogates"
    else:
        sign = -1.0 if CRITERIA[observed.criterion] == "lowest" else 1.0
        # What ties up to rounding counts as reached.
        margin = sign * (values - observed.value) >= -1e-9 * max(abs(observed.value), 1e-300)
        p = float((margin.sum() + 1) / (n + 1))
        sd = float(values.std(ddof=1)) if n > 1 else 0.0
        if n == 1:
            status = "too_few_surrogates"
        elif sd > 1e-12 * max(abs(float(values.mean())), 1e-300):
            z = sign * (observed.value - float(values.mean())) / sd
        else:
            status = "constant_null"
    return Excess(
        observed.criterion,
        observed.k,
        kind,
        observed.value,
        mean,
        low,
        high,
        n,
        observed.n_used,
        z,
        p,
        status,
    )


def exceeds(one: Excess, config: SelectionConfig) -> bool:
    """Whether a value lies above its null: p at the level.

    With B surrogates p cannot fall below 1/(B + 1): with fewer than 19 at alpha = .05, p at its floor (above every
    surrogate) counts. z is no part of the rule: stability ends at 1, so that against a null that spreads
    widely below 1 even a perfect one may have z < 2.
    """
    if one.p is None:
        return False
    level = max(config.alpha, 1 / (one.n_surrogates + 1))
    return one.p <= level * (1 + 1e-12)


def decide_k(
    values: Sequence[CriterionValue],
    excesses: Sequence[Excess],
    config: SelectionConfig,
    *,
    not_judged: Collection[int] = (),
) -> KDecision:
    """Choose the number of clusters, or none, from curves; knows no labels.

    Parameters
    ----------
    values : sequence of CriterionValue
        Every criterion at every K of the grid, and at 1 for those that have a baseline.
    excesses : sequence of Excess
        Stability against every null model at every K.
    config : SelectionConfig
        Levels.
    not_judged : collection of int
        K whose surrogates were left out because the decision does not depend on them.

    Notes
    -----
    The rule. A K is *supported* if (1) its stability exceeds **every** null model, and (2) more than half of
    its pairs of neighbouring clusters show a density valley on held-out neurons, and (3) the partition is not
    'fragmented' (of more than half of the networks). A K that is too small joins types
    and finds fewer separated groups; one that is too large cuts through a type, and the pieces have no valley between
    them, so that the number of groups stops rising at the number of types. The decision is the supported K that
    is nearest to the most groups (mean over halves, rounded up: a half misses a valley more often than it
    finds one that is not there) that any supported K finds; of two, the smaller.
    """
    at = {(one.criterion, one.k): one for one in values}
    against = {(one.k, one.kind): one for one in excesses if one.criterion == "stability"}
    counts = sorted({one.k for one in values if one.k > 1})
    support = tuple(_support(k, at, against, config, judged=k not in not_judged) for k in counts)
    choices = {name: _choice(name, counts, at, against, config) for name in CRITERIA}
    groups = {one.k: _value(at, "separated_groups", one.k) or 0.0 for one in support if one.supported}
    if groups:
        return KDecision(by_nearness(groups)[0], "supported", support, choices)
    return KDecision(None, _why_none(support), support, choices)


def _support(
    k: int,
    at: Mapping[tuple[str, int], CriterionValue],
    against: Mapping[tuple[int, NullKind], Excess],
    config: SelectionConfig,
    *,
    judged: bool,
) -> Support:
    reasons = []
    stability = at.get(("stability", k))
    if stability is None or stability.value is None:
        reasons.append(f"stability_{'missing' if stability is None else stability.status}")
    elif not judged:
        reasons.append("not_judged")
    else:
        for kind in config.nulls:
            one = against.get((k, kind))
            if one is None or one.p is None:
                reasons.append(f"no_{kind}")
            elif not exceeds(one, config):
                reasons.append(f"not_above_{kind}")
    share = at.get(("valley_share", k))
    if share is None or share.value is None:
        reasons.append(f"valleys_{'missing' if share is None else share.status}")
    elif not share.value > config.min_valley_share:
        reasons.append("few_valleys")
    if (_value(at, "fragmented", k) or 0.0) > MOST_NETWORKS:
        reasons.append("fragmented")
    return Support(k, not reasons, tuple(reasons))


def _why_none(support: Sequence[Support]) -> str:
    judged = [
        one.reasons
        for one in support
        if not any(r.startswith(("stability_", "valleys_")) for r in one.reasons)
    ]
    if not judged:
        return "undefined"
    if any(set(reasons) == {"fragmented"} for reasons in judged):
        return "fragmented"
    above = any(all(r in ("few_valleys", "fragmented") for r in reasons) for reasons in judged)
    apart = any("few_valleys" not in reasons for reasons in judged)
    if above and apart:
        return "never_both"
    return "no_valleys" if above else "not_above_nulls" if apart else "neither"


def _choice(
    name: str,
    counts: Sequence[int],
    at: Mapping[tuple[str, int], CriterionValue],
    against: Mapping[tuple[int, NullKind], Excess],
    config: SelectionConfig,
) -> int | None:
    """K by one criterion's own rule; None where it chooses one cluster or nothing."""
    rule = CRITERIA[name]
    if rule == "excess":
        return _by_excess(counts, against, config)
    grid = [1, *counts]
    curve = {k: value for k in grid if (value := _value(at, name, k)) is not None}
    if rule == "valleys":
        majority = {
            k: groups
            for k, groups in curve.items()
            if (_value(at, "valley_share", k) or 0.0) > config.min_valley_share
        }
        return by_nearness(majority)[0] if majority else None
    if not curve:
        return None
    if rule == "first":
        found = first_within_one_error([at[name, k] for k in grid if (name, k) in at])
    elif rule == "largest":
        found = max(
            (k for k, value in curve.items() if value >= config.min_prediction_strength), default=None
        )
    else:
        sign = 1.0 if rule == "lowest" else -1.0
        found = min(curve, key=lambda k: (sign * curve[k], k))
    return None if found == 1 else found


def by_nearness(groups: Mapping[int, float], most: float | None = None) -> list[int]:
    """K in the order of nearness to the largest number of separated groups, rounded up; of two, the smaller first.

    Parameters
    ----------
    groups : mapping of int to float
        Separated groups that every K finds; not empty.
    most : float, optional
        Default: the largest of them.
    """
    goal = math.ceil((max(groups.values()) if most is None else most) - 1e-9)
    return sorted(groups, key=lambda k: (abs(k - goal), k))


def _by_excess(
    counts: Sequence[int], against: Mapping[tuple[int, NullKind], Excess], config: SelectionConfig
) -> int | None:
    """K whose smallest z over the nulls is largest, among those that exceed every null."""
    smallest = {}
    for k in counts:
        own = [against[k, kind] for kind in config.nulls if (k, kind) in against]
        if len(own) == len(config.nulls) and all(exceeds(one, config) for one in own):
            smallest[k] = min(np.inf if one.z is None else one.z for one in own)
    return min(smallest, key=lambda k: (-smallest[k], k)) if smallest else None


def _value(at: Mapping[tuple[str, int], CriterionValue], name: str, k: int) -> float | None:
    one = at.get((name, k))
    return None if one is None else one.value
