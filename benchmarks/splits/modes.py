"""Which continua of `worlds.py` have modes: density of 20,000 neurons by the radius to the 300th neighbour.

No part of `count_types` is used. The neurons are visited from the densest to the sparsest and joined with those
neighbours that were visited before; where two hills meet, the lower one ends. Its prominence is the radius at the
meeting point over the radius at its own peak. Of hills with at least 2 % of the neurons, one above 1.35 is a mode (in
ten dimensions that is a density twenty times lower between than on the lower hill). Source: Chazal, Guibas, Oudot and
Skraba, 'Persistence-based clustering in Riemannian manifolds', J. ACM 60 (2013).

    python benchmarks/splits/modes.py                    # all continua, two draws each: twenty minutes on a core
    python benchmarks/splits/modes.py "gauss 16-d" ring
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors
from worlds import WORLDS, draw

N_NEURONS = 20_000
N_NEIGHBOURS = 300  # the radius to the last of them is the inverse density, to a power
N_JOINED = 20  # nearest neighbours that a neuron is joined with
FIRST_SEED = 5000
LIMIT, SHARE = 1.35, 0.02


def hills(x: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Prominence and share of the neurons of every hill but the highest, the most prominent first.

    Parameters
    ----------
    x : array of shape (n, d)
        Equal rows count once.
    """
    x = np.unique(x, axis=0)
    n = len(x)
    search = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, n - 1)).fit(x)
    radius, joined = np.empty(n), np.empty((n, N_JOINED), dtype=np.int64)
    for start in range(0, n, 2000):
        rows = slice(start, start + 2000)
        distance, index = search.kneighbors(x[rows], n_neighbors=search.n_neighbors + 1)
        radius[rows], joined[rows] = distance[:, -1], index[:, 1 : N_JOINED + 1]
    ones = np.ones(n * N_JOINED, dtype=np.int8)
    edges = csr_array((ones, (np.repeat(np.arange(n), N_JOINED), joined.ravel())), shape=(n, n))
    edges = (edges + edges.T).tocsr()
    peak = np.full(n, -1)  # towards the densest neuron of the hill; -1: not yet visited
    size = np.zeros(n, dtype=np.int64)
    ended: list[tuple[float, float]] = []

    def summit(neuron: int) -> int:
        while peak[neuron] != neuron:
            peak[neuron] = peak[peak[neuron]]
            neuron = int(peak[neuron])
        return neuron

    for neuron in np.argsort(radius, kind="stable").tolist():
        beside = edges.indices[edges.indptr[neuron] : edges.indptr[neuron + 1]]
        summits = sorted({summit(int(other)) for other in beside if peak[other] >= 0}, key=radius.__getitem__)
        top = summits[0] if summits else neuron
        peak[neuron] = top
        size[top] += 1
        for lower in summits[1:]:
            ended.append((float(radius[neuron] / radius[lower]), float(size[lower] / n)))
            peak[lower] = top
            size[top] += size[lower]
    apart = [(np.inf, float(size[top] / n)) for top in np.flatnonzero(peak == np.arange(n))]
    apart.remove(max(apart, key=lambda one: one[1]))
    return sorted(ended + apart, reverse=True)


def main() -> None:
    """Print a row for every world and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worlds", nargs="*", help="names of worlds.py; default: all continua")
    parser.add_argument("--seeds", type=int, default=2, help="draws of each (default 2)")
    arguments = parser.parse_args()
    names = arguments.worlds or [name for name, world in WORLDS.items() if world.n_types is None]
    print("| world | group | seed | neurons | second hill: prominence (share) | hills above the limit |")
    print("|---" * 6 + "|")
    for name in names:
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
            x, _ = draw(WORLDS[name], N_NEURONS, seed)
            found = [hill for hill in hills(x) if hill[1] >= SHARE]
            second = f"{found[0][0]:.2f} ({100 * found[0][1]:.0f} %)" if found else "none"
            above = sum(hill[0] >= LIMIT for hill in found)
            print(
                f"| {name} | {WORLDS[name].group} | {seed} | {len(np.unique(x, axis=0))} | {second} | {above} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
