"""Neurons around rolled centres, for tests of what is defined up to a roll."""

from __future__ import annotations

import torch

from decortex.finetune.losses import StartPoints, rolled_by

N_ORI, N_FEAT, K = 4, 3, 3


def identity(weights):
    """Map of an embedding that is clustered as it is."""
    return weights


def rolled_start(n=36, *, seed=0, spread=0.4, n_orientations=N_ORI):
    """Neurons around rolled centres; the shifts are the true ones."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(K, n_orientations * N_FEAT, generator=generator, dtype=torch.float64)
    labels = torch.arange(n) % K
    shifts = torch.randint(n_orientations, (n,), generator=generator)
    noise = spread * torch.randn(n, n_orientations * N_FEAT, generator=generator, dtype=torch.float64)
    points = rolled_by(centres[labels] + noise, shifts, n_orientations)
    return StartPoints(points, labels, K, shifts=shifts, n_orientations=n_orientations)
