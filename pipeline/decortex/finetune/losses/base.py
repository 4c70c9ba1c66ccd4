"""What training knows of a clustering loss: one module per kind, its cluster parameters inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.diagnostics import Diagnostics
from decortex.finetune.losses.rotations import rolled_by

TermStop = Literal["tolerance", "collapsed"]
ToPoints = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class StartPoints:
    """Where a clustering loss begins: the parent partition in the space of its embedding.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        The embedding before fine-tuning, after its map.
    labels : Tensor of int64, shape (n_neurons,)
        The parent's labels; every cluster holds a neuron.
    n_clusters : int
        K.
    shifts : Tensor of int64, shape (n_neurons,), optional
        By how many orientations a neuron's cluster is rolled to meet it; None: none is.
    n_orientations : int
        O of the features o F + f; 1 without shifts.
    log_target : Tensor, shape (n_neurons, n_clusters), optional
        Log of the target that other networks give (`peer_log_target`); None: the loss makes its own.
    """

    points: Tensor
    labels: Tensor
    n_clusters: int
    shifts: Tensor | None = None
    n_orientations: int = 1
    log_target: Tensor | None = None

    def aligned(self) -> Tensor:
        """Points turned back by their shifts, (n_neurons, n_features)."""
        if self.shifts is None:
            return self.points
        return rolled_by(self.points, -self.shifts, self.n_orientations)

    def without_gaps(self) -> StartPoints:
        """The start with its clusters that hold a neuron, renumbered."""
        held, labels = torch.unique(self.labels, return_inverse=True)
        return replace(self, labels=labels, n_clusters=len(held))

    def means(self, points: Tensor | None = None) -> Tensor:
        """Mean of every cluster, (n_clusters, n_features), of ``points`` (default: the aligned ones)."""
        x = self.aligned() if points is None else points
        sums = x.new_zeros(self.n_clusters, x.shape[1]).index_add_(0, self.labels, x)
        return sums / torch.bincount(self.labels, minlength=self.n_clusters)[:, None]


def numbered_as(labels: Tensor, before: Tensor, n_clusters: int) -> Tensor:
    """Renumber a partition so that it shares as many neurons as possible with one before, (n_neurons,) each."""
    shared = torch.zeros(n_clusters, n_clusters, dtype=torch.int64)
    shared.index_put_((labels.cpu(), before.cpu()), torch.ones(()).long(), accumulate=True)
    _, number = linear_sum_assignment(shared.numpy(), maximize=True)
    return torch.as_tensor(number, device=labels.device)[labels]


class ClusteringTerm(nn.Module, ABC):
    """A clustering loss over all neurons at once, added to the prediction loss of every batch.

    Cluster parameters are parameters or buffers of this module: they move with the device, are saved with the
    network and restored with its best state, so that assignments always come from one consistent state.

    Parameters
    ----------
    to_points : callable
        Maps readout weights (n_neurons, n_channels) to the points that are clustered, differentiably.
    start : StartPoints
        Where it begins; K and O are taken from it.
    config : FinetuneConfig
        The variant; its beta is the factor of the loss, 1 for 'dec'.
    prediction_weight : float
        Factor of the prediction loss, 0 or 1.

    Attributes
    ----------
    weight : float
        Factor of the clustering loss per neuron, once it has risen.
    start : Diagnostics
        State of the clustering before the first step.
    curve : list of Diagnostics
        State after every epoch.
    changed : float
        Share of labels that changed during the last epoch.
    """

    start: Diagnostics
    labels: Tensor

    def __init__(
        self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig, *, prediction_weight: float
    ) -> None:
        super().__init__()
        self.to_points = to_points
        self.n_clusters = start.n_clusters
        self.n_orientations = start.n_orientations
        self.config = config
        self.weight = 1.0 if config.kind == "dec" else config.beta
        self.risen = 1.0
        self.prediction_weight = prediction_weight
        self.stop_reason: TermStop | None = None
        self.changed = 0.0
        self.curve: list[Diagnostics] = []

    def begin(self, start: StartPoints) -> None:
        """Record the state before the first step; the cluster parameters are set by now."""
        self.register_buffer("labels", start.labels.clone())
        with torch.no_grad():
            self.start = self.diagnose(start.points)

    def loss(self, embedding: Tensor) -> Tensor:
        """Weighted mean clustering loss per neuron of readout weights (n_neurons, n_channels)."""
        return self.weight * self.risen * self.kl(self.to_points(embedding))

    def start_epoch(self, embedding: Tensor, epoch: int) -> bool:
        """Let beta rise; targets follow steps. Returns whether cluster parameters were set anew (here never)."""
        rise = self.config.beta_rise
        self.risen = min(1.0, epoch / rise) if rise else 1.0
        return False

    def refit_is_due(self, epoch: int) -> bool:
        """Whether ``restart_every`` asks for the partition to be made anew before this epoch, counted from 1."""
        every = self.config.restart_every
        return bool(every) and epoch > 1 and (epoch - 1) % every == 0

    def after_step(self, embedding: Tensor) -> None:
        """Follow one optimiser step."""

    def end_epoch(self, embedding: Tensor) -> dict[str, float]:
        """Diagnose after an epoch and return the scalars; a collapse ends training."""
        with torch.no_grad():
            points = self.to_points(embedding)
            labels = self.log_q(points).argmax(dim=1)
            self.changed = float((labels != self.labels).double().mean())
            self.labels.copy_(labels)
            state = self.diagnose(points)
        self.curve.append(state)
        if state.is_collapsed(self.start):
            self.stop_reason = "collapsed"
        return {**state.as_floats(), "share_changed": self.changed}

    def stop(self) -> str | None:
        """Return 'tolerance' or 'collapsed' where training should stop, else None."""
        return self.stop_reason

    def memory(self) -> dict[str, Any]:
        """What it knows at the end of an epoch besides its parameters and buffers."""
        return {
            "stop_reason": self.stop_reason,
            "changed": self.changed,
            "curve": [{**asdict(state), "sizes": state.sizes.tolist()} for state in self.curve],
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned in another process."""
        self.stop_reason, self.changed = memory["stop_reason"], memory["changed"]
        self.curve = [
            Diagnostics(**{**state, "sizes": np.array(state["sizes"], dtype=np.int64)})
            for state in memory["curve"]
        ]

    @abstractmethod
    def kl(self, points: Tensor) -> Tensor:
        """Clustering loss per neuron, differentiable: mean KL(P || Q), unless the kind says otherwise."""

    @abstractmethod
    def log_q(self, points: Tensor) -> Tensor:
        """Log of the soft assignments, (n_neurons, n_clusters)."""

    @abstractmethod
    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering."""

    @abstractmethod
    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Fitted parameters by the names that `ClusteringResult` uses; ``order[new] = old`` cluster.

        What is a neuron's own (``shifts``) is that of ``points``.
        """
