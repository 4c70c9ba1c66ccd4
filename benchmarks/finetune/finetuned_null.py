"""What fine-tuning does to agreement between networks where there are types, and where there are none.

A small simulated cortex, a few networks, k-means, and every variant from there (readouts over a core that stays); then
the same on recordings drawn from surrogate readouts (`decortex.finetune.null`). One JSON object per line; the last
ones, `part` 'test', hold for every variant whether agreement after fine-tuning, and its change, exceed what the same
variant does to neurons without types. With --spread 1 the recordings are a continuum themselves: a variant that exceeds
its null there has made types up. The tables do all of this at scale (docs/science/nulls.md); here it takes minutes and
no database.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.data import Recordings
from decortex.data.simulation import SimulationConfig, simulate
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.agreement import agreement
from decortex.evaluation.nulls import NULL_KINDS, excess_over_null
from decortex.finetune import FinetuneConfig, draw_null, finetune, null_recordings, readout_on_core
from decortex.models import Network, simulated_cortex_spec
from decortex.models.training import MapMemory, fit_network

K = 8
CORTEX = {
    "n_neurons": 160,
    "n_animals": 2,
    "n_train": 1000,
    "n_validation": 150,
    "n_test": 20,
    "n_repeats": 2,
}
LATE = {
    "trains": "readout",
    "max_epochs": 4,
    "learning_rate": 1e-3,
    "position_rate": 5e-4,
    "schedule": "constant",
    "keep": "last",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "dec published": {"kind": "dec"},
    "dec scaled": {"kind": "dec", "kernel": "scaled"},
    **{
        f"dec_joint scaled {beta:g}": {
            "kind": "dec_joint",
            "kernel": "scaled",
            "beta_rule": "balanced",
            "beta": beta,
            "tolerance": 0.0,
        }
        for beta in (1.0, 10.0)
    },
    **{
        f"december {beta:g}": {"kind": "december", "beta_rule": "balanced", "beta": beta}
        for beta in (1.0, 10.0)
    },
}
Partitions = dict[str, list[NDArray[np.integer[Any]]]]


def partitions(networks: list[Network], recordings: Recordings, variants: list[str]) -> Partitions:
    """Labels of every network: of k-means ('start'), and of what each variant makes of them."""
    schedule = simulated_cortex_spec()[1].model_copy(update=LATE)
    maps = MapMemory(2**30)
    found: Partitions = {"start": [], **{name: [] for name in variants}}
    for network in networks:
        checkpoint, raw = network.checkpoint(), network.embedding().detach().numpy()
        mapped = fit_map(raw, EmbeddingConfig(kind="l2"))
        start = fit(mapped.apply(raw), "kmeans", n_clusters=K, seed=0).labels
        found["start"].append(start)
        for name in variants:
            moved = finetune(
                Network.from_checkpoint(checkpoint),
                recordings,
                mapped,
                start,
                FinetuneConfig.from_params(VARIANTS[name]),
                schedule,
                n_clusters=K,
                seed=0,
                maps=maps,
                device="cpu",
            )
            found[name].append(moved.labels)
    return found


def agreements(found: Partitions) -> dict[str, float]:
    """Mean ARI over pairs of networks, by variant."""
    pairs = {
        name: [agreement(a, b).ari for a, b in combinations(labels, 2)] for name, labels in found.items()
    }
    return {
        name: float(np.mean([ari for ari in values if ari is not None])) for name, values in pairs.items()
    }


def say(row: dict[str, Any]) -> None:
    """Print one line."""
    print(
        json.dumps(
            {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
        ),
        flush=True,
    )


def tests(observed: dict[str, float], nulls: list[dict[str, float]]) -> Iterator[dict[str, Any]]:
    """Every variant's agreement, and its change against the start, beside those of the surrogates."""
    for name, value in observed.items():
        compared = {"after": (value, [one[name] for one in nulls])}
        if name != "start":
            changes = [one[name] - one["start"] for one in nulls]
            compared["change"] = (value - observed["start"], changes)
        for what, (seen, null) in compared.items():
            found = excess_over_null(seen, null)
            rest = {"null": found.null_mean, "sd": found.null_sd, "z": found.z, "p": found.p}
            yield {"variant": name, "what": what, "observed": found.observed, **rest, "n_null": found.n_null}


def main() -> None:
    """Train, draw, train again, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--surrogates", type=int, default=19)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--kind", choices=NULL_KINDS, default="gaussian")
    parser.add_argument("--spread", type=float, default=0.3, help="0: discrete types, 1: a continuum")
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    config, training = simulated_cortex_spec()
    recordings = simulate(SimulationConfig.from_params({**CORTEX, "spread": asked.spread}), 0)
    about = {"spread": asked.spread, "kind": asked.kind}
    parents = []
    for seed in range(asked.networks):
        network = Network.build(config, recordings, seed=seed)
        fit_network(network, recordings, training, seed=seed, device="cpu")
        parents.append(network)
    labels = partitions(parents, recordings, asked.variants)
    observed = agreements(labels)
    say({"part": "recordings", **about, **observed})
    truth = {
        name: float(np.mean([adjusted_rand_score(recordings.truth, one) for one in found]))
        for name, found in labels.items()
    }
    say({"part": "truth", **about, **truth})
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
        nulls.append(agreements(partitions(trained, drawn, asked.variants)))
        say(
            {
                "part": f"surrogate {seed}",
                **about,
                **nulls[-1],
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
    for row in tests(observed, nulls):
        say({"part": "test", **about, **row})


if __name__ == "__main__":
    main()
