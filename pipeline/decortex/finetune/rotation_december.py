"""Rotation-invariant DECEMber: a t-mixture whose components are tied over the roll of orientation, moved by EM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.finetune.assignment import student_t_log_density
from decortex.finetune.december import DECEMberTerm, Moments
from decortex.finetune.diagnostics import Diagnostics, diagnose
from decortex.finetune.rotation import (
    best_shifts,
    block_rows,
    gauge,
    orientation_mean,
    rolled_by,
    rolls,
    tied_scores,
    turned_back,
)


class RotationDECEMberTerm(DECEMberTerm):
    r"""beta KL(P || Q) of a t-mixture over clusters and rolls, KL on the clusters.

    .. math:: q_{ijo} = softmax_{(j,o)} \log \frac{\pi_j}{O} t_\nu(z_i; T_o \mu_j, T_o \sigma_j),
       \quad q_{ij} = \sum_o q_{ijo}

    The EM step turns every neuron's share back by o before it adds it up. Rolling a neuron changes neither loss
    nor labels nor the step; with one orientation it is `DECEMberTerm`.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered; it must commute with rolls.
    start : StartPoints
        The parent partition and its shifts.
    config : FinetuneConfig
        Kind rotation_december.
    """

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; keeps the points for the EM step."""
        self._points = points.detach()
        return self._kl(self.log_q(points))

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the posterior of every cluster, (n_neurons, n_clusters)."""
        scores = tied_scores(
            self._joint(),
            points,
            n_components=self._n_components,
            n_orientations=self.n_orientations,
            over="sum",
        )
        return torch.log_softmax(scores, dim=1)

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering, neurons turned back to their clusters."""
        log_q = self.log_q(points)
        shifts = self._shifts(points, log_q.argmax(dim=1))
        return diagnose(
            rolled_by(points, -shifts, self.n_orientations),
            self.centres,
            log_q=log_q,
            kl=float(self._kl(log_q)),
            share_clamped=self._share_clamped(),
            n_orientations=self.n_orientations,
        )

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Mixture with centres strongest at o = 0; ``shifts`` of the neurons against them; ``n_orientations``."""
        found = super().cluster_parameters(points, order)
        turned = gauge(self.centres, self.n_orientations)
        labels = self.log_q(points).argmax(dim=1)
        shifts = (self._shifts(points, labels) + turned[labels]) % self.n_orientations
        for name in ("centres", "scales"):
            fixed = rolled_by(getattr(self, name), -turned, self.n_orientations)
            found[name] = fixed.cpu().numpy().astype(np.float64)[order]
        found["shifts"] = shifts.cpu().numpy().astype(np.float64)
        found["n_orientations"] = np.array([float(self.n_orientations)])
        return found

    @property
    def _n_components(self) -> int:
        return len(self.centres) * self.n_orientations

    def _shifts(self, points: Tensor, labels: Tensor) -> Tensor:
        return best_shifts(
            self._joint(),
            points,
            labels,
            n_components=self._n_components,
            n_orientations=self.n_orientations,
        )

    def _joint(self) -> Callable[[Tensor], Tensor]:
        both = self._joint_and_distances()
        return lambda z: both(z)[0]

    def _joint_and_distances(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Log of weight times density of all rolls, and squared distances, both (n, O * n_clusters), of points.

        The rolls are made once for all blocks.
        """
        n_orientations = self.n_orientations
        centres, scales = (rolls(one, n_orientations) for one in (self.centres, self.scales))
        nu = self.nu.repeat(n_orientations)
        log_weights = self.log_weights.repeat(n_orientations) - float(np.log(n_orientations))

        def both(z: Tensor) -> tuple[Tensor, Tensor]:
            log_f, delta = student_t_log_density(z, centres, scales, nu)
            return log_f + log_weights, delta

        return both

    def _moments(self, points: Tensor) -> Moments:
        n_orientations, n_features = self.n_orientations, points.shape[1]
        origin = orientation_mean(points.mean(dim=0), n_orientations)
        nu = self.nu.repeat(n_orientations)
        double = {"dtype": torch.float64, "device": points.device}
        mass = torch.zeros(self._n_components, **double)  # type: ignore[call-overload]
        spread, pull = torch.zeros_like(mass), torch.zeros_like(mass)
        first = torch.zeros(self._n_components, n_features, **double)  # type: ignore[call-overload]
        second = torch.zeros_like(first)
        both = self._joint_and_distances()
        log_likelihood = torch.zeros((), **double)  # type: ignore[call-overload]
        for block in torch.split(points, block_rows(points, self._n_components)):
            joint, delta = both(block)
            total = torch.logsumexp(joint, dim=1)
            q = torch.exp(joint - total[:, None])
            u = (nu + n_features) / (nu + delta)
            w, x = q * u, block - origin
            # Sums within a block in the points' own precision, over the blocks in double: O times as many products
            # as without rolls would cost too much in double throughout.
            mass += q.sum(dim=0)
            pull += w.sum(dim=0)
            first += w.T @ x
            second += w.T @ x**2
            if self.config.learn_nu:
                spread += (q * (u.log() - u)).sum(dim=0)
            log_likelihood += total.double().sum()
        by_cluster = [one.reshape(n_orientations, -1).sum(dim=0) for one in (mass, pull, spread)]
        return Moments(
            mass=by_cluster[0],
            pull=by_cluster[1],
            spread=by_cluster[2],
            first=turned_back(first, n_orientations),
            second=turned_back(second, n_orientations),
            origin=origin,
            log_likelihood=float(log_likelihood) / len(points),
        )
