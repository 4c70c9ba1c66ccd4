"""How often the number of types is right: level on continua, power on types; one JSON object per line.

Lines are appended to `--out` and worlds, sizes and seeds that stand there are not run again, so that a long run can be
interrupted and continued. `--table FILE` prints the tables of docs/science/number-of-types-measured.md and runs
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import adjusted_rand_score
from worlds import WORLDS, World, draw

from decortex.evaluation.splits import Boundary, SplitConfig, count_types

# Seeds below 100, 1000 to 1005 and 3000 to 3003 were looked at while the rule was made; tables are of seeds from 4000.
FIRST_SEED = 4000


@dataclass(frozen=True)
class Animals:
    """Donors of the neurons: how many, and how far each lies from the middle, in standard deviations of the data.

    Neurons are given to donors at random; every donor's neurons are moved by `shift` in a random direction of its own.
    """

    n: int
    shift: float

    def among(self, x: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Features moved by donor, and the donor of every neuron."""
        rng = np.random.default_rng([seed, 7919])
        donor = rng.permutation(np.arange(len(x)) % self.n)
        directions = rng.normal(size=(self.n, x.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        spread = np.sqrt(x.var(axis=0).mean())
        return x + self.shift * spread * directions[donor], donor


def run(
    world: World, n_neurons: int, seed: int, config: SplitConfig, animals: Animals | None
) -> dict[str, Any]:
    """Count the types of one data set."""
    x, y = draw(world, n_neurons, seed)
    donors = None
    if animals is not None:
        x, donors = animals.among(x, seed)
    started = time.process_time()
    found = count_types(x, donors=donors, seed=seed, config=config)
    seconds = time.process_time() - started
    inside = (found.labels >= 0) & (y >= 0)
    agreement = (
        adjusted_rand_score(y[inside], found.labels[inside]) if world.n_types and inside.any() else None
    )
    return {
        "world": world.name,
        "group": world.group,
        "true": world.n_types,
        "n": n_neurons,
        "seed": seed,
        "animals": None if animals is None else [animals.n, animals.shift],
        "status": found.status,
        "n_types": found.n_types,
        "at_least": found.at_least,
        "n_set_aside": len(found.set_aside),
        "n_repeats": found.n_repeats,
        "ari": None if agreement is None else round(float(agreement), 4),
        "p": {level.n_types: float(f"{level.p:.3g}") for level in found.levels},
        "counts": {level.n_types: [_counts(one) for one in level.boundaries] for level in found.levels},
        "seconds": round(seconds, 2),
    }


def _counts(boundary: Boundary) -> list[float]:
    """Share of folds, then neurons between and beside in each way of counting: what other constants would say."""
    ways = (boundary.path, boundary.centres)
    counts = [value for way in ways for value in (way.n_between, way.n_beside)]
    return [round(value, 2) for value in (boundary.fold_share, *counts)]


def wilson(successes: int, n: int) -> str:
    """Share and its 95 % Wilson interval, in percent."""
    interval = binomtest(successes, n).proportion_ci(method="wilson")
    return f"{successes}/{n} ({100 * interval.low:.1f} to {100 * interval.high:.1f} %)"


def tables(lines: list[dict[str, Any]]) -> str:
    """Tables of every design of animals that the lines have."""
    designs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        animals = line.get("animals")
        name = (
            ""
            if animals is None
            else f"{animals[0]} animals held out whole, each moved by {animals[1]:g} sd\n"
        )
        designs[name].append(line)
    return "\n".join(name + table(some) for name, some in designs.items())


def table(lines: list[dict[str, Any]]) -> str:
    """Level by world, power by world, and the obvious designs by distance."""
    rows: list[str] = []
    cells: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        cells[line["world"], line["n"]].append(line)
    sizes = sorted({line["n"] for line in lines})
    for group in ("continuum", "named"):
        here = [line for line in lines if WORLDS[line["world"]].group == group]
        for n in sizes:
            some = [line for line in here if line["n"] == n]
            if some:
                rows.append(f"{group}, n = {n}: claimed {wilson(sum(map(claimed, some)), len(some))}")
        rows += [
            "",
            "| world | " + " | ".join(f"n = {n}" for n in sizes) + " |",
            "|---" * (len(sizes) + 1) + "|",
        ]
        for name in dict.fromkeys(line["world"] for line in here):
            counts = [cells.get((name, n), []) for n in sizes]
            rows.append(
                f"| {name} | "
                + " | ".join(f"{sum(map(claimed, cell))}/{len(cell)}" if cell else "" for cell in counts)
                + " |"
            )
        rows.append("")
    obvious = [line for line in lines if line["group"] == "obvious"]
    for n in sizes:
        some = [line for line in obvious if line["n"] == n]
        if not some:
            continue
        rows.append(f"obvious, n = {n}: exact {wilson(sum(map(exact, some)), len(some))}")
        for key in ("sd", "-d", "types", "form"):
            parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for line in some:
                k, d, distance, form = line["world"].split(", ")
                parts[{"sd": distance, "-d": d, "types": k, "form": form}[key]].append(line)
            rows.append(
                "  " + "; ".join(f"{part} {sum(map(exact, of))}/{len(of)}" for part, of in parts.items())
            )
    rows += ["", "| world | n | truth | exact | too few | too many | mean | ARI |", "|---" * 8 + "|"]
    for (name, n), cell in cells.items():
        if cell[0]["group"] not in ("shape", "near"):
            continue
        counts = np.array([line["n_types"] or 1 for line in cell])
        true = cell[0]["true"]
        rows.append(
            f"| {name} | {n} | {true} | {(counts == true).sum()}/{len(cell)} | {(counts < true).sum()} |"
            f" {(counts > true).sum()} | {counts.mean():.1f} | {np.mean([line['ari'] for line in cell]):.2f} |"
        )
    return "\n".join(rows)


def claimed(line: dict[str, Any]) -> bool:
    """Whether a number of types was named."""
    return bool(line["status"] == "types")


def exact(line: dict[str, Any]) -> bool:
    """Whether the number is the true one."""
    return bool(line["n_types"] == line["true"])


def main() -> None:
    """Run what is missing, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("split_power.jsonl"), help="lines are appended here")
    parser.add_argument("--worlds", nargs="*", help="names or groups of worlds.py; default all")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds (default 20)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help=f"default {FIRST_SEED}")
    parser.add_argument("--n", type=int, nargs="+", default=[700], help="numbers of neurons")
    parser.add_argument(
        "--animals", type=int, help="neurons of that many donors, of whom whole ones are held out"
    )
    parser.add_argument(
        "--shift",
        type=float,
        default=0.0,
        help="by which every donor is moved, in standard deviations of the data",
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of SplitConfig")
    parser.add_argument("--table", type=Path, help="print the tables of these lines and run nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(read(arguments.table)))
        return
    config = SplitConfig.from_params(
        {name: json.loads(value) for name, value in (word.split("=") for word in arguments.set)}
    )
    wanted = set(arguments.worlds or ())
    unknown = wanted - WORLDS.keys() - {world.group for world in WORLDS.values()}
    if unknown:
        parser.error(f"no such world or group: {', '.join(sorted(unknown))}")
    chosen = [w for w in WORLDS.values() if not wanted or w.name in wanted or w.group in wanted]
    animals = None if arguments.animals is None else Animals(arguments.animals, arguments.shift)
    design = None if animals is None else [animals.n, animals.shift]
    lines = [line for line in read(arguments.out) if line.get("animals") == design]
    done = {(line["world"], line["n"], line["seed"]) for line in lines}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for world in chosen:
            for n in arguments.n:
                if (world.name, n, seed) in done:
                    continue
                line = run(world, n, seed, config, animals)
                append(arguments.out, line)
                print(
                    f"seed {seed}  {world.name}, n = {n}: true {line['true']}, {line['status']} {line['n_types']}"
                    f"  ({line['seconds']} s)",
                    file=sys.stderr,
                    flush=True,
                )


def append(path: Path, line: dict[str, Any]) -> None:
    """Write one line, on a line of its own even where the last one was cut off."""
    cut_off = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as out:
        out.write(("\n" if cut_off else "") + json.dumps(line) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Lines of an earlier run; a last line that was cut off is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


if __name__ == "__main__":
    main()
