"""Networks of simulated movies: what a recipe costs, how near it comes to the ceiling, and whether types are found.

    python benchmarks/networks/video.py               # retina, generator seeds 0 to 2, and twins blind to time
    python benchmarks/networks/video.py --tissue cortex --recipe simulated_video_rotation --seeds 0 --sighted-only
    python benchmarks/networks/video.py --spread 1 --tissue cortex --sighted-only
        --simulation '{"orientation": "fixed"}'

One JSON object per network: CPU seconds of making the data and of training, correlation to average over frames, its
ceiling (the mean over repeats against the true rate) and their share, the correlations of single trials and of clips,
and the adjusted Rand index of k-means at the true number of types on features of unit length. Of rotation-equivariant
networks, whose features roll with a neuron's orientation, it is that of Fourier magnitudes, of aligned features and of
shift-EM as well. A twin that is blind to time sees one frame, the one three frames ago, and is scored on the same ones.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.data import Recordings, SimulatedVideo, VideoSimulationConfig, simulate_video
from decortex.data.video import RepeatedTrials
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.models import RECIPES, Network, predict
from decortex.models.cores import SpaceTimeConfig
from decortex.models.training import fit_network

BLIND_LAG = 3  # frames; a network without time sees what was shown then


def peak_gib() -> float:
    """What this process held at most until now; ``ru_maxrss`` would begin at that of the program that started it."""
    held = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert held is not None
    return int(held[1]) / 2**20


def ceiling(video: SimulatedVideo, skipped: int) -> float:
    """Mean over neurons of the correlation of mean responses with true rates, over the frames that are scored."""
    session_means = []
    for session in video.recordings.sessions:
        trials = session.trials("test")
        responses = session.responses.read(trials)
        n_test = video.config.n_test
        session_means.append(responses.reshape(n_test, -1, *responses.shape[1:]).mean(axis=1))
    mean = np.concatenate(session_means, axis=2)[:, skipped:].reshape(-1, video.config.n_neurons)
    rate = video.test_rates[:, skipped:].reshape(mean.shape)
    found = [np.corrcoef(mean[:, n], rate[:, n])[0, 1] for n in range(mean.shape[1])]
    return float(np.mean(found))


def blind(recordings: Recordings, space_time: SpaceTimeConfig) -> tuple[Recordings, SpaceTimeConfig]:
    """Take time away: movies are shown late, kernels span one frame, the same frames are scored."""
    sessions = []
    for session in recordings.sessions:
        trials = session.images
        assert isinstance(trials, RepeatedTrials)
        late = np.zeros_like(trials.values)
        late[:, :, BLIND_LAG:] = trials.values[:, :, :-BLIND_LAG]
        sessions.append(replace(session, images=RepeatedTrials(late, trials.which)))
    layers = tuple(layer.model_copy(update={"frames": 1}) for layer in space_time.layers)
    return replace(recordings, sessions=sessions, content_sha256="blind"), SpaceTimeConfig(
        layers=layers, warm_up=space_time.skipped
    )


def measure(
    video: SimulatedVideo, recipe: str, seed: int, *, sighted: bool, epochs: int | None
) -> dict[str, Any]:
    """Train one network on a simulation, score and cluster it."""
    config, how = RECIPES[recipe]()
    assert config.space_time is not None
    if epochs is not None:
        how = how.model_copy(update={"max_epochs": epochs})
    recordings = video.recordings
    if not sighted:
        recordings, space_time = blind(recordings, config.space_time)
        config = config.model_copy(update={"space_time": space_time})
    began = time.process_time()
    network = Network.build(config, recordings, seed=seed)
    outcome = fit_network(network, recordings, how, seed=seed, device="cpu")
    seconds = time.process_time() - began
    parts = [
        score_neurons(one.responses, one.predictions, one.image_ids, clip_ids=one.clip_ids)
        for one in predict(network, recordings, "test", device="cpu").values()
    ]
    means = {name: scores.summary.mean for name, scores in concatenate_scores(parts).items()}
    top = ceiling(video, config.space_time.skipped)
    average = means["correlation_to_average"]
    assert average is not None
    return {
        "seed": video.seed,
        "recipe": recipe if sighted else f"{recipe}, blind to time",
        "network_seed": seed,
        "cpu_seconds": round(seconds, 1),
        "kept_epoch": outcome.best_epoch,
        "to_average": average,
        "ceiling": top,
        "share": average / top,
        "single_trial": means["single_trial_correlation"],
        "per_clip": means["per_clip_correlation"],
        **rand(network, video),
        "peak_gib": peak_gib(),
    }


def rand(network: Network, video: SimulatedVideo) -> dict[str, float]:
    """Adjusted Rand index with the known types, by embedding."""
    truth, n_types = video.recordings.truth, len(video.config.types)
    assert truth is not None
    features = network.embedding().detach().numpy()
    turned = network.config.n_orientations
    found = {"rand": fit(embedded(features, {}), "kmeans", n_clusters=n_types, seed=0)}
    if turned is not None:
        of_rolls = {"n_orientations": turned}
        for rotation in ("fft", "aligned"):
            x = embedded(features, {"rotation": rotation, **of_rolls})
            found[f"rand_{rotation}"] = fit(x, "kmeans", n_clusters=n_types, seed=0)
        x = embedded(features, {"rotation": "smooth", **of_rolls})
        found["rand_shift_em"] = fit(x, "rotation_tmixture", n_clusters=n_types, seed=0, **of_rolls)
    return {name: float(adjusted_rand_score(truth, one.labels)) for name, one in found.items()}


def embedded(features: NDArray[np.float32], params: dict[str, Any]) -> NDArray[np.float64]:
    """Features of unit length, without their orientation where it is asked for."""
    return fit_map(features, EmbeddingConfig.from_params({"kind": "l2", **params})).apply(features)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, train and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tissue", choices=("retina", "cortex"), default="retina")
    parser.add_argument(
        "--recipe",
        choices=sorted(n for n in RECIPES if RECIPES[n]()[0].space_time),
        default="simulated_retina",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the generator")
    parser.add_argument("--network-seed", type=int, default=0)
    parser.add_argument("--spread", type=float, default=0.3)
    parser.add_argument("--simulation", type=json.loads, default={}, help="further parameters, as JSON")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--sighted-only", action="store_true", help="without twins that are blind to time")
    asked = parser.parse_args(arguments)
    config = VideoSimulationConfig.from_params(
        {"tissue": asked.tissue, "spread": asked.spread, **asked.simulation}
    )
    for seed in asked.seeds:
        began = time.process_time()
        video = simulate_video(config, seed)
        made = time.process_time() - began
        for sighted in (True,) if asked.sighted_only else (True, False):
            row = measure(video, asked.recipe, asked.network_seed, sighted=sighted, epochs=asked.epochs)
            print(
                json.dumps({"tissue": asked.tissue, **row, "cpu_seconds_of_data": round(made, 1)}), flush=True
            )


if __name__ == "__main__":
    main()
