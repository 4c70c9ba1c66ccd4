"""In-silico tuning against what the simulated cortex is made of: orientation, period, simple and complex, sign.

A network is trained on the recordings alone; the truth is used for the score. One JSON object a core: `core, seed,
n_good` (neurons predicted at `GOOD` of the ceiling or better), `within_10_degrees` (share of the oriented ones among
them whose preferred orientation is off by at most 10 degrees), `period_auc` (low above high frequency), `modulation_r`
(rank correlation of F1/F0 with that of the generator shown the same gratings), `simple_right` (share on the generator's
side of 1), `sign_right` (ON and OFF centres), `types_told_apart` (types, of eight, that answer most to the stimulus
optimised for them), `seconds` of the gratings and of the stimuli. Usage:

    python benchmarks/networks/tuning.py [--seeds 1] [--spread 0] [--networks FOLDER]
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
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import decortex
from decortex.data.simulation import (
    SimulationConfig,
    draw_fields,
    draw_weights,
    expected_counts,
    simulate_cortex,
)
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.models import RECIPES, Network, predict
from decortex.models.training import fit_network
from decortex.tuning import (
    GratingIndices,
    TuningConfig,
    angles_of,
    discriminative_stimuli,
    grating_indices,
    gratings,
    periods_of,
)

GOOD = 0.8
ORIENTED = ("complex_high", "complex_low", "pair_iso", "edge_iso")  # one orientation; crossed pairs have two


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
            began = time.process_time()
            stimuli = discriminative_stimuli(network, cortex.recordings.truth, seed=seed, device="cpu")
            row["types_told_apart"] = stimuli.n_discriminated
            row["seconds_stimuli"] = round(time.process_time() - began, 1)
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
    true_modulation = tuning_of_generator(network, cortex).modulation
    both = good & np.isfinite(modulation) & np.isfinite(true_modulation)
    centres = good & np.isin(names, ("centre_on", "centre_off"))
    sign = np.where(names == "centre_on", 1, -1)
    periods = good & np.isin(names, ("complex_high", "complex_low"))
    return {
        "correlation": round(correlation, 3),
        "n_good": int(good.sum()),
        "n_oriented": int(oriented.sum()),
        "within_10_degrees": share(off[oriented] <= np.deg2rad(10)),
        "median_degrees_off": round(float(np.rad2deg(np.median(off[oriented]))), 1),
        "modulation_r": round(float(spearmanr(modulation[both], true_modulation[both]).statistic), 3),
        "simple_right": share((modulation[both] > 1) == (true_modulation[both] > 1)),
        "n_simple": int((true_modulation[both] > 1).sum()),
        "sign_right": share(np.sign(found.sign[centres]) == sign[centres]),
        "period_auc": round(float(roc_auc_score(names[periods] == "complex_low", found.period[periods])), 3),
    }


def tuning_of_generator(network: Network, cortex: Any) -> GratingIndices:
    """Show the generator itself the gratings that the network saw, in the same pixels."""
    config, seed = cortex.config, cortex.seed
    shown = TuningConfig()
    shape = cortex.images.shape[1:]
    angles, periods = angles_of(shown), periods_of(shown, shape)
    half, phases = len(angles) // 2, np.arange(shown.n_phases) * (2 * np.pi / shown.n_phases)
    grid = [one.ravel() for one in np.meshgrid(angles[:half], periods, phases, indexing="ij")]
    standard = np.concatenate([np.zeros((1, *shape), dtype=np.float32), gratings(shape, *grid)])
    mean, spread = float(network.pixel_mean[0, 0, 0, 0]), float(network.pixel_std[0, 0, 0, 0])
    images = np.concatenate([cortex.images, (mean + spread * standard).astype(np.float32)])
    # the generator's own stream: it draws weights and fields first, then offsets and gains
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[2])
    animal = np.sort(np.arange(config.n_neurons) % config.n_animals)
    weights = draw_weights(config, animal, n_types=len(config.types), rng=rng)
    fields = draw_fields(config, animal, rng=rng)
    rates = expected_counts(config, images, weights, fields, animal, rng=rng)
    assert np.array_equal(rates[: len(cortex.images)], cortex.rates), "not the neurons that were simulated"
    grey, answers = rates[len(cortex.images)], rates[len(cortex.images) + 1 :]
    answers = answers.reshape(half, len(periods), len(phases), -1)
    first = 2 * np.abs(np.einsum("p,ijpn->ijn", np.exp(-1j * phases), answers)) / len(phases)
    both = [np.tile(one, (2, 1, 1))[:, :, None] for one in (answers.mean(axis=2), first)]
    return grating_indices(*both, grey, angles=angles, periods=periods, moving=False)


def angle_off(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle between two axes, radians from 0 to pi / 2."""
    off = np.mod(found - truth, np.pi)
    return np.minimum(off, np.pi - off)


def share(right: NDArray[np.bool_]) -> float:
    """Share of True, three digits."""
    return round(float(np.mean(right)), 3)


if __name__ == "__main__":
    main()
