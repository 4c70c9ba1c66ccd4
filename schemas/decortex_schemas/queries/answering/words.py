"""How numbers, statuses and amounts read in a sentence. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from decortex_schemas.queries.answering.facts import FEWEST_UNITS, Cost

_WORDS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
# Hours are a forecast: a thousandth of one is called what it is.
_SHORTEST_HOURS = 0.05

# Every status that a table behind the five answers stores, as the reason in "..., because <text>".
STATUS_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "ok": "nothing stands against it",
        "waiting": "it is not computed yet",
        # number of types
        "types": "groups of neurons stand apart",
        "none": "no two groups of neurons stand apart",
        "undecided": "there are too few neurons to decide",
        # choice of K
        "supported": "it exceeds every null model and its clusters have gaps between them",
        "not_above_nulls": "no K is more stable than every null model",
        "no_valleys": "no K has gaps between most neighbouring clusters",
        "neither": "no K is more stable than every null model, and none has gaps between its clusters",
        "never_both": "no single K both exceeds every null model and has gaps between its clusters",
        "fragmented": "one cluster holds nearly all neurons",
        "undefined": "no criterion is defined here",
        # scores and clusters
        "no_scores": "no neuron has a score",
        "one_cluster": "there is only one cluster",
        "constant_scores": "all scores are equal once sessions and covariates are taken out",
        "too_few_neurons": "there are too few neurons",
        "cluster_is_nuisance": "clusters say nothing that sessions and covariates do not",
        "cluster_is_session": "no session holds two clusters",
        "constant_in_sessions": "scores do not differ within sessions",
        "clusters_too_small": "fewer than two clusters are large enough to be tested",
        "not_tested": "there was nothing to test",
        "covariate_missing": "a covariate is not known for these neurons",
        "shared_images": "reliability is unknown where the responses to an image are averaged or shared",
        # labels and clusters
        "no_labels": "no neuron has a label",
        "one_class": "all labels are the same",
        "no_permutation": "no shuffle of the labels changes anything",
        # population
        "too_few_units": f"at least {_WORDS[FEWEST_UNITS]} animals or sessions are needed",
        "too_few_cells": "animals or sessions hold too few clusters in common",
        "perfect_fit": "neurons of one cluster and session do not differ, so that nothing is left to compare with",
        "one_session": "there is only one session",
        "one_animal": "there is only one animal",
        "one_group": "all neurons are of one session or animal",
        "no_neurons": "no neuron is left",
        # price
        "no_variation": "sessions do not differ in their change",
        # nulls
        "not_observed": "the number itself is not defined",
        "no_null": "no surrogate has a value",
        "one_null": "a single surrogate has no spread",
        "constant_null": "all surrogates have the same value",
        # partitions
        "one_partition": "there is only one partition",
        "no_partition": "no partition is defined",
        "all_singletons": "every cluster holds a single neuron",
        "trivial": "a partition has one cluster, or a neuron in each",
        "zero_spread": "all neurons of a cluster are equal",
        "not_defined": "a criterion is not defined here",
        "too_few_surrogates": "too few surrogates have a value",
        "not_converged": "the clustering did not converge",
        "empty_cluster": "a cluster is empty",
        "flat_target": "the target of the fine-tuning is flat",
        "empty_start": "the fine-tuning began with an empty cluster",
        "collapsed": "the fine-tuning joined nearly all neurons in one cluster",
        "diverged": "the fine-tuning diverged",
    }
)


def why(status: str) -> str:
    """A status as the reason in a sentence; several with their counts (``worst_status``) are joined by 'and'."""
    known = [part.split(" ")[0] for part in status.split(", ")]
    return " and ".join(dict.fromkeys(STATUS_TEXTS[one] for one in known))


def number_text(value: float) -> str:
    """A number with two digits that mean something: .74, -.0021, 1."""
    if value == 0:
        return "0"
    digits = 2 if abs(value) >= 0.1 else min(5, 1 - math.floor(math.log10(abs(value))))
    text = f"{abs(value):.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits > 2 else text
    if not float(text):
        return "0"
    if float(text) == 1:
        text = "1"
    return ("-" if value < 0 else "") + (text.removeprefix("0") if text.startswith("0.") else text)


def interval(low: float | None, high: float | None) -> str:
    """An interval in words; empty where there is none."""
    return "" if low is None or high is None else f"{number_text(low)} to {number_text(high)}"


def p_text(p: float, smallest: float | None = None) -> str:
    """A p-value: four decimals, '< .0001', and that it is the smallest possible where it is."""
    if p < 1e-4 * (1 - 1e-9):
        return "p < .0001"
    text = f"{p:.4f}" if p < 0.01 else f"{p:.2f}" if p < 0.995 else "1"
    end = ", the smallest possible" if smallest is not None and p <= smallest * (1 + 1e-9) else ""
    return f"p {text.removeprefix('0')}{end}"


def number_word(n: int) -> str:
    """A whole number, in letters up to twelve."""
    return _WORDS[n] if n < len(_WORDS) else f"{n:,}"


def count(n: int, noun: str) -> str:
    """A number of things: 'one network', 'three animals', '36 sessions'."""
    return f"{number_word(n)} {noun if n == 1 else f'{noun}s'}"


def listed(values: Sequence[str]) -> str:
    """Names with commas and an 'and'."""
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"


def cost_text(cost: Cost | None) -> str:
    """'(about N jobs, H hours)'; empty where nobody can say."""
    if cost is None:
        return ""
    if cost.hours is None:
        hours = "hours unknown until one of them has run"
    elif cost.hours < _SHORTEST_HOURS:
        hours = "less than .1 hours"
    else:
        hours = f"{cost.hours:.1f} hours" if cost.hours < 10 else f"{cost.hours:,.0f} hours"
    return f"(about {cost.jobs:,} {'job' if cost.jobs == 1 else 'jobs'}, {hours})"


def sentence_case(text: str) -> str:
    """The same with a capital first letter."""
    return text[:1].upper() + text[1:]


def starting_small(text: str) -> str:
    """The same inside a sentence: a first word that is no name loses its capital."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first.isalpha() and first[1:].islower() else text
