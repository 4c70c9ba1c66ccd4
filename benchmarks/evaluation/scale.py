"""Everything that evaluates a grid of K by seeds on 54,000 neurons, really run: time, memory; one JSON object per line.

python benchmarks/evaluation/scale.py                        # 30 K by 10 seeds, every call made, two processes
python benchmarks/evaluation/scale.py --share 0.1            # of what one partition or K takes alone, every tenth
python benchmarks/evaluation/scale.py --neurons 27000 ...    # memory at half the neurons

Not in it: clusterings, and the refits on surrogates, subsamples, halves and gap references (`decortex study cost`).
Partitions are synthetic and agree in part, as clusterings of one continuum do. The test of the whole grid is always
done in full, all partitions at once; one set of covariates stands for three where --share is below 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from decortex.evaluation import cluster_quality
from decortex.evaluation.agreement import agreement, consensus, matched_confusion, stability
from decortex.evaluation.association import (
    Nuisance,
    adjusted_effect,
    associate,
    cluster_contrasts,
    confound,
    grid_test,
    leave_one_out,
    mixed_test,
    pairwise_tests,
    population_test,
    unit_effects,
)
from decortex.evaluation.nulls import NULL_KINDS
from decortex.evaluation.performance import retained_performance
from decortex.evaluation.selection import (
    CriterionValue,
    SelectionConfig,
    density_valleys,
    excess,
    halvings,
    prediction_strength,
)

COUNTS = tuple(range(2, 32))
N_SESSIONS, N_ANIMALS, N_FEATURES, N_COVARIATES = 14, 7, 64, 6
COVARIATES_USED = (0, N_COVARIATES // 2, N_COVARIATES)  # three sets, as `decortex init` registers them
Seconds = dict[str, float]


class Lab:
    """Synthetic neurons, scores and partitions, the same in every process.

    Parameters
    ----------
    n_neurons, n_seeds : int
        Neurons, and clustering seeds for every K.
    """

    def __init__(self, n_neurons: int, n_seeds: int) -> None:
        rng = np.random.default_rng(0)
        self.n_seeds = n_seeds
        self.session = np.sort(rng.integers(0, N_SESSIONS, n_neurons))
        self.animal = self.session // (N_SESSIONS // N_ANIMALS)
        self.covariates = rng.normal(size=(n_neurons, N_COVARIATES))
        self.scores = 0.4 + 0.1 * rng.normal(size=n_neurons)
        self.x = rng.normal(size=(n_neurons, N_FEATURES))

    def labels(self, k: int, seed: int) -> NDArray[np.int16]:
        """Labels of which 70 % are those of every other seed of this K."""
        common = np.random.default_rng([1, k]).integers(0, k, len(self.x))
        rng = np.random.default_rng([2, k, seed])
        return np.where(rng.random(len(common)) < 0.7, common, rng.integers(0, k, len(common))).astype(
            np.int16
        )


@cache
def lab_of(n_neurons: int, n_seeds: int) -> Lab:
    """Make the neurons of this process, once."""
    return Lab(n_neurons, n_seeds)


@contextmanager
def clock(seconds: Seconds, step: str) -> Iterator[None]:
    """Add the processor seconds of a block to a step."""
    started = time.process_time()
    yield
    seconds[step] += time.process_time() - started


def of_partition(lab: Lab, k: int, seed: int, permutations: int) -> Seconds:
    """All that is computed for one partition alone."""
    labels, took = lab.labels(k, seed), defaultdict[str, float](float)
    with clock(took, "quality"):
        cluster_quality(lab.x, labels, seed=0)
    with clock(took, "ranks within sessions"):
        associate(lab.scores, labels, lab.session, seed=0, n_permutations=permutations)
    with clock(took, "pairs of clusters"):
        pairwise_tests(lab.scores, labels)
    for n_used in COVARIATES_USED:
        columns = lab.covariates[:, :n_used]
        with clock(took, "effect, mixed model"):
            nuisance = Nuisance.of(lab.scores, lab.session, columns)
            adjusted_effect(nuisance, lab.scores, labels)
            mixed_test(lab.scores, labels, lab.session, columns)
        with clock(took, "population, contrasts, sessions"):
            for units in (lab.session, lab.animal):
                population_test(lab.scores, labels, lab.session, columns, units=units)
                cluster_contrasts(nuisance.residuals, labels, units)
            unit_effects(nuisance.residuals, labels, lab.session)
    with clock(took, "confounds, transfer"):
        for groups in (lab.session, lab.animal):
            confound(labels, groups)
        leave_one_out(lab.x, labels, lab.animal, lab.session, lab.scores)
    with clock(took, "price"):
        after = lab.scores - 0.002 * labels / k
        retained_performance(lab.scores, after, lab.scores, sessions=lab.session, labels=labels)
    return took


def of_count(lab: Lab, k: int) -> Seconds:
    """All that looks across the seeds of one K, and the parts of the choice of K that are no refits."""
    took = defaultdict[str, float](float)
    partitions = [lab.labels(k, seed) for seed in range(lab.n_seeds)]
    with clock(took, "pairs of seeds"):
        for a, b in combinations(partitions, 2):
            agreement(a, b)
            matched_confusion(a, b)
    with clock(took, "consensus, stability"):
        stability(consensus(partitions, k).labels, partitions, k)
    with clock(took, "valleys, prediction strength"):
        for train, held_out in halvings(len(lab.x), 2, 0):
            own = partitions[0][train]
            centres = np.stack([lab.x[train][own == j].mean(axis=0) for j in range(k)])
            density_valleys(lab.x[train], own, centres, lab.x[held_out])
            prediction_strength(partitions[0][held_out], partitions[1 % len(partitions)][held_out])
    with clock(took, "criteria resampled"):
        criteria_resampled(lab.x, partitions[0], k)
    with clock(took, "excess over nulls"):
        for kind in NULL_KINDS:
            draws = np.random.default_rng(k).random(SelectionConfig().n_surrogates)
            excess(figure(k, 0.5), kind, [figure(k, value) for value in draws])
    return took


def figure(k: int, value: float) -> CriterionValue:
    """One value of one K."""
    return CriterionValue("stability", k, value, None, None, 0, "ok")


def criteria_resampled(x: NDArray[np.float64], labels: NDArray[np.int16], k: int) -> None:
    """Both ratios on the data, and on as many resamples of the neurons as the choice of K takes."""
    rng = np.random.default_rng(k)
    draws = [np.sort(rng.integers(len(x), size=len(x))) for _ in range(SelectionConfig().n_resamples)]
    for own in (np.arange(len(x)), *draws):
        calinski_harabasz_score(x[own], labels[own])
        davies_bouldin_score(x[own], labels[own])


def of_grid(lab: Lab, n_used: int, permutations: int) -> Seconds:
    """One test for the whole grid, for one set of covariates."""
    took = defaultdict[str, float](float)
    partitions = [lab.labels(k, seed) for k in COUNTS for seed in range(lab.n_seeds)]
    with clock(took, "grid, Freedman-Lane and max-T"):
        columns = lab.covariates[:, :n_used]
        grid_test(lab.scores, partitions, lab.session, columns, seed=0, n_permutations=permutations)
    return took


def run(task: tuple[tuple[int, int], str, tuple[int, ...]]) -> tuple[str, Seconds, int]:
    """Do one task in a worker process; also returns the most memory that it has held, MiB."""
    size, kind, arguments = task
    call: dict[str, Callable[..., Seconds]] = {"partition": of_partition, "count": of_count, "grid": of_grid}
    took = call[kind](lab_of(*size), *arguments)
    return kind, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def spread(values: Sequence[Any], share: float) -> list[Any]:
    """A share of the values, at least one, at equal distances."""
    n = max(1, round(share * len(values)))
    return [values[(2 * i + 1) * len(values) // (2 * n)] for i in range(n)]


def main() -> None:
    """Run every task on a few processes and add up their processor seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=54_000)
    parser.add_argument("--seeds", type=int, default=10, help="clustering seeds")
    parser.add_argument("--permutations", type=int, default=9999)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="of the partitions and K evaluated")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds: at least 2, so that there are pairs of seeds")
    every = [(k, seed) for seed in range(options.seeds) for k in COUNTS]
    chosen, counts = spread(every, options.share), spread(COUNTS, options.share)
    sets = COVARIATES_USED if options.share == 1 else COVARIATES_USED[-1:]
    tasks: list[tuple[str, tuple[int, ...]]] = [
        *(("grid", (n_used, options.permutations)) for n_used in sets),  # the long ones first
        *(("partition", (*one, options.permutations)) for one in chosen),
        *(("count", (k,)) for k in reversed(counts)),
    ]
    runs = {
        "grid": len(COVARIATES_USED) / len(sets),
        "partition": len(every) / len(chosen),
        "count": len(COUNTS) / len(counts),
    }
    started = time.perf_counter()
    seconds: Seconds = defaultdict(float)
    steps_of: dict[str, str] = {}
    peak = 0
    context = multiprocessing.get_context("spawn")
    size = (options.neurons, options.seeds)
    with context.Pool(options.processes) as pool:
        for kind, took, held in pool.imap_unordered(run, [(size, *task) for task in tasks]):
            peak = max(peak, held)
            for name, value in took.items():
                seconds[name] += value
                steps_of[name] = kind
    wall = time.perf_counter() - started
    total = 0.0
    for name, value in seconds.items():
        whole = value * runs[steps_of[name]]
        total += whole
        row = {"step": name, "of": steps_of[name], "measured_s": round(value, 1), "total_s": round(whole, 1)}
        print(json.dumps(row), flush=True)
    row = {
        "n_neurons": options.neurons,
        "partitions": len(every),
        "partitions_measured": len(chosen),
        "counts_measured": len(counts),
        "wall_s": round(wall, 1),
        "measured_s": round(sum(seconds.values()), 1),
        "total_s": round(total, 1),
        "minutes_on_two_cores": round(total / 120, 1),
        "peak_mib_a_process": peak,
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
