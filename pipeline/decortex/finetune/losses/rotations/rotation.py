"""Clusters defined up to a roll of orientation: rolls, tied scores, shifts, gauges. No loss and no training here.

A row holds O orientations of F features, feature o F + f. Component j stands for its O rolls T_o, tied to one
centre; what a neuron scores under cluster j is the sum, or the best, over o. Only n_neurons x n_clusters x O
arrays exist: distances to all rolls come from the expanded quadratic form, as one matrix product with the rolled
centres (at O = 8 and 16 features faster than correlating over o by FFT: 7 against 10 ms for 8,000 neurons, K = 20).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from decortex.errors import InputError

# Neurons x clusters x O entries that are kept for the gradient; of more, every block is computed once more for it.
BLOCK_ENTRIES = 4_000_000
# Neurons a block on a CPU: its arrays stay in the processor's cache, which halves the time of the products.
CACHED_ROWS = 512

Over = Literal["sum", "best"]


@dataclass(frozen=True)
class RotationStart:
    """What a rotation-invariant clustering knows besides its labels.

    Parameters
    ----------
    n_orientations : int
        O; the embedding's features are ordered o F + f.
    shifts : ndarray of int, shape (n_neurons,)
        By how many orientations the neuron's cluster is rolled to meet the neuron.
    """

    n_orientations: int
    shifts: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        """Check the range of the shifts.

        Raises
        ------
        InputError
            If O is below 1 or a shift not within 0..O-1.
        """
        if self.n_orientations < 1 or self.shifts.ndim != 1:
            raise InputError(
                f"a start needs at least one orientation and one shift a neuron, got O = {self.n_orientations} and "
                f"shifts of shape {self.shifts.shape}."
            )
        if len(self.shifts) and not (self.shifts.min() >= 0 and self.shifts.max() < self.n_orientations):
            raise InputError(
                f"shifts should lie between 0 and {self.n_orientations - 1}, but reach from {self.shifts.min()} to "
                f"{self.shifts.max()}; take the parameters of a rotation_tmixture clustering."
            )


def rolls(rows: Tensor, n_orientations: int) -> Tensor:
    """All rolls of every row, (O * n_rows, n_features): row o n_rows + r is row r, rolled by o orientations.

    Rolls are the outer index: sums over them run along rows of clusters, which is twice as fast as across them.
    """
    if n_orientations == 1:
        return rows
    folded = rows.reshape(len(rows), n_orientations, -1)
    rolled = torch.stack([folded.roll(o, dims=1) for o in range(n_orientations)])
    return rolled.reshape(n_orientations * len(rows), -1)


def rolled_by(rows: Tensor, by: Tensor, n_orientations: int) -> Tensor:
    """Every row, rolled by its own number of orientations ``by`` (n_rows,); negative ones turn back."""
    folded = rows.reshape(len(rows), n_orientations, -1)
    source = (torch.arange(n_orientations, device=rows.device) - by[:, None]) % n_orientations
    return folded.gather(1, source[:, :, None].expand_as(folded)).reshape(rows.shape)


def turned_back(sums: Tensor, n_orientations: int) -> Tensor:
    """Roll the sums of (o, j) by -o and add them over o: (O * n_clusters, D) to (n_clusters, D)."""
    if n_orientations == 1:
        return sums
    folded = sums.reshape(n_orientations, -1, n_orientations, sums.shape[1] // n_orientations)
    back = torch.stack([folded[o].roll(-o, dims=1) for o in range(n_orientations)])
    return back.sum(dim=0).reshape(folded.shape[1], -1)


def orientation_mean(row: Tensor, n_orientations: int) -> Tensor:
    """Nearest row that no roll changes: the mean over orientations of every feature, (n_features,)."""
    return row.reshape(n_orientations, -1).mean(dim=0).repeat(n_orientations)


def tied_scores(
    joint: Callable[[Tensor], Tensor], z: Tensor, *, n_components: int, n_orientations: int, over: Over
) -> Tensor:
    """Log score of every cluster: the sum (log-sum-exp) or the best over its rolls.

    Parameters
    ----------
    joint : callable
        Maps points (n, D) to log scores of all rolls, (n, O * n_clusters), row by row.
    z : Tensor, shape (n_neurons, n_features)
        Points.
    n_components : int
        O * n_clusters.
    n_orientations : int
        O.
    over : {'sum', 'best'}
        How rolls are put together.

    Returns
    -------
    Tensor, shape (n_neurons, n_clusters)
        Differentiable; blocks of neurons bound the memory of both directions.
    """

    def scores(block: Tensor) -> Tensor:
        folded = joint(block).reshape(len(block), n_orientations, -1)
        return torch.logsumexp(folded, dim=1) if over == "sum" else folded.amax(dim=1)

    rows = block_rows(z, n_components)
    if len(z) <= rows:
        return scores(z)
    if len(z) * n_components <= BLOCK_ENTRIES:
        return torch.cat([scores(block) for block in torch.split(z, rows)])
    blocks = [
        checkpoint(scores, block, use_reentrant=False, preserve_rng_state=False)
        for block in torch.split(z, rows)
    ]
    return torch.cat(blocks)


def block_rows(z: Tensor, n_components: int) -> int:
    """Neurons a block: few on a CPU, where a block should fit into the cache; on a GPU a block costs its launches."""
    rows = max(1, BLOCK_ENTRIES // n_components)
    return rows if z.is_cuda else min(rows, CACHED_ROWS)


@torch.no_grad()
def best_shifts(
    joint: Callable[[Tensor], Tensor], z: Tensor, labels: Tensor, *, n_components: int, n_orientations: int
) -> Tensor:
    """Roll of its cluster that meets every neuron best, int64 (n_neurons,); arguments as in `tied_scores`."""
    found = []
    rows = block_rows(z, n_components)
    for block, own in zip(torch.split(z, rows), torch.split(labels, rows), strict=True):
        folded = joint(block).reshape(len(block), n_orientations, -1)
        found.append(folded[torch.arange(len(block), device=z.device), :, own].argmax(dim=1))
    return torch.cat(found)


def gauge(centres: Tensor, n_orientations: int) -> Tensor:
    """Orientation at which every centre is strongest, int64 (n_clusters,): rolled back by it, it is strongest at 0."""
    return (centres.reshape(len(centres), n_orientations, -1) ** 2).sum(dim=2).argmax(dim=1)


def orbit_distances(centres: Tensor, n_orientations: int) -> Tensor:
    """Distances between centres at their best roll, one per pair, (n_clusters (n_clusters - 1) / 2,)."""
    if n_orientations == 1:
        return torch.pdist(centres)
    # Directly, not expanded: coinciding centres must give 0.
    exact = "donot_use_mm_for_euclid_dist"
    every = torch.cdist(centres, rolls(centres, n_orientations), compute_mode=exact)
    nearest = every.reshape(len(centres), n_orientations, len(centres)).amin(dim=1)
    above = torch.triu_indices(len(centres), len(centres), offset=1, device=centres.device)
    return nearest[above[0], above[1]]
