"""Train on sixty trials of four thousand neurons; prints how many GiB that took."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from decortex.data import Recordings, Session
from decortex.models import Network, NetworkConfig
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig, fit_network

N_TRIALS, N_NEURONS, N_FRAMES = 60, 4000, 300


class Drawn:
    def __init__(self, shape):
        self.shape = shape

    def __len__(self):
        return N_TRIALS

    def read(self, trials):
        self.first = getattr(self, "first", None)
        if self.first is None:
            self.first = np.random.default_rng(0).random(self.shape, dtype=np.float32)
        return np.stack([np.roll(self.first, trial, axis=-1) for trial in trials.tolist()])


session = Session(
    "s",
    Drawn((1, N_FRAMES, 12, 16)),
    Drawn((N_FRAMES, N_NEURONS)),
    np.array(["train"] * 56 + ["validation"] * 4),
    np.arange(N_TRIALS),
    pd.DataFrame({"session": "s", "unit_id": np.arange(N_NEURONS), "animal": "", "scan": 0, "area": ""}),
    np.full(N_TRIALS, N_FRAMES),
)
recordings = Recordings([session], (1, 12, 16), "drawn", frame_rate=30.0)
core = SpaceTimeConfig(layers=(SpaceTimeLayerConfig(channels=4, kernel=5, frames=5),))
network = Network.build(
    NetworkConfig(space_time=core, readout=ReadoutConfig(start="centre")), recordings, seed=0
)
fit_network(network, recordings, TrainingConfig(max_epochs=1, batch_size=4, window=40), seed=0, device="cpu")
# the peak of this program: ru_maxrss would begin at that of the process which started it
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20)
