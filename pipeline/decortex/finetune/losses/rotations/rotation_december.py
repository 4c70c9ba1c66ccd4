"""Rotation-invariant DECEMber: a t-mixture whose components are tied over the roll of orientation, moved by EM."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.clustering import fit
from decortex.finetune.losses.base import StartPoints
from decortex.finetune.losses.december import DECEMberTerm, Moments
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose
from decortex.finetune.losses.rotations.rotation import (
    best_shifts,
    gauge,
    orientation_mean,
    rolled_by,
    turned_back,
)
from decortex.finetune.losses.rotations.tied_mixture import (
    Kept,
    Pass,
    TiedMixture,
    passes_of,
    tied_mixture_scores,
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

    _kept: Kept | None = None

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; keeps the points, and what was computed of them, for the EM step."""
        scores, self._kept = tied_mixture_scores(points, self._mixture())
        self._points = self._kept.points
        return self._kl(torch.log_softmax(scores, dim=1))

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the posterior of every cluster, (n_neurons, n_clusters)."""
        return torch.log_softmax(tied_mixture_scores(points, self._mixture())[0], dim=1)

    @torch.no_grad()
    def after_step(self, embedding: Tensor) -> None:
        """Do one EM step on the points that the last gradient was taken at, not on the moved ones."""
        super().after_step(embedding)
        self._kept = None

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
            alive=self._alive(),
        )

    def component_density(self, points: Tensor, j: int) -> Tensor:
        """Log density of every neuron under component j and any of its rolls, (n_neurons,)."""
        mixture = self._mixture(slice(j, j + 1))
        return torch.cat([one.scores for _, one in mixture.passes(points)])[:, 0] - self.log_weights[j]

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

    def _clustered(self, points: Tensor, *, seed: int) -> StartPoints:
        x, n_orientations = points.cpu().double().numpy(), self.n_orientations
        found = fit(
            x, "rotation_tmixture", n_clusters=self.n_clusters, seed=seed, n_orientations=n_orientations
        )
        labels, shifts = (
            torch.as_tensor(np.asarray(value).astype(np.int64), device=points.device)
            for value in (found.labels, found.parameters.get("shifts", np.zeros(len(x))))
        )
        return StartPoints(points, labels, self.n_clusters, shifts=shifts, n_orientations=n_orientations)

    def _shifts(self, points: Tensor, labels: Tensor) -> Tensor:
        mixture = self._mixture()
        return best_shifts(
            mixture.joint,
            points,
            labels,
            n_components=mixture.n_components,
            n_orientations=self.n_orientations,
        )

    def _mixture(self, rows: slice = slice(None)) -> TiedMixture:
        return TiedMixture(
            self.centres[rows],
            self.scales[rows],
            nu=self.nu[rows],
            log_weights=self.log_weights[rows],
            n_orientations=self.n_orientations,
            with_spread=self.config.learn_nu,
        )

    def _moments(self, points: Tensor) -> Moments:
        mixture = self._mixture()
        kept = self._kept if self._kept is not None and self._kept.points is points else Kept(points)
        return self._sums(points, mixture, passes_of(mixture, kept))

    def _component_moments(self, points: Tensor, j: int, q: Tensor) -> Moments:
        mixture = self._mixture(slice(j, j + 1))
        return self._sums(points, mixture, mixture.passes(points), q[:, None])

    def _sums(
        self,
        points: Tensor,
        mixture: TiedMixture,
        passes: Iterable[tuple[Tensor, Pass]],
        posteriors: Tensor | None = None,
    ) -> Moments:
        """Moments of a mixture's clusters; ``posteriors`` (n_neurons, n_clusters) if not its own."""
        n_orientations = self.n_orientations
        origin = orientation_mean(points.mean(dim=0), n_orientations)
        mass = self.nu.new_zeros(mixture.n_components // n_orientations, dtype=torch.float64)
        spread = torch.zeros_like(mass)
        pull = mass.new_zeros(mixture.n_components)
        first = mass.new_zeros(mixture.n_components, points.shape[1])
        second = torch.zeros_like(first)
        log_likelihood = mass.new_zeros(())
        done = 0
        for block, one in passes:
            total = torch.logsumexp(one.scores, dim=1, keepdim=True)
            q = torch.exp(one.scores - total)
            if posteriors is not None:
                q = posteriors[done : done + len(block)]
                done += len(block)
            folded = one.weights.view(len(block), n_orientations, -1)
            w, x = (folded * q[:, None]).view_as(one.weights), block - origin
            # Sums within a block in the points' own precision, over the blocks in double: O times as many products
            # as without rolls would cost too much in double throughout.
            mass += q.sum(dim=0)
            pull += w.sum(dim=0)
            first += w.T @ x
            second += w.T @ x**2
            if one.spread is not None:
                spread += (q * one.spread).sum(dim=0)
            log_likelihood += total.double().sum()
        return Moments(
            mass=mass,
            pull=pull.reshape(n_orientations, -1).sum(dim=0),
            spread=spread,
            first=turned_back(first, n_orientations),
            second=turned_back(second, n_orientations),
            origin=origin,
            log_likelihood=float(log_likelihood) / len(points),
        )
