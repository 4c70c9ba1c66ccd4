"""Time, peak memory and agreement of the clustering methods against what one would use otherwise. One table.

Every cell runs in a process of its own, so that its peak memory is its own; both sides of a ratio run in the same
invocation. Grids are K = 2..30 x 3 seeds. Where the other side would take hours, it runs a few K and is
extrapolated, which the table says. On a machine that others use, too, compare CPU seconds. Usage:

    python benchmarks/clustering.py [--quick] [--json FILE] [--only NAME ...] [--tables FILE]

`--json` appends a line a cell, so that cells may run one by one; `--tables` prints ratios and comparisons of a
file of such lines (the last line of a cell counts).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.datasets import load_digits
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from decortex.clustering import MemoryCache, fit, fit_grid, predict
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


def heavy_tails(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve clusters with t noise of three degrees of freedom in 64 dimensions."""
    rng = np.random.default_rng(1)
    truth = rng.integers(12, size=n)
    return rng.normal(size=(12, 64))[truth] + 0.5 * rng.standard_t(3, size=(n, 64)), truth


def unit_length(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The neurons of `neurons`, each scaled to length 1."""
    x, truth = neurons(n)
    return x / np.linalg.norm(x, axis=1, keepdims=True), truth


def no_clusters(n: int) -> tuple[np.ndarray, np.ndarray]:
    """One Gaussian with variances from 4 to 1/4: every partition is as true as any other."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(n, 64)) * np.linspace(2, 0.5, 64), np.zeros(n, dtype=np.int64)


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
        statuses = {
            status: sum(r.status == status for r in results)
            for status in sorted({str(r.status) for r in results})
        }
        return {"fits": len(results), "statuses": statuses, **quality(truth, at_truth.labels)}

    return work


def some_fits(fit_one: Callable[[np.ndarray, int], tuple[float, np.ndarray]], k: int) -> Work:
    """Fits at one K and every seed."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        fitted = [fit_one(x, seed) for seed in SEEDS]
        found = quality(truth, fitted[0][1]) if k == 20 else {}
        return {"fits": len(SEEDS), "k": k, "objective": [value for value, _ in fitted], **found}

    return work


def ours(method: str, k: int, **params: Any) -> Work:
    """Our fits at one K."""

    def fit_one(x: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
        result = fit(x, method, n_clusters=k, seed=seed, **params)
        return float(result.objective or 0), result.labels

    return some_fits(fit_one, k)


def theirs(model: Callable[[int, int], Any], k: int) -> Work:
    """scikit-learn at one K, one call after the other."""

    def fit_one(x: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
        fitted = model(k, seed).fit(x)
        if hasattr(fitted, "inertia_"):
            return float(fitted.inertia_), fitted.labels_
        return -float(fitted.score(x)), fitted.predict(x)

    return some_fits(fit_one, k)


def sk_spectral(k: int) -> Work:
    """scikit-learn's spectral clustering as one would write it, once."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        fitted = SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=10, random_state=0).fit(x)
        return {"fits": 1, "k": k, **(quality(truth, fitted.labels_) if k == 20 else {})}

    return work


def once(method: str, **params: Any) -> Work:
    """One fit of ours at K = 20."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        return {"fits": 1, **quality(truth, fit(x, method, n_clusters=20, **params).labels)}

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
    model = importlib.import_module("clustpy.centroid").SubKmeans(n_clusters=20, random_state=0)
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


def held_out_digits(_: np.ndarray, __: np.ndarray) -> Row:
    """SEC fitted to half of the digits, accuracy on the other half; five splits."""
    data = load_digits()
    x, scores = data.data / 16, []
    for split in range(5):
        order = np.random.default_rng(split).permutation(len(x))
        train, rest = order[: len(x) // 2], order[len(x) // 2 :]
        found = fit(x[train], "sec", n_clusters=10, seed=split, mu=1e-4)
        scores.append(accuracy(data.target[rest], predict(found, x[rest])))
    return {"fits": 5, "acc": round(float(np.mean(scores)), 3), "each": [round(s, 3) for s in scores]}


def sk_kmeans(k: int, seed: int) -> KMeans:
    """scikit-learn's k-means as one would write it."""
    return KMeans(k, n_init=10, random_state=seed)


def sk_gmm(k: int, seed: int) -> GaussianMixture:
    """scikit-learn's diagonal mixture as one would write it."""
    return GaussianMixture(k, covariance_type="diag", n_init=10, random_state=seed)


@dataclass(frozen=True)
class Cell:
    """One line of the table: how many neurons, the work, and what the neurons are."""

    n: int
    work: Work
    data: Callable[[int], tuple[np.ndarray, np.ndarray]] = neurons


ONE_START: Row = {"n_starts": 1}
SOME_K = (5, 12, 20, 30)
SPECTRAL_K = (2, 10, 20, 30)
OTHER_DATA = {"heavy tails": heavy_tails, "unit length": unit_length, "no clusters": no_clusters}
SIZES = (8_000, 50_000, 100_000)
PACKAGES = {"kmeans": "sklearn KMeans", "gmm": "sklearn GaussianMixture"}
MODELS = {"kmeans": sk_kmeans, "gmm": sk_gmm}


def mixtures(n: int, ks: tuple[int, ...], data: str = "") -> dict[str, Cell]:
    """k-means and GMM at these K, ours and scikit-learn's in turn."""
    made = OTHER_DATA.get(data, neurons)
    cells = {}
    for method, package in PACKAGES.items():
        for k in ks:
            suffix = f" K={k}{', ' + data if data else ''} n={n}"
            cells[method + suffix] = Cell(n, ours(method, k), made)
            cells[package + suffix] = Cell(n, theirs(MODELS[method], k), made)
    return cells


def spectral_loop(n: int, ks: tuple[int, ...]) -> dict[str, Cell]:
    """scikit-learn's spectral clustering at these K."""
    return {f"sklearn SpectralClustering K={k} n={n}": Cell(n, sk_spectral(k)) for k in ks}


def graphs(n: int) -> dict[str, Cell]:
    """The graph methods and the neighbour search that they stand on."""
    return {
        f"sklearn brute-force neighbours n={n}": Cell(n, brute_force),
        f"sec grid n={n}": Cell(n, our_grid("sec", **ONE_START)),
        f"ldmgi grid n={n}": Cell(n, our_grid("ldmgi", **ONE_START)),
    }


CELLS: dict[str, Cell] = {
    "digits: accuracy": Cell(1, digits_reference),
    "digits: held-out half": Cell(1, held_out_digits),
    **{
        f"{m} grid n=2000": Cell(2_000, our_grid(m))
        for m in ("kmeans", "gmm", "tmixture", "spectral", "sec", "ldmgi")
    },
    **mixtures(2_000, (20,)),
    **spectral_loop(2_000, (20,)),
    "dense sec, K=20 only n=2000": Cell(2_000, dense_sec),
    "studenttmixture full, K=20 only n=2000": Cell(2_000, student_package),
    "tmixture full, K=20 only n=2000": Cell(2_000, once("tmixture", covariance="full", nu=4.0)),
    "clustpy SubKmeans, K=20 only n=2000": Cell(2_000, clustpy_subkmeans),
    **graphs(8_000),
    "sec grid, defaults n=8000": Cell(8_000, our_grid("sec")),
    "spectral grid n=8000": Cell(8_000, our_grid("spectral")),
    **spectral_loop(8_000, SPECTRAL_K),
    "sklearn spectral_embedding reused n=8000": Cell(8_000, reused_embedding),
    "dense sec, K=20 only n=8000": Cell(8_000, dense_sec),
    "clustpy SubKmeans, K=20 only n=8000": Cell(8_000, clustpy_subkmeans),
    **mixtures(8_000, (20,)),
    **graphs(50_000),
    "sec grid, defaults n=50000": Cell(50_000, our_grid("sec")),
    "ldmgi grid, defaults n=50000": Cell(50_000, our_grid("ldmgi")),
    **mixtures(50_000, SOME_K),
    **{name: cell for data in OTHER_DATA for name, cell in mixtures(50_000, (20,), data).items()},
    **graphs(100_000),
    **mixtures(100_000, (20,)),
}

RATIOS = {  # what: one cell over another
    "spectral_embedding reused over the SEC grid, n=8,000": (
        "sklearn spectral_embedding reused n=8000",
        "sec grid n=8000",
    ),
    **{
        f"{method.upper()} grid over the neighbour search, n={n:,}": (
            f"{method} grid n={n}",
            f"sklearn brute-force neighbours n={n}",
        )
        for n in (50_000, 100_000)
        for method in ("sec", "ldmgi")
    },
}


def run_cell(name: str) -> Row:
    """Do one cell's work in this process."""
    cell = CELLS[name]
    x, truth = cell.data(cell.n)
    warnings.simplefilter("ignore")
    began, cpu = time.perf_counter(), time.process_time()
    row = cell.work(x, truth)
    return {
        "cell": name,
        "n": cell.n,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
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
        return {"cell": name, "n": CELLS[name].n, "failed": reason}
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def show(row: Row) -> None:
    """Print one line of the table."""
    if "failed" in row:
        print(f"{row['cell']:<56} could not run: {row['failed']}", flush=True)
        return
    hidden = ("cell", "n", "seconds", "cpu_seconds", "peak_mb", "objective", "fits", "k")
    rest = "  ".join(f"{key} {value}" for key, value in row.items() if key not in hidden)
    print(
        f"{row['cell']:<56} {row['fits']:>3} fits {row['seconds']:>8.1f} s {row['cpu_seconds']:>8.1f} s CPU "
        f"{row['peak_mb']:>5} MB  {rest}",
        flush=True,
    )


def over_grid(rows: list[Row], field: str) -> float:
    """Seconds of the whole grid, from those of a few K by interpolation, linear in K."""
    ks = [row["k"] for row in rows]
    a_fit = np.interp(np.array(K_GRID), ks, [row[field] / row["fits"] for row in rows])
    return float(a_fit.sum() * len(SEEDS))


def tables(rows: dict[str, Row]) -> None:
    """Print ratios, objectives side by side, and memory a neuron, of the cells that ran."""
    good = {name: row for name, row in rows.items() if "failed" not in row}
    print("\nratios, of CPU seconds and of wall time:")
    for what, (above, below) in RATIOS.items():
        if above in good and below in good:
            print(f"  {what}: {_ratio(good[above], good[below], 'cpu_seconds', 'seconds')}")
    loop = [good.get(f"sklearn SpectralClustering K={k} n=8000") for k in SPECTRAL_K]
    if all(loop) and "sec grid n=8000" in good:
        grid = {field: over_grid(loop, field) for field in ("cpu_seconds", "seconds")}
        found = _ratio(grid, good["sec grid n=8000"], "cpu_seconds", "seconds")
        print(f"  SpectralClustering over the SEC grid, n=8,000 (interpolated over K): {found}")
    for method, package in PACKAGES.items():
        both = [[good.get(f"{name} K={k} n=50000") for k in SOME_K] for name in (package, method)]
        if all(both[0]) and all(both[1]):
            one, other = ({f: over_grid(side, f) for f in ("cpu_seconds", "seconds")} for side in both)
            found = _ratio(one, other, "cpu_seconds", "seconds")
            print(f"  {package} over the {method} grid, n=50,000 (both interpolated over K): {found}")
    print("\nobjective (lower is better), mean and range over seeds 0..2, ours and scikit-learn's:")
    for name, row in good.items():
        method, _, rest = name.partition(" ")
        other = good.get(f"{PACKAGES.get(method)} {rest}")
        if other is not None and "objective" in row:
            mine, its = np.array(row["objective"]), np.array(other["objective"])
            size = abs(its.mean())
            print(
                f"  {name}: {mine.mean():.6g} ({mine.min():.6g}..{mine.max():.6g}), "
                f"{its.mean():.6g} ({its.min():.6g}..{its.max():.6g}); ours - theirs "
                f"{(mine.mean() - its.mean()) / size:+.1e}, their spread {np.ptp(its) / size:.1e}; "
                f"{_ratio(other, row, 'cpu_seconds', 'seconds')} times cheaper"
            )
    print("\npeak memory of the process:")
    for method in ("sec", "ldmgi"):
        found = [good[f"{method} grid n={n}"] for n in SIZES if f"{method} grid n={n}" in good]
        for small, large in pairwise(found):
            slope = 1000 * (large["peak_mb"] - small["peak_mb"]) / (large["n"] - small["n"])
            print(f"  {method} from n={small['n']} to {large['n']}: {slope:.1f} MB more a thousand neurons")


def _ratio(above: Row, below: Row, *fields: str) -> str:
    return ", ".join(f"{above[field] / below[field]:.2f}" for field in fields)


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="cells of at most 8,000 neurons")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cells whose name holds one of these words")
    parser.add_argument("--json", metavar="FILE", help="also append one JSON line a cell")
    parser.add_argument("--tables", metavar="FILE", help="run nothing: show what such a file holds")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cell:
        print(json.dumps(run_cell(chosen.cell)))
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        "K = 2..30 x 3 seeds unless a name says otherwise"
    )
    rows: dict[str, Row] = {}
    if chosen.tables:
        with open(chosen.tables, encoding="utf-8") as file:
            kept = {row["cell"]: row for row in map(json.loads, file)}
        rows = {name: kept[name] for name in CELLS if name in kept}
        for row in rows.values():
            show(row)
        tables(rows)
        return
    for name, cell in CELLS.items():
        if (chosen.quick and cell.n > 8_000) or (
            chosen.only and not any(word in name for word in chosen.only)
        ):
            continue
        rows[name] = run_apart(name)
        show(rows[name])
        if chosen.json:
            with open(chosen.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(rows[name]) + "\n")
    tables(rows)


if __name__ == "__main__":
    main()
