"""How many types stand apart in a published network's readout, and which would have been found? No database.

    python benchmarks/published_types.py sensorium_sota_model.pth --planted 4 6 8

Rows are brought to norm one before types are counted, as in `published_k.py`. `--planted` asks for power on these very
neurons: a Gaussian surrogate of the embedding (their means and covariance, no types) is given four equal types, whose
nearest two centres are so many standard deviations apart in the surrogate's whitened coordinates, and types are counted
in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.nulls import surrogate
from decortex.evaluation.splits import TypeCount, count_types
from decortex.models import read_checkpoint

L2 = EmbeddingConfig(kind="l2")
N_PLANTED = 4


def main() -> None:
    """Read checkpoints, count types, plant some."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--key", help="key of the embedding, where it is not a known readout's")
    parser.add_argument(
        "--sign-of",
        metavar="KEY",
        help="spatial masks (n_neurons, height, width): turn each neuron so that its mask's sum is positive",
    )
    parser.add_argument(
        "--planted", type=float, nargs="*", default=[], help="distances in standard deviations"
    )
    parser.add_argument("--seeds", type=int, default=3, help="surrogates per distance (default 3)")
    arguments = parser.parse_args()
    for path in arguments.checkpoints:
        raw = read_checkpoint(path, embedding_key=arguments.key).embedding.astype(np.float64)
        if arguments.sign_of:
            masks = torch.load(path, map_location="cpu", weights_only=True)[arguments.sign_of]
            raw = raw * np.sign(masks.double().flatten(1).sum(dim=1).numpy())[:, None]
        kept = np.delete(raw, fit_map(raw, L2).excluded.indices, axis=0)
        x = fit_map(kept, L2).apply(kept)
        print(f"{path.name}: {x.shape[0]} neurons, {x.shape[1]} features: {said(count_types(x))}", flush=True)
        for distance in arguments.planted:
            counts = [planted(x, distance, seed).n_types or 1 for seed in range(arguments.seeds)]
            print(f"  {N_PLANTED} types planted {distance:g} sd apart: found {counts}", flush=True)


def said(found: TypeCount) -> str:
    """One line of an answer."""
    levels = ", ".join(f"{level.n_types}: {level.p:.2g}" for level in found.levels)
    return f"{found.status} {found.n_types or ''} ({len(found.set_aside)} set aside; p of {levels})"


def planted(x: NDArray[np.float64], distance: float, seed: int) -> TypeCount:
    """Count the types of a Gaussian surrogate that was given some."""
    rng = np.random.default_rng(seed)
    null = surrogate(x, "gaussian", rng)
    values, vectors = np.linalg.eigh(np.cov(null.T))
    # Directions without spread hold no neurons to separate.
    used = values > 1e-9 * values.max()
    root = vectors[:, used] * np.sqrt(values[used])
    centres = rng.standard_normal((N_PLANTED, int(used.sum())))
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(N_PLANTED, 1)]
    own = rng.permutation(np.arange(len(x)) % N_PLANTED)
    return count_types(null + (distance / apart.min() * centres)[own] @ root.T, seed=seed)


if __name__ == "__main__":
    main()
