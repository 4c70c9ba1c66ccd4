"""Mutual learning on points alone: how far two networks meet in a round, with types and without. One table.

Two networks hold 80 neurons in embeddings of their own (4 features). With types: four groups at random centres, and
a partition with 30 % of the neurons at random clusters. Without: one Gaussian cloud per network, cut by k-means.
Every point and centre follows the loss (100 Adam steps; no prediction loss holds them). Usage:

    python benchmarks/finetune/mutual.py [--generators 3] [--rounds 2] [--balance 1.0]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.clustering import fit
from decortex.evaluation.agreement import agreement
from decortex.finetune import FinetuneConfig, PeerPartition, build_term
from decortex.finetune.losses import StartPoints, peer_log_target

N, D, K, STEPS = 80, 4, 4, 100


def networks(generator: int, *, types: bool) -> tuple[list[PeerPartition], NDArray[np.int64]]:
    """Two networks of the same neurons, and their types."""
    rng, truth = np.random.default_rng(generator), np.arange(N) % K
    made = []
    for _ in range(2):
        centres = 2 * rng.normal(size=(K, D)) * types
        points = centres[truth] + 2 * rng.normal(size=(N, D))
        if types:
            labels = np.where(rng.random(N) < 0.3, rng.integers(0, K, N), truth)
        else:
            labels = fit(points, "kmeans", n_clusters=K, seed=0).labels.astype(np.int64)
        made.append(PeerPartition(points, labels))
    return made, truth


def learnt(own: PeerPartition, both: list[PeerPartition], config: FinetuneConfig) -> PeerPartition:
    """One network after a round."""
    start = StartPoints(torch.as_tensor(own.points), torch.as_tensor(own.labels), K)
    held = StartPoints(start.points, start.labels, K, log_target=peer_log_target(start, both, config))
    term = build_term(lambda weights: weights, held, config)
    points = start.points.clone().requires_grad_()
    optimiser = torch.optim.Adam([points, *term.parameters()], lr=0.05)
    for _ in range(STEPS):
        optimiser.zero_grad()
        term.loss(points).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    moved = points.detach()
    return PeerPartition(moved.numpy(), term.log_q(moved).argmax(dim=1).numpy())


def row(pair: list[PeerPartition], truth: NDArray[np.int64], **names: Any) -> str:
    """Agreement of the two, with the types, and the smallest cluster, as one line."""
    a, b = (one.labels for one in pair)
    to_types = np.mean([agreement(labels, truth).ari for labels in (a, b)])
    smallest = min(np.bincount(labels, minlength=K).min() for labels in (a, b))
    words = "  ".join(f"{value!s:>9}" for value in names.values())
    return f"{words}  {agreement(a, b).ari:12.3f}  {to_types:9.3f}  {smallest:8d}"


def main() -> None:
    """Print a row per generator and round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--generators", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--balance", type=float, default=1.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = FinetuneConfig(kind="mutual", kernel="scaled", peer_seeds=(0, 1), balance=arguments.balance)
    print("    types  generator      round  ari_networks  ari_truth  smallest")
    for types in (True, False):
        for generator in range(arguments.generators):
            first, truth = networks(generator, types=types)
            pair = first
            for number in range(arguments.rounds + 1):
                if number:  # every round starts anew, from what both were a round before
                    pair = [learnt(own, pair, config) for own in first]
                print(row(pair, truth, types="yes" if types else "no", generator=generator, round=number))


if __name__ == "__main__":
    main()
