"""From a stranger's csv of 3,000 neurons x 40 features to a partition, a picture and first answers: seconds.

    python benchmarks/clustering/own_table.py [--neurons N] [--features D] [--notebook]

Writes the csv (six planted types, five animals, a score, half of the types as labels) and runs
`decortex analyse` on it in a home of its own, twice, or, with `--notebook`, `decortex.analyse` in this
process. Prints one JSON object per run with wall and processor seconds (the server's too, on Linux), K, and the
adjusted Rand index with the planted types.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

import decortex

COLUMNS = ("--id", "cell", "--animal", "donor", "--label", "type", "--score", "score")


def cells(n: int, d: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A table in the units of a lab, and its types."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.3, 0.2, 0.2, 0.15, 0.1, 0.05])
    types = rng.choice(len(shares), size=n, p=shares)
    x = rng.normal(size=(len(shares), d))[types] * 1.1 + rng.normal(size=(n, d))
    donors = rng.integers(5, size=n)
    frame = pd.DataFrame(x * rng.uniform(0.1, 20, size=d), columns=[f"feature{i}" for i in range(d)])
    frame.insert(0, "cell", [f"cell{i:05d}" for i in range(n)])
    frame.insert(1, "donor", [f"d{i}" for i in donors])
    frame.insert(2, "type", np.where(rng.random(n) < 0.5, "", [f"type{i}" for i in types]))
    frame.insert(3, "score", 0.4 + 0.05 * types + 0.03 * donors + 0.1 * rng.normal(size=n))
    return frame, types


def processor_seconds() -> float:
    """Of this process and its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def server_seconds(home: Path) -> float:
    """Of the server of a home, which outlives the command that started it: processes that name the home."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(home).encode() in (process / "cmdline").read_bytes():
                ticks += sum(map(int, (process / "stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        except OSError:  # ended meanwhile
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--neurons", type=int, default=3000)
    parser.add_argument("--features", type=int, default=40)
    parser.add_argument("--notebook", action="store_true", help="decortex.analyse, without a database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.csv"
        frame, types = cells(arguments.neurons, arguments.features)
        frame.to_csv(path, index=False)
        for run in ("notebook",) if arguments.notebook else ("first", "again"):
            home = Path(folder) / "home"
            started, used = time.monotonic(), processor_seconds() + server_seconds(home)
            k, labels = in_process(path) if arguments.notebook else by_command(path, home)
            row = {
                "run": run,
                "neurons": arguments.neurons,
                "features": arguments.features,
                "seconds": round(time.monotonic() - started, 1),
                "cpu_seconds": round(processor_seconds() + server_seconds(home) - used, 1),
                "k": k,
                "ari": round(float(adjusted_rand_score(types, labels)), 3),
            }
            print(json.dumps(row), flush=True)


def in_process(path: Path) -> tuple[int, np.ndarray]:
    """Analyse without a database, the picture included."""
    found = decortex.analyse(path, ids="cell", animal="donor", labels=("type",), scores=("score",))
    found.draw(path.with_suffix(".png"))
    return found.k, found.labels


def by_command(path: Path, home: Path) -> tuple[int, np.ndarray]:
    """Run the command as a user would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
    environment["DECORTEX_HOME"] = str(home)
    command = [sys.executable, "-m", "decortex_ops", "analyse", str(path), *COLUMNS, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    answer = json.loads(done.stdout)[0]
    return answer["k"], pd.read_csv(answer["partition_file"])["cluster"].to_numpy()


if __name__ == "__main__":
    main()
