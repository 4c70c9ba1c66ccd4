"""Nearest neighbours of points, and sums over the lists that they make. No loss here."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 2**24  # elements of distances, or of the neighbours' coordinates, that lie in memory at a time


def neighbours_of(points: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest other neurons of every neuron, which of these edges stand for a pair, and the local scales.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        Embedding.
    n_neighbors : int
        Fewer than there are neurons.

    Returns
    -------
    indices : Tensor of int64, shape (n_neurons, n_neighbors)
        By rising distance.
    counted : Tensor of bool, shape (n_neurons, n_neighbors)
        False where the other neuron lists the same pair and stands for it.
    scale : Tensor, shape (n_neurons,)
        Distance to the last neighbour; the smallest positive one where it is 0 (1 where all are).
    """
    n = len(points)
    indices, scales = [], []
    for block in torch.split(torch.arange(n, device=points.device), max(1, CHUNK // n)):
        distances = torch.cdist(
            points[block].double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        distances[torch.arange(len(block)), block] = torch.inf
        nearest = torch.topk(distances, n_neighbors, largest=False, sorted=True)
        indices.append(nearest.indices)
        scales.append(nearest.values[:, -1])
    found, scale = torch.cat(indices), torch.cat(scales)
    positive = scale[scale > 0]
    scale = torch.where(scale > 0, scale, positive.min() if len(positive) else torch.ones_like(scale))
    own = torch.arange(n, device=points.device)[:, None].expand_as(found)
    listed_back = (found[found] == own[:, :, None]).any(dim=2)
    return found, ~(listed_back & (found < own)), scale.to(points.dtype)


class RowSums:
    """Sums of listed rows, each in the order of its list: several times as fast as gathering or `index_add_`.

    Parameters
    ----------
    rows, targets : Tensor of int64, shape (n_entries,)
        Which row every entry takes, and to which sum it goes.
    n : int
        Number of sums.
    signs : Tensor, shape (n_entries,), optional
        Factor of every entry; None: 1.
    """

    def __init__(self, rows: Tensor, targets: Tensor, n: int, signs: Tensor | None = None) -> None:
        order = torch.argsort(targets, stable=True)
        counts = torch.bincount(targets, minlength=n)
        self.rows, self.first = rows[order].int(), (counts.cumsum(dim=0) - counts).int()
        self.signs = None if signs is None else signs[order]

    @classmethod
    def differences(cls, of: Tensor, to: Tensor, *, like: Tensor) -> RowSums:
        """Row ``of`` less row ``to``, for each of the pairs (n,); rows are of the dtype of ``like``."""
        n = len(of)
        places = torch.arange(n, device=of.device)
        signs = like.new_tensor([1.0, -1.0]).repeat(n)
        return cls(torch.stack([of, to], dim=1).flatten(), places.repeat_interleave(2), n, signs)

    @classmethod
    def spread(cls, of: Tensor, to: Tensor, n: int, *, like: Tensor) -> RowSums:
        """The transpose of `differences`: every row of the pairs added at ``of``, subtracted at ``to``, to n sums."""
        places = torch.arange(len(of), device=of.device)
        signs = like.new_tensor([1.0, -1.0]).repeat_interleave(len(of))
        return cls(places.repeat(2), torch.cat([of, to]), n, signs)

    def __call__(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Sums (n, n_features) of rows (n_rows, n_features), each row times its weight (n_rows,)."""
        factors = self.signs
        if weights is not None:
            factors = weights.index_select(0, self.rows)
            if self.signs is not None:
                factors.mul_(self.signs)
        return functional.embedding_bag(self.rows, rows, self.first, mode="sum", per_sample_weights=factors)


def with_gradient(value: Tensor, points: Tensor, gradient: Tensor) -> Tensor:
    """The value, as a function of the points that has this gradient."""
    return value + ((points - points.detach()) * gradient).sum()
