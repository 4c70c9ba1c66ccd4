"""What a count of types costs: CPU seconds, repeats of folds and peak memory, one line per table of neurons.

    python benchmarks/splits/count_cost.py [--only NAME ...]

Every table runs in a process of its own, so that its peak memory is its own. `types` are eight overlapping ones (six
standard deviations), `none` one Gaussian cloud; then neurons and features.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from decortex.evaluation.splits import count_types

SHAPES = ((3_000, 40), (50_000, 64), (60, 5_000), (500, 5_000))
CELLS = {f"{kind} {n} x {d}": (kind, n, d) for n, d in SHAPES for kind in ("types", "none")}
N_TYPES, DISTANCE = 8, 6.0


def neurons(kind: str, n: int, d: int) -> np.ndarray:
    """Draw unit-variance neurons of eight types, the centres at equal distances, or of none."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    if kind == "types":
        axes = np.linalg.qr(rng.standard_normal((d, N_TYPES)))[0].T
        x += DISTANCE / np.sqrt(2) * axes[np.arange(n) % N_TYPES]
    return x


def run(name: str) -> None:
    """Count the types of one table and print what that took."""
    x = neurons(*CELLS[name])
    count_types(x[:40, :2])  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = count_types(x)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{name:18s} {spent:7.1f} CPU s, {found.n_repeats} of 3 repeats, {peak / 1024:.0f} MB at most, "
        f"{before / 1024:.0f} MB of them before; {found.status} {found.n_types or ''}".rstrip(),
        flush=True,
    )


def main() -> None:
    """Run the tables asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="tables whose name holds one of these words"
    )
    parser.add_argument("--cell", choices=list(CELLS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cell:
        run(chosen.cell)
        return
    for name in CELLS:
        if not chosen.only or any(word in name for word in chosen.only):
            subprocess.run([sys.executable, __file__, "--cell", name], check=True)


if __name__ == "__main__":
    main()
