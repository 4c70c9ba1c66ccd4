"""What defaults cost on a few thousand neurons, each beside a yardstick of the same run, in CPU seconds.

    python benchmarks/clustering/defaults.py [ldmgi] [tmixture] [choose_k]

ldmgi: eigenbasis with 15 neighbours over that with 5, 3,654 x 41.
tmixture: a fit with full covariances at K = 6, default starts, over scikit-learn's Gaussian mixture, 4,000 x 41.
choose_k: K = 2..10 on 3,000 x 40, with its progress, on all cores; beside one k-means grid of the same K on one core.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from clustering_sides import neurons
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from decortex.clustering import MemoryCache, Points, fit, fit_grid
from decortex.clustering.graph import components, laplacian, nearest_neighbours, solve_by_component
from decortex.evaluation.selection import SelectionConfig, choose_k, refits
from decortex.threads import n_cores


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ldmgi() -> None:
    """Print the cost of LDMGI's basis with 15 neighbours over that with 5."""
    x = neurons(3_654)[0][:, :41]
    points = Points(x, MemoryCache())
    spent = {}
    for n_neighbors in (5, 15):
        neighbours = nearest_neighbours(points, n_neighbors - 1)
        matrix = laplacian(x, neighbours, 1.0)
        count, member = components(neighbours)
        basis = partial(solve_by_component, matrix, np.zeros(len(x)), member, count, 32)
        spent[n_neighbors] = seconds(basis)
    ratio = spent[15] / spent[5]
    print(f"ldmgi basis, 3,654 x 41: 5 neighbours {spent[5]:.2f} s, 15 {spent[15]:.2f} s, ratio {ratio:.2f}")


def tmixture() -> None:
    """Print the cost of a full-covariance t mixture over scikit-learn's Gaussian one."""
    x = neurons(4_000)[0][:, :41]
    ours = seconds(lambda: fit(x, "tmixture", n_clusters=6, covariance="full"))
    theirs = seconds(lambda: GaussianMixture(6, n_init=10, random_state=0).fit(x))
    print(
        f"tmixture full, 4,000 x 41, K = 6: {ours:.2f} s; sklearn GaussianMixture, ten starts: {theirs:.2f} s"
    )


def choice() -> None:
    """Print the cost of choosing K over that of one grid of partitions."""
    x = neurons(3_000)[0][:, :40]
    with threadpool_limits(1):
        grid = seconds(lambda: fit_grid(x, "kmeans", n_clusters=range(2, 11), seeds=[0]))
    began = time.perf_counter()

    def told(done: int, steps: int) -> None:
        print(f"  step {done} of {steps}, {time.perf_counter() - began:.0f} s", flush=True)

    before = time.process_time()
    found = choose_k(x, counts=range(2, 11), progress=told)
    spent, wall = time.process_time() - before, time.perf_counter() - began
    n_drawn = sum(one.n_surrogates for one in found.excesses) * SelectionConfig().n_subsamples
    n_all = refits(9, SelectionConfig(null_criteria=("stability",)))["surrogates"]
    print(
        f"choose_k, 3,000 x 40, K = 2..10: {spent:.1f} s, {wall:.0f} s of wall time on {n_cores()} cores, "
        f"{n_drawn} of {n_all} clusterings of surrogates; k-means grid of one seed: {grid:.2f} s"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parts = {"ldmgi": ldmgi, "tmixture": tmixture, "choose_k": choice}
    for name in sys.argv[1:] or parts:
        parts[name]()
