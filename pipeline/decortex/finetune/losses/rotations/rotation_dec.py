"""Rotation-invariant DEC: Student scores tied over the roll of orientation, centres trained with the network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.finetune.losses.assignment import log_target, mean_kl, squared_distances, student_log_kernel
from decortex.finetune.losses.dec import DECTerm
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose
from decortex.finetune.losses.rotations.rotation import best_shifts, gauge, rolled_by, rolls, tied_scores


class RotationDECTerm(DECTerm):
    r"""KL(P || Q) of DEC with one centre for all rolls of a cluster, as a mean over neurons.

    .. math:: q_{ij} \propto \sum_o \Bigl(1 + \frac{|z_i - T_o \mu_j|^2}{\alpha s^2}\Bigr)^{-e}

    or, with ``shift = 'best'``, the largest term of the sum. Rolling a neuron changes neither loss nor labels;
    with one orientation it is `DECTerm`.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered; it must commute with rolls.
    start : StartPoints
        The parent partition and its shifts: clusters' means are taken over neurons turned back by them.
    config : FinetuneConfig
        Kind rotation_dec.
    """

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering, neurons turned back to their clusters."""
        log_q = self.log_q(points).detach()
        shifts = self._shifts(points, log_q.argmax(dim=1))
        return diagnose(
            rolled_by(points, -shifts, self.n_orientations),
            self.centres.detach(),
            log_q=log_q,
            kl=float(mean_kl(log_target(log_q), log_q)),
            n_orientations=self.n_orientations,
        )

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Centres, strongest at o = 0; ``shifts`` of the neurons against them; ``n_orientations``."""
        centres = self.centres.detach()
        turned = gauge(centres, self.n_orientations)
        labels = self.log_q(points).argmax(dim=1)
        shifts = (self._shifts(points, labels) + turned[labels]) % self.n_orientations
        fixed = rolled_by(centres, -turned, self.n_orientations)
        found = {
            "centres": fixed[torch.as_tensor(order, device=fixed.device)],
            "scale2": self.scale2[None],
            "shifts": shifts,
            "n_orientations": torch.tensor([float(self.n_orientations)]),
        }
        return {name: value.detach().cpu().numpy().astype(np.float64) for name, value in found.items()}

    def _shifts(self, points: Tensor, labels: Tensor) -> Tensor:
        return best_shifts(
            self._joint(),
            points,
            labels,
            n_components=len(self.centres) * self.n_orientations,
            n_orientations=self.n_orientations,
        )

    def _log_q(self, projected: Tensor) -> Tensor:
        scores = tied_scores(
            self._joint(),
            projected,
            n_components=len(self.centres) * self.n_orientations,
            n_orientations=self.n_orientations,
            over=self.config.shift,
        )
        return torch.log_softmax(scores, dim=1)

    def _joint(self) -> Callable[[Tensor], Tensor]:
        """Log kernel of points to all rolls, (n, O * n_clusters), with the rolls made once for all blocks."""
        centres = rolls(self.centres, self.n_orientations)

        def joint(z: Tensor) -> Tensor:
            return student_log_kernel(
                squared_distances(z, centres),
                alpha=self.config.alpha,
                exponent=self.exponent,
                scale2=self.scale2,
            )

        return joint
