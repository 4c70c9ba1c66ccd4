"""Seconds and memory of agreement, consensus and stability at the lab's scale; one JSON object per line."""

from __future__ import annotations

import json
import resource
import time
from itertools import combinations

import numpy as np

from decortex.evaluation.agreement import agreement, consensus, matched_confusion, stability

N_NEURONS = 54_000
COUNTS = (2, 10, 30, 60)
N_PARTITIONS = 10


def main() -> None:
    """Partitions that share half of their labels, as clusterings of one continuum do."""
    rng = np.random.default_rng(0)
    for k in COUNTS:
        truth = rng.integers(0, k, N_NEURONS)
        partitions = [
            np.where(rng.random(N_NEURONS) < 0.7, truth, rng.integers(0, k, N_NEURONS)).astype(np.int16)
            for _ in range(N_PARTITIONS)
        ]
        started = time.perf_counter()
        for a, b in combinations(partitions, 2):
            agreement(a, b)
            matched_confusion(a, b)
        pairs = time.perf_counter()
        found = consensus(partitions, k)
        voted = time.perf_counter()
        stability(found.labels, partitions, k)
        ended = time.perf_counter()
        row = {
            "n_neurons": N_NEURONS,
            "k": k,
            "n_partitions": N_PARTITIONS,
            "pairs": N_PARTITIONS * (N_PARTITIONS - 1) // 2,
            "seconds_pairs": round(pairs - started, 2),
            "seconds_consensus": round(voted - pairs, 2),
            "seconds_stability": round(ended - voted, 2),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
