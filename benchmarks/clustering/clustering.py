"""Time, peak memory and agreement of the clustering methods against what one would use otherwise. One table.

Every cell runs in a process of its own, so that its peak memory is its own; both sides of a ratio run in the same
invocation. Grids are K = 2..30 x 3 seeds. Where the other side would take hours, it runs a few K and is
extrapolated, which the table says. On a machine that others use, too, compare CPU seconds. Usage:

    python benchmarks/clustering/clustering.py [--quick] [--json FILE] [--only NAME ...] [--tables FILE]

`--json` appends a line a cell, so that cells may run one by one; `--tables` prints ratios and comparisons of a
file of such lines (the last line of a cell counts).
"""

from __future__ import annotations

import argparse
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

import clustering_sides as sides
import numpy as np
from clustering_sides import K_GRID, SEEDS, Row, Work


@dataclass(frozen=True)
class Cell:
    """One line of the table: how many neurons, the work, and what the neurons are."""

    n: int
    work: Work
    data: Callable[[int], tuple[np.ndarray, np.ndarray]] = sides.neurons


ONE_START: Row = {"n_starts": 1}
SOME_K = (5, 12, 20, 30)
SPECTRAL_K = (2, 10, 20, 30)
OTHER_DATA = {
    "heavy tails": sides.heavy_tails,
    "unit length": sides.unit_length,
    "no clusters": sides.no_clusters,
}
SIZES = (8_000, 50_000, 100_000)
PACKAGES = {"kmeans": "sklearn KMeans", "gmm": "sklearn GaussianMixture"}
MODELS = {"kmeans": sides.sk_kmeans, "gmm": sides.sk_gmm}


def mixtures(n: int, ks: tuple[int, ...], data: str = "") -> dict[str, Cell]:
    """k-means and GMM at these K, ours and scikit-learn's in turn."""
    made = OTHER_DATA.get(data, sides.neurons)
    cells = {}
    for method, package in PACKAGES.items():
        for k in ks:
            suffix = f" K={k}{', ' + data if data else ''} n={n}"
            cells[method + suffix] = Cell(n, sides.ours(method, k), made)
            cells[package + suffix] = Cell(n, sides.theirs(MODELS[method], k), made)
    return cells


def spectral_loop(n: int, ks: tuple[int, ...]) -> dict[str, Cell]:
    """scikit-learn's spectral clustering at these K."""
    return {f"sklearn SpectralClustering K={k} n={n}": Cell(n, sides.sk_spectral(k)) for k in ks}


def graphs(n: int) -> dict[str, Cell]:
    """The graph methods and the neighbour search that they stand on."""
    return {
        f"sklearn brute-force neighbours n={n}": Cell(n, sides.brute_force),
        f"sec grid n={n}": Cell(n, sides.our_grid("sec", **ONE_START)),
        f"ldmgi grid n={n}": Cell(n, sides.our_grid("ldmgi", **ONE_START)),
        f"leiden resolutions n={n}": Cell(n, sides.leiden_resolutions),
        **{f"{m} grid, defaults n={n}": Cell(n, sides.our_grid(m)) for m in ("sec", "ldmgi")},
    }


CELLS: dict[str, Cell] = {
    "digits: accuracy": Cell(1, sides.digits_reference),
    "digits: held-out half": Cell(1, sides.held_out_digits),
    **{
        f"{m} grid n=2000": Cell(2_000, sides.our_grid(m))
        for m in ("kmeans", "gmm", "tmixture", "spectral", "sec", "ldmgi")
    },
    **mixtures(2_000, (20,)),
    **spectral_loop(2_000, (20,)),
    "dense sec, K=20 only n=2000": Cell(2_000, sides.dense_sec),
    "studenttmixture full, K=20 only n=2000": Cell(2_000, sides.student_package),
    "tmixture full, K=20 only n=2000": Cell(2_000, sides.once("tmixture", covariance="full", nu=4.0)),
    "clustpy SubKmeans, K=20 only n=2000": Cell(2_000, sides.clustpy_subkmeans),
    **graphs(8_000),
    "spectral grid n=8000": Cell(8_000, sides.our_grid("spectral")),
    **spectral_loop(8_000, SPECTRAL_K),
    "sklearn spectral_embedding reused n=8000": Cell(8_000, sides.reused_embedding),
    "dense sec, K=20 only n=8000": Cell(8_000, sides.dense_sec),
    "clustpy SubKmeans, K=20 only n=8000": Cell(8_000, sides.clustpy_subkmeans),
    **mixtures(8_000, (20,)),
    **graphs(50_000),
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
    **{
        f"{method.upper()} grid at the defaults over the neighbour search, n={n:,}": (
            f"{method} grid, defaults n={n}",
            f"sklearn brute-force neighbours n={n}",
        )
        for n in (50_000, 100_000)
        for method in ("sec", "ldmgi")
    },
    **{
        f"{method.upper()} grid at the defaults over one start, n={n:,}": (
            f"{method} grid, defaults n={n}",
            f"{method} grid n={n}",
        )
        for n in SIZES
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
    print(
        "\ndiscretisation objective (lower is better), mean over the grid, at the defaults and with one start:"
    )
    for n in SIZES:
        for method in ("sec", "ldmgi"):
            both = [good.get(f"{method} grid{what} n={n}") for what in (", defaults", "")]
            if all(both):
                print(f"  {method}, n={n:,}: {', '.join(str(row['discretisation']) for row in both if row)}")
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
