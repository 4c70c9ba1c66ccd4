"""What an epoch of training costs beside a bare PyTorch loop over the same network, data in memory; and from disk.

    python benchmarks/networks/training.py                 # prints the ratios; a core, about a minute

Bare: batches cut beforehand, forward, mean Poisson loss, backward, fused Adam, nothing else. Both are timed in turns
in one run; the first epoch of each is not counted. Seconds are the processor's (on a GPU the clock's).
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from decortex.data import InMemoryTrials, Recordings, Session, open_filetree, write_session
from decortex.models import Network, NetworkConfig
from decortex.models.cores import Stacked2dConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig
from decortex.models.training.loop import _Run

BATCH, N_STEPS, N_NEURONS, ROUNDS = 32, 6, 800, 5


def recordings() -> Recordings:
    """Two sessions of noise in the size of Sensorium's images."""
    rng = np.random.default_rng(0)
    sessions = []
    for name in ("a", "b"):
        n_trials = BATCH * N_STEPS // 2 + 32
        tiers = np.array(["train"] * (n_trials - 32) + ["validation"] * 16 + ["test"] * 16)
        neurons = pd.DataFrame({"session": name, "unit_id": np.arange(N_NEURONS // 2)})
        neurons = neurons.assign(animal="m", scan=1, area="V1")
        images = rng.normal(size=(n_trials, 1, 36, 64)).astype(np.float32)
        responses = rng.poisson(1.0, size=(n_trials, N_NEURONS // 2)).astype(np.float32)
        sessions.append(
            Session(
                name, InMemoryTrials(images), InMemoryTrials(responses), tiers, np.arange(n_trials), neurons
            )
        )
    return Recordings(sessions, (1, 36, 64), "0" * 64)


def bare_epoch(network: Network, run: _Run) -> Callable[[], None]:
    """The loop that anybody would write."""
    batches = [run.training.batch(rows).to(run.device) for rows in run.training.order(0, 1)]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def epoch() -> None:
        network.train()
        for batch in batches:
            optimiser.zero_grad(set_to_none=True)
            predicted = network.forward_mixed(batch.inputs, batch.parts)
            loss = torch.cat(
                [
                    (p - r * torch.log(p + 1e-12)).flatten()
                    for p, r in zip(predicted, batch.responses, strict=True)
                ]
            ).mean()
            loss.backward()
            optimiser.step()

    return epoch


def timed(epochs: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of every epoch, each kind in turn."""
    # On a busy machine seconds of the processor say more than those of the clock; both cost the reading thread.
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for turn in range(ROUNDS + 1):
        for name, epoch in epochs.items():
            began = clock()
            epoch()
            if turn:
                seconds[name].append(clock() - began)
    return seconds


def main() -> None:
    """Print seconds per epoch and the ratios to the bare loop."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    data = recordings()
    core = Stacked2dConfig(
        hidden_channels=32, input_kern=9, hidden_kern=7, layers=3, depth_separable=True, pad_input=False
    )
    config = NetworkConfig(stacked=core, readout=ReadoutConfig(kind="gaussian", start="centre"), output="elu")
    how = TrainingConfig(batch_size=BATCH, schedule="constant", learning_rate=1e-3)
    network = Network.build(config, data, seed=0).to(device)
    with tempfile.TemporaryDirectory() as folder:
        for session in data.sessions:
            write_session(session, Path(folder) / session.name)
        opened = open_filetree(Path(folder))
        runs = {
            "in memory": (data, how),
            "from disk": (opened, how.model_copy(update={"max_cache_bytes": 0})),
        }
        epochs: dict[str, Callable[[], object]] = {}
        for name, (source, training) in runs.items():
            run = _Run(copy.deepcopy(network), source, training, seed=0, term=None, device=device)
            if name == "in memory":
                epochs["bare loop"] = bare_epoch(copy.deepcopy(network), run)
            epochs[name] = lambda run=run: run.train_epoch(1)
        seconds = timed(epochs)
    bare = np.array(seconds["bare loop"])
    for name, values in seconds.items():
        ratios = np.array(values) / bare
        sys.stdout.write(
            f"{name:10} {np.median(values):7.3f} s per epoch of {N_STEPS} steps,"
            f" {np.median(ratios):.3f} times the bare loop ({ratios.min():.3f} to {ratios.max():.3f})\n"
        )


if __name__ == "__main__":
    main()
