"""Deep embedding clustering: Student assignments, sharpened target, centres trained with the network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.assignment import log_target, mean_kl, student_log_q
from decortex.finetune.losses.base import ClusteringTerm, StartPoints, ToPoints
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose
from decortex.finetune.losses.transport import balanced_log_target

PCA_DIMENSIONS = 10


class DECTerm(ClusteringTerm):
    """KL(P || Q) of Xie, Girshick & Farhadi (ICML 2016), as a mean over neurons.

    The centres are trained by the network's optimiser. The target P is constant for ``update_interval`` steps
    and then refreshed, unless the gradient is asked to flow through it (which collapses, see docs).

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition: its cluster means are the first centres, its spread the scale of 'scaled'.
    config : FinetuneConfig
        Kind dec, dec_joint or dec_undetached.
    """

    log_p: Tensor
    refreshed_labels: Tensor
    scale2: Tensor
    origin: Tensor
    axes: Tensor
    steps: Tensor

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, start, config, prediction_weight=0.0 if config.kind == "dec" else 1.0)
        aligned = start.aligned()
        with torch.no_grad():
            if config.kernel == "pca10":
                origin, axes = principal_axes(aligned, PCA_DIMENSIONS)
                self.register_buffer("origin", origin)
                self.register_buffer("axes", axes)
            points = self.project(aligned)
            centres = start.means(points)
            n_features = points.shape[1]
            scale2 = points.new_ones(())
            exponent = (config.alpha + 1) / 2
            if config.kernel != "published":
                exponent = (config.alpha + n_features) / 2
                scale2 = ((points - centres[start.labels]) ** 2).mean().clamp_min(1e-12)
            self.exponent = exponent
            self.register_buffer("scale2", scale2)
            self.centres = nn.Parameter(centres)
            self.register_buffer("log_p", self._first_target(start, points))
            self.register_buffer("refreshed_labels", start.labels.clone())
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.begin(start)

    def project(self, points: Tensor) -> Tensor:
        """Points on the fixed axes of the kernel, (n_neurons, 10), or as they are."""
        return (points - self.origin) @ self.axes if self.config.kernel == "pca10" else points

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the soft assignments, (n_neurons, n_clusters)."""
        return self._log_q(self.project(points))

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; refreshes the target first where it is due."""
        log_q = self.log_q(points)
        if not self.config.detach_target:
            return mean_kl(log_target(log_q), log_q)
        if int(self.steps) % self.config.update_interval == 0:
            self._refresh(log_q.detach())
        return mean_kl(self.log_p, log_q)

    def after_step(self, embedding: Tensor) -> None:
        """Count the step."""
        self.steps += 1

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering on the kernel's axes."""
        projected = self.project(points)
        log_q = self._log_q(projected)
        kl = float(mean_kl(log_target(log_q), log_q))
        return diagnose(projected, self.centres.detach(), log_q=log_q, kl=kl)

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Centres, on the kernel's axes where it has any (then with ``origin`` and ``axes``)."""
        found = {"centres": self.centres.detach()[torch.as_tensor(order)], "scale2": self.scale2[None]}
        if self.config.kernel == "pca10":
            found |= {"origin": self.origin, "axes": self.axes}
        return {name: value.cpu().numpy().astype(np.float64) for name, value in found.items()}

    def _log_q(self, projected: Tensor) -> Tensor:
        return student_log_q(
            projected, self.centres, alpha=self.config.alpha, exponent=self.exponent, scale2=self.scale2
        )

    def _first_target(self, start: StartPoints, projected: Tensor) -> Tensor:
        return self._target(self._log_q(projected))

    def _target(self, log_q: Tensor) -> Tensor:
        if self.config.target == "sharpened":
            return log_target(log_q)
        return balanced_log_target(log_q, epsilon=self.config.transport_epsilon, balance=self.config.balance)

    def _refresh(self, log_q: Tensor) -> None:
        self.log_p.copy_(self._target(log_q))
        labels = log_q.argmax(dim=1)
        # The first target is made from the start; there is no earlier one to compare labels with.
        if int(self.steps) > 0:
            changed = float((labels != self.refreshed_labels).double().mean())
            if changed < self.config.tolerance:
                self.stop_reason = "tolerance"
        self.refreshed_labels.copy_(labels)


def principal_axes(points: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
    """Mean and leading principal axes of points, (n_features,) and (n_features, min(n_axes, n_features))."""
    x = points.double()
    origin = x.mean(dim=0)
    centred = x - origin
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors[:, -min(n_axes, x.shape[1]) :].flip(1)
    return origin.to(points.dtype), axes.contiguous().to(points.dtype)
