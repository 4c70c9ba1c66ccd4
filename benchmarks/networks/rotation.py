"""What orientation hides and what finds the types all the same: the simulated cortex, plain and equivariant cores.

One JSON object per line: `spread, seed, core, embedding, method, ari, n_types, correlation, of_ceiling, seconds`. The
types are known and used for the score alone; `n_types` stand apart in the embedding by `count_types`, on animals held
out. Usage:

    python benchmarks/networks/rotation.py [--spreads 0 0.5 1] [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.data.simulation import SimulationConfig, simulate_cortex
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.evaluation.splits import count_types
from decortex.models import RECIPES, Network, predict
from decortex.models.training import fit_network

CORES = {"plain": "simulated_cortex", "equivariant": "simulated_cortex_rotation"}
KMEANS = ("kmeans", {"n_init": 20})
SHIFT_EM = ("rotation_tmixture", {"n_orientations": 8})
TURNED = {"n_orientations": 8}
CELLS = {
    "plain": {
        "raw": ({"kind": "raw"}, [KMEANS]),
        "l2": ({"kind": "l2"}, [KMEANS]),
    },
    "equivariant": {
        "raw": ({"kind": "raw"}, [KMEANS, SHIFT_EM]),
        "l2": ({"kind": "l2"}, [KMEANS, SHIFT_EM]),
        "fft, l2": ({"kind": "l2", "rotation": "fft", **TURNED}, [KMEANS]),
        "aligned": ({"kind": "l2", "rotation": "aligned", **TURNED}, [KMEANS]),
        "smooth": ({"kind": "raw", "rotation": "smooth", **TURNED}, [SHIFT_EM]),
        "smooth, l2": ({"kind": "l2", "rotation": "smooth", **TURNED}, [SHIFT_EM]),
    },
}


def main() -> None:
    """Simulate, train, cluster and compare with the known types."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--spreads", type=float, nargs="+", default=[0.0, 0.5, 1.0], help="0 discrete types, 1 a continuum"
    )
    parser.add_argument("--seeds", type=int, default=3, help="generator and network seeds, from 0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for spread in arguments.spreads:
        for seed in range(arguments.seeds):
            run(spread, seed)


def run(spread: float, seed: int) -> None:
    """One simulated cortex, both cores, all embeddings and methods."""
    config = SimulationConfig(spread=spread)
    cortex = simulate_cortex(config, seed)
    recordings = cortex.recordings
    truth = recordings.truth
    for core, recipe in CORES.items():
        network_config, training = RECIPES[recipe]()
        began = time.perf_counter()
        network = Network.build(network_config, recordings, seed=seed)
        fit_network(network, recordings, training, seed=seed)
        seconds = time.perf_counter() - began
        correlation, ceiling = test_correlation(network, cortex)
        weights = network.embedding().detach().numpy()
        for embedding, (params, methods) in CELLS[core].items():
            x = fit_map(weights, EmbeddingConfig.from_params(params)).apply(weights)
            counted = count_types(x, donors=recordings.neurons["animal"].to_numpy())
            for method, settings in methods:
                found = fit(x, method, n_clusters=len(config.types), seed=seed, **settings)
                row = {
                    "spread": spread,
                    "seed": seed,
                    "core": core,
                    "embedding": embedding,
                    "method": method,
                    "ari": round(float(adjusted_rand_score(truth, found.labels)), 3),
                    "n_types": counted.n_types,
                    "correlation": round(correlation, 4),
                    "of_ceiling": round(correlation / ceiling, 3),
                    "seconds": round(seconds, 1),
                }
                print(json.dumps(row), flush=True)


def test_correlation(network: Network, cortex: object) -> tuple[float, float]:
    """Mean test correlation to the average, of the network and of the true rates."""
    own, best = [], []
    first = 0
    for part in predict(network, cortex.recordings, "test").values():
        n_neurons = part.responses.shape[1]
        rates = cortex.test_rates[:, first : first + n_neurons]
        _, image = np.unique(part.image_ids, return_inverse=True)
        own.append(score_neurons(part.responses, part.predictions, part.image_ids))
        best.append(score_neurons(part.responses, rates[image], part.image_ids))
        first += n_neurons
    means = [concatenate_scores(one)["correlation_to_average"].summary.mean for one in (own, best)]
    return float(means[0]), float(means[1])


if __name__ == "__main__":
    main()
