"""SEC and LDMGI as losses: what a cut of the neighbours' graph costs in training. No objective, no solver here.

The methods (Nie et al. 2011; Yang et al. 2010) minimise tr(F' M F) over indicators F with F'F = I, where M is made of
the points. Here F is the indicator of the present partition and the points move, so that the partition's cut becomes
cheaper; the method itself makes the partition anew every few epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.clustering import fit
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.assignment import log_target, mean_kl
from decortex.finetune.losses.base import ClusteringTerm, StartPoints, ToPoints, numbered_as
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose
from decortex.finetune.losses.graph.cut import Cut, affinities
from decortex.finetune.losses.graph.discriminants import LocalDiscriminants
from decortex.finetune.losses.graph.neighbours import neighbours_of

FLOOR = 1e-8  # smallest assignment


@dataclass(frozen=True)
class _Ready:
    """An objective, and the tensors that it was made of as they were then."""

    held: tuple[Tensor, ...]
    written: list[int]
    objective: Cut | LocalDiscriminants


class GraphTerm(ClusteringTerm):
    """The cut of a partition in the graph of nearest neighbours, by SEC or by LDMGI.

    Between two fits of the method (``restart_every`` epochs; clusters are numbered by those they share most neurons
    with) partition, pairs of neighbours and local scales are constant, and the points move to where the cut is cheaper.
    Unlike a KL to centres the loss sees neighbourhoods alone: a cluster may have any shape.

    The soft assignments say what neighbours think: q_ij is one third of the share of neuron i's pairs (weighted by
    affinity; LDMGI: of its clique) that lead to cluster j, and two thirds its own cluster, which is the label.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition.
    config : FinetuneConfig
        Kind sec or ldmgi.
    """

    members: Tensor
    indices: Tensor
    counted: Tensor
    scale: Tensor

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, start, config, prediction_weight=1.0)
        self._ready: _Ready | None = None
        self.register_buffer("members", start.labels.clone())
        with torch.no_grad():
            found = neighbours_of(start.points, self._n_neighbors(start.points))
        for name, value in zip(("indices", "counted", "scale"), found, strict=True):
            self.register_buffer(name, value)
        self.begin(start)

    @torch.no_grad()
    def start_epoch(self, embedding: Tensor, epoch: int) -> bool:
        """Let beta rise; find the present points' neighbours and let the method cluster them where that is due."""
        super().start_epoch(embedding, epoch)
        if not self.refit_is_due(epoch):
            return False
        points = self.to_points(embedding)
        for name, value in zip(
            ("indices", "counted", "scale"), neighbours_of(points, self._n_neighbors(points)), strict=True
        ):
            getattr(self, name).copy_(value)
        labels = self._clustered(points, seed=epoch)
        if not bool(torch.bincount(labels, minlength=self.n_clusters).all()):
            return False
        self.members.copy_(numbered_as(labels, self.members, self.n_clusters))
        return True

    def kl(self, points: Tensor) -> Tensor:
        """Cost of the cut a cluster; no KL stands in this loss."""
        return self._objective(points)(points)

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the soft assignments, (n_neurons, n_clusters); the largest of a neuron is its cluster."""
        own = torch.nn.functional.one_hot(self.members, self.n_clusters).to(points.dtype)
        if self.config.kind == "sec":
            weights = affinities(points, self._graph())
            near = (weights[:, :, None] * own[self.indices]).sum(dim=1)
            for column in range(self.indices.shape[1]):
                near = near.index_add(0, self.indices[:, column], weights[:, column, None] * own)
            near = near / near.sum(dim=1, keepdim=True).clamp_min(FLOOR)
        else:
            near = own[self._cliques()].mean(dim=1)
        q = ((2 * own + near) / 3).clamp_min(FLOOR)
        return (q / q.sum(dim=1, keepdim=True)).log()

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering; ``kl`` is to the target that DEC would make of the assignments."""
        log_q = self.log_q(points)
        kl = float(mean_kl(log_target(log_q), log_q))
        return diagnose(points, self._means(points), log_q=log_q, kl=kl)

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Means of the clusters."""
        centres = self._means(points)[torch.as_tensor(order)]
        return {"centres": centres.cpu().numpy().astype(np.float64)}

    def _n_neighbors(self, points: Tensor) -> int:
        # A clique counts the neuron itself, as in `decortex.clustering`'s LDMGI.
        own = self.config.n_neighbors - (self.config.kind == "ldmgi")
        return min(own, len(points) - 1)

    def _objective(self, points: Tensor) -> Cut | LocalDiscriminants:
        """The objective of the present partition and graph, made ready again when one of them was written to."""
        held = (self.members, self.indices, self.counted, self.scale)
        written = [one._version for one in held]
        known = self._ready
        if (
            known is None
            or written != known.written
            or any(one is not other for one, other in zip(held, known.held, strict=True))
        ):
            self._ready = known = _Ready(held, written, self._made_ready(points))
        return known.objective

    def _made_ready(self, points: Tensor) -> Cut | LocalDiscriminants:
        config, k = self.config, self.n_clusters
        if config.kind == "sec":
            return Cut(self.members, self._graph(), n_clusters=k, mu=config.mu, gamma=config.gamma)
        return LocalDiscriminants(points, self.members, self._cliques(), n_clusters=k, lam=config.lam)

    def _graph(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.indices, self.counted, self.scale

    def _cliques(self) -> Tensor:
        own = torch.arange(len(self.indices), device=self.indices.device)
        return torch.cat([own[:, None], self.indices], dim=1)

    def _means(self, points: Tensor) -> Tensor:
        return StartPoints(points, self.members, self.n_clusters).means()

    def _clustered(self, points: Tensor, *, seed: int) -> Tensor:
        """Labels of the method itself on the present points."""
        config, x = self.config, points.cpu().double().numpy()
        params: dict[str, Any] = {"mu": config.mu, "gamma": config.gamma}
        if config.kind == "ldmgi":
            params = {"lam": config.lam}
        width = min(config.n_neighbors, len(x) - (config.kind == "sec"))
        found = fit(x, config.kind, n_clusters=self.n_clusters, seed=seed, n_neighbors=width, **params)
        return torch.as_tensor(found.labels.astype(np.int64), device=points.device)
