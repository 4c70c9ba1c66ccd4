"""Which number of clusters does a published network's readout support? One line per K, then the decision; no database.

Surrogates of a K are no longer drawn once too many were as stable as the data (the decision is the same); a z in
brackets rests on fewer than the 19 surrogates that others rest on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.selection import KSelection, RawFeatures, SelectionConfig, choose_k
from decortex.models.checkpoints import read_checkpoint

CONFIG = SelectionConfig(null_criteria=("stability",), stop_early=True, n_resamples=0)
L2 = EmbeddingConfig(kind="l2")


def main() -> None:
    """Read the checkpoint, bring rows to norm one and choose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--key", help="key of the embedding, where it is not a known readout's")
    parser.add_argument(
        "--sign-of",
        metavar="KEY",
        help="spatial masks (n_neurons, height, width): turn each neuron so that its mask's sum is positive",
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 3, 4, 5, 6, 8, 12, 20])
    parser.add_argument("--starts", type=int, default=5, help="starts of k-means (default 5)")
    arguments = parser.parse_args()
    raw = read_checkpoint(arguments.checkpoint, embedding_key=arguments.key).embedding.astype(np.float64)
    if arguments.sign_of:
        state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
        sign = np.sign(state[arguments.sign_of].double().flatten(1).sum(dim=1).numpy())
        say_signs(raw, sign)
        raw = raw * sign[:, None]
    kept = np.delete(raw, fit_map(raw, L2).excluded.indices, axis=0)
    found = choose_k(
        fit_map(kept, L2).apply(kept),
        counts=arguments.counts,
        raw=RawFeatures(kept, L2),
        config=CONFIG,
        n_init=arguments.starts,
    )
    report(f"{arguments.checkpoint.name}: {kept.shape[0]} neurons, {kept.shape[1]} features", found)


def say_signs(raw: NDArray[np.float64], sign: NDArray[np.float64]) -> None:
    """Print how far the two clusters of k-means at K = 2, signs as they are, are the two signs."""
    x = fit_map(raw, L2).apply(raw)
    labels = fit(x, "kmeans", n_clusters=2).labels
    one, two = (x[labels == cluster].mean(axis=0) for cluster in (0, 1))
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    negative = [float((sign[labels == cluster] < 0).mean()) for cluster in (0, 1)]
    print(
        f"signs as they are, K = 2: cosine of the two means {cosine:.2f}, negative masks {negative[0]:.0%} and"
        f" {negative[1]:.0%}"
    )


def report(title: str, found: KSelection) -> None:
    """Print one line per K, and the decision."""
    print(title)
    print(f"{'K':>3} stability valleys groups  z over {', '.join(CONFIG.nulls)}; against it")
    for one, support in zip(found.criteria[1:], found.decision.support, strict=True):
        values = {value.criterion: value.value for value in one.values}
        z = [
            f"{'-' if own.z is None else format(own.z, '.1f')}"
            if own.n_surrogates == CONFIG.n_surrogates
            else f"({'-' if own.z is None else format(own.z, '.1f')})"
            for own in found.excesses
            if own.k == one.k
        ]
        print(
            f"{one.k:>3} {values['stability']:9.2f} {values['valley_share']:7.2f} {values['separated_groups']:6.1f}"
            f"  {', '.join(z)}; {', '.join(support.reasons) or 'nothing'}"
        )
    print(f"decision: {found.decision.k or 'no K is supported'} ({found.decision.reason})")
    choices = ", ".join(f"{name} {k or 'none'}" for name, k in found.decision.choices.items())
    print(f"single criteria: {choices}\n")


if __name__ == "__main__":
    main()
