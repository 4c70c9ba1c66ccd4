"""TURTLE and the vote beside known types, on simulated networks and on embeddings with structure of their own.

One JSON object per line: for every generator the adjusted Rand index to the known types of each network's k-means, of
the vote over them, and of TURTLE, which is given the embeddings alone.

- ``cortex``: networks trained from several seeds on one simulated cortex.
- ``private``: three embeddings that share four types, each with four groups of its own that are further apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.clustering import fit
from decortex.data import SimulationConfig, simulate_cortex
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.agreement import agreement, consensus, turtle
from decortex.models import RECIPES, Network
from decortex.models.training import TrainingConfig, fit_network


def main() -> None:
    """Print one line a generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["private", "cortex"])
    parser.add_argument("--generators", type=int, default=3, help="number of generators (default 3)")
    parser.add_argument("--first", type=int, default=0, help="first generator (default 0)")
    parser.add_argument("--networks", type=int, default=3, help="networks a generator (default 3)")
    parser.add_argument("--neurons", type=int, default=240, help="neurons of the cortex (default 240)")
    parser.add_argument("--epochs", type=int, default=14, help="epochs of training (default 14)")
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 10.0], help="entropy weights")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for generator in range(asked.first, asked.first + asked.generators):
        began = time.process_time()
        if asked.part == "private":
            k, truth, views = private_structure(generator)
        else:
            k, truth, views = trained_networks(generator, asked)
        row = {"part": asked.part, "generator": generator, "k": k, **compared(views, truth, k, asked.weights)}
        print(json.dumps(row | {"cpu_seconds": round(time.process_time() - began, 1)}), flush=True)


def private_structure(
    seed: int, *, k: int = 4, n_neurons: int = 240
) -> tuple[int, NDArray[Any], list[NDArray[Any]]]:
    """Three embeddings of 20 features: shared types at unit distance, own groups at 1.5, rotated, with noise."""
    rng = np.random.default_rng(seed)
    truth, views = rng.integers(0, k, n_neurons), []
    for _ in range(3):
        own = rng.integers(0, k, n_neurons)
        shared_centres, own_centres = rng.normal(size=(k, 10)), 1.5 * rng.normal(size=(k, 10))
        mixed = np.concatenate([shared_centres[truth], own_centres[own]], axis=1) @ rng.normal(size=(20, 20))
        views.append(mixed / np.sqrt(20) + 0.5 * rng.normal(size=mixed.shape))
    return k, truth, views


def trained_networks(
    generator: int, asked: argparse.Namespace
) -> tuple[int, NDArray[Any], list[NDArray[Any]]]:
    """Readouts (l2) of networks trained from several seeds on one simulated cortex of eight types."""
    recordings = simulate_cortex(SimulationConfig(n_neurons=asked.neurons), generator).recordings
    config, training = RECIPES["simulated_cortex"]()
    schedule = TrainingConfig.from_params({**training.resolved(), "max_epochs": asked.epochs})
    views = []
    for seed in range(asked.networks):
        network = Network.build(config, recordings, seed=seed)
        fit_network(network, recordings, schedule, seed=seed, device="cpu")
        weights = network.embedding().detach().numpy()
        views.append(fit_map(weights, EmbeddingConfig(kind="l2")).apply(weights))
    truth = recordings.truth
    if truth is None:
        raise RuntimeError("the simulated cortex has no known types.")
    return len(np.unique(truth)), truth, views


def compared(
    views: Sequence[NDArray[Any]], truth: NDArray[Any], k: int, weights: Sequence[float]
) -> dict[str, Any]:
    """Agreement with the types of k-means, the vote and TURTLE."""
    partitions = [fit(view, "kmeans", n_clusters=k, seed=0, n_init=20).labels for view in views]
    row: dict[str, Any] = {
        "kmeans": [_ari(truth, one) for one in partitions],
        "vote": _ari(truth, consensus(partitions, k).labels),
    }
    for weight in weights:
        found = turtle(views, k, seed=0, entropy_weight=weight)
        row[f"turtle, entropy {weight:g}"] = _ari(truth, found.labels)
        row[f"alive, entropy {weight:g}"] = found.n_alive
    return row


def _ari(truth: NDArray[Any], labels: NDArray[Any]) -> float:
    return round(agreement(truth, labels).ari or 0.0, 3)


if __name__ == "__main__":
    main()
