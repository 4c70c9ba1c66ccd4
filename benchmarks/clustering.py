"""Time, peak memory and agreement of the clustering methods against what one would use otherwise. One table.

Every cell runs in a process of its own, so that its peak memory is its own; both sides of a ratio run in the same
invocation. Grids are K = 2..30 x 3 seeds. Where the other side would take hours, it runs a few K and is
extrapolated, which the table says. Usage:

    python benchmarks/clustering.py [--quick] [--json FILE] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.datasets import load_digits
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from decortex.clustering import MemoryCache, fit, fit_grid
from decortex.clustering.discretise import discretise
from decortex.clustering.method import Points
from decortex.clustering.neighbours import nearest_neighbours
from decortex.clustering.sec import SECProblem

K_GRID = range(2, 31)
SEEDS = range(3)
N_FITS = len(K_GRID) * len(SEEDS)

Row = dict[str, Any]
Work = Callable[[np.ndarray, np.ndarray], Row]


def neurons(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters of unequal size and width in 64 dimensions, with 2 % of far neurons; and the truth."""
    rng = np.random.default_rng(0)
    sizes = rng.dirichlet(np.full(20, 3.0))
    truth = rng.choice(20, size=n, p=sizes)
    width = rng.uniform(0.6, 1.2, size=20)
    x = 0.6 * rng.normal(size=(20, 64))[truth] + width[truth, None] * rng.normal(size=(n, 64))
    far = rng.random(n) < 0.02
    x[far] *= 3
    return x, truth


def accuracy(truth: np.ndarray, labels: np.ndarray) -> float:
    """Share of neurons in the class that their cluster is matched to."""
    table = confusion_matrix(truth, labels)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(truth))


def quality(truth: np.ndarray, labels: np.ndarray) -> Row:
    """ACC, NMI and ARI of a partition."""
    return {
        "acc": round(accuracy(truth, labels), 3),
        "nmi": round(float(normalized_mutual_info_score(truth, labels)), 3),
        "ari": round(float(adjusted_rand_score(truth, labels)), 3),
    }


def our_grid(method: str, **params: Any) -> Work:
    """Our whole grid; quality at K = 20."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        results = fit_grid(x, method, n_clusters=K_GRID, seeds=SEEDS, **params)
        at_truth = next(result for result in results if result.n_clusters == 20)
        objective = {
            str(r.n_clusters): r.objective for r in results if r.seed == 0 and r.n_clusters in (5, 15, 30)
        }
        statuses = {
            status: sum(r.status == status for r in results) for status in {r.status for r in results}
        }
        return {
            "fits": len(results),
            "statuses": statuses,
            "objective": objective,
            **quality(truth, at_truth.labels),
        }

    return work


def our_partial(method: str, ks: tuple[int, ...], **params: Any) -> Work:
    """Our fits at a few K, for the ratio to a side that is itself run at those K only."""

    def work(x: np.ndarray, _: np.ndarray) -> Row:
        results = [fit(x, method, n_clusters=k, seed=0, **params) for k in ks]
        return {"fits": len(ks), "objective": {str(r.n_clusters): r.objective for r in results}}

    return work


def loop(model: Callable[[int], Any], ks: tuple[int, ...]) -> Work:
    """scikit-learn, one call after the other; seconds are extrapolated from a few K to the grid, linear in K."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        seconds, objective, found = [], {}, {}
        for k in ks:
            began = time.perf_counter()
            fitted = model(k).fit(x)
            seconds.append(time.perf_counter() - began)
            if hasattr(fitted, "inertia_"):
                objective[str(k)] = float(fitted.inertia_)
            elif hasattr(fitted, "lower_bound_"):
                objective[str(k)] = -float(fitted.score(x))
            if k == 20:
                found = quality(truth, fitted.labels_ if hasattr(fitted, "labels_") else fitted.predict(x))
        line = np.polyfit(ks, seconds, 1) if len(ks) > 1 else np.array([0.0, seconds[0]])
        grid = float(np.maximum(np.polyval(line, np.array(K_GRID)), min(seconds)).sum() * len(SEEDS))
        return {"fits": len(ks), "grid_seconds": grid, "objective": objective, **found}

    return work


def reused_embedding(x: np.ndarray, truth: np.ndarray) -> Row:
    """What an informed user does: one `spectral_embedding` at the largest K, k-means for every K and seed."""
    graph = kneighbors_graph(x, 10, include_self=True)
    basis = spectral_embedding(
        (graph + graph.T) / 2, n_components=max(K_GRID), drop_first=False, random_state=0
    )
    for k in K_GRID:
        for seed in SEEDS:
            labels = KMeans(k, n_init=10, random_state=seed).fit(basis[:, :k]).labels_
            if (k, seed) == (20, 0):
                found = quality(truth, labels)
    return {"fits": N_FITS, **found}


def brute_force(x: np.ndarray, _: np.ndarray) -> Row:
    """The neighbour search alone."""
    NearestNeighbors(n_neighbors=5, algorithm="brute").fit(x).kneighbors()
    return {"fits": 0}


def dense_sec(x: np.ndarray, truth: np.ndarray) -> Row:
    """SEC's matrix formed in full and given to a dense solver, once."""
    problem = SECProblem(x, nearest_neighbours(Points(x, MemoryCache()), 5), 1e-6, 1.0)
    _, vectors = np.linalg.eigh(problem.product(np.eye(len(x))))
    labels = discretise(vectors[:, :20], "rotation", 1, np.random.default_rng(0)).labels
    return {"fits": 1, **quality(truth, labels)}


def student_package(x: np.ndarray, truth: np.ndarray) -> Row:
    """The package studenttmixture, full covariance, fixed degrees of freedom, once."""
    model = importlib.import_module("studenttmixture").EMStudentMixture(
        n_components=20, fixed_df=True, df=4.0, random_state=0
    )
    model.fit(x)
    return {"fits": 1, **quality(truth, model.predict(x))}


def clustpy_subkmeans(x: np.ndarray, truth: np.ndarray) -> Row:
    """ClustPy's SubKmeans, once; it has neither SEC nor LDMGI."""
    model = importlib.import_module("clustpy.partition").SubKmeans(n_clusters=20, random_state=0)
    return {"fits": 1, **quality(truth, model.fit(x).labels_)}


def digits_reference(_: np.ndarray, __: np.ndarray) -> Row:
    """The reference accuracies on digits, K = 10."""
    data = load_digits()
    x = data.data / 16
    return {
        "fits": 3,
        **{
            m: round(accuracy(data.target, fit(x, m, n_clusters=10).labels), 3)
            for m in ("sec", "ldmgi", "spectral")
        },
    }


def sk_spectral(k: int) -> SpectralClustering:
    """scikit-learn's spectral clustering as one would write it."""
    return SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=10, random_state=0)


def sk_kmeans(k: int) -> KMeans:
    """scikit-learn's k-means as one would write it."""
    return KMeans(k, n_init=10, random_state=0)


def sk_gmm(k: int) -> GaussianMixture:
    """scikit-learn's diagonal mixture as one would write it."""
    return GaussianMixture(k, covariance_type="diag", n_init=10, random_state=0)


ONE_START: Row = {"n_starts": 1}
SOME_K = (5, 15, 30)

CELLS: dict[str, tuple[int, Work]] = {
    "digits: accuracy": (1, digits_reference),
    **{f"{m} grid": (2_000, our_grid(m)) for m in ("kmeans", "gmm", "tmixture", "spectral", "sec", "ldmgi")},
    "dense sec, K=20 only": (2_000, dense_sec),
    "studenttmixture, K=20 only": (2_000, student_package),
    "tmixture full, K=20 only": (2_000, our_partial("tmixture", (20,), covariance="full", nu=4.0)),
    "clustpy SubKmeans, K=20 only": (2_000, clustpy_subkmeans),
}


def _with_size(n: int, cells: dict[str, Work]) -> dict[str, tuple[int, Work]]:
    return {f"{name} n={n}": (n, work) for name, work in cells.items()}


CELLS |= _with_size(
    8_000,
    {
        "sec grid": our_grid("sec", **ONE_START),
        "sec grid, 10 starts": our_grid("sec"),
        "ldmgi grid": our_grid("ldmgi", **ONE_START),
        "spectral grid": our_grid("spectral"),
        "sklearn SpectralClustering": loop(sk_spectral, (2, 10, 20, 30)),
        "sklearn spectral_embedding reused": reused_embedding,
        "dense sec, K=20 only": dense_sec,
    },
)
CELLS |= _with_size(
    50_000,
    {
        "sklearn brute-force neighbours": brute_force,
        "sec grid": our_grid("sec", **ONE_START),
        "ldmgi grid": our_grid("ldmgi", **ONE_START),
        "kmeans, some K": our_partial("kmeans", SOME_K),
        "sklearn KMeans, some K": loop(sk_kmeans, SOME_K),
        "gmm, some K": our_partial("gmm", SOME_K),
        "sklearn GaussianMixture, some K": loop(sk_gmm, SOME_K),
    },
)
CELLS |= _with_size(
    100_000,
    {
        "sklearn brute-force neighbours": brute_force,
        "sec grid": our_grid("sec", **ONE_START),
        "ldmgi grid": our_grid("ldmgi", **ONE_START),
    },
)

RATIOS = {  # what, (numerator, its field), (denominator, its field)
    "SEC grid cheaper than SpectralClustering, n=8,000 (extrapolated over K)": (
        ("sklearn SpectralClustering n=8000", "grid_seconds"),
        ("sec grid n=8000", "seconds"),
    ),
    "SEC grid cheaper than spectral_embedding reused, n=8,000": (
        ("sklearn spectral_embedding reused n=8000", "seconds"),
        ("sec grid n=8000", "seconds"),
    ),
    "SEC grid over the neighbour search, n=50,000": (
        ("sec grid n=50000", "seconds"),
        ("sklearn brute-force neighbours n=50000", "seconds"),
    ),
    "LDMGI grid over the neighbour search, n=50,000": (
        ("ldmgi grid n=50000", "seconds"),
        ("sklearn brute-force neighbours n=50000", "seconds"),
    ),
    "k-means faster than scikit-learn's loop, n=50,000": (
        ("sklearn KMeans, some K n=50000", "seconds"),
        ("kmeans, some K n=50000", "seconds"),
    ),
    "GMM faster than scikit-learn's loop, n=50,000": (
        ("sklearn GaussianMixture, some K n=50000", "seconds"),
        ("gmm, some K n=50000", "seconds"),
    ),
}


def run_cell(name: str) -> Row:
    """Do one cell's work in this process."""
    n, work = CELLS[name]
    x, truth = neurons(n)
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    row = work(x, truth)
    return {
        "cell": name,
        "n": n,
        "seconds": round(time.perf_counter() - began, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **row,
    }


def run_apart(name: str) -> Row:
    """Do one cell's work in a process of its own; a cell that cannot run says why."""
    done = subprocess.run(
        [sys.executable, __file__, "--cell", name],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * 3600,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"cell": name, "n": CELLS[name][0], "failed": reason}
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def show(row: Row) -> None:
    """Print one line of the table."""
    if "failed" in row:
        print(f"{row['cell']:<48} {'':>9} {'':>8}  could not run: {row['failed']}", flush=True)
        return
    rest = {key: value for key, value in row.items() if key not in ("cell", "n", "seconds", "peak_mb")}
    print(f"{row['cell']:<48} {row['seconds']:>8.1f}s {row['peak_mb']:>5} MB  {json.dumps(rest)}", flush=True)


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="cells of at most 8,000 neurons")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cells whose name holds one of these words")
    parser.add_argument("--json", metavar="FILE", help="also write one JSON line a row")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cell:
        print(json.dumps(run_cell(chosen.cell)))
        return
    print(
        f"{platform.machine()}, Python {platform.python_version()}; K = 2..30 x 3 seeds unless a name says otherwise"
    )
    rows: dict[str, Row] = {}
    for name, (n, _) in CELLS.items():
        if (chosen.quick and n > 8_000) or (chosen.only and not any(word in name for word in chosen.only)):
            continue
        rows[name] = run_apart(name)
        show(rows[name])
    lines = list(rows.values())
    print()
    for what, ((above, field), (below, its)) in RATIOS.items():
        if field in rows.get(above, {}) and its in rows.get(below, {}):
            ratio = rows[above][field] / rows[below][its]
            print(f"{what}: {ratio:.1f}x")
            lines.append({"ratio": what, "value": ratio})
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
