"""The toy problem with known centres: one JSON object per line for every fine-tuning variant and seed."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import torch

from decortex.finetune import (
    RotationToyConfig,
    RotationToyProblem,
    ToyConfig,
    ToyProblem,
    dying_toy_variants,
    further_toy_variants,
    rotation_toy_variants,
    toy_variants,
)


def main() -> None:
    """Run every variant at every seed and print what each did to the centres and the prediction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 (default 3)")
    parser.add_argument("--rotation", action="store_true", help="types that differ by relative orientation")
    parser.add_argument("--further", action="store_true", help="variations of the variants instead of them")
    parser.add_argument(
        "--dying", action="store_true", help="starts of 6 and 12 clusters, where there are two"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(arguments.seeds):
        if arguments.rotation:
            rotated = RotationToyProblem(RotationToyConfig(), seed=seed)
            for name, config in rotation_toy_variants().items():
                print(json.dumps(asdict(rotated.run(name, config))), flush=True)
            continue
        problem = ToyProblem(ToyConfig(), seed=seed)
        if arguments.dying:
            for n_clusters in (6, 12):
                for name, config in dying_toy_variants().items():
                    found = problem.run(name, config, n_clusters=n_clusters)
                    print(json.dumps(asdict(found)), flush=True)
            continue
        for name, config in (further_toy_variants() if arguments.further else toy_variants()).items():
            print(json.dumps(asdict(problem.run(name, config))), flush=True)


if __name__ == "__main__":
    main()
