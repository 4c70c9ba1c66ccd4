"""TELL: k-means as a differentiable loss, centres trained with the network (Peng et al. 2022)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.assignment import log_target, mean_kl, squared_distances
from decortex.finetune.losses.base import ClusteringTerm, StartPoints, ToPoints
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose


class TELLTerm(ClusteringTerm):
    r"""Mean squared distance to softly assigned centres, in units of its start.

    .. math:: L = \frac{1}{N s^2} \sum_{ij} a_{ij} |z_i - \mu_j|^2, \qquad
       a_{ij} = \mathrm{softmax}_j\Bigl(-\frac{|z_i - \mu_j|^2}{\tau s_1^2}\Bigr)

    k-means' objective with its assignment softened, so that both points and centres have a gradient (Peng et al., "XAI
    beyond classification: interpretable neural clustering", J. Mach. Learn. Res. 23, 2022). Unlike a KL to a target
    it is not satisfied by sharpening: a neuron between two clusters is drawn to both.

    :math:`s^2` is the mean squared distance to the own centre at the start, which makes the loss 1 there, and
    :math:`s_1^2 = s^2/D` the same a dimension: at :math:`\tau = 2` the assignments are those of a mixture of
    spherical Gaussians with that variance.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition: its cluster means are the first centres.
    config : FinetuneConfig
        Kind tell.
    """

    scale2: Tensor

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, start, config, prediction_weight=1.0)
        with torch.no_grad():
            centres = start.means()
            self.register_buffer(
                "scale2", ((start.points - centres[start.labels]) ** 2).mean().clamp_min(1e-12)
            )
            self.centres = nn.Parameter(centres)
        self.begin(start)

    def kl(self, points: Tensor) -> Tensor:
        """Mean over neurons of the softly assigned squared distance, over s^2; no KL stands in this loss."""
        distances = squared_distances(points, self.centres)
        a = torch.softmax(self._logits(distances), dim=1)
        return (a * distances).sum(dim=1).mean() / (self.scale2 * points.shape[1])

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the soft assignments a, (n_neurons, n_clusters)."""
        return torch.log_softmax(self._logits(squared_distances(points, self.centres)), dim=1)

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering; ``kl`` is to the target that DEC would make of the assignments."""
        log_q = self.log_q(points)
        kl = float(mean_kl(log_target(log_q), log_q))
        return diagnose(points, self.centres.detach(), log_q=log_q, kl=kl)

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Centres, and the squared scale a dimension."""
        found = {"centres": self.centres.detach()[torch.as_tensor(order)], "scale2": self.scale2[None]}
        return {name: value.cpu().numpy().astype(np.float64) for name, value in found.items()}

    def _logits(self, distances: Tensor) -> Tensor:
        return -distances / (self.config.temperature * self.scale2)
