"""What DEC does to agreement between networks where there are types, and where there are none: one JSON object a line.

A small simulated cortex, a few networks, k-means and DEC; then the same on recordings drawn from surrogate readouts
(`decortex.finetune.null`). The tables do this at scale (docs/nulls.md); here it takes minutes and no database.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import combinations
from typing import Any

import numpy as np
import torch

from decortex.clustering import fit
from decortex.data.recordings import Recordings
from decortex.data.simulate import SimulationConfig, simulate
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation import NULL_KINDS, agreement, excess_over_null
from decortex.finetune import FinetuneConfig, finetune
from decortex.finetune.null import draw_null, null_recordings, readout_on_core
from decortex.models.network import Network
from decortex.models.recipes import simulated_cortex_spec
from decortex.models.training import fit_network

K = 8
CORTEX = {
    "n_neurons": 160,
    "n_animals": 2,
    "n_train": 1000,
    "n_validation": 150,
    "n_test": 20,
    "n_repeats": 2,
}
LATE = {"max_epochs": 4, "learning_rate": 1e-3, "position_rate": 5e-4, "schedule": "constant", "keep": "last"}


def agreement_before_and_after(
    networks: list[Network], recordings: Recordings, kernel: str
) -> dict[str, float]:
    """Mean ARI between networks of k-means partitions, and of what DEC makes of them."""
    schedule = simulated_cortex_spec()[1].model_copy(update=LATE)
    partitions: dict[str, list[Any]] = {"before": [], "after": []}
    for network in networks:
        raw = network.embedding().detach().numpy()
        mapped = fit_map(raw, EmbeddingConfig(kind="l2"))
        start = fit(mapped.apply(raw), "kmeans", n_clusters=K, seed=0).labels
        moved = finetune(
            network,
            recordings,
            mapped,
            start,
            FinetuneConfig.from_params({"kind": "dec", "kernel": kernel}),
            schedule,
            n_clusters=K,
            seed=0,
            device="cpu",
        )
        partitions["before"].append(start)
        partitions["after"].append(moved.labels)
    found = {}
    for state, labels in partitions.items():
        values = [agreement(a, b).ari for a, b in combinations(labels, 2)]
        found[state] = float(np.mean([value for value in values if value is not None]))
    return {**found, "change": found["after"] - found["before"]}


def main() -> None:
    """Train, draw, train again, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--surrogates", type=int, default=9)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--kind", choices=NULL_KINDS, default="gaussian")
    parser.add_argument("--kernel", choices=("published", "scaled", "pca10"), default="scaled")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    config, training = simulated_cortex_spec()
    recordings = simulate(SimulationConfig.from_params(CORTEX), 0)
    networks = []
    for seed in range(asked.networks):
        network = Network.build(config, recordings, seed=seed)
        fit_network(network, recordings, training, seed=seed, device="cpu")
        networks.append(network)
    parents = [Network.from_checkpoint(network.checkpoint()) for network in networks]
    observed = agreement_before_and_after(networks, recordings, asked.kernel)
    print(json.dumps({"what": "recordings", "kind": None, **observed}), flush=True)
    nulls = []
    for seed in range(asked.surrogates):
        started = time.perf_counter()
        draw = draw_null(parents[seed % len(parents)], recordings, asked.kind, seed=seed, device="cpu")
        drawn = null_recordings(recordings, draw.responses, f"surrogate {seed}")
        trained = []
        for network_seed, parent in enumerate(parents):
            network, how = readout_on_core(parent, drawn, training, seed=network_seed)
            fit_network(network, drawn, how, seed=network_seed, device="cpu")
            trained.append(network)
        nulls.append(agreement_before_and_after(trained, drawn, asked.kernel))
        seconds = round(time.perf_counter() - started, 1)
        print(
            json.dumps({"what": f"surrogate {seed}", "kind": asked.kind, **nulls[-1], "seconds": seconds}),
            flush=True,
        )
    for state in ("before", "after", "change"):
        found = excess_over_null(observed[state], [one[state] for one in nulls])
        row = {
            "observed": found.observed,
            "null": found.null_mean,
            "sd": found.null_sd,
            "z": found.z,
            "p": found.p,
        }
        print(json.dumps({"what": state, "kind": asked.kind, **row, "n_null": found.n_null}), flush=True)


if __name__ == "__main__":
    main()
