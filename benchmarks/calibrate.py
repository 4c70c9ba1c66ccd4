"""Error rates of the tests and coverage of the intervals, from simulated data: one JSON object a line.

    python benchmarks/calibrate.py --sets 2000 > calibration.jsonl
    python benchmarks/calibrate.py --table calibration.jsonl          # the same as a table for the docs

``recommended`` marks what docs/statistics.md recommends in a scenario that its estimand covers. ``effect`` is 0
under the null hypothesis; rows with an effect are power curves. For ``tost`` it is the true change, the rejection rate
is the rate of declaring equivalence, and the null hypothesis is a change of the margin (.005) or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.association import (
    CovariateConfig,
    associate,
    cluster_contrasts,
    covariate_columns,
    grid_test,
    mixed_test,
    population_test,
    sessions_test,
)
from decortex.evaluation.performance import equivalence, retained_performance

FloatArray = NDArray[np.float64]
ALPHA = 0.05
N_PERMUTATIONS = 499
CHANGE = -0.002


@dataclass(frozen=True)
class World:
    """How scores and clusters come about. Units of the scores: standard deviation of a neuron's own noise."""

    n_sessions: int = 6
    n_clusters: int = 5
    neurons: tuple[int, int] = (30, 120)  # a session, at least and below
    session_sd: float = 0.7
    interaction_sd: float = 0.0  # cluster-by-unit effects
    sessions_an_animal: int = 1
    confound: float = 0.0  # slope of the scores on what also moves the clusters
    curved: float = 0.0  # slope on its square
    reliability: float = 1.0  # of the confound as it is measured
    heavy: bool = False  # t with 3 degrees of freedom, and a spread of its own in every session
    effect: float = 0.0  # standard deviation of the clusters' true means

    def draw(self, rng: np.random.Generator) -> Data:
        """Draw one data set: sessions of unequal size, clusters of unequal size, another mix in each session."""
        k = self.n_clusters
        sizes = rng.integers(*self.neurons, self.n_sessions)
        session = np.repeat(np.arange(self.n_sessions), sizes)
        n = len(session)
        shares = np.linspace(3, 1, k) / np.linspace(3, 1, k).sum()
        mixes = rng.dirichlet(shares * 5 * k, self.n_sessions)
        confounder = rng.normal(size=n) + 0.5 * rng.normal(size=self.n_sessions)[session]
        # A neuron's cluster follows from its place between 0 and 1, which the confounder moves where there is one.
        place = rng.random(n)
        if self.confound or self.curved:
            tilt = confounder + rng.normal(size=n)
            place = np.empty(n)
            for one in range(self.n_sessions):
                here = session == one
                place[here] = (tilt[here].argsort().argsort() + rng.random(here.sum())) / here.sum()
        label = (place[:, None] > np.cumsum(mixes, axis=1)[session]).sum(axis=1).clip(max=k - 1)
        unit = session // self.sessions_an_animal
        y = self.session_sd * rng.normal(size=self.n_sessions)[session]
        y += self.confound * confounder + self.curved * confounder**2
        y += self.interaction_sd * rng.normal(size=(int(unit.max()) + 1, k))[unit, label]
        y += self.effect * cluster_means(k)[label]
        noise = rng.normal(size=n)
        if self.heavy:
            noise = rng.standard_t(3, size=n) * rng.uniform(0.4, 2.0, self.n_sessions)[session]
        error = np.sqrt(1 / self.reliability - 1) * confounder.std()
        return Data(y + noise, label, session, unit, confounder + error * rng.normal(size=n))


@dataclass(frozen=True)
class Data:
    """One simulated data set."""

    scores: FloatArray
    labels: NDArray[np.intp]
    sessions: NDArray[np.intp]
    units: NDArray[np.intp]
    measured: FloatArray

    def covariates(self, degree: int) -> FloatArray:
        """Powers of the measured confound."""
        config = CovariateConfig(names=("norm",), degree=degree)
        return covariate_columns(config, {"norm": self.measured}, self.scores).columns


def cluster_means(k: int) -> FloatArray:
    """Evenly spaced true means of mean 0 and standard deviation 1."""
    means = np.linspace(-1, 1, k)
    return means / means.std()


Test = Callable[[Data, int], float | None]


def naive(data: Data, seed: int) -> float | None:
    """Kruskal-Wallis over all neurons."""
    return associate(data.scores, data.labels, data.sessions, seed=seed, n_permutations=1).p_kruskal


def ranks(data: Data, seed: int) -> float | None:
    """Ranks within sessions, permuted within sessions."""
    found = associate(data.scores, data.labels, data.sessions, seed=seed, n_permutations=N_PERMUTATIONS)
    return found.p_permutation


def freedman_lane(degree: int) -> Test:
    """Freedman-Lane with powers of the measured confound; 0 ignores it."""

    def test(data: Data, seed: int) -> float | None:
        columns = data.covariates(degree) if degree else None
        found = sessions_test(
            data.scores, data.labels, data.sessions, columns, seed=seed, n_permutations=N_PERMUTATIONS
        )
        return found.p

    return test


def grid(data: Data, seed: int) -> float | None:
    """Max-T over partitions into 2 to 12 clusters."""
    rng = np.random.default_rng(seed)
    partitions = [data.labels] + [rng.integers(0, k, len(data.scores)) for k in (2, 4, 8, 12)]
    return grid_test(
        data.scores, partitions, data.sessions, data.covariates(2), seed=seed, n_permutations=N_PERMUTATIONS
    ).p


def smallest_of_grid(data: Data, seed: int) -> float | None:
    """Smallest uncorrected p over the same partitions."""
    rng = np.random.default_rng(seed)
    partitions = [data.labels] + [rng.integers(0, k, len(data.scores)) for k in (2, 4, 8, 12)]
    found = grid_test(
        data.scores, partitions, data.sessions, data.covariates(2), seed=seed, n_permutations=N_PERMUTATIONS
    )
    return min(p for p in found.p_single if p is not None)


def mixed(data: Data, seed: int) -> float | None:
    """Likelihood-ratio test beside a random level a session."""
    return mixed_test(data.scores, data.labels, data.sessions, data.covariates(2)).p


def population(part: str, *, by_animal: bool = False) -> Test:
    """F or likelihood-ratio test against random cluster-by-unit effects."""

    def test(data: Data, seed: int) -> float | None:
        found = population_test(
            data.scores,
            data.labels,
            data.sessions,
            data.covariates(2),
            units=data.units if by_animal else None,
        )
        return found.p if part == "f" else found.p_likelihood

    return test


def contrast(part: str) -> Test:
    """T or sign test over sessions for one cluster against the others of its session."""

    def test(data: Data, seed: int) -> float | None:
        found = cluster_contrasts(data.scores, data.labels, data.sessions)[0]
        return found.p if part == "t" else found.p_sign

    return test


@dataclass(frozen=True)
class Row:
    """One line of the output."""

    test: str
    estimand: str
    recommended: bool
    scenario: str
    effect: float
    n_sets: int
    rejection_rate: float | None
    coverage: float | None


SESSION_LEVELS = World()
CONFOUND = World(confound=0.6)
VARYING = World(interaction_sd=0.5)

# (test, estimand, function, [(scenario, world, recommended there)])
TESTS: list[tuple[str, str, Test, list[tuple[str, World, bool]]]] = [
    ("kruskal_naive", "sessions", naive, [("session levels", SESSION_LEVELS, False)]),
    (
        "ranks_within_sessions",
        "sessions",
        ranks,
        [
            ("session levels", SESSION_LEVELS, True),
            ("heavy tails, unequal spread", World(heavy=True), True),
            ("confound, measured but not used", CONFOUND, False),
        ],
    ),
    (
        "freedman_lane",
        "sessions",
        freedman_lane(2),
        [
            ("session levels", SESSION_LEVELS, True),
            ("heavy tails, unequal spread", World(heavy=True), True),
            ("confound, measured", CONFOUND, True),
            ("confound, measured, curved", World(confound=0.6, curved=-0.3), True),
            ("confound, measured with reliability .8", World(confound=0.6, reliability=0.8), False),
            ("clusters differ by session", World(interaction_sd=0.5), False),
        ],
    ),
    (
        "freedman_lane_linear",
        "sessions",
        freedman_lane(1),
        [("confound, measured, curved", World(confound=0.6, curved=-0.3), False)],
    ),
    ("grid_max_t", "sessions", grid, [("confound, measured", CONFOUND, True)]),
    ("grid_smallest_p", "sessions", smallest_of_grid, [("confound, measured", CONFOUND, False)]),
    (
        "mixed_model_session",
        "sessions",
        mixed,
        [
            ("confound, measured", CONFOUND, False),
            ("clusters differ by session", VARYING, False),
        ],
    ),
    (
        "population_f",
        "population",
        population("f"),
        [
            ("5 sessions, clusters differ by session", replace(VARYING, n_sessions=5), True),
            ("6 sessions, 8 clusters", replace(VARYING, n_clusters=8), True),
            ("9 sessions, clusters differ by session", replace(VARYING, n_sessions=9), True),
            ("20 sessions, clusters differ by session", replace(VARYING, n_sessions=20), True),
            ("9 sessions, with a measured confound", replace(VARYING, n_sessions=9, confound=0.6), True),
            ("9 sessions, clusters do not differ by session", World(n_sessions=9), False),
            (
                "9 sessions, confound measured with reliability .8",
                replace(VARYING, n_sessions=9, confound=0.6, reliability=0.8),
                False,
            ),
            (
                "12 sessions of 6 animals, clusters differ by animal",
                replace(VARYING, n_sessions=12, sessions_an_animal=2),
                False,
            ),
        ],
    ),
    (
        "population_f_animals",
        "population",
        population("f", by_animal=True),
        [
            (
                "12 sessions of 6 animals, clusters differ by animal",
                replace(VARYING, n_sessions=12, sessions_an_animal=2),
                True,
            )
        ],
    ),
    (
        "population_likelihood_ratio",
        "population",
        population("lr"),
        [
            ("5 sessions, clusters differ by session", replace(VARYING, n_sessions=5), False),
            ("9 sessions, clusters differ by session", replace(VARYING, n_sessions=9), False),
            ("20 sessions, clusters differ by session", replace(VARYING, n_sessions=20), False),
        ],
    ),
    (
        "contrast_t",
        "population",
        contrast("t"),
        [
            ("5 sessions, clusters differ by session", replace(VARYING, n_sessions=5), True),
            ("9 sessions, clusters differ by session", replace(VARYING, n_sessions=9), True),
        ],
    ),
    (
        "contrast_sign",
        "population",
        contrast("sign"),
        [("9 sessions, clusters differ by session", replace(VARYING, n_sessions=9), False)],
    ),
]

POWER: list[tuple[str, str, Test, World]] = [
    *(("freedman_lane", "sessions", freedman_lane(2), replace(CONFOUND, n_sessions=n)) for n in (3, 6)),
    *(("population_f", "population", population("f"), replace(VARYING, n_sessions=n)) for n in (5, 9, 20)),
]
EFFECTS = {"sessions": (0.1, 0.2, 0.3), "population": (0.2, 0.4, 0.8)}


def rates(n_sets: int, only: Sequence[str] = ()) -> Iterator[Row]:
    """Rejection rates without an effect, then power; of these tests only, where some are named."""
    for name, estimand, test, scenarios in TESTS:
        for scenario, world, recommended in scenarios:
            row = Row(name, estimand, recommended, scenario, 0.0, n_sets, None, None)
            if not only or name in only:
                yield reject(row, test, world)
    for name, estimand, test, world in POWER:
        for effect in EFFECTS[estimand]:
            scenario = f"power, {world.n_sessions} sessions"
            row = Row(name, estimand, True, scenario, effect, max(n_sets // 4, 50), None, None)
            if not only or name in only:
                yield reject(row, test, replace(world, effect=effect))


def reject(row: Row, test: Test, world: World) -> Row:
    """Share of data sets that a test rejects at .05; an undefined test rejects nothing."""
    rng = np.random.default_rng([11, world.n_sessions, world.n_clusters])
    reached = 0
    for index in range(row.n_sets):
        p = test(world.draw(rng), index)
        reached += p is not None and p <= ALPHA
    return replace(row, rejection_rate=reached / row.n_sets)


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


def one_session_shares(n_sets: int) -> Iterator[Row]:
    """epsilon² and omega² of four clusters, the smallest with a share of 5 %."""

    def draw(rng: np.random.Generator, n: int, step: float) -> tuple[FloatArray, NDArray[np.int64]]:
        labels = rng.choice(4, size=n, p=[0.5, 0.3, 0.15, 0.05])
        return rng.normal(size=n) + step * labels, labels

    def shares(y: FloatArray, labels: NDArray[np.int64]) -> Any:
        return associate(y, labels, np.zeros(len(y)), seed=0, n_permutations=1)

    for n, step in ((120, 0.2), (120, 0.8), (250, 0.4), (250, 0.8), (250, 1.5), (1000, 0.3), (1000, 1.5)):
        truth = shares(*draw(np.random.default_rng(0), 200_000, step))
        rng = np.random.default_rng([13, n])
        found = [shares(*draw(rng, n, step)) for _ in range(n_sets)]
        for name, true in (("epsilon2", truth.epsilon2_corrected), ("omega2", truth.omega2)):
            hits = [getattr(r, f"{name}_low") <= true <= getattr(r, f"{name}_high") for r in found]
            # Chance alone gives about 3/n: where the effect is of its size, the cut at 0 makes the interval wide.
            clear = true > 5 * 3 / n
            scenario = f"{n} neurons" if clear else f"{n} neurons, effect near chance, interval cut at 0"
            yield covers(f"{name}_interval", scenario, true, hits, recommended=bool(clear))


def partial_share(n_sets: int) -> Row:
    """Partial omega² after sessions and a measured confound."""
    world = replace(CONFOUND, effect=0.4)

    def share(data: Data) -> Any:
        found = sessions_test(
            data.scores, data.labels, data.sessions, data.covariates(2), seed=0, n_permutations=1
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


def table(path: Path) -> str:
    """Markdown table of a file of rows."""
    lines = [
        "| test | estimand | scenario | effect | sets | rejects | covers | recommended |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for text in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(text)
        rate, covers = (("" if v is None else f"{v:.3f}") for v in (row["rejection_rate"], row["coverage"]))
        mark = "yes" if row["recommended"] else ""
        lines.append(
            f"| {row['test']} | {row['estimand']} | {row['scenario']} | {row['effect']:g} | {row['n_sets']} | {rate} | "
            f"{covers} | {mark} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print one line a test and scenario, progress beside it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated data sets a row")
    parser.add_argument("--tests", nargs="+", default=[], help="rejection rates of these only, no intervals")
    parser.add_argument("--table", type=Path, help="print this file of rows as a table instead")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    started = time.monotonic()
    known = {name for name, *_ in TESTS}
    if unknown := sorted(set(options.tests) - known):
        parser.error(f"--tests {unknown[0]}: there are {', '.join(sorted(known))}")
    last = iter(()) if options.tests else intervals(options.sets)
    for rows in (rates(options.sets, options.tests), last):
        for row in rows:
            print(json.dumps(row.__dict__), flush=True)
            print(f"{time.monotonic() - started:.0f} s: {row.test}, {row.scenario}", file=sys.stderr)


if __name__ == "__main__":
    main()
