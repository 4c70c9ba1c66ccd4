"""Several numbers of clusters at once: one clustering loss a number, their mean as the loss, the parent's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decortex.clustering import fit
from decortex.errors import ConfigError, InputError
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.base import ClusteringTerm, StartPoints
from decortex.finetune.losses.diagnostics import Diagnostics

# Starts of the k-means that a head begins with, as of the first start that DECEMber publishes.
HEAD_STARTS = 20


class HeadsTerm(ClusteringTerm):
    r"""Mean of the clustering losses at several numbers of clusters.

    .. math:: L = \frac{1}{H} \sum_{h=1}^{H} L_{K_h}(z)

    Every head has its own cluster parameters, target and EM; they meet in the points alone. The first head is the
    parent partition's: labels, diagnostics, stopping and parameters are its own.

    The heads are those of Franca (Venkataramanan et al., "Franca: nested Matryoshka clustering for scalable visual
    representation learning", 2025), where coarse and fine prototypes are trained together; there each head sees a
    nested slice of the features, here all see the whole embedding, whose features have no order.

    Parameters
    ----------
    parent : ClusteringTerm
        At the row's own K.
    others : mapping of int to ClusteringTerm
        The other heads by their K.
    """

    def __init__(
        self, parent: ClusteringTerm, others: Mapping[int, ClusteringTerm], start: StartPoints
    ) -> None:
        super().__init__(parent.to_points, start, parent.config, prediction_weight=parent.prediction_weight)
        self.parent = parent
        self.others = nn.ModuleDict({str(k): term for k, term in others.items()})
        self.start, self.curve = parent.start, parent.curve

    @property
    def heads(self) -> dict[int, ClusteringTerm]:
        """The heads beside the parent's, by their K."""
        found = {}
        for name, term in self.others.items():
            assert isinstance(term, ClusteringTerm)
            found[int(name)] = term
        return found

    def _all(self) -> list[ClusteringTerm]:
        return [self.parent, *self.heads.values()]

    def kl(self, points: Tensor) -> Tensor:
        """Mean over heads of their clustering losses per neuron."""
        return torch.stack([head.kl(points) for head in self._all()]).mean()

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the parent's soft assignments, (n_neurons, n_clusters)."""
        return self.parent.log_q(points)

    def start_epoch(self, embedding: Tensor, epoch: int) -> bool:
        """Let beta rise; returns whether a head's cluster parameters were set anew."""
        super().start_epoch(embedding, epoch)
        renewed = [head.start_epoch(embedding, epoch) for head in self._all()]
        return any(renewed)

    def after_step(self, embedding: Tensor) -> None:
        """Follow one optimiser step with every head."""
        for head in self._all():
            head.after_step(embedding)

    def end_epoch(self, embedding: Tensor) -> dict[str, float]:
        """Diagnose every head; the scalars are the parent's."""
        values = self.parent.end_epoch(embedding)
        for head in self.heads.values():
            head.end_epoch(embedding)
        self.changed = self.parent.changed
        return values

    def stop(self) -> str | None:
        """Return the parent's wish."""
        return self.parent.stop()

    def memory(self) -> dict[str, Any]:
        """What the heads know at the end of an epoch besides their parameters and buffers."""
        return {
            "parent": self.parent.memory(),
            "heads": {str(k): head.memory() for k, head in self.heads.items()},
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned in another process."""
        self.parent.recall(memory["parent"])
        for k, head in self.heads.items():
            head.recall(memory["heads"][str(k)])
        self.curve, self.changed = self.parent.curve, self.parent.changed

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the parent's clustering."""
        return self.parent.diagnose(points)

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Fitted parameters of the parent's clusters."""
        return self.parent.cluster_parameters(points, order)


def head_starts(start: StartPoints, config: FinetuneConfig, *, seed: int) -> dict[int, StartPoints]:
    """Partition the points of a start at the K of every other head: k-means, shift-EM where clusters may be rolled.

    Parameters
    ----------
    start : StartPoints
        The parent partition.
    config : FinetuneConfig
        ``heads`` are the numbers of clusters.
    seed : int
        Seed of the starts.

    Returns
    -------
    dict of int to StartPoints
        By K; a cluster may be empty where points coincide.

    Raises
    ------
    ConfigError
        If a head has the parent's K.
    InputError
        If a head has more clusters than there are neurons.
    """
    if start.n_clusters in config.heads:
        raise ConfigError(
            f"heads {list(config.heads)} hold the partition's own K = {start.n_clusters}; name the other numbers of "
            "clusters, and give each K of a plan its own fine-tuning where that is needed."
        )
    points = start.points.detach().cpu().double().numpy()
    if config.heads and max(config.heads) > len(points):
        raise InputError(
            f"a head of {max(config.heads)} clusters needs as many neurons, got {len(points)}; take smaller heads."
        )
    found = {}
    for k in config.heads:
        if start.shifts is None:
            one = fit(points, "kmeans", n_clusters=k, seed=seed, n_init=HEAD_STARTS)
        else:
            one = fit(
                points, "rotation_tmixture", n_clusters=k, seed=seed, n_orientations=start.n_orientations
            )
        labels = torch.as_tensor(one.labels.astype(np.int64), device=start.points.device)
        shifts = None
        if start.shifts is not None:
            turned = np.asarray(one.parameters.get("shifts", np.zeros(len(points)))).astype(np.int64)
            shifts = torch.as_tensor(turned, device=start.points.device)
        found[k] = StartPoints(start.points, labels, k, shifts=shifts, n_orientations=start.n_orientations)
    return found
