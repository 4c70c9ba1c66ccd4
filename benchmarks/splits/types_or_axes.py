"""How often 'types or axes' is right, on simulated embeddings whose target is known; one JSON object per line.

Lines are appended to `--out` and worlds, sizes and seeds that stand there are not run again, so that a run can be
interrupted and continued. `--table FILE` prints the tables of
docs/science/types-or-axes-measured.md and runs nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from split_power import append, read, wilson
from world_targets import TARGET_WORLDS, TargetWorld, draw_target

from decortex.evaluation.types_or_axes import Increment, TypesOrAxesConfig, types_or_axes

# Seeds below 1000 were looked at while the rule was made; tables are of seeds from 1000.
FIRST_SEED = 1000
ANSWERS = ("clusters", "axes", "both", "undecided")


def run(world: TargetWorld, n_neurons: int, seed: int, config: TypesOrAxesConfig) -> dict[str, Any]:
    """Compare once."""
    x, y, animals = draw_target(world, n_neurons, seed)
    started = time.process_time()
    found = types_or_axes(x, y, blocks=animals, seed=seed, config=config)
    seconds = time.process_time() - started
    line: dict[str, Any] = {
        "world": world.name,
        "family": world.family,
        "target": world.target,
        "truth": world.truth,
        "n": n_neurons,
        "seed": seed,
        "seconds": round(seconds, 2),
    }
    for name in found.__dataclass_fields__:
        value = getattr(found, name)
        if isinstance(value, Increment):
            line[name] = {key: float(f"{number:.4g}") for key, number in asdict(value).items()}
        else:
            line[name] = round(value, 4) if isinstance(value, float) else value
    return line


def tables(lines: list[dict[str, Any]]) -> str:
    """Right, undecided and wrong by family and by world."""
    rows: list[str] = []
    for n in sorted({line["n"] for line in lines}):
        some = [line for line in lines if line["n"] == n]
        rows += [f"n = {n}", "", "| worlds | right | undecided | wrong |", "|---" * 4 + "|"]
        decided = [line for line in some if line["truth"] != "undecided"]
        for family in dict.fromkeys(line["family"] for line in some):
            cell = [line for line in decided if line["family"] == family]
            rows.append(f"| {family} | {_shares(cell)} |")
        rows.append(f"| all with an answer | {_shares(decided)} |")
        nothing = [line for line in some if line["truth"] == "undecided"]
        claimed = sum(line["answer"] != "undecided" for line in nothing)
        rows += [f"| nothing to predict | {wilson(len(nothing) - claimed, len(nothing))} | | {claimed} |", ""]
        rows += [
            "| world, target | truth | " + " | ".join(ANSWERS) + " | clusters add | axes add | K |",
            "|---" * 9 + "|",
        ]
        cells: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in some:
            cells[line["world"]].append(line)
        for name, cell in cells.items():
            counts = Counter(line["answer"] for line in cell)
            means = [
                sum(line[key]["value"] for line in cell) / len(cell) for key in ("clusters_add", "axes_add")
            ]
            clusters = sum(line["n_clusters"] for line in cell) / len(cell)
            rows.append(
                f"| {name} | {cell[0]['truth']} | "
                + " | ".join(str(counts.get(answer, 0)) for answer in ANSWERS)
                + f" | {means[0]:.3f} | {means[1]:.3f} | {clusters:.1f} |"
            )
        rows.append("")
        seconds = sorted(line["seconds"] for line in some)
        rows += [f"{len(some)} comparisons, median {seconds[len(seconds) // 2]} processor seconds", ""]
    return "\n".join(rows)


def _shares(cell: list[dict[str, Any]]) -> str:
    right = sum(line["answer"] == line["truth"] for line in cell)
    undecided = sum(line["answer"] == "undecided" for line in cell)
    wrong = len(cell) - right - undecided
    return f"{wilson(right, len(cell))} | {undecided} | {wilson(wrong, len(cell))}"


def main() -> None:
    """Run what is missing, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("types_or_axes.jsonl"), help="lines are appended here"
    )
    parser.add_argument("--worlds", nargs="*", help="names, families or targets of worlds; default all")
    parser.add_argument("--seeds", type=int, default=100, help="number of seeds (default 100)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help=f"default {FIRST_SEED}")
    parser.add_argument("--n", type=int, nargs="+", default=[800], help="numbers of neurons")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the comparison"
    )
    parser.add_argument("--table", type=Path, help="print the tables of these lines and run nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(read(arguments.table)))
        return
    config = TypesOrAxesConfig.from_params(
        {name: json.loads(value) for name, value in (word.split("=") for word in arguments.set)}
    )
    wanted = set(arguments.worlds or ())
    known = {word for world in TARGET_WORLDS.values() for word in (world.name, world.family, world.target)}
    if wanted - known:
        parser.error(f"no such world, family or target: {', '.join(sorted(wanted - known))}")
    chosen = [w for w in TARGET_WORLDS.values() if not wanted or wanted & {w.name, w.family, w.target}]
    done = {(line["world"], line["n"], line["seed"]) for line in read(arguments.out)}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for world in chosen:
            for n in arguments.n:
                if (world.name, n, seed) not in done:
                    line = run(world, n, seed, config)
                    append(arguments.out, line)
                    print(
                        f"seed {seed}  {world.name}, n = {n}: {line['answer']} (truth {line['truth']})",
                        file=sys.stderr,
                        flush=True,
                    )


if __name__ == "__main__":
    main()
