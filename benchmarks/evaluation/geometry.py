"""Level and power of representational geometry between networks, and of communities of co-association, on worlds.

    python benchmarks/evaluation/geometry.py [--worlds 100] [--part geometry|communities|time]

Rates are shares of worlds with p at most .05. Of `geometry` every world has 120 neurons in four sessions and three
networks of ten features in axes of their own; of `communities` 150 neurons and nine partitions, three starts of each
of three networks.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from decortex.evaluation.agreement import (
    SETTINGS,
    agreement,
    co_association,
    communities,
    consensus,
    geometry_agreement,
    independent_communities,
)
from decortex.evaluation.nulls import excess_over_null

FloatArray = NDArray[np.float64]
N_NEURONS, N_FEATURES, N_NETWORKS = 120, 10, 3
SESSIONS = np.arange(N_NEURONS) % 4
N_OF_PARTITIONS, N_STARTS = 150, 3
LEVEL = 0.05


def network(shared: FloatArray, noise: float, rng: np.random.Generator) -> FloatArray:
    """A network's embedding of shared coordinates: in other axes, with noise of its own."""
    rotation = np.linalg.qr(rng.normal(size=(N_FEATURES, N_FEATURES)))[0]
    return (shared + noise * rng.normal(size=shared.shape)) @ rotation


def geometry_world(kind: str, strength: float, rng: np.random.Generator) -> list[FloatArray]:
    """Embeddings of all networks. `strength`: share of the variance that networks share."""
    noise = np.sqrt(1 / max(strength, 1e-9) - 1)
    if kind == "continuum":
        shared = rng.normal(size=(N_NEURONS, N_FEATURES))
        return [network(shared, noise, rng) for _ in range(N_NETWORKS)]
    if kind == "sessions":  # sessions lie apart in all networks alike; within them networks share nothing
        centres = 2 * rng.normal(size=(4, N_FEATURES))[SESSIONS]
        return [network(centres, 1.0, rng) for _ in range(N_NETWORKS)]
    if kind == "types":  # the same eight groups, which every network arranges in a way of its own
        types = rng.integers(8, size=N_NEURONS)
        return [network(rng.normal(size=(8, N_FEATURES))[types], noise, rng) for _ in range(N_NETWORKS)]
    return [rng.normal(size=(N_NEURONS, N_FEATURES)) for _ in range(N_NETWORKS)]


def geometry_rates(n_worlds: int) -> Iterator[str]:
    """One line per kind of world and setting of the transform."""
    yield f"{'world':<12}{'shared':>8}  {'permuted':<10}{'l, u':>10}{'correlation':>13}{'null':>8}{'p <= .05':>10}"
    worlds = [("nothing", 0.0), ("sessions", 0.0)]
    worlds += [(kind, share) for kind in ("continuum", "types") for share in (0.1, 0.2, 0.4)]
    for kind, strength in worlds:
        for within in (True, False) if kind == "sessions" else (True,):
            rows = []
            for world in range(n_worlds):
                rng = np.random.default_rng([world, int(100 * strength), len(kind)])
                found = geometry_agreement(
                    geometry_world(kind, strength, rng), seed=world, blocks=SESSIONS if within else None
                )
                rows.append([excess_over_null(one.mean, one.null_means) for one in found])
            for i, setting in enumerate(SETTINGS):
                values = [row[i] for row in rows]
                yield (
                    f"{kind:<12}{strength:>8.1f}  {'in session' if within else 'among all':<10}"
                    f"{f'{setting[0]:g}, {setting[1]:g}':>10}{np.mean([v.observed for v in values]):>13.3f}"
                    f"{np.mean([v.null_mean for v in values]):>8.3f}{np.mean([v.p <= LEVEL for v in values]):>10.2f}"
                )


def copies(
    truth: NDArray[np.int64], k: int, kept: float, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Starts of one network: its own view of the types at this K, each with a tenth of labels redrawn."""
    n_types = int(truth.max()) + 1
    if k >= n_types:  # every type is cut into equal parts, at random and anew in every network
        own = truth * (k // n_types) + rng.integers(k // n_types, size=len(truth))
    else:  # types are joined at random, anew in every network
        own = rng.permutation(np.arange(n_types) % k)[truth]
    own = np.where(rng.random(len(truth)) < kept, own, rng.integers(k, size=len(truth)))
    return [
        np.where(rng.random(len(truth)) < 0.9, own, rng.integers(k, size=len(truth))) for _ in range(N_STARTS)
    ]


def longest_lifetime(partitions: list[NDArray[np.int64]]) -> int:
    """Number of clusters that average linkage of 1 - co-association keeps longest (Fred & Jain 2005)."""
    matrix = co_association(partitions)
    heights = linkage(1 - matrix[np.triu_indices(len(matrix), 1)], "average")[:, 2]
    lifetimes = np.diff(np.append(heights, 1.0))  # after merge i, n - 1 - i clusters are left
    return int(len(lifetimes) - np.argmax(lifetimes))


def community_rates(n_worlds: int) -> Iterator[str]:
    """One line per number of types, K, and share of labels that networks keep."""
    yield (
        f"{'types':>6}{'K':>5}{'kept':>6}  {'permuted':<14}{'p <= .05':>9}{'communities':>13}{'null':>7}"
        f"{'firm':>7}{'null':>7}{'ARI types':>11}{'ARI vote':>10}{'lifetime':>10}"
    )
    cases: list[tuple[int, int, float, bool]] = [(8, 8, 0.0, True), (8, 8, 0.0, False)]
    cases += [(8, 8, kept, True) for kept in (0.3, 0.5, 0.8)]
    cases += [
        (4, 12, 0.8, True),
        (8, 4, 0.8, True),
        (16, 16, 0.8, True),
        (30, 30, 0.8, True),
        (30, 30, 0.5, True),
    ]
    for n_types, k, kept, by_network in cases:
        rows = []
        for world in range(n_worlds):
            rng = np.random.default_rng([world, n_types, k, int(100 * kept)])
            truth = rng.integers(n_types, size=N_OF_PARTITIONS)
            truth[:n_types] = np.arange(n_types)
            partitions = [one for _ in range(N_NETWORKS) for one in copies(truth, k, kept, rng)]
            networks = [i // N_STARTS if by_network else i for i in range(len(partitions))]
            found = communities(partitions, seed=world)
            drawn = independent_communities(partitions, networks, seed=world)
            p = excess_over_null(found.modularity, [one.modularity for one in drawn]).p
            rows.append(
                (
                    p <= LEVEL,
                    found.n_communities,
                    np.mean([one.n_communities for one in drawn]),
                    found.firm_share or 0.0,
                    np.mean([one.firm_share or 0.0 for one in drawn]),
                    agreement(truth, found.labels).ari or 0.0,
                    agreement(truth, consensus(partitions, k).labels).ari,
                    longest_lifetime(partitions),
                )
            )
        rate, count, count_null, firm, firm_null, ari, vote, lifetime = np.mean(rows, axis=0)
        yield (
            f"{n_types:>6}{k:>5}{kept:>6.1f}  {'by network' if by_network else 'each':<14}{rate:>9.2f}{count:>13.1f}"
            f"{count_null:>7.1f}{firm:>7.2f}{firm_null:>7.2f}{ari:>11.2f}{vote:>10.2f}{lifetime:>10.1f}"
        )


def times(_: int) -> Iterator[str]:
    """Processor seconds and memory of both, by number of neurons."""
    yield f"{'neurons':>8}{'geometry, s':>13}{'communities, s':>16}{'memory, MB':>12}"
    rng = np.random.default_rng(0)
    for n in (360, 1_000, 7_500, 50_000):
        truth = rng.integers(8, size=n)
        views: Sequence[FloatArray] = [rng.normal(size=(n, 64)) for _ in range(3)]
        partitions = [np.where(rng.random(n) < 0.7, truth, rng.integers(8, size=n)) for _ in range(9)]
        began = time.process_time()
        geometry_agreement(views, seed=0)
        middle = time.process_time()
        communities(partitions, seed=0)
        independent_communities(partitions, [i // 3 for i in range(9)], seed=0)
        ended = time.process_time()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        yield f"{n:>8,}{middle - began:>13.1f}{ended - middle:>16.1f}{memory:>12,.0f}"


PARTS = {"geometry": geometry_rates, "communities": community_rates, "time": times}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--part", choices=[*PARTS], help="default: all")
    chosen = parser.parse_args()
    for name in [chosen.part] if chosen.part else PARTS:
        for line in PARTS[name](chosen.worlds):
            print(line, flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
