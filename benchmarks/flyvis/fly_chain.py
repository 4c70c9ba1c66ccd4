"""The chain on the second world: networks of the fly's neurons, clusters against its 65 cell types, K, DEC and control.

    python benchmarks/flyvis/fly_chain.py FOLDER

FOLDER is that of `fly_world.py`. Networks lie in FOLDER as checkpoints, results in FOLDER/chain.jsonl; what
stands there is not computed again, so that a run can be interrupted. Prints the tables of docs/results/flyvis.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

import decortex
from decortex.data import Recordings
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.finetune import FinetuneConfig, continue_training, finetune
from decortex.models import RECIPES, Network, predict

RECIPE, SEEDS = "simulated_retina", (0, 1)
METHODS: dict[str, dict[str, Any]] = {"kmeans": {}, "gmm": {"covariance": "diag"}, "leiden": {}}
COUNTS, TUNED_K = (4, 8, 16, 32, 65), 32
LATE = {
    "max_epochs": 2,
    "learning_rate": 1e-3,
    "position_rate": 5e-4,
    "schedule": "constant",
    "keep": "last",
}


class Lines:
    """Results by name, one JSON object a line; computed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text() if path.exists() else ""
        self.known = {line["step"]: line for line in map(json.loads, text.splitlines())}

    def once(self, step: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The line of a step; computed and written where it is missing."""
        if step not in self.known:
            started = time.process_time()
            line = {"step": step, **compute(), "cpu_seconds": round(time.process_time() - started, 1)}
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.known[step] = line
        return self.known[step]


def performance(network: Network, recordings: Recordings) -> float:
    """Mean over neurons of the correlation of predictions with average responses to test clips."""
    found = predict(network, recordings, "test", device="cpu")
    parts = [
        score_neurons(one.responses, one.predictions, one.image_ids, clip_ids=one.clip_ids)
        for one in found.values()
    ]
    return float(concatenate_scores(parts)["correlation_to_average"].summary.mean or np.nan)


def agreement(labels: NDArray[Any], types: NDArray[Any]) -> dict[str, Any]:
    """With the known types."""
    return {
        "labels": np.asarray(labels).tolist(),
        "ari": round(float(adjusted_rand_score(types, labels)), 3),
        "ami": round(float(adjusted_mutual_info_score(types, labels)), 3),
    }


def trained(folder: Path, recordings: Recordings, seed: int, lines: Lines) -> Network:
    """The network of one seed."""
    path = folder / f"network-{seed}.pt"

    def train() -> dict[str, Any]:
        network, outcome = decortex.train(recordings, RECIPE, seed=seed)
        torch.save(network.checkpoint(), path)
        return {"test_correlation": performance(network, recordings), "epoch": outcome.best_epoch}

    lines.once(f"network {seed}", train)
    return decortex.load_network(path)


def clustered(x: NDArray[np.float64], types: NDArray[Any], method: str, k: int) -> dict[str, Any]:
    """One partition against the types."""
    found = decortex.cluster(x, method, n_clusters=k, seed=0, **METHODS[method])
    return {"status": found.status, **agreement(found.labels, types)}


def chosen(x: NDArray[np.float64]) -> dict[str, Any]:
    """How many types stand apart, and which K k-means supports."""
    counted = decortex.count_types(x)
    found = decortex.choose_k(x, "kmeans", counts=[k for k in COUNTS if k <= TUNED_K])
    return {
        "types_status": counted.status,
        "n_types": counted.n_types,
        "k": found.k,
        "sentence": found.sentence,
    }


def tuned(folder: Path, recordings: Recordings, types: NDArray[Any], seed: int, kind: str) -> dict[str, Any]:
    """DEC from k-means at K = 32, or its control, clustered afresh."""
    network = decortex.load_network(folder / f"network-{seed}.pt")
    schedule = RECIPES[RECIPE]()[1].model_copy(update=LATE)
    weights = network.embedding().detach().numpy().astype(np.float64)
    points = fit_map(weights, EmbeddingConfig(kind="l2"))
    if kind == "control":
        continue_training(network, recordings, schedule, seed=0, device="cpu")
        labels = decortex.cluster(decortex.embed(network), "kmeans", n_clusters=TUNED_K, seed=0).labels
        return {**agreement(labels, types), "test_correlation": performance(network, recordings)}
    start = decortex.cluster(points.apply(weights), "kmeans", n_clusters=TUNED_K, seed=0)
    config = FinetuneConfig(kind="dec", kernel="scaled")
    found = finetune(
        network, recordings, points, start.labels, config, schedule, n_clusters=TUNED_K, seed=0, device="cpu"
    )
    return {
        **agreement(found.labels, types),
        "status": found.status,
        "share_changed": found.share_changed,
        "test_correlation": performance(network, recordings),
    }


def tables(lines: Lines, n_types: int, seeds: Sequence[int]) -> str:
    """What docs/results/flyvis.md shows; a step that an interrupted run has not reached is said to be missing."""
    known = lines.known
    between = adjusted_rand_score
    rows = [f"| method | K | ARI with the {n_types} types | AMI | ARI between networks |", "|---" * 5 + "|"]
    for method in METHODS:
        for k in COUNTS:
            some = [known[f"{method} {k} {seed}"] for seed in seeds]
            aris, amis = ([f"{one[name]:.3f}" for one in some] for name in ("ari", "ami"))
            pairs = [f"{between(a['labels'], b['labels']):.3f}" for a, b in combinations(some, 2)]
            rows.append(f"| {method} | {k} | {', '.join(aris)} | {', '.join(amis)} | {', '.join(pairs)} |")
    rows += ["", "| network | test correlation | types that stand apart | K chosen |", "|---" * 4 + "|"]
    for seed in seeds:
        choice, network = known.get(f"choice {seed}"), known[f"network {seed}"]
        count, k = "not computed", "not computed"
        if choice is not None:
            count = choice["n_types"] if choice["types_status"] == "types" else choice["types_status"]
            k = choice["k"] or "none"
        rows.append(f"| {seed} | {network['test_correlation']:.3f} | {count} | {k} |")
    heading = (
        f"| network, k-means at K = {TUNED_K} | ARI with the types | test correlation | labels changed |"
    )
    rows += ["", heading, "|---" * 4 + "|"]
    for seed in seeds:
        start, network = known[f"kmeans {TUNED_K} {seed}"], known[f"network {seed}"]
        rows.append(f"| {seed}, start | {start['ari']:.3f} | {network['test_correlation']:.3f} | |")
        for kind in ("control", "dec"):
            one = known.get(f"{kind} {seed}")
            if one is None:
                rows.append(f"| {seed}, {kind} | not computed | | |")
                continue
            changed = f"{one['share_changed']:.3f}" if "share_changed" in one else ""
            rows.append(f"| {seed}, {kind} | {one['ari']:.3f} | {one['test_correlation']:.3f} | {changed} |")
    rows += ["", f"{sum(line['cpu_seconds'] for line in known.values()):.0f} processor seconds"]
    return "\n".join(rows)


def main() -> None:
    """Run what is missing and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", action="store_true", help="print what there is and compute nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the networks (default 0 1)")
    arguments = parser.parse_args()
    folder = arguments.folder
    torch.set_num_threads(1)
    recordings = decortex.open_recordings(folder / "recordings")
    types = np.asarray(recordings.truth)
    lines = Lines(folder / "chain.jsonl")
    for seed in () if arguments.table else arguments.seeds:
        x = decortex.embed(trained(folder, recordings, seed, lines))
        for method in METHODS:
            for k in COUNTS:
                lines.once(f"{method} {k} {seed}", lambda: clustered(x, types, method, k))  # noqa: B023
        for kind in ("dec", "control"):
            lines.once(f"{kind} {seed}", lambda: tuned(folder, recordings, types, seed, kind))  # noqa: B023
        lines.once(f"choice {seed}", lambda: chosen(x))  # noqa: B023
    print(tables(lines, len(np.unique(types)), arguments.seeds))


if __name__ == "__main__":
    main()
