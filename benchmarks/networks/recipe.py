"""Train a recipe on recordings, several seeds, and score it. One JSON object per network.

    python benchmarks/networks/recipe.py FOLDER [--recipe macaque_v4_large] [--seeds 0 1 2] [--epochs N]

FOLDER holds sessions as `decortex import cowley-v4` writes them. Progress goes to standard error: a line per epoch.
`--embeddings OUT` keeps every network's readout features with the animal of each neuron, for `published_types.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from decortex.data import Recordings, open_filetree
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.models import RECIPES, Network, predict
from decortex.models.training import EpochRecord, fit_network


def mean_correlation(network: Network, recordings: Recordings, tier: str) -> tuple[float, int]:
    """Mean correlation to the average response over all neurons that have one, and their number."""
    parts = [
        score_neurons(one.responses, one.predictions, one.image_ids)
        for one in predict(network, recordings, tier).values()
    ]
    found = concatenate_scores(parts)["correlation_to_average"].summary
    return found.mean, found.n_defined


def train(
    recordings: Recordings, recipe: str, seed: int, *, epochs: int | None, embeddings: Path | None
) -> dict[str, Any]:
    """Train one network, score it on images that it was not trained on, and keep its readout where asked."""
    config, how = RECIPES[recipe]()
    if epochs is not None:
        how = how.model_copy(update={"max_epochs": epochs})
    network = Network.build(config, recordings, seed=seed)
    began = time.perf_counter()

    def report(record: EpochRecord) -> None:
        said = f"{recipe} seed {seed} epoch {record.epoch}: validation {record.validation_correlation:.4f}"
        print(f"{said}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    outcome = fit_network(network, recordings, how, seed=seed, progress=report)
    seconds = time.perf_counter() - began
    if embeddings is not None:
        embeddings.mkdir(parents=True, exist_ok=True)
        np.savez(
            embeddings / f"{recipe}_seed_{seed}.npz",
            X=network.embedding().detach().numpy().astype(np.float64),
            donor=recordings.neurons["animal"].to_numpy().astype(np.str_),
        )
    validation, _ = mean_correlation(network, recordings, "validation")
    test, n_neurons = mean_correlation(network, recordings, "test")
    return {
        "recipe": recipe,
        "seed": seed,
        "epochs": len(outcome.epochs),
        "kept_epoch": outcome.best_epoch,
        "validation": validation,
        "test": test,
        "n_neurons": n_neurons,
        "seconds": seconds,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every seed and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="macaque_v4_large")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--embeddings", type=Path, help="folder for npz files: X, donor")
    asked = parser.parse_args(arguments)
    recordings = open_filetree(asked.folder)
    for seed in asked.seeds:
        found = train(recordings, asked.recipe, seed, epochs=asked.epochs, embeddings=asked.embeddings)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
