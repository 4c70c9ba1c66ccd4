"""How many types stand apart in a published network's readout, and which would have been found? No database.

    python benchmarks/splits/published_types.py sensorium_sota_model.pth monkey_model3.pt --out lines.jsonl

takes checkpoints, and npz files with `X` (n_neurons, n_features) and `donor` as `recipe.py --embeddings` writes them.
Rows are brought to norm one before types are counted, as in `published_k.py`. Of a network of several sessions (or
donors) whole ones are held out, and neurons as well: both answers are printed.

Then power on these very neurons: a Gaussian surrogate of the embedding (its means and covariance, no types) is given
equal types, whose nearest two centres are so many standard deviations apart in the surrogate's whitened coordinates, in
random directions: of all axes, or of its leading `--axes`, where partitions look first. Types are counted in it as in
the data. Distances go down until no surrogate shows types.
Lines are appended to `--out`, and what stands there is not counted again. `--table` prints and runs nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from split_power import append, read

from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.nulls import surrogate
from decortex.evaluation.splits import TypeCount, count_types
from decortex.models import read_checkpoint

L2 = EmbeddingConfig(kind="l2")
KEY = ("network", "held_out", "planted", "axes", "distance", "seed")


@dataclass(frozen=True)
class Readout:
    """Embedding of one network; donors None where there is only one."""

    name: str
    x: NDArray[np.float64]
    donors: NDArray[Any] | None


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*", help="checkpoints, or npz files with X and donor")
    parser.add_argument("--out", type=Path, default=Path("published_types.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table of --out and run nothing")
    parser.add_argument("--key", help="key of the embedding, where it is not a known readout's")
    parser.add_argument(
        "--sign-of",
        metavar="KEY",
        help="spatial masks (n_neurons, height, width): turn each neuron so that its mask's sum is positive",
    )
    parser.add_argument(
        "--distances",
        type=float,
        nargs="*",
        default=[8, 6, 5, 4, 3.5, 3, 2.5, 2],
        help="in standard deviations",
    )
    parser.add_argument("--planted", type=int, nargs="+", default=[2, 4], help="numbers of types planted")
    parser.add_argument(
        "--axes", type=int, help="plant along this many leading principal axes (default: all of them)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="surrogates per distance (default 3)")
    arguments = parser.parse_args()
    lines = read(arguments.out)
    if not arguments.table:
        done = {tuple(line[name] for name in KEY) for line in lines}
        for path in arguments.files:
            network = opened(path, arguments.key, arguments.sign_of)
            for line in judged(network, arguments, done, lines):
                append(arguments.out, line)
                lines.append(line)
                shown = (
                    "as it is" if line["planted"] is None else f"{line['planted']} at {line['distance']:g} sd"
                )
                print(
                    f"{line['network']}, {line['held_out']} held out, {shown}: {line['status']} {line['n_types']}"
                    f" ({line['seconds']} s)",
                    file=sys.stderr,
                    flush=True,
                )
    print(table(lines))


def opened(path: Path, key: str | None, sign_of: str | None) -> Readout:
    """Read an embedding and bring its rows to norm one; neurons without a direction are left out."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            raw, donors = stored["X"].astype(np.float64), stored["donor"]
    else:
        found = read_checkpoint(path, embedding_key=key)
        raw, donors = found.embedding.astype(np.float64), found.session
    name = path.name
    if sign_of:
        masks = torch.load(path, map_location="cpu", weights_only=True)[sign_of]
        raw = raw * np.sign(masks.double().flatten(1).sum(dim=1).numpy())[:, None]
        name += ", signs aligned"
    excluded = fit_map(raw, L2).excluded.indices
    kept, donors = np.delete(raw, excluded, axis=0), np.delete(donors, excluded)
    return Readout(name, fit_map(kept, L2).apply(kept), donors if len(np.unique(donors)) > 1 else None)


def judged(
    network: Readout, arguments: argparse.Namespace, done: set[tuple[Any, ...]], lines: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Count the types of one network, then of its surrogates with types, as far as it is not done."""
    ways = [("neurons", None)] + ([] if network.donors is None else [("donors", network.donors)])
    for held_out, donors in ways:
        if (network.name, held_out, None, None, None, 0) not in done:
            yield counted(
                network, network.x, held_out, donors, planted=None, axes=None, distance=None, seed=0
            )
    held_out, donors = ways[-1]
    axes = arguments.axes
    for n_planted in arguments.planted:
        for distance in sorted(arguments.distances, reverse=True):
            for seed in range(arguments.seeds):
                if (network.name, held_out, n_planted, axes, distance, seed) not in done:
                    x = with_types(network.x, n_planted, distance, axes=axes, seed=seed)
                    yield counted(
                        network,
                        x,
                        held_out,
                        donors,
                        planted=n_planted,
                        axes=axes,
                        distance=distance,
                        seed=seed,
                    )
            here = [
                line
                for line in lines
                if (line["network"], line["held_out"], line["planted"], line["axes"], line["distance"])
                == (network.name, held_out, n_planted, axes, distance)
            ]
            if not any(line["status"] == "types" for line in here):
                break


def counted(
    network: Readout, x: NDArray[np.float64], held_out: str, donors: NDArray[Any] | None, **about: Any
) -> dict[str, Any]:
    """Count types; one line."""
    started = time.process_time()
    found: TypeCount = count_types(x, donors=donors, seed=about["seed"])
    return {
        "network": network.name,
        "n": x.shape[0],
        "d": x.shape[1],
        "held_out": held_out,
        **about,
        "status": found.status,
        "n_types": found.n_types,
        "at_least": found.at_least,
        "n_set_aside": len(found.set_aside),
        "sizes": np.bincount(found.labels[found.labels >= 0]).tolist(),
        "p": {level.n_types: float(f"{level.p:.3g}") for level in found.levels},
        "seconds": round(time.process_time() - started, 2),
    }


def with_types(
    x: NDArray[np.float64], n_types: int, distance: float, *, axes: int | None, seed: int
) -> NDArray[np.float64]:
    """Gaussian surrogate of an embedding that was given equal types."""
    rng = np.random.default_rng([seed, n_types])
    null = surrogate(x, "gaussian", rng)
    values, vectors = np.linalg.eigh(np.cov(null.T))
    # Directions without spread hold no neurons to separate.
    used = values > 1e-9 * values.max()
    used &= values >= np.sort(values)[-min(axes or len(values), len(values))]
    root = vectors[:, used] * np.sqrt(values[used])
    centres = rng.standard_normal((n_types, int(used.sum())))
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(n_types, 1)]
    own = rng.permutation(np.arange(len(x)) % n_types)
    planted: NDArray[np.float64] = null + (distance / apart.min() * centres)[own] @ root.T
    return planted


def table(lines: list[dict[str, Any]]) -> str:
    """One row per network and way of holding out, then one per network and number of planted types."""
    out = [
        "| network | neurons x features | held out | types | smallest p (of how many groups) | levels |",
        "|---" * 6 + "|",
    ]
    planted: dict[tuple[str, str, int, int], dict[float, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for line in lines:
        if line["planted"] is not None:
            cell = planted[line["network"], line["held_out"], line["planted"], line["axes"] or 0]
            cell[line["distance"]].append(line)
            continue
        least = min(line["p"], key=lambda level: line["p"][level], default=None)
        answer = f"{'at least ' if line['at_least'] else ''}{line['n_types'] or line['status']}"
        smallest = "-" if least is None else f"{line['p'][least]:.2g} ({least})"
        out.append(
            f"| {line['network']} | {line['n']} x {line['d']} | {line['held_out']} | {answer} |"
            f" {smallest} | {len(line['p'])} |"
        )
    out += [
        "",
        "| network | held out | planted | along axes | types said in every surrogate from | exactly so many from |"
        " none said at | of surrogates per distance, said (exactly so many) |",
        "|---" * 8 + "|",
    ]
    for (network, held_out, n_types, axes), cells in planted.items():
        by_distance = sorted(cells.items(), reverse=True)
        said = {d: sum(line["status"] == "types" for line in cell) for d, cell in by_distance}
        exact = {d: sum(line["n_types"] == n_types for line in cell) for d, cell in by_distance}
        sizes = {d: len(cell) for d, cell in by_distance}
        none = [d for d in said if not said[d]]
        shown = "; ".join(f"{d:g} sd {said[d]} ({exact[d]}) of {sizes[d]}" for d in said)
        out.append(
            f"| {network} | {held_out} | {n_types} | {axes or 'all'} | {_least(said, sizes)} | {_least(exact, sizes)} |"
            f" {f'{max(none):g} sd' if none else '-'} | {shown} |"
        )
    return "\n".join(out)


def _least(counts: dict[float, int], sizes: dict[float, int]) -> str:
    """Smallest distance at which, as at all larger ones, every surrogate counts."""
    least = None
    for distance, count in counts.items():
        if count < sizes[distance]:
            break
        least = distance
    return "-" if least is None else f"{least:g} sd"


if __name__ == "__main__":
    main()
