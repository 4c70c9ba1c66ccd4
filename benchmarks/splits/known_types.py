"""Data sets whose types are known: the number of types, its rivals, and every clustering method beside them.

    python benchmarks/splits/known_types.py --out known_types.jsonl --data FOLDER

One row per data set and way, one JSON object per line; rows that stand in the file are not run again. Data sets:
worlds of `worlds.py` with types and without; files of `$DECORTEX_SHARED_DATA/types` where that folder exists; every npz
of `--data` with `X` (or npy), and `y` and `donor` where known. Of files with `y`, the neurons of one label with 100
neurons or more are data sets without types ("only LABEL").

Ways: `rule` is `count_types`; `rule, given types` is `split_test` of the known types (how many stand apart at all);
then the rivals; then every clustering method and setting, at the known number of types and at the rule's. `most agreed`
is the partition at the rule's number that agrees best with the others: a choice without labels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rivals import RIVALS
from sklearn.metrics import adjusted_rand_score
from worlds import WORLDS, draw

from decortex.clustering import fit
from decortex.evaluation.splits import TypeCount, count_types, split_test

FloatArray = NDArray[np.float64]
SIMULATED = {
    "2 moons": 700,
    "3 rings": 700,
    "4 arcs": 700,
    "4 types, 5 % outliers": 700,
    "5 unequal, 5 sd": 700,
    "6 types, sizes 1:30": 700,
    "8 types, 4 sd": 700,
    "hierarchy 3 x 4": 700,
    "bent sheet and 2 round": 700,
    "gauss 16-d": 700,
    "ring": 700,
    "swiss roll": 700,
    "sparse correlated": 700,
    "simplex of 5": 700,
}
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kmeans", {}),
    ("gmm", {"covariance": "diag"}),
    ("tmixture", {}),
    *(("spectral", {"n_neighbors": n}) for n in (5, 15, 30)),
    *(("sec", {"n_neighbors": n}) for n in (5, 15, 30)),
    *(("ldmgi", {"n_neighbors": n}) for n in (5, 15, 30)),
    *(("leiden", {"n_neighbors": n}) for n in (5, 15, 30)),
)
FEWEST_OF_A_LABEL = 100


@dataclass(frozen=True)
class Data:
    """One data set; types None: without types or not known, and then `known` says which."""

    name: str
    x: FloatArray
    types: NDArray[Any] | None
    donors: NDArray[Any] | None
    n_types: int | None
    known: bool


def simulated(seed: int) -> Iterator[Data]:
    """Worlds with and without types."""
    for name, n in SIMULATED.items():
        x, y = draw(WORLDS[name], n, seed)
        true = WORLDS[name].n_types
        yield Data(name, x, y if true else None, None, true, True)


def files(folder: Path) -> Iterator[Data]:
    """Every npz of a folder, whole and label by label; every npy as features of unknown types."""
    for path in sorted(folder.glob("*.npy")):
        yield Data(path.stem, np.load(path, allow_pickle=False).astype(float), None, None, None, False)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("X", "y", "donor") if name in stored}
        if "X" not in arrays:
            raise SystemExit(f"{path} should hold X (n_neurons, n_features), but holds no such array.")
        x, y, donors = arrays["X"].astype(float), arrays.get("y"), arrays.get("donor")
        n_types = None if y is None else len(np.unique(y))
        yield Data(path.stem, x, y, donors, n_types, y is not None)
        for label in () if y is None else np.unique(y):
            own = y == label
            if own.sum() >= FEWEST_OF_A_LABEL:
                yield Data(
                    f"{path.stem}, only {label}",
                    x[own],
                    None,
                    None if donors is None else donors[own],
                    None,
                    True,
                )


def rows(data: Data, seed: int, done: set[str]) -> Iterator[dict[str, Any]]:
    """All ways of one data set that are not done."""
    found = count_types(data.x, donors=data.donors, seed=seed)
    yield row(data, "rule", found.labels, found.n_types or 1, **about(found))
    if data.types is not None and "rule, given types" not in done:
        given = split_test(
            data.x, np.unique(data.types, return_inverse=True)[1], donors=data.donors, seed=seed
        )
        yield row(data, "rule, given types", None, given.n_apart, undecided=given.n_undecided)
    for name, rival in RIVALS.items():
        if name not in done:
            yield timed(data, name, lambda rival=rival: rival(data.x, np.random.default_rng([seed, 4])))
    partitions = {}
    for method, params in METHODS:
        setting = " ".join([method, *(f"{value}" for value in params.values())])
        for at, k in (("known", data.n_types), ("rule's", found.n_types)):
            if k and k > 1 and (at == "rule's" or f"{setting}, K {at}" not in done):
                one = timed(
                    data,
                    f"{setting}, K {at}",
                    lambda m=method, p=params, k=k: fit(data.x, m, n_clusters=k, seed=seed, **p).labels,
                )
                labels = one.pop("labels")
                if at == "rule's":
                    partitions[setting] = labels
                yield one
    if partitions:
        names = list(partitions)
        agreed = [
            np.mean([adjusted_rand_score(partitions[a], partitions[b]) for b in names if b != a])
            for a in names
        ]
        best = names[int(np.argmax(agreed))]
        yield row(data, "most agreed", partitions[best], found.n_types or 1, setting=best)


def method_rows(data: Data, seed: int, done: set[str]) -> Iterator[dict[str, Any]]:
    """The clustering methods at the known number of types, and HDBSCAN, which finds its own: minutes, not hours."""
    if data.n_types is None:
        return
    for method, params in METHODS:
        setting = " ".join([method, *(f"{value}" for value in params.values())])
        if f"{setting}, K known" not in done:
            yield timed(
                data,
                f"{setting}, K known",
                lambda m=method, p=params: (
                    fit(data.x, m, n_clusters=data.n_types or 1, seed=seed, **p).labels
                ),
            )
    if "HDBSCAN" not in done:
        yield timed(data, "HDBSCAN", lambda: RIVALS["HDBSCAN"](data.x, np.random.default_rng([seed, 4])))


def method_table(lines: list[dict[str, Any]]) -> str:
    """One row per data set: the best setting of every method, by adjusted Rand index, and HDBSCAN."""
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for line in lines:
        if line["ari"] is not None and (line["way"].endswith("K known") or line["way"] == "HDBSCAN"):
            name = line["way"].split(",")[0].split(" ")[0]
            best[line["data"]][name] = max(line["ari"], best[line["data"]].get(name, -1.0))
    names = [*dict.fromkeys(method for method, _ in METHODS), "HDBSCAN"]
    out = ["| data | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for data, row_of in best.items():
        out.append(
            f"| {data} | " + " | ".join(f"{row_of[n]:.2f}" if n in row_of else "" for n in names) + " |"
        )
    return "\n".join(out)


def about(found: TypeCount) -> dict[str, Any]:
    """What the rule says beside the number."""
    return {
        "status": found.status,
        "at_least": found.at_least,
        "set_aside": len(found.set_aside),
        "p": {level.n_types: float(f"{level.p:.3g}") for level in found.levels},
        "splits": [[list(s.left), list(s.right), round(s.valley.depth or 0.0, 2)] for s in found.splits],
    }


def timed(data: Data, way: str, labels_of: Callable[[], NDArray[Any]]) -> dict[str, Any]:
    """Row of one partition, with the seconds that it took."""
    started = time.process_time()
    labels = labels_of()
    seconds = time.process_time() - started
    k = len(np.unique(labels[labels >= 0]))
    return {**row(data, way, labels, k, seconds=round(seconds, 2)), "labels": labels}


def row(data: Data, way: str, labels: NDArray[Any] | None, k: int, **more: Any) -> dict[str, Any]:
    """One row; the adjusted Rand index is of the neurons that have a type, noise being a cluster of its own."""
    ari = None
    if labels is not None and data.types is not None:
        typed = np.ones(len(data.x), dtype=bool) if data.types.dtype.kind not in "if" else data.types >= 0
        ari = round(float(adjusted_rand_score(data.types[typed], labels[typed])), 3)
    return {
        "data": data.name,
        "n": len(data.x),
        "d": data.x.shape[1],
        "known": data.n_types,
        "types_known": data.known,
        "way": way,
        "k": k,
        "ari": ari,
        **more,
    }


def table(lines: list[dict[str, Any]]) -> str:
    """One row per data set: numbers by the rule and its rivals; then ARI of the methods."""
    of: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        of[line["data"]][line["way"]] = line
    ways = ["rule", "rule, given types", *RIVALS]
    out = [
        "Number of types",
        "| data | n x d | known | " + " | ".join(ways) + " |",
        "|---" * (len(ways) + 3) + "|",
    ]
    for name, here in of.items():
        one = next(iter(here.values()))
        known = one["known"] if one["known"] else "none" if one["types_known"] else "?"
        cells = [here[way]["k"] if way in here else "" for way in ways]
        shown = ["none" if cell in (0, 1) else str(cell) for cell in cells]
        if here.get("rule", {}).get("status") == "undecided":
            shown[0] = "undecided"
        if here.get("rule", {}).get("at_least"):
            shown[0] = f">= {shown[0]}"
        out.append(f"| {name} | {one['n']} x {one['d']} | {known} | " + " | ".join(shown) + " |")
    out += [
        "",
        "Adjusted Rand index with the known types",
        "| data | rule | most agreed | best method at the rule's K |"
        " best method at the known K | " + " | ".join(RIVALS) + " |",
        "|---" * (5 + len(RIVALS)) + "|",
    ]
    for name, here in of.items():
        if all(line["ari"] is None for line in here.values()):
            continue

        def shown_ari(way: str, here: dict[str, dict[str, Any]] = here) -> str:
            return f"{here[way]['ari']:.2f}" if way in here else ""

        best = []
        for at in ("rule's", "known"):
            some = [line for way, line in here.items() if way.endswith(f"K {at}")]
            top = max(some, key=lambda line: line["ari"], default=None)
            best.append(f"{top['ari']:.2f} ({top['way'].split(',')[0]})" if top else "")
        cells = [shown_ari("rule"), shown_ari("most agreed"), *best, *map(shown_ari, RIVALS)]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("known_types.jsonl"), help="lines are appended here")
    parser.add_argument("--data", type=Path, help="folder of npz files with X, y and donor")
    parser.add_argument("--only", nargs="*", help="names of data sets")
    parser.add_argument("--seed", type=int, default=2000)
    parser.add_argument(
        "--methods", action="store_true", help="only the methods, at the known number of types"
    )
    parser.add_argument("--table", action="store_true", help="print the tables and run nothing")
    arguments = parser.parse_args()
    lines = (
        [json.loads(text) for text in arguments.out.read_text().splitlines()]
        if arguments.out.exists()
        else []
    )
    if not arguments.table:
        for data in chosen(arguments):
            done = {line["way"] for line in lines if line["data"] == data.name}
            if "end" in done:
                continue
            ways = method_rows if arguments.methods else rows
            for line in ways(data, arguments.seed, done):
                if line["way"] in done:
                    continue
                line.pop("labels", None)
                write(arguments.out, lines, line)
            if not arguments.methods:
                write(arguments.out, lines, row(data, "end", None, 0))
            print(f"{data.name}: done", file=sys.stderr, flush=True)
    shown = [line for line in lines if line["way"] != "end"]
    print(method_table(shown) if arguments.methods else table(shown))


def chosen(arguments: argparse.Namespace) -> Iterator[Data]:
    """Simulated data sets, those beside the project and those of the folder given."""
    folders = [Path(os.environ.get("DECORTEX_SHARED_DATA", "../shared/data")) / "types", arguments.data]
    sources = [
        simulated(arguments.seed),
        *(files(folder) for folder in folders if folder and folder.is_dir()),
    ]
    if arguments.data and not arguments.data.is_dir():
        raise SystemExit(f"--data {arguments.data}: there is no such folder.")
    for source in sources:
        for data in source:
            if not arguments.only or data.name in arguments.only:
                yield data


def write(path: Path, lines: list[dict[str, Any]], line: dict[str, Any]) -> None:
    """Append one line to the file and to the lines."""
    lines.append(line)
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
