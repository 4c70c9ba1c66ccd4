"""What the clustering loss costs: seconds a training step with and without it, and its own peak memory. Two tables.

Steps with and without the loss alternate in one process, on 8,000 neurons and K = 20; the table holds the fastest
round of each and their ratio, the median over rounds of the ratio inside a round, which a round that other work
disturbed does not move, and the clustering part by itself (loss, gradient, EM step). On a CPU they are seconds of
processor time (one thread: other work on the machine hardly counts), on a GPU wall-clock. What is done once per epoch
(gradient norms, diagnostics) is left out; ``epoch_ms`` is what a loss does when an epoch begins (new fits of
sec, ldmgi and of a mixture that restarts). Peak memory is that of the clustering part (with diagnostics) at 54,000
neurons, 128 features and K = 60, each variant in a process of its own. Usage:

    python benchmarks/finetune/finetune_cost.py [--device cpu] [--network mouse] [--rounds 5] [--only NAME ...]
        [--no-memory] [--json FILE]
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.finetune import ROTATION_KINDS, FinetuneConfig, PeerPartition, build_term
from decortex.finetune.losses import ClusteringTerm, StartPoints, peer_log_target
from decortex.models import Network, NetworkConfig, rotation_cortex_spec, simulated_cortex_spec
from decortex.models.cores import LayerConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig, freed_memory_kept, only_trained
from decortex.models.training.loop import _Run

N_ORIENTATIONS = 8
VARIANTS = {
    "dec": FinetuneConfig(kind="dec", tolerance=0.0),
    "dec_joint": FinetuneConfig(kind="dec_joint", tolerance=0.0),
    "dec_joint scaled": FinetuneConfig(kind="dec_joint", kernel="scaled", tolerance=0.0),
    "dec_joint pca10": FinetuneConfig(kind="dec_joint", kernel="pca10", tolerance=0.0),
    "dec_joint balanced": FinetuneConfig(kind="dec_joint", kernel="scaled", tolerance=0.0, target="balanced"),
    "tell": FinetuneConfig(kind="tell"),
    "sec": FinetuneConfig(kind="sec"),
    "ldmgi": FinetuneConfig(kind="ldmgi"),
    "mutual": FinetuneConfig(kind="mutual", kernel="scaled", peer_seeds=(0, 1)),
    "dec_undetached": FinetuneConfig(kind="dec_undetached"),
    "december": FinetuneConfig(kind="december"),
    "december learned": FinetuneConfig(kind="december", learn_nu=True, learn_weights=True),
    "december restarts": FinetuneConfig(kind="december", restart_every=1),
    "rotation_dec": FinetuneConfig(kind="rotation_dec", tolerance=0.0),
    "rotation_dec best": FinetuneConfig(kind="rotation_dec", shift="best", tolerance=0.0),
    "rotation_december": FinetuneConfig(kind="rotation_december"),
    "rotation_december learned": FinetuneConfig(kind="rotation_december", learn_nu=True, learn_weights=True),
}


def recordings(n_neurons: int, n_steps: int, batch_size: int) -> Recordings:
    """One session of noise: what a step costs does not depend on what is seen."""
    rng = np.random.default_rng(0)
    n_train = n_steps * batch_size
    tiers = np.array(["train"] * n_train + ["validation"] * 8 + ["test"] * 8)
    neurons = pd.DataFrame({"session": "s", "unit_id": [str(i) for i in range(n_neurons)]})
    neurons = neurons.assign(animal="a", scan="1", area="V1")
    images = rng.normal(size=(len(tiers), 1, 36, 64)).astype(np.float32)
    responses = rng.poisson(1.0, size=(len(tiers), n_neurons)).astype(np.float32)
    session = Session(
        "s", InMemoryTrials(images), InMemoryTrials(responses), tiers, np.arange(len(tiers)), neurons
    )
    return Recordings(sessions=[session], image_shape=(1, 36, 64), content_sha256="0" * 64, truth=None)


def network_for(data: Recordings, size: str) -> Network:
    """A core of the size that mouse V1 is fitted with, 128 channels; or a recipe of the simulated cortex."""
    if size != "mouse":
        spec = simulated_cortex_spec if size == "small" else rotation_cortex_spec
        return Network.build(spec()[0], data, seed=0)
    config = NetworkConfig(
        layers=(
            LayerConfig(channels=64, kernel=9, padding=4, pool=2),
            LayerConfig(channels=64, kernel=7, padding=3, separable=True),
            LayerConfig(channels=64, kernel=7, padding=3, separable=True),
            LayerConfig(channels=128, kernel=7, padding=3, separable=True),
        ),
        readout=ReadoutConfig(kind="point", start="centre"),
    )
    return Network.build(config, data, seed=0)


def start_of(points: torch.Tensor, n_clusters: int, config: FinetuneConfig) -> StartPoints:
    """Any partition will do."""
    labels = torch.arange(len(points), device=points.device) % n_clusters
    if config.kind not in ROTATION_KINDS:
        start = StartPoints(points, labels, n_clusters)
        if config.kind != "mutual":
            return start
        other = PeerPartition(points.numpy(), labels.roll(1).numpy())
        return replace(start, log_target=peer_log_target(start, [other], config))
    shifts = torch.arange(len(points), device=points.device) // n_clusters % N_ORIENTATIONS
    return StartPoints(points, labels, n_clusters, shifts=shifts, n_orientations=N_ORIENTATIONS)


def run_of(
    network: Network,
    data: Recordings,
    schedule: TrainingConfig,
    config: FinetuneConfig | None,
    device: torch.device,
) -> _Run:
    """A training run with or without a clustering loss of K = 20 on the L2 embedding."""
    network = copy.deepcopy(network)
    term: ClusteringTerm | None = None
    if config is not None:
        weights = network.embedding().detach()
        fitted = fit_map(weights.numpy(), EmbeddingConfig(kind="l2"))

        def to_points(weights: torch.Tensor) -> torch.Tensor:
            return fitted.apply_torch(weights).to(weights.dtype)

        term = build_term(to_points, start_of(to_points(weights), 20, config), config).to(device)
    run = _Run(network.to(device), data, schedule, seed=0, term=term, device=device)
    run.gradient_norm = lambda loss: 0.0  # type: ignore[method-assign]  # once per epoch, not once per step
    return run


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that some work takes, by the clock of the device."""
    clock = time.process_time
    if device.type == "cuda":
        torch.cuda.synchronize()
        clock = time.perf_counter
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def part_of(run: _Run) -> None:
    """The clustering part of one step: loss, its gradient on the readouts, and what follows the step."""
    term = run.term
    assert term is not None
    term.loss(run.network.embedding()).backward()  # type: ignore[no-untyped-call]
    term.after_step(run.network.embedding().detach())


def begin_epoch(run: _Run) -> None:
    """What a loss does before an epoch that is not the first."""
    assert run.term is not None
    run.term.start_epoch(run.network.embedding().detach(), 2)


def time_steps(arguments: argparse.Namespace, names: list[str]) -> list[dict[str, Any]]:
    """One row per variant: milliseconds per step with and without the loss, and their ratio."""
    n_steps, batch_size = arguments.steps, 64
    data = recordings(8000, n_steps, batch_size)
    schedule = TrainingConfig(
        trains=arguments.trains, batch_size=batch_size, schedule="constant", learning_rate=1e-4
    )
    device, network, rows = torch.device(arguments.device), network_for(data, arguments.network), []
    with freed_memory_kept(), only_trained(network, arguments.trains):  # as `fit_network` does
        plain = run_of(network, data, schedule, None, device)
        for name in names:
            run = run_of(network, data, schedule, VARIANTS[name], device)
            begin = seconds(partial(begin_epoch, run), device)
            run.term.start_epoch = lambda embedding, epoch: False  # type: ignore[union-attr, method-assign]
            without, together, alone = [], [], []
            for epoch in range(1, arguments.rounds + 1):
                without.append(seconds(partial(plain.train_epoch, epoch), device) / n_steps)
                together.append(seconds(partial(run.train_epoch, epoch), device) / n_steps)
                alone.append(seconds(partial(part_of, run), device))
            rows.append(
                {
                    "variant": name,
                    "device": arguments.device,
                    "network": arguments.network,
                    "trains": arguments.trains,
                    "without_ms": round(1e3 * min(without), 1),
                    "with_ms": round(1e3 * min(together), 1),
                    "ratio": round(min(together) / min(without), 3),
                    "median_ratio": round(float(np.median(np.divide(together, without))), 3),
                    "clustering_ms": round(1e3 * min(alone), 1),
                    "epoch_ms": round(1e3 * begin, 1),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def peak_mb() -> int:
    """Peak memory of this process; getrusage would count that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def clustering_part(name: str) -> dict[str, Any]:
    """Two steps of the clustering part alone at 54,000 x 128, K = 60; this process's peak memory."""
    config = VARIANTS[name]
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(54_000, 128, generator=generator).requires_grad_()
    before = peak_mb()
    term = build_term(lambda weights: weights, start_of(weights.detach(), 60, config), config)
    began = time.perf_counter()
    for _ in range(2):
        term.loss(weights).backward()
        term.after_step(weights.detach())
    seconds = (time.perf_counter() - began) / 2
    term.end_epoch(weights.detach())
    return {
        "variant": name,
        "clustering_s": round(seconds, 2),
        "peak_mb": peak_mb(),
        "before_mb": before,
    }


def main() -> None:
    """Measure and print one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--rounds", type=int, default=5, help="alternations of steps with and without the loss"
    )
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--network", default="mouse", choices=["mouse", "small", "rotation"])
    parser.add_argument("--trains", default="both", choices=["both", "readout"])
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), help="variants")
    parser.add_argument(
        "--memory", action=argparse.BooleanOptionalAction, default=True, help="peak memory too"
    )
    parser.add_argument("--json", type=Path, help="file for all rows")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part:
        print(json.dumps(clustering_part(arguments.part)))
        return
    rows = time_steps(arguments, arguments.only) if arguments.rounds else []
    for name in arguments.only if arguments.memory else ():
        done = subprocess.run(
            [sys.executable, __file__, "--part", name], check=True, capture_output=True, text=True
        )
        rows.append(json.loads(done.stdout))
        print(done.stdout, end="", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
