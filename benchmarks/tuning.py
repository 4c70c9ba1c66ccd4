"""In-silico tuning against what the simulated cortex is made of: orientation, simple and complex, sign, period.

A network is trained on the recordings alone; the truth is used for the score. One JSON object a core: `core, seed,
n_good` (neurons predicted at `GOOD` of the ceiling or better), `within_10_degrees` (share of the oriented ones among
them whose preferred orientation is off by at most 10 degrees), `complex_auc` (F1/F0 of edge cells above that of complex
ones), `sign_right`, `period_right` (high above low), `seconds`. Usage:

    python benchmarks/tuning.py [--seeds 1] [--spread 0] [--networks FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rotation import CORES, test_correlation
from sklearn.metrics import roc_auc_score

import decortex
from decortex.data.simulation import SimulationConfig, simulate_cortex
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.models import RECIPES, Network, predict
from decortex.models.training import fit_network

GOOD = 0.8
ORIENTED = ("complex_high", "complex_low", "pair_iso", "edge_iso")  # one orientation; crossed pairs have two
COMPLEX = ("complex_high", "complex_low", "pair_iso", "pair_cross")
SIMPLE = ("edge_iso", "edge_cross")


def main() -> None:
    """Train, show gratings, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1, help="generator and network seeds, from 0")
    parser.add_argument("--spread", type=float, default=0.0, help="0 discrete types, 1 a continuum")
    parser.add_argument("--networks", type=Path, help="folder that keeps trained networks between runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(arguments.seeds):
        cortex = simulate_cortex(SimulationConfig(spread=arguments.spread), seed)
        for core in CORES:
            network = trained(cortex, core, seed, arguments.networks)
            began = time.process_time()
            row = judge(network, cortex)
            seconds = round(time.process_time() - began, 1)
            print(json.dumps({"core": core, "seed": seed, **row, "seconds": seconds}), flush=True)


def trained(cortex: Any, core: str, seed: int, folder: Path | None) -> Network:
    """Train a network, or take the one that an earlier run kept."""
    name = f"{core}-{cortex.config.spread:g}-{seed}.pt"
    if folder is not None and (folder / name).exists():
        return decortex.load_network(folder / name)
    config, training = RECIPES[CORES[core]]()
    network = Network.build(config, cortex.recordings, seed=seed)
    fit_network(network, cortex.recordings, training, seed=seed)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(network.checkpoint(), folder / name)
    return network


def judge(network: Network, cortex: Any) -> dict[str, Any]:
    """Compare the measured tuning with the truth."""
    found = decortex.measure_tuning(network).indices
    correlation, ceiling = test_correlation(network, cortex)
    scores = concatenate_scores(
        [
            score_neurons(one.responses, one.predictions, one.image_ids)
            for one in predict(network, cortex.recordings, "test").values()
        ]
    )["correlation_to_average"].values
    names = np.array(cortex.config.types)[cortex.recordings.truth]
    good = scores >= GOOD * ceiling
    oriented = good & np.isin(names, ORIENTED)
    off = angle_off(found.orientation, cortex.fields.orientation)
    modulation = found.modulation
    phase = good & np.isin(names, COMPLEX + SIMPLE) & np.isfinite(modulation)
    centres = good & np.isin(names, ("centre_on", "centre_off"))
    sign = np.where(names == "centre_on", 1, -1)
    periods = good & np.isin(names, ("complex_high", "complex_low"))
    return {
        "correlation": round(correlation, 3),
        "n_good": int(good.sum()),
        "n_oriented": int(oriented.sum()),
        "within_10_degrees": share(off[oriented] <= np.deg2rad(10)),
        "median_degrees_off": round(float(np.rad2deg(np.median(off[oriented]))), 1),
        "complex_auc": round(float(roc_auc_score(np.isin(names[phase], SIMPLE), modulation[phase])), 3),
        "sign_right": share(np.sign(found.sign[centres]) == sign[centres]),
        "period_auc": round(float(roc_auc_score(names[periods] == "complex_low", found.period[periods])), 3),
    }


def angle_off(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle between two axes, radians from 0 to pi / 2."""
    off = np.mod(found - truth, np.pi)
    return np.minimum(off, np.pi - off)


def share(right: NDArray[np.bool_]) -> float:
    """Share of True, three digits."""
    return round(float(np.mean(right)), 3)


if __name__ == "__main__":
    main()
