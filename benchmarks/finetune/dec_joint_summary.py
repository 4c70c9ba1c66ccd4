"""What the rows of `dec_joint.py` say: agreement, truth and retained correlation, and the label-free choice."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.agreement import detectable_effect, rand_matrix
from decortex.evaluation.performance import t_interval
from decortex.finetune import OWN_LABELS

# Generators that a variant is chosen by, and those that it is judged on.
CHOOSE, JUDGE = range(5), range(100, 110)
# Epochs of a whole training, where a row does not say.
EPOCHS = 30
# Animals of a population, where a row does not say.
ANIMALS = 3
# Networks that share a start or learn from each other agree by construction: types alone judge them.
CONSENSUS, SHARED, MUTUAL = "consensus start", "shared start", "mutual 1"
BY_CONSTRUCTION = (CONSENSUS, SHARED, MUTUAL)
# Partitions that begin from the start's and need no loss: k-means on the control from it; the mixture of DECEMber by
# EM on the start's embedding. And the mixture that follows a training, with a loss that leaves the network alone.
CARRIED, MIXTURE, FOLLOWED = "control_carried", "start_mixture", "december 1e-09"
# Share of the control's validation correlation that a variant has to keep.
KEEP = 0.99

# What rows of one group share, and what is measured of each.
WHERE = ("epochs", "animals", "core", "spread", "surrogate", "m", "k", "role")
# What populations with types and without are paired by.
OF_BOTH = tuple(name for name in WHERE if name != "surrogate")
# What `over_conditions` takes together.
CONDITION = ("spread", "m", "k")
CHOICE = ("epochs", "animals", "core", "spread", "m", "k")
MEASURES = ("agreement", "truth", "retained")
# What own labels are compared with, without fine-tuning: state and method.
AGAINST = tuple(
    ("none", *one)
    for one in (
        ("start", "kmeans"),
        ("start", "gmm"),
        ("start", "sec"),
        ("control", "kmeans"),
        ("control", "gmm"),
        ("control", "sec"),
        (CARRIED, "kmeans"),
        (CARRIED, "gmm"),
        (CARRIED, "sec"),
        (MIXTURE, "kmeans"),
        (MIXTURE, "gmm"),
        (MIXTURE, "sec"),
    )
)

# Variants that start from another partition than k-means'.
STARTS = {"gmm start 1": "gmm", "sec start 1": "sec"}

# Blocks of neurons that are left out in turn, where there is one population.
BLOCKS = 50

Row = dict[str, Any]
Interval = tuple[float | None, float | None, float | None]  # low, high, seen with probability .8


def per_generator(rows: Iterable[Row]) -> list[Row]:
    """Agreement, truth and retained correlation of every state, variant and method of one population."""
    populations: dict[tuple[Any, ...], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        where = ("core", "spread", "surrogate", "m", "k", "generator", "variant", "state", "method")
        key = (row.get("epochs", EPOCHS), row.get("animals", ANIMALS), *(row[name] for name in where))
        populations[key][row["network"]] = row
    controls = {
        (key[:8], network): row
        for key, found in populations.items()
        if key[9:] == ("control", "kmeans")
        for network, row in found.items()
    }
    out = []
    for key, found in populations.items():
        partitions = {network: np.asarray(row["labels"]) for network, row in sorted(found.items())}
        members = list(found.items())
        retained = {
            tier: [
                row[tier] / controls[key[:8], network][tier]
                for network, row in members
                if (key[:8], network) in controls
            ]
            for tier in ("validation", "test")
        }
        out.append(
            {
                **dict(zip(("epochs", "animals", *where), key, strict=True)),
                "agreement": _agreement(partitions),
                "partitions": partitions,
                "truth": _mean([row["truth"] for _, row in members]),
                "moved": _mean([row.get("moved") for _, row in members]),
                "betas": [row["beta"] for _, row in members if row.get("beta") is not None],
                "retained_validation": _mean(retained["validation"]),
                "retained": _mean(retained["test"]),
                "statuses": sorted({row.get("status", "ok") for _, row in members}),
                "n_networks": len(members),
            }
        )
    return out


def _agreement(partitions: Mapping[int, NDArray[Any]], kept: Any = slice(None)) -> float | None:
    """Mean adjusted Rand index of all pairs of networks on some neurons; of one cluster and one it is 1."""
    found = rand_matrix([labels[kept] for labels in partitions.values()])
    pairs = found[np.triu_indices(len(found), 1)]
    return _mean(np.where(np.isnan(pairs), 1.0, pairs))


def over_neurons(a: Mapping[int, NDArray[Any]], b: Mapping[int, NDArray[Any]]) -> Interval:
    """95 % of the difference of two agreements over neurons: jackknife of random blocks, t of `BLOCKS` - 1.

    The networks and their partitions stay: what is unknown is which neurons were recorded.
    """
    n = len(next(iter(a.values())))
    if n < 2 * BLOCKS or a.keys() != b.keys() or len(a) < 2:
        return None, None, None
    block = np.random.default_rng(0).permutation(n) % BLOCKS
    without = [_agreement(a, block != one) - _agreement(b, block != one) for one in range(BLOCKS)]
    # Pseudo-values of the jackknife, about the difference itself.
    pseudo = (BLOCKS - 1) * (np.mean(without) - np.array(without)) + _agreement(a) - _agreement(b)
    return *t_interval(pseudo), detectable_effect(float(pseudo.std(ddof=1)), BLOCKS)


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Agreement, truth and retained correlation of every state, variant and method, over generators of one role."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for one in per_generator(rows):
        groups[(*_where(one), one["variant"], one["state"], one["method"])].append(one)
    return [
        {
            "part": "summary",
            **dict(zip((*WHERE, "variant", "state", "method"), key, strict=True)),
            **{
                name: _mean([one[name] for one in found])
                for name in (*MEASURES, "moved", "retained_validation")
            },
            "statuses": sorted({status for one in found for status in one["statuses"]}),
            "betas": sorted(beta for one in found for beta in one["betas"]),
            "n_networks": min(one["n_networks"] for one in found),
            "n_generators": len(found),
        }
        for key, found in sorted(groups.items(), key=lambda item: json.dumps(item[0]))
    ]


def differences(
    rows: Iterable[Row],
) -> Iterator[tuple[tuple[Any, ...], tuple[str, str, str], list[tuple[Row, Row]]]]:
    """Pairs of states of one population, by `WHERE` and by variant, what is compared and with what."""
    found: dict[tuple[Any, ...], dict[Any, dict[tuple[str, str, str], Row]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for one in per_generator(rows):
        found[_where(one)][one["generator"], one["surrogate"]][
            one["variant"], one["state"], one["method"]
        ] = one
    for where, populations in sorted(found.items(), key=lambda item: json.dumps(item[0])):
        for state in sorted({state for states in populations.values() for state in states}):
            for against in _comparators(*state):
                pairs = [
                    (states[state], states[against])
                    for states in populations.values()
                    if state in states and against in states
                ]
                if state != against and pairs:
                    yield where, (state[0], _name(*state), _name(*against)), pairs


def gains(rows: Iterable[Row]) -> list[Row]:
    """Differences within generators: own labels and the control afresh from `AGAINST`, afresh from the control's."""
    return [
        {
            "part": "gain",
            **dict(zip(WHERE, where, strict=True)),
            **dict(zip(("variant", "of", "against"), compared, strict=True)),
            "n_generators": len(pairs),
            "interval_over": "generators" if len(pairs) > 1 else "neurons",
            **{k: v for name in MEASURES for k, v in _difference(name, pairs).items()},
        }
        for where, compared, pairs in differences(rows)
    ]


def contrasts(rows: Iterable[Row]) -> list[Row]:
    """Differences of `gains` of populations with types, less those of populations without drawn from them.

    Pairs are of one generator; of several populations without types the mean. The interval is t over generators.
    """
    found: dict[tuple[object, ...], dict[bool, dict[int, list[float]]]] = defaultdict(
        lambda: {False: defaultdict(list), True: defaultdict(list)}
    )
    for where, compared, pairs in differences(rows):
        if compared[0] == "none":
            continue
        condition = dict(zip(WHERE, where, strict=True))
        key = (*(condition[name] for name in OF_BOTH), *compared)
        for one, other in pairs:
            gain = _minus(one, other, "agreement")
            if gain is not None:
                found[key][one["surrogate"] is not None][one["generator"]].append(gain)
    out = []
    for key, (with_types, without) in sorted(
        ((key, (value[False], value[True])) for key, value in found.items()),
        key=lambda item: json.dumps(item[0]),
    ):
        generators = sorted(set(with_types) & set(without))
        if len(generators) < 2:
            continue
        known = [np.mean(with_types[generator]) - np.mean(without[generator]) for generator in generators]
        low, high = t_interval(np.array(known))
        out.append(
            {
                **dict(zip((*OF_BOTH, "variant", "of", "against"), key, strict=True)),
                "n_generators": len(generators),
                "agreement": float(np.mean(known)),
                "agreement_low": low,
                "agreement_high": high,
            }
        )
    return out


def over_conditions(rows: Iterable[Row]) -> list[Row]:
    """Differences of `gains`, averaged over spreads, m and K within each generator that has all of them.

    ``over`` is 'all' conditions, or those of one spread, m or K, where a level has several. Conditions share
    generators, so that their intervals do not count as so many: this one is t over generators.
    """
    found: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[Any, tuple[Row, Row]]]] = defaultdict(dict)
    for where, compared, pairs in differences(rows):
        condition = dict(zip(WHERE, where, strict=True))
        kind = (*(condition[name] for name in WHERE if name not in CONDITION), *compared)
        by_generator = {(one["generator"], one["surrogate"]): (one, other) for one, other in pairs}
        found[kind][tuple(condition[name] for name in CONDITION)] = by_generator
    out = []
    for kind, conditions in sorted(found.items(), key=lambda item: json.dumps(item[0])):
        if kind[-3] == "none":
            continue
        for over, some in _levels(conditions).items():
            generators = set.intersection(*(set(pairs) for pairs in some.values()))
            if len(some) < 2 or len(generators) < 2:
                continue
            line: Row = dict(
                zip(
                    (*(name for name in WHERE if name not in CONDITION), "variant", "of", "against"),
                    kind,
                    strict=True,
                )
            )
            line |= {"over": over, "n_conditions": len(some), "n_generators": len(generators)}
            for name in MEASURES:
                line |= _mean_over(name, [[pairs[one] for pairs in some.values()] for one in generators])
            out.append(line)
    return out


def _levels(conditions: Mapping[tuple[Any, ...], Any]) -> dict[str, dict[tuple[Any, ...], Any]]:
    """Conditions by what they share: all of them, and those of every spread, m and K of which there are several."""
    found = {"all": dict(conditions)}
    for place, name in enumerate(CONDITION):
        levels = sorted({condition[place] for condition in conditions}, key=str)
        if len(levels) > 1:
            for level in levels:
                found[f"{name} {level}"] = {
                    one: pairs for one, pairs in conditions.items() if one[place] == level
                }
    return found


def _mean_over(name: str, members: Iterable[Iterable[tuple[Row, Row]]]) -> Row:
    """Mean over generators of one measure's mean difference over conditions, with its interval."""
    means = [_mean(_minus(one, other, name) for one, other in pairs) for pairs in members]
    known = np.array([mean for mean in means if mean is not None])
    low, high = t_interval(known)
    seen = detectable_effect(float(known.std(ddof=1)), len(known)) if len(known) > 1 else None
    return {name: _mean(known), f"{name}_low": low, f"{name}_high": high, f"{name}_detectable": seen}


def _comparators(variant: str, state: str, method: str) -> tuple[tuple[str, str, str], ...]:
    """States without fine-tuning that a state is compared with."""
    if state == "fine_tuned_afresh":
        return (("none", "control", method),)
    if state == CARRIED:
        return (("none", "start", method), ("none", "control", method))
    if state == MIXTURE:
        return (("none", "start", method),)
    if method == OWN_LABELS and variant not in (FOLLOWED, *STARTS):  # which begins from k-means' partition
        return (*AGAINST, (FOLLOWED, "fine_tuned", OWN_LABELS))
    compared = method == OWN_LABELS or (variant, state, method) == ("none", "control", "kmeans")
    return AGAINST if compared else ()


def _name(variant: str, state: str, method: str) -> str:
    """What `gains` calls a state: own labels, control kmeans, afresh sec."""
    if method == OWN_LABELS:
        return "own labels" if variant != FOLLOWED else f"own labels of {variant}"
    return f"{state.removeprefix('fine_tuned_')} {method}"


def _difference(name: str, pairs: list[tuple[Row, Row]]) -> Row:
    """Mean difference of one measure with its interval, and the one that would have been seen.

    Of a single population the agreement has an interval over neurons, the other measures none.
    """
    known = np.array([gain for a, b in pairs if (gain := _minus(a, b, name)) is not None])
    low, high = t_interval(known)
    seen = detectable_effect(float(known.std(ddof=1)), len(known)) if len(known) > 1 else None
    if name == "agreement" and len(pairs) == 1:
        low, high, seen = over_neurons(pairs[0][0]["partitions"], pairs[0][1]["partitions"])
    return {name: _mean(known), f"{name}_low": low, f"{name}_high": high, f"{name}_detectable": seen}


def _minus(one: Row, other: Row, name: str) -> float | None:
    """Difference of one measure; None where one of the two has none."""
    return None if one[name] is None or other[name] is None else float(one[name] - other[name])


def _where(one: Row) -> tuple[Any, ...]:
    role = "choose" if one["generator"] in CHOOSE else "judge"
    values = {**one, "surrogate": one["surrogate"] is not None, "role": role}
    return tuple(values[name] for name in WHERE)


def choose(summary: Iterable[Row]) -> list[Row]:
    """Choose a variant at every core, spread, m and K from the generators to choose by, without labels."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in summary:
        own = row["method"] == OWN_LABELS and row["variant"] not in (*BY_CONSTRUCTION, FOLLOWED)
        if own and row["role"] == "choose" and not row["surrogate"]:
            groups[tuple(row[name] for name in CHOICE)].append(row)
    chosen = []
    for key, found in sorted(groups.items()):
        fine = [
            row
            for row in found
            if (row["retained_validation"] or 0) >= KEEP
            and row["agreement"] is not None
            and set(row["statuses"]) <= {"ok", "flat_target"}
        ]
        best = max(fine, key=lambda row: row["agreement"], default=None)
        chosen.append(
            {
                "part": "choice",
                **dict(zip(CHOICE, key, strict=True)),
                "variant": None if best is None else best["variant"],
                "agreement": None if best is None else best["agreement"],
                "n_generators": found[0]["n_generators"],
            }
        )
    return chosen


def _mean(values: Iterable[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None
