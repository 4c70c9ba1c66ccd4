"""Partitions of `dec_joint.py` that begin from an early one and need no clustering loss: what own labels owe to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from dec_joint_cases import Labels
from dec_joint_summary import CARRIED, MIXTURE
from numpy.typing import NDArray

from decortex.finetune import FinetuneConfig, carry_partition
from decortex.finetune.losses import DECEMberTerm, StartPoints

# Steps of EM: the partition stands still long before.
STEPS = 300


def without_loss(
    start: NDArray[np.float64], control: NDArray[np.float64], partitions: Mapping[str, Labels]
) -> dict[tuple[str, str], Labels]:
    """Partitions that begin from those of the early state, by state and the method that they begin from."""
    found: dict[tuple[str, str], Labels] = {}
    for method, labels in partitions.items():
        found[CARRIED, method] = carry_partition(control, labels)
        found[MIXTURE, method] = mixture(start, labels)
    return found


def mixture(points: NDArray[np.float64], labels: Labels) -> Labels:
    """DECEMber's mixture by EM on the early state's embedding, from its partition, without any training."""
    known, dense = np.unique(labels, return_inverse=True)
    values = torch.as_tensor(points, dtype=torch.float32)
    start = StartPoints(points=values, labels=torch.as_tensor(dense.astype(np.int64)), n_clusters=len(known))
    term = DECEMberTerm(lambda rows: rows, start, FinetuneConfig.from_params({"kind": "december"}))
    for _ in range(STEPS):
        term.em_step(values)
    return term.log_q(values).argmax(dim=1).numpy().astype(np.int16)
