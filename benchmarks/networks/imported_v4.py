"""What the published macaque V4 networks predict, through a builder: correlation to average on images not fitted.

    python benchmarks/networks/imported_v4.py ../shared/data/macaque_v4

The networks were fitted on the first half of each session (Cowley et al. 2023), so that only images 600 to 1199
count. Nothing is resampled: images are 112 x 112 RGB.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from decortex.data import expand_session, find_sessions
from decortex.evaluation.performance import score_neurons
from decortex.models import Geometry, SessionGeometry, predictions
from decortex.models.checkpoints import build_network, load_tensors

MODULE = "decortex.models.builders.compact_v4"
# name of the checkpoint -> filters
NETWORKS = {"shared_ensemble_10": 10, "shared_ensemble_25": 25, "shared_direct_fit_10": 10}
# session -> its neurons among the checkpoint's
NEURONS = {"190923": slice(0, 33), "201025": slice(33, 122)}
FIRST = 600


def main() -> None:
    """Print the mean correlation of every network and session, and the scores as they compare with chance."""
    sessions = {one.name: one for one in find_sessions(Path(sys.argv[1]), list(NEURONS))[0]}
    tiers = defaultdict(lambda: "test")  # which images count is said here, not by a split
    for name, n_filters in NETWORKS.items():
        state = load_tensors(Path(sys.argv[1]) / "models" / f"{name}.torch.pt")
        geometry = Geometry(
            image_shape=(3, 112, 112),
            sessions=(SessionGeometry(name="all", n_neurons=len(state["feat"])),),
            neuron_order_sha256="",
        )
        config = {"n_filters": n_filters, "n_neurons": len(state["feat"])}
        network = build_network(f"{MODULE}:build", config, state, geometry, seed=0, allowed={MODULE})
        for session_name, own in NEURONS.items():
            session = expand_session(sessions[session_name], tiers, size=112, rgb=True)
            trials = np.arange(FIRST, session.n_trials, dtype=np.int64)
            predicted = predictions(network, session, trials, name="all", batch_size=50)[:, own]
            responses = session.responses.read(trials)
            score = score_neurons(responses, predicted, session.image_ids[trials])["correlation_to_average"]
            turned = np.corrcoef(predicted.T, responses.T)[: len(responses.T), len(responses.T) :]
            best = (turned.argmax(axis=1) == np.arange(len(turned))).mean()
            sys.stdout.write(
                f"{name:22} {session_name}: mean correlation {score.summary.mean:.4f} over {score.summary.n_defined}"
                f" neurons, {len(trials)} images; {100 * best:.0f} % of neurons are predicted best by their own row\n"
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
