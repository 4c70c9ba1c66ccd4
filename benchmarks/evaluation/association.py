"""Processor time and memory of performance by cluster on 54,000 neurons: one JSON object per line, one core.

python benchmarks/evaluation/association.py                 # a grid of 30 K by 10 seeds
python benchmarks/evaluation/association.py --seeds 1       # a tenth of it
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from decortex.evaluation.association import (
    associate,
    cluster_contrasts,
    confound,
    grid_test,
    leave_one_out,
    mixed_test,
    population_test,
    unit_effects,
)

COUNTS = range(2, 32)
N_SESSIONS, N_FEATURES, N_COVARIATES = 7, 64, 6


def timed(what: str, runs: int, call: Callable[[], Any], **more: int) -> float:
    """Print how long one call took and what ``runs`` of them would take; returns the latter."""
    started = time.process_time()
    call()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    row = {
        "step": what,
        "seconds": round(seconds, 2),
        "runs": runs,
        "total_s": round(seconds * runs),
        "peak_mib": peak,
    }
    print(json.dumps({**row, **more}), flush=True)
    return seconds * runs


def main() -> None:
    """Time every step once, at K = 31 where it depends on K, and add up one embedding and method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=54_000)
    parser.add_argument("--seeds", type=int, default=10, help="clustering seeds")
    parser.add_argument("--permutations", type=int, default=9999)
    parser.add_argument("--sets", type=int, default=3, help="sets of covariates")
    options = parser.parse_args()
    n = options.neurons
    rng = np.random.default_rng(0)
    session = np.sort(rng.integers(0, N_SESSIONS, n))
    covariates = rng.normal(size=(n, N_COVARIATES))
    y = 0.4 + 0.1 * rng.normal(size=n)
    x = rng.normal(size=(n, N_FEATURES))
    partitions = [rng.integers(0, k, n) for k in COUNTS for _ in range(options.seeds)]
    n_partitions, last = len(partitions), partitions[-1]
    b = options.permutations
    total = timed(
        "ranks within sessions",
        n_partitions,
        lambda: associate(y, last, session, seed=0, n_permutations=b),
        permutations=b,
    )
    total += timed(
        "grid, Freedman-Lane and max-T",
        options.sets,
        lambda: grid_test(y, partitions, session, covariates, seed=0, n_permutations=b),
        permutations=b,
        partitions=n_partitions,
    )
    cells = n_partitions * options.sets
    total += timed("mixed model", cells, lambda: mixed_test(y, last, session, covariates))
    total += timed("population", 2 * cells, lambda: population_test(y, last, session, covariates))
    total += timed("contrasts", 2 * cells, lambda: cluster_contrasts(y, last, session))
    total += timed("sessions", cells, lambda: unit_effects(y, last, session))
    total += timed("confounds", 2 * n_partitions, lambda: confound(last, session))
    total += timed("transfer", n_partitions, lambda: leave_one_out(x, last, session, session, y))
    print(json.dumps({"step": "one embedding and method, one core", "total_s": round(total)}))


if __name__ == "__main__":
    main()
