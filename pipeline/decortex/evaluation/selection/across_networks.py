"""One choice of K over several networks of the same neurons: values averaged, then judged as one network's are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decortex.evaluation.nulls import NullKind
from decortex.evaluation.selection.config import CriterionValue, SelectionConfig
from decortex.evaluation.selection.decision import Excess, KDecision, decide_k, excess

Surrogates = Mapping[tuple[NullKind, int], Sequence[CriterionValue]]


@dataclass(frozen=True)
class NetworkCriteria:
    """Values of one network.

    Parameters
    ----------
    values : sequence of CriterionValue
        Every criterion at every K.
    surrogates : mapping of (kind, null seed) to sequence of CriterionValue
        The values of every surrogate at every K.
    """

    values: Sequence[CriterionValue]
    surrogates: Surrogates


@dataclass(frozen=True)
class JointSelection:
    """Values, excesses and decision.

    Parameters
    ----------
    values : tuple of CriterionValue
        Means over networks.
    excesses : tuple of Excess
        Of these means against the means of surrogates with equal seeds.
    decision : KDecision
        K or None.
    """

    values: tuple[CriterionValue, ...]
    excesses: tuple[Excess, ...]
    decision: KDecision


def select_jointly(
    networks: Sequence[NetworkCriteria], config: SelectionConfig, across: NetworkCriteria | None = None
) -> JointSelection:
    """Choose K for networks of the same neurons (other seeds), or for a single one.

    Parameters
    ----------
    networks : sequence of NetworkCriteria
        One a network.
    config : SelectionConfig
        Null models and levels.
    across : NetworkCriteria, optional
        Values that only several networks together have (agreement between them), with their surrogates.

    Notes
    -----
    Surrogate b of the joint value is the mean over networks of their surrogates b, which are independent: the null
    hypothesis is that no network's embedding holds types. Intervals are a single network's own, else the
    range over networks.
    """
    values = mean_values([one.values for one in networks])
    drawn: dict[tuple[NullKind, str, int], list[CriterionValue]] = defaultdict(list)
    for kind, seed in sorted({at for one in networks for at in one.surrogates}):
        for value in mean_values([one.surrogates.get((kind, seed), ()) for one in networks]):
            drawn[kind, value.criterion, value.k].append(value)
    if across is not None:
        values = (*values, *across.values)
        for (kind, _), found in sorted(across.surrogates.items()):
            for value in found:
                drawn[kind, value.criterion, value.k].append(value)
    excesses = tuple(
        excess(value, kind, drawn[kind, value.criterion, value.k])
        for value in values
        for kind in config.nulls
        if (kind, value.criterion, value.k) in drawn
    )
    return JointSelection(values, excesses, decide_k(values, excesses, config))


def mean_values(networks: Sequence[Sequence[CriterionValue]]) -> tuple[CriterionValue, ...]:
    """Mean of every value over the networks that define it; a single network's values stay as they are."""
    grouped: dict[tuple[str, int], list[CriterionValue]] = defaultdict(list)
    for values in networks:
        for value in values:
            grouped[value.criterion, value.k].append(value)
    return tuple(_mean(own) for own in grouped.values())


def _mean(own: Sequence[CriterionValue]) -> CriterionValue:
    defined = [one for one in own if one.value is not None]
    if len(own) == 1 or not defined:
        return own[0]
    numbers = [one.value for one in defined if one.value is not None]
    return CriterionValue(
        criterion=own[0].criterion,
        k=own[0].k,
        value=float(np.mean(numbers)),
        low=min(numbers),
        high=max(numbers),
        n_used=min(one.n_used for one in defined),
        status="ok",
    )
