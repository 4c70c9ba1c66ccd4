"""Error rates of the tests and coverage of the intervals, from simulated data: one JSON object per line.

    python benchmarks/evaluation/calibrate.py --sets 2000 > calibration.jsonl
    python benchmarks/evaluation/calibrate.py --table calibration.jsonl          # the same as a table for the docs

``recommended`` marks what docs/science/statistics.md recommends in a scenario that its estimand covers. ``effect`` is 0
under the null hypothesis; rows with an effect are power curves. For ``tost`` it is the true change, the rejection rate
is the rate of declaring equivalence, and the null hypothesis is a change of the margin (.005) or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from calibrate_intervals import intervals
from calibrate_worlds import CONFOUND, CURVED, NARROW, SESSION_LEVELS, VARYING, WIDE, Data, Row, World

from decortex.evaluation.association import (
    GridTest,
    Statistic,
    associate,
    cluster_contrasts,
    grid_test,
    mixed_test,
    population_test,
    session_ridits,
)

ALPHA = 0.05
N_PERMUTATIONS = 199

Test = Callable[[Data, int], float | None]


def naive(data: Data, seed: int) -> float | None:
    """Kruskal-Wallis over all neurons."""
    return associate(data.scores, data.labels, data.sessions, seed=seed, n_permutations=1).p_kruskal


def ranks(statistic: Statistic) -> Test:
    """Ranks within sessions, permuted within sessions: the p of `associate`, without its effects."""

    def test(data: Data, seed: int) -> float | None:
        ridits = session_ridits(data.scores, data.sessions)
        return grid_test(
            ridits,
            [data.labels],
            data.sessions,
            seed=seed,
            n_permutations=N_PERMUTATIONS,
            statistic=statistic,
        ).p_single[0]

    return test


def freedman_lane(
    degree: int = 2,
    statistic: Statistic = "studentised",
    slopes: Literal["by_session", "common"] = "by_session",
    *,
    fisher_z: bool = True,
) -> Test:
    """Freedman-Lane with powers of the measured confound; Fisher's z of scores that are bounded."""

    def test(data: Data, seed: int) -> float | None:
        scaled = data.on_fisher_z() if fisher_z and data.bounded else data
        return grid_test(
            scaled.scores,
            [scaled.labels],
            scaled.sessions,
            scaled.covariates(degree, slopes),
            seed=seed,
            n_permutations=N_PERMUTATIONS,
            statistic=statistic,
        ).p_single[0]

    return test


def tested_grid(data: Data, seed: int, statistic: Statistic) -> GridTest:
    """The data's partition and four random ones, of 2 to 12 clusters."""
    rng = np.random.default_rng(seed)
    partitions = [data.labels] + [rng.integers(0, k, len(data.scores)) for k in (2, 4, 8, 12)]
    scaled = data.on_fisher_z() if data.bounded else data
    return grid_test(
        scaled.scores,
        partitions,
        scaled.sessions,
        scaled.covariates(),
        seed=seed,
        n_permutations=N_PERMUTATIONS,
        statistic=statistic,
    )


def grid(statistic: Statistic) -> Test:
    """Max-T over the grid."""
    return lambda data, seed: tested_grid(data, seed, statistic).p


def smallest_of_grid(data: Data, seed: int) -> float | None:
    """Smallest uncorrected p over the same partitions."""
    return min(p for p in tested_grid(data, seed, "studentised").p_single if p is not None)


def mixed(data: Data, seed: int) -> float | None:
    """Likelihood-ratio test beside a random level per session."""
    return mixed_test(data.scores, data.labels, data.sessions, data.covariates()).p


def population(part: str, *, by_animal: bool = False) -> Test:
    """F or likelihood-ratio test against random cluster-by-unit effects."""

    def test(data: Data, seed: int) -> float | None:
        found = population_test(
            data.scores,
            data.labels,
            data.sessions,
            data.covariates(),
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


Scenario = tuple[str, World, bool]  # its name, the world, and whether the test is recommended there

UNEQUAL: list[Scenario] = [
    ("spread 1:4 by cluster, small ones wide, sizes 1:30", WIDE, True),
    ("spread 1:4 by cluster, large ones wide, sizes 1:30", NARROW, True),
    ("spread 1:4 by cluster, small ones wide, heavy tails", replace(WIDE, heavy=True), True),
    ("sizes 1:30", replace(WIDE, spread_ratio=1.0), True),
    ("sizes 1:30, skewed (exponential)", replace(WIDE, spread_ratio=1.0, skewed=True), False),
]
BOUNDED: list[Scenario] = [
    ("bounded, confound", replace(CONFOUND, bounded="tanh"), True),
    ("bounded, confound, curved", replace(CURVED, bounded="tanh"), True),
    ("bounded, confound, spread 1:4 by cluster", replace(WIDE, confound=0.6, bounded="tanh"), True),
    ("bounded otherwise than Fisher's z, confound", replace(CONFOUND, bounded="logistic"), True),
    ("bounded otherwise than Fisher's z, confound, curved", replace(CURVED, bounded="logistic"), False),
]
RANKED: list[Scenario] = [
    ("session levels", SESSION_LEVELS, True),
    ("heavy tails, unequal spread of sessions", World(heavy=True), True),
    *UNEQUAL,
    ("confound, measured but not used", CONFOUND, False),
]
ADJUSTED: list[Scenario] = [
    ("session levels", SESSION_LEVELS, True),
    ("heavy tails, unequal spread of sessions", World(heavy=True), True),
    *UNEQUAL,
    ("confound, measured", CONFOUND, True),
    ("confound, measured, curved", CURVED, True),
    ("confound, measured, spread 1:4 by cluster", replace(WIDE, confound=0.6), True),
    *BOUNDED,
    ("confound, measured with reliability .9", replace(CONFOUND, reliability=0.9), False),
    ("confound, measured with reliability .8", replace(CONFOUND, reliability=0.8), False),
    ("clusters differ by session", VARYING, False),
]
GRIDS: list[Scenario] = [
    ("confound, measured", CONFOUND, True),
    ("spread 1:4 by cluster, small ones wide, sizes 1:30", WIDE, True),
    ("bounded, confound, curved", replace(CURVED, bounded="tanh"), True),
]


def unrecommended(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """The same scenarios for a test that is not recommended in them."""
    return [(name, world, False) for name, world, _ in scenarios]


# (test, estimand, function, [(scenario, world, recommended there)])
TESTS: list[tuple[str, str, Test, list[Scenario]]] = [
    ("kruskal_naive", "sessions", naive, [("session levels", SESSION_LEVELS, False)]),
    ("ranks_within_sessions", "sessions", ranks("studentised"), RANKED),
    ("ranks_within_sessions_share", "sessions", ranks("share"), unrecommended(RANKED)),
    ("freedman_lane", "sessions", freedman_lane(), ADJUSTED),
    ("freedman_lane_share", "sessions", freedman_lane(statistic="share"), unrecommended(ADJUSTED)),
    (
        "freedman_lane_common_slopes",
        "sessions",
        freedman_lane(slopes="common"),
        unrecommended(BOUNDED),
    ),
    (
        "freedman_lane_correlations",
        "sessions",
        freedman_lane(fisher_z=False),
        unrecommended(BOUNDED),
    ),
    ("freedman_lane_linear", "sessions", freedman_lane(1), [("confound, measured, curved", CURVED, False)]),
    ("grid_max_t", "sessions", grid("studentised"), GRIDS),
    ("grid_max_t_share", "sessions", grid("share"), unrecommended(GRIDS)),
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

POWER: list[tuple[str, str, Test, str, World]] = [
    *(
        (name, "sessions", freedman_lane(statistic=statistic), f"power, {label}", world)
        for label, world in (
            ("3 sessions", replace(CONFOUND, n_sessions=3)),
            ("6 sessions", CONFOUND),
            ("6 sessions, sizes 1:30", replace(WIDE, spread_ratio=1.0)),
        )
        for name, statistic in (("freedman_lane", "studentised"), ("freedman_lane_share", "share"))
    ),
    (
        "freedman_lane",
        "sessions",
        freedman_lane(),
        "power, 6 sessions, spread 1:4 by cluster, sizes 1:30",
        WIDE,
    ),
    *(
        (
            "population_f",
            "population",
            population("f"),
            f"power, {n} sessions",
            replace(VARYING, n_sessions=n),
        )
        for n in (5, 9, 20)
    ),
]
EFFECTS = {"sessions": (0.1, 0.2, 0.3), "population": (0.2, 0.4, 0.8)}


def rates(n_sets: int, only: Sequence[str] = (), scenarios: Sequence[str] = ()) -> Iterator[Row]:
    """Rejection rates without an effect, then power; of these tests and scenarios only, where some are named."""
    for name, estimand, test, worlds in TESTS:
        for scenario, world, recommended in worlds:
            row = Row(name, estimand, recommended, scenario, 0.0, n_sets, None, None)
            if chosen(row, only, scenarios):
                yield reject(row, test, world)
    for name, estimand, test, scenario, world in POWER:
        for effect in EFFECTS[estimand]:
            row = Row(name, estimand, not name.endswith("_share"), scenario, effect, n_sets // 4, None, None)
            if chosen(row, only, scenarios):
                yield reject(row, test, replace(world, effect=effect))


def chosen(row: Row, only: Sequence[str], scenarios: Sequence[str]) -> bool:
    """Whether a row was asked for."""
    named = not only or row.test in only
    return named and (not scenarios or any(text in row.scenario for text in scenarios))


def reject(row: Row, test: Test, world: World) -> Row:
    """Share of data sets that a test rejects at .05; an undefined test rejects nothing."""
    rng = np.random.default_rng([11, world.n_sessions, world.n_clusters])
    reached = 0
    for index in range(row.n_sets):
        p = test(world.draw(rng), index)
        reached += p is not None and p <= ALPHA
    return replace(row, rejection_rate=reached / row.n_sets)


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
    """Print one line per test and scenario, progress beside it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated data sets per row")
    parser.add_argument("--tests", nargs="+", default=[], help="rejection rates of these only, no intervals")
    parser.add_argument(
        "--scenarios", nargs="+", default=[], help="only scenarios that hold one of these texts"
    )
    parser.add_argument("--intervals", action="store_true", help="coverage of the intervals only")
    parser.add_argument("--table", type=Path, help="print this file of rows as a table instead")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    started = time.monotonic()
    known = {name for name, *_ in TESTS}
    if unknown := sorted(set(options.tests) - known):
        parser.error(f"--tests {unknown[0]}: there are {', '.join(sorted(known))}")
    tested = iter(()) if options.intervals else rates(options.sets, options.tests, options.scenarios)
    covered = iter(()) if options.tests else intervals(options.sets)
    for rows in (tested, covered):
        for row in rows:
            print(json.dumps(row.__dict__), flush=True)
            print(f"{time.monotonic() - started:.0f} s: {row.test}, {row.scenario}", file=sys.stderr)


if __name__ == "__main__":
    main()
