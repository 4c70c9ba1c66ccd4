"""Train a network that lies in one file, keep its state in another, and be killed after the second epoch."""

from __future__ import annotations

import os
import signal
import sys

import torch

from decortex.models.training import EpochRecord, StateFile, fit_network


def kill(record: EpochRecord) -> None:
    if record.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)


torch.set_num_threads(1)
network, recordings, schedule = torch.load(sys.argv[1], weights_only=False)
state = StateFile(sys.argv[2], "run")
fit_network(network, recordings, schedule, seed=0, progress=kill, state=state, device="cpu")
