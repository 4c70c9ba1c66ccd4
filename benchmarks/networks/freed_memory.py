"""What training gains from keeping the memory that a step frees, in turns with what the C library does by itself.

    python benchmarks/networks/freed_memory.py [--recipe macaque_v4] [--rounds 5]     # a core, a few minutes

A recipe on noise of the size of macaque V4 (nine sessions, 432 neurons, images of 56 x 56, one core), a process per
turn. `fit_network` keeps freed memory unless the environment says how to allocate, which every other turn here does
(MALLOC_ARENA_MAX, which one thread does not notice). Seconds of the processor for the second epoch of 60 steps, and
those inside the system.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import torch

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.models import RECIPES, Network
from decortex.models.training import TrainingConfig, fit_network

SIDE, N_SESSIONS, N_NEURONS, N_VALIDATION, N_STEPS = 56, 9, 48, 100, 60
LEFT_ALONE = "MALLOC_ARENA_MAX"


def recordings(n_train: int) -> Recordings:
    """Sessions of noise: what a step costs does not depend on what is seen."""
    rng = np.random.default_rng(0)
    tiers = np.array(["train"] * n_train + ["validation"] * N_VALIDATION + ["test"] * N_VALIDATION)
    trials = np.arange(len(tiers))
    sessions = []
    for name in map(str, range(N_SESSIONS)):
        neurons = pd.DataFrame({"session": name, "unit_id": np.arange(N_NEURONS)})
        neurons = neurons.assign(animal="m", scan=1, area="V4")
        images = InMemoryTrials(rng.normal(size=(len(tiers), 1, SIDE, SIDE)).astype(np.float32))
        responses = InMemoryTrials(rng.poisson(1.0, size=(len(tiers), N_NEURONS)).astype(np.float32))
        sessions.append(Session(name, images, responses, tiers, trials, neurons))
    return Recordings(sessions, (1, SIDE, SIDE), "0" * 64)


def seconds() -> np.ndarray:
    """Seconds of this process: its own, and inside the system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime, used.ru_stime])


def one_epoch(recipe: str) -> np.ndarray:
    """Seconds that a process needs for the second of two epochs."""
    torch.set_num_threads(1)
    config, training = RECIPES[recipe]()
    data = recordings(N_STEPS * training.batch_size // N_SESSIONS)
    schedule = TrainingConfig.from_params({**training.resolved(), "max_epochs": 2, "keep": "last"})
    at: list[np.ndarray] = []
    fit_network(
        Network.build(config, data, seed=0),
        data,
        schedule,
        seed=0,
        progress=lambda _: at.append(seconds()),
        device="cpu",
    )
    return at[1] - at[0]


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="macaque_v4", choices=sorted(RECIPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        sys.stdout.write(json.dumps(one_epoch(asked.recipe).tolist()))
        return
    found: dict[str, list[list[float]]] = {"left alone": [], "kept": []}
    for _ in range(asked.rounds):
        for name, values in found.items():
            environment = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
            if name == "left alone":
                environment[LEFT_ALONE] = "1"
            command = [sys.executable, __file__, "--part", "--recipe", asked.recipe]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            values.append(json.loads(done.stdout))
    for name, values in found.items():
        user, system = np.median(values, axis=0)
        sys.stdout.write(f"{name:10} {user:7.2f} s and {system:5.2f} s in the system per epoch\n")
    ratios = np.sum(found["kept"], axis=1) / np.sum(found["left alone"], axis=1)
    sys.stdout.write(
        f"kept / left alone: {np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})\n"
    )


if __name__ == "__main__":
    main()
