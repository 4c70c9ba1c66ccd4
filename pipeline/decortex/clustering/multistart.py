"""Many starts on a random subsample, the best few refined on all neurons. Knows no particular method.

Running every start of k-means or EM on all neurons spends nearly all of its time on starts that lose. Above
`n_screen` neurons the starts run on a random subsample, are compared on all neurons, and only the best go on
from there (the idea of Bradley & Fayyad, "Refining initial points for k-means clustering", ICML 1998). Up to
`n_screen` neurons every start runs in full, exactly as scikit-learn would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from decortex.clustering.inputs import FloatArray

Start = TypeVar("Start")

NEURONS_PER_CLUSTER = 50


def subsample(x: FloatArray, n_clusters: int, n_screen: int, rng: np.random.Generator) -> FloatArray | None:
    """Draw the neurons that the starts run on, or None where every start runs on all of them.

    The subsample holds `n_screen` neurons, more where that would be fewer than 50 a cluster.
    """
    size = max(n_screen, NEURONS_PER_CLUSTER * n_clusters)
    if len(x) <= size:
        return None
    return x[np.sort(rng.choice(len(x), size=size, replace=False))]


def best_starts(starts: Sequence[Start], objective: Callable[[Start], float], n_refined: int) -> list[Start]:
    """Return the starts with the lowest objective; of equal ones the earlier."""
    values = np.array([objective(start) for start in starts])
    return [starts[i] for i in np.argsort(values, kind="stable")[:n_refined]]
