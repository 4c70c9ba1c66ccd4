"""How often new neurons are assigned to the right type, and neurons of a type left out refused.

    python benchmarks/splits/new_neurons.py --networks FOLDER

The simulated cortex: every animal is left out in turn, its neurons are assigned to the types of the others' neurons by
the readouts of one network; then the same with every type left out of the reference as well. With `--new-readouts` the
network is trained without the animal, whose readouts are then trained on its core, held fixed. Networks that are not
in the folder are trained (demo recipes). Then simulated embeddings with types of other shapes, eight animals, one new.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from world_types import arcs, cigars, concentric_rings, hierarchy, round_types, unequal

import decortex
from decortex.data import Recordings
from decortex.evaluation.assignment import AssignmentConfig
from decortex.finetune import readout_on_core
from decortex.models import RECIPES, Network, core_sha256
from decortex.models.training import fit_network

FloatArray = NDArray[np.float64]
CORES = {"equivariant": ("simulated_cortex_rotation", 8), "plain": ("simulated_cortex", 1)}
SHAPES: dict[str, Callable[[np.random.Generator, int], tuple[FloatArray, NDArray[np.int64]]]] = {
    "6 round types, 8 apart": lambda rng, n: round_types(rng, n, 6, distance=8.0),
    "6 round types, 4 apart": lambda rng, n: round_types(rng, n, 6, distance=4.0),
    "5 of unequal width, 5 apart": lambda rng, n: unequal(rng, n, 5.0),
    "4 cigars": cigars,
    "3 concentric rings": concentric_rings,
    "4 arcs": arcs,
    "hierarchy 3 x 4": hierarchy,
}
N_ANIMALS, N_PER_ANIMAL = 8, 90
HEADINGS = (
    "data",
    "neurons",
    "nearest right",
    "coverage",
    "precision",
    "expected coverage",
    "type left out: refused",
    "none",
)


def network_embedding(folder: Path, core: str, generator: int) -> tuple[FloatArray, Any, Any]:
    """Embedding (rows of length one), types and animals of a simulated cortex; trains the network if need be."""
    recordings = decortex.simulate(seed=generator)
    path = folder / f"{core}-{generator}-0.pt"
    network = trained(path, recordings, CORES[core][0])
    expected = Network.build(RECIPES[CORES[core][0]]()[0], recordings, seed=0).checkpoint()["config"]
    if network.checkpoint()["config"] != expected:
        raise SystemExit(f"{path} holds a network of another recipe than {CORES[core][0]}; remove it.")
    types = np.unique(np.asarray(recordings.truth), return_inverse=True)[1]
    return decortex.embed(network), types, np.asarray(recordings.neurons["animal"]).astype(str)


def trained(path: Path, recordings: Recordings, recipe: str, core: Network | None = None) -> Network:
    """The network of a file; trained first, on a given core if there is one, where there is none."""
    if not path.exists():
        if core is None:
            network, _ = decortex.train(recordings, recipe)
        else:
            network, training = readout_on_core(core, recordings, RECIPES[recipe]()[1], seed=0)
            fit_network(network, recordings, training, seed=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.checkpoint(), path)
    return decortex.load_network(path)


def of_animal(recordings: Recordings, animal: str, *, without: bool) -> Recordings:
    """Sessions of one animal, or of all others."""
    inside = np.asarray(recordings.neurons["animal"]).astype(str) == animal
    kept = [
        session
        for session in recordings.sessions
        if (str(session.neurons["animal"].iloc[0]) == animal) != without
    ]
    digest = f"{recordings.content_sha256} {'without' if without else 'only'} {animal}"
    return Recordings(
        kept,
        recordings.image_shape,
        hashlib.sha256(digest.encode()).hexdigest(),
        recordings.truth[inside != without],
    )


def new_readouts(folder: Path, core: str, generator: int, config: AssignmentConfig) -> dict[str, Any]:
    """Leave every animal out of the training of the core, too."""
    recordings = decortex.simulate(seed=generator)
    recipe, parts = CORES[core][0], []
    for animal in np.unique(recordings.neurons["animal"]):
        others, own = (of_animal(recordings, animal, without=without) for without in (True, False))
        name = f"{core}-{generator}-0"
        network = trained(folder / f"{name}-without-{animal}.pt", others, recipe)
        readout = trained(folder / f"{name}-{animal}-on-core.pt", own, recipe, core=network)
        if core_sha256(readout) != core_sha256(network):
            raise SystemExit(
                f"the networks of {name} without {animal} in {folder} have not one core; remove them."
            )
        x = np.vstack([decortex.embed(network), decortex.embed(readout)])
        types = np.concatenate([others.truth, own.truth])
        animals = np.concatenate([others.neurons["animal"], own.neurons["animal"]]).astype(str)
        parts.append(leave_out(x, types, animals, config, only=[animal]))
    means = {key: np.mean([part[key] for part in parts]) for key in parts[0]}
    return {**means, "n": sum(part["n"] for part in parts)}


def leave_out(
    x: FloatArray, types: NDArray[np.int64], animals: Any, config: AssignmentConfig, *, only: Any = None
) -> dict[str, Any]:
    """Leave every animal out (or only some), then every type as well."""
    right, assigned, correct, expected, refused, none = [], [], [], [], [], []
    for animal in np.unique(animals) if only is None else only:
        new = animals == animal
        found = decortex.assign(x[new], x[~new], types[~new], groups=animals[~new], config=config)
        right += list(found.nearest == types[new])
        assigned += list(~found.refused)
        correct += list((found.labels == types[new])[~found.refused])
        expected.append(found.expected_coverage)
        for left_out in np.unique(types):
            strange, known = new & (types == left_out), ~new & (types != left_out)
            if strange.any():
                there = decortex.assign(
                    x[strange], x[known], types[known], groups=animals[known], config=config
                )
                refused += list(there.refused)
                none += list(there.status == "none")
    return {
        "n": len(assigned),
        "nearest": np.mean(right),
        "coverage": np.mean(assigned),
        "precision": np.mean(correct) if correct else float("nan"),
        "expected": np.mean(expected),
        "refused": np.mean(refused),
        "none": np.mean(none),
    }


def row(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    shares = ("nearest", "coverage", "precision", "expected", "refused", "none")
    return f"| {name} | {found['n']} | " + " | ".join(f"{found[share]:.3f}" for share in shares) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=Path, required=True, help="folder of trained networks")
    parser.add_argument("--cores", nargs="*", default=list(CORES), choices=CORES, help="default: both")
    parser.add_argument("--generators", type=int, nargs="*", default=[0], help="seeds of simulated cortices")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of simulated embeddings (default 10)")
    parser.add_argument(
        "--new-readouts", action="store_true", help="the new animal's readouts on a core without it"
    )
    arguments = parser.parse_args()
    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" * len(HEADINGS) + "|", flush=True)
    for core in arguments.cores:
        config = AssignmentConfig(n_orientations=CORES[core][1])
        for generator in arguments.generators:
            if arguments.new_readouts:
                found = new_readouts(arguments.networks, core, generator, config)
                print(row(f"simulated cortex {generator}, {core} core, new readouts", found), flush=True)
                continue
            x, types, animals = network_embedding(arguments.networks, core, generator)
            print(
                row(f"simulated cortex {generator}, {core} core", leave_out(x, types, animals, config)),
                flush=True,
            )
    for name, shape in () if arguments.new_readouts else SHAPES.items():
        parts = []
        for seed in range(arguments.seeds):
            rng = np.random.default_rng([seed, 77])
            x, types = shape(rng, N_ANIMALS * N_PER_ANIMAL)
            animals = rng.permutation(np.arange(len(x)) % N_ANIMALS)
            parts.append(leave_out(x, types, animals, AssignmentConfig(), only=[0]))
        means = {key: np.mean([part[key] for part in parts]) for key in parts[0]}
        print(row(name, {**means, "n": sum(part["n"] for part in parts)}), flush=True)


if __name__ == "__main__":
    main()
