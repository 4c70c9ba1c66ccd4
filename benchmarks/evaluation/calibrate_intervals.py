"""Coverage of the intervals of effect sizes and of the price, for `calibrate.py`. Rejection rates are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from calibrate_worlds import CONFOUND, Data, FloatArray, Row, World, cluster_means
from numpy.typing import NDArray

from decortex.evaluation.association import (
    adjusted_share,
    cluster_contrasts,
    population_test,
    ranked_share,
    sessions_test,
)
from decortex.evaluation.performance import equivalence, retained_performance

CHANGE = -0.002


def covers(test: str, scenario: str, effect: float, hits: list[bool], *, recommended: bool = True) -> Row:
    """One line of coverage."""
    estimand = "price" if "change" in test or "worst" in test else "effect size"
    rounded = float(f"{effect:.3g}")
    return Row(test, estimand, recommended, scenario, rounded, len(hits), None, float(np.mean(hits)))


def intervals(n_sets: int) -> Iterator[Row]:
    """Coverage of the intervals of effect sizes."""
    yield from one_session_shares(n_sets)
    yield partial_share(n_sets)
    yield from population_intervals(n_sets)
    yield from changes(n_sets)


EQUAL = np.array([0.5, 0.3, 0.15, 0.05])
UNEQUAL = np.geomspace(30, 1, 4) / np.geomspace(30, 1, 4).sum()
# What differs between clusters: their shares of the neurons, their spreads, and its name.
SPREADS: list[tuple[FloatArray, FloatArray, str]] = [
    (EQUAL, np.ones(4), ""),
    (UNEQUAL, np.geomspace(1, 4, 4), ", spread 1:4 by cluster, small ones wide, sizes 1:30"),
    (UNEQUAL, np.geomspace(4, 1, 4), ", spread 1:4 by cluster, large ones wide, sizes 1:30"),
]


def one_session_shares(n_sets: int) -> Iterator[Row]:
    """epsilon² and omega² of four clusters, of one spread and of different ones."""

    def draw(rng: np.random.Generator, n: int, step: float) -> tuple[FloatArray, NDArray[np.int64]]:
        labels = rng.choice(4, size=n, p=sizes)
        return rng.normal(size=n) * spreads[labels] + step * labels, labels

    measures = (("epsilon2", ranked_share), ("omega2", adjusted_share))
    for sizes, spreads, spread_name in SPREADS:
        small = ((120, 0.2), (120, 0.8)) if not spread_name else ()
        for n, step in (*small, (250, 0.4), (250, 0.8), (250, 1.5), (1000, 0.3), (1000, 1.5)):
            large = [draw(np.random.default_rng(seed), 200_000, step) for seed in range(3)]
            rng = np.random.default_rng([13, n])
            sets = [draw(rng, n, step) for _ in range(n_sets)]
            # Where an effect is of the size of what chance adds, the cut at 0 makes the interval wide.
            chance = ((1 - sizes) * spreads**2).sum() / (n * (sizes * spreads**2).sum())
            means = step * np.arange(4)
            between = float(sizes @ (means - sizes @ means) ** 2)
            within = float(sizes @ spreads**2)
            ranked = float(np.mean([ranked_share(*one).corrected for one in large]))
            for name, measure in measures:
                true = between / (between + within) if name == "omega2" else ranked
                found = [measure(*one) for one in sets]
                hits = [one.low <= true <= one.high for one in found]
                clear = bool(true > 5 * chance)
                near = "" if clear else ", effect near chance, interval cut at 0"
                yield covers(
                    f"{name}_interval", f"{n} neurons{spread_name}{near}", true, hits, recommended=clear
                )


def partial_share(n_sets: int) -> Row:
    """Partial omega² after sessions and a measured confound."""
    world = replace(CONFOUND, effect=0.4)

    def share(data: Data) -> Any:
        found = sessions_test(
            data.scores, data.labels, data.sessions, data.covariates(), seed=0, n_permutations=1
        )
        return found.effect

    # The share in one large draw of as many sessions, averaged: mixes of clusters vary from session to session.
    rng = np.random.default_rng(17)
    truth = float(
        np.mean([share(replace(world, neurons=(3000, 12000)).draw(rng)).corrected for _ in range(40)])
    )
    found = [share(world.draw(rng)) for _ in range(n_sets)]
    hits = [one.low <= truth <= one.high for one in found]
    return covers("partial_omega2_interval", "confound, measured", truth, hits)


def population_intervals(n_sets: int) -> Iterator[Row]:
    """Share of cells' variation between clusters, and the contrast of one cluster."""
    k, spread, effect = 5, 0.5, 0.5
    for n_sessions in (5, 9):
        scenario = f"{n_sessions} sessions"
        # Noncentrality of the cells' analysis of variance: large sessions, whose neurons average out.
        world = World(n_sessions=n_sessions, interaction_sd=spread, effect=effect, neurons=(400, 900))
        rng = np.random.default_rng([19, n_sessions])
        noncentrality = n_sessions * k * effect**2 / spread**2
        share = noncentrality / (noncentrality + n_sessions * k - n_sessions + 1)
        hits = []
        for _ in range(n_sets):
            data = world.draw(rng)
            test = population_test(data.scores, data.labels, data.sessions)
            hits.append(bool(test.effect_low <= share <= test.effect_high))
        yield covers("population_effect_interval", scenario, share, hits)
        world = World(n_sessions=n_sessions, interaction_sd=spread, n_clusters=2, effect=effect)
        true = float(cluster_means(2)[0] - cluster_means(2)[1]) * effect
        hits = []
        for _ in range(n_sets):
            data = world.draw(rng)
            one = cluster_contrasts(data.scores, data.labels, data.sessions)[0]
            hits.append(bool(one.low <= true <= one.high))
        yield covers("contrast_interval", scenario, true, hits)


def paired_changes(
    rng: np.random.Generator, n_sessions: int, change: float, session_sd: float
) -> tuple[FloatArray, FloatArray, NDArray[np.intp], NDArray[np.int64]]:
    """Scores of the control and after fine-tuning, sessions and clusters."""
    sizes = rng.integers(20, 120, n_sessions)
    sessions = np.repeat(np.arange(n_sessions), sizes)
    control = rng.uniform(0.2, 0.9, len(sessions))
    moved = (
        change + session_sd * rng.normal(size=n_sessions)[sessions] + 0.01 * rng.normal(size=len(sessions))
    )
    return control, control + moved, sessions, rng.integers(0, 4, len(sessions))


def changes(n_sets: int) -> Iterator[Row]:
    """Coverage of the price's intervals, and the equivalence test at and beyond its margin."""
    names = ("change_interval", "change_interval_wild_bootstrap", "change_interval_neurons")
    for n_sessions in (3, 5, 9):
        rng = np.random.default_rng([23, n_sessions])
        hits: dict[str, list[bool]] = {name: [] for name in (*names, "worst_cluster_interval")}
        for index in range(n_sets):
            control, after, sessions, labels = paired_changes(rng, n_sessions, CHANGE, 0.003)
            found = retained_performance(
                control, after, control, sessions=sessions, labels=labels, seed=index
            )
            check = found.equivalence
            bounds = (
                (found.interval_low, found.interval_high),
                (check.wild_low, check.wild_high),
                (found.neuron_interval_low, found.neuron_interval_high),
            )
            for name, (low, high) in zip(names, bounds, strict=True):
                hits[name].append(bool(low <= CHANGE <= high))
            hits["worst_cluster_interval"].append(
                all(one.low <= CHANGE <= one.high for one in found.clusters if one.low is not None)
            )
        for name, inside in hits.items():
            together = ", all clusters at once" if name == "worst_cluster_interval" else ""
            scenario = f"{n_sessions} sessions{together}"
            yield covers(name, scenario, CHANGE, inside, recommended=name == "change_interval")
    for n_sessions in (3, 5, 9, 20):
        for session_sd in (0.002, 0.004):
            for change in (-0.005, 0.005, -0.01, 0.0):
                rng = np.random.default_rng([29, n_sessions])
                means = change + session_sd * rng.normal(size=(2 * n_sets, n_sessions))
                declared = sum(bool(equivalence(one, n_bootstrap=1).equivalent) for one in means)
                what = {0.0: "power: no change", -0.01: "twice the margin"}.get(change, "exactly the margin")
                scenario = f"{what}, {n_sessions} sessions of SD {session_sd}"
                yield Row(
                    "tost", "price", change != 0, scenario, change, len(means), declared / len(means), None
                )
