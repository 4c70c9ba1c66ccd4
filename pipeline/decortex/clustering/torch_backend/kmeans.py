"""Lloyd's iterations of k-means by torch: scikit-learn's rules, starts and stopping, on a GPU or the CPU.

Seeds are scikit-learn's own k-means++ from the same random numbers, so that both backends go the same way up to
rounding. Sums over a cluster are products with indicators: the same bits on every call, which atomic additions are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from torch import Tensor

from decortex.clustering.inputs import FloatArray, sklearn_state
from decortex.clustering.kmeans_swap import LloydRun, SklearnEngine
from decortex.clustering.torch_backend.device import Held, numpy_of, torch_device

ENTRIES = 2**25  # distances held at a time


@dataclass(frozen=True)
class Run:
    """One run of Lloyd's iterations; fields are named as scikit-learn's."""

    labels_: NDArray[np.int64]
    cluster_centers_: FloatArray
    inertia_: float
    n_iter_: int


class TorchEngine(SklearnEngine):
    """Steps of k-means that touch all neurons, on a torch device.

    Parameters
    ----------
    device : str or None
        See `torch_device`.
    """

    def __init__(self, device: str | None) -> None:
        self.held = Held(torch_device(device))

    def lloyd(
        self,
        x: FloatArray,
        n_clusters: int,
        rng: np.random.Generator | np.random.RandomState,
        *,
        init: FloatArray | None = None,
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        **options: Any,
    ) -> LloydRun:
        """Run Lloyd's iterations from these centres, or from `n_init` k-means++ seeds; the lowest sum is kept."""
        if options:
            raise TypeError(f"k-means by torch has no option {', '.join(options)}.")
        state = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(sklearn_state(rng))
        mean = x.mean(axis=0)
        points = self.held(x) - self.held.sent(mean)
        least = tol * float(x.var(axis=0).mean())
        if init is not None:
            starts = [np.asarray(init, dtype=np.float64) - mean]
        else:
            centred = x - mean
            squares = np.einsum("nd,nd->n", centred, centred)
            starts = [
                kmeans_plusplus(centred, n_clusters, x_squared_norms=squares, random_state=state)[0]
                for _ in range(n_init)
            ]
        runs = [_lloyd(points, self.held.sent(start), max_iter, least) for start in starts]
        labels, centres, inertia, n_iter = min(runs, key=lambda run: run[2])
        return Run(
            labels_=labels.cpu().numpy(),
            cluster_centers_=numpy_of(centres) + mean,
            inertia_=inertia,
            n_iter_=n_iter,
        )

    def nearest_squares(self, x: FloatArray, centres: FloatArray) -> FloatArray:
        """Squared distance of every neuron to its nearest centre, (n_neurons,)."""
        points, there = self.held(x), self.held.sent(centres)
        found = [
            (points[rows] ** 2).sum(1) + nearness.min(dim=1).values
            for rows, nearness in _blocks(points, there)
        ]
        return numpy_of(torch.cat(found).clamp_(min=0))

    def best_exchanges(
        self, x: FloatArray, centres: FloatArray, candidates: FloatArray
    ) -> tuple[NDArray[np.int64], FloatArray, float]:
        """For every candidate, the centre that it replaces best, and the sum of squares that results."""
        points, there, offers = self.held(x), self.held.sent(centres), self.held.sent(candidates)
        k, now = len(centres), 0.0
        sums = points.new_zeros(len(candidates))
        losses = points.new_zeros((len(candidates), k))
        for rows, nearness in _blocks(points, torch.cat([there, offers])):
            squares = (points[rows] ** 2).sum(1, keepdim=True)
            distances = (nearness + squares).clamp_(min=0)
            least, own = distances[:, :k].min(dim=1)
            others = distances[:, :k].scatter(1, own[:, None], torch.inf)
            second = others.min(dim=1).values
            offered = distances[:, k:]
            with_both = torch.minimum(least[:, None], offered)
            without_own = torch.minimum(second[:, None], offered)
            now += float(least.sum())
            sums += with_both.sum(0)
            losses += (without_own - with_both).T @ _indicators(own, k)
        leaving = losses.argmin(dim=1)
        best = sums + losses.gather(1, leaving[:, None])[:, 0]
        return leaving.cpu().numpy(), numpy_of(best), now


def _blocks(points: Tensor, centres: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, squared distances to the centres less the squared length of the neuron)."""
    squares = (centres**2).sum(1)
    step = max(1, ENTRIES // len(centres))
    for first in range(0, len(points), step):
        rows = slice(first, first + step)
        yield rows, squares - 2 * (points[rows] @ centres.T)


def _indicators(labels: Tensor, n_clusters: int) -> Tensor:
    return torch.nn.functional.one_hot(labels, n_clusters).to(torch.float64)


def _lloyd(points: Tensor, centres: Tensor, max_iter: int, least: float) -> tuple[Tensor, Tensor, float, int]:
    """Labels, centres, sum of squares and iterations, stopping as scikit-learn does."""
    labels, before = _assigned(points, centres)[0], None
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        moved = _moved(points, centres, labels)
        if before is not None and torch.equal(labels, before):
            centres = moved
            break
        shift = float(((moved - centres) ** 2).sum())
        centres, before = moved, labels
        labels, _ = _assigned(points, centres)
        if shift <= least:
            break
    labels, inertia = _assigned(points, centres)
    return labels, centres, inertia, n_iter


def _assigned(points: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    labels, total = [], 0.0
    for rows, nearness in _blocks(points, centres):
        least, own = nearness.min(dim=1)
        labels.append(own)
        total += float((least + (points[rows] ** 2).sum(1)).clamp_(min=0).sum())
    return torch.cat(labels), total


def _moved(points: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Means of the clusters; an empty one takes the neuron farthest from its centre, as in scikit-learn."""
    k = len(centres)
    sums, step = torch.zeros_like(centres), max(1, ENTRIES // k)
    for first in range(0, len(points), step):
        rows = slice(first, first + step)
        sums += _indicators(labels[rows], k).T @ points[rows]
    sizes = torch.bincount(labels, minlength=k).to(torch.float64)
    empty = torch.nonzero(sizes == 0)[:, 0]
    if len(empty):
        distances = ((points - centres[labels]) ** 2).sum(1)
        far = distances.topk(len(empty)).indices
        for cluster, neuron in zip(empty.tolist(), far.tolist(), strict=True):
            old = int(labels[neuron])
            sums[old] -= points[neuron]
            sizes[old] -= 1
            sums[cluster] = points[neuron]
            sizes[cluster] = 1
    return torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centres)
