"""Populations and networks of `dec_joint.py`: simulated cortices, populations without types, and recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from dec_joint_summary import Row
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.data import Recordings, SimulationConfig, open_filetree, simulate_cortex
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.finetune import FinetuneConfig, PeerPartition, draw_null, finetune, null_recordings
from decortex.models import RECIPES, Network
from decortex.models.training import Handover, TrainingConfig, fit_network

CORES = {"plain": "simulated_cortex", "equivariant": "simulated_cortex_rotation"}
# Cores of recordings (--data).
RECORDED = {"v4": "macaque_v4", "v4 large": "macaque_v4_large", "v4 equivariant": "macaque_v4_rotation"}
EMBEDDINGS = {
    **dict.fromkeys(("plain", "v4", "v4 large"), EmbeddingConfig(kind="l2")),
    "equivariant": EmbeddingConfig(kind="l2", rotation="fft", n_orientations=8),
    "v4 equivariant": EmbeddingConfig(kind="l2", rotation="fft", n_orientations=4),
}
NETWORKS = (0, 1, 2)
PLATEAU = {"schedule": "plateau", "learning_rate": 8e-3, "keep": "best"}

Labels = NDArray[np.int16]


@dataclass
class Case:
    """One population of neurons: where the rows of its networks belong."""

    core: str
    spread: float | None  # None, as generator and animals: recordings
    generator: int | None
    surrogate: int | None
    recordings: Recordings
    epochs: int
    animals: int | None

    @property
    def names(self) -> Row:
        """Columns that all its rows share."""
        return {
            "part": "state",
            "core": self.core,
            "spread": self.spread,
            "generator": self.generator,
            "surrogate": self.surrogate,
            "epochs": self.epochs,
            "animals": self.animals,
        }


class Trained:
    """One network: the states after every epoch m, and the control, of one training."""

    def __init__(self, case: Case, seed: int, start_epochs: Iterable[int]) -> None:
        """Train from the beginning to the end, handing the run over at every m."""
        config, training = RECIPES[{**CORES, **RECORDED}[case.core]]()
        self.case, self.seed = case, seed
        schedule = PLATEAU if case.core in CORES else {"keep": "best"}
        self.training = TrainingConfig.from_params(
            {**training.resolved(), **schedule, "max_epochs": case.epochs}
        )
        network = Network.build(config, case.recordings, seed=seed)
        self.starts: dict[int, tuple[dict[str, Any], Handover]] = {}
        after = None
        for m in sorted(start_epochs):
            outcome = fit_network(
                network, case.recordings, self.training, seed=seed, until=m, after=after, device="cpu"
            )
            if outcome.handover is None:
                raise RuntimeError(
                    f"training of network {seed} ended before epoch {m}: {outcome.stop_reason}."
                )
            after = outcome.handover
            self.starts[m] = network.checkpoint(), after
        fit_network(network, case.recordings, self.training, seed=seed, after=after, device="cpu")
        self.control = network

    def start(self, m: int) -> Network:
        """Return a copy of the network after epoch m."""
        return Network.from_checkpoint(self.starts[m][0])

    def tuned(
        self, m: int, labels: Labels, n_clusters: int, params: Row, peers: Sequence[PeerPartition]
    ) -> tuple[Network, Any]:
        """Train on jointly from epoch m; the network and the result."""
        network, config = self.start(m), FinetuneConfig.from_params(params)
        fitted = fit_map(network.embedding().detach().numpy(), EMBEDDINGS[self.case.core])
        result = finetune(
            network,
            self.case.recordings,
            fitted,
            labels,
            config,
            self.training,
            n_clusters=n_clusters,
            seed=self.seed,
            peers=peers if config.kind == "mutual" else (),
            after=self.starts[m][1],
            device="cpu",
        )
        return network, result


def population(
    core: str,
    spread: float,
    generator: int,
    *,
    n_neurons: int,
    animals: int,
    surrogate: int | None,
    epochs: int,
) -> Case:
    """Simulate recordings; as a surrogate, responses of a network of them whose readout features hold no types."""
    config = SimulationConfig(spread=spread, n_neurons=n_neurons, n_animals=animals)
    recordings = simulate_cortex(config, generator).recordings
    return without_types(Case(core, spread, generator, None, recordings, epochs, animals), surrogate)


def recorded(folder: Path, core: str, *, surrogate: int | None, epochs: int) -> Case:
    """Open recordings; as a surrogate, responses of a network of them whose readout features hold no types."""
    return without_types(Case(core, None, None, None, open_filetree(folder), epochs, None), surrogate)


def without_types(case: Case, surrogate: int | None) -> Case:
    """Return the population itself, or the surrogate of that seed."""
    if surrogate is None:
        return case
    # The generator is a network of its own seed; networks on the drawn responses train their own cores.
    teacher = Trained(case, max(NETWORKS) + 1, (1,)).control
    draw = draw_null(teacher, case.recordings, "gaussian", seed=surrogate, device="cpu")
    digest = config_hash([case.recordings.content_sha256, surrogate])
    drawn = null_recordings(case.recordings, draw.responses, digest)
    return replace(case, surrogate=surrogate, recordings=drawn)
