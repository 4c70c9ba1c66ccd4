"""DECEMber: a mixture of t distributions that follows the embedding by EM, one step an optimiser step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.finetune.assignment import log_target, mean_kl, student_t_log_density
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.diagnostics import Diagnostics, diagnose
from decortex.finetune.term import ClusteringTerm, StartPoints, ToPoints

# Bounds of the degrees of freedom where they are learned: below, variances stop existing for good; above,
# the t distribution is a Gaussian.
NU_MIN, NU_MAX = 0.1, 200.0
PROBABILITY_FLOOR = 1e-8


class DECEMberTerm(ClusteringTerm):
    """beta KL(P || Q) of a t-mixture (Nellen, Turishcheva et al., NeurIPS 2025), as a mean over neurons.

    Centres and scales are not trained by gradients: one EM step an optimiser step moves them, on the
    embedding that the step's gradient was taken at.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition: its means and within-cluster variances start the mixture.
    config : FinetuneConfig
        Kind december.
    """

    centres: Tensor
    scales: Tensor
    log_weights: Tensor
    nu: Tensor

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, n_clusters=start.n_clusters, weight=config.beta, prediction_weight=1.0)
        self.config = config
        self._pending: tuple[Tensor, Tensor, Tensor] | None = None
        with torch.no_grad():
            centres = start.means()
            variances = start.means((start.points - centres[start.labels]) ** 2) + 1e-6
            self.register_buffer("centres", centres)
            self.register_buffer("scales", variances.clamp(config.scale_min, config.scale_max))
            weights = torch.full((start.n_clusters,), 1.0 / start.n_clusters)
            if config.learn_weights:
                weights = torch.bincount(start.labels, minlength=start.n_clusters) / len(start.labels)
            self.register_buffer("log_weights", weights.to(centres).log())
            self.register_buffer("nu", torch.full_like(self.log_weights, config.nu))
        self.begin(start)

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; keeps its densities for the EM step."""
        log_f, delta = self._log_density(points)
        self._pending = points.detach(), log_f.detach(), delta.detach()
        return self._kl(torch.log_softmax(log_f + self.log_weights, dim=1))

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the posterior of every component, (n_neurons, n_clusters)."""
        log_f, _ = self._log_density(points)
        return torch.log_softmax(log_f + self.log_weights, dim=1)

    @torch.no_grad()
    def after_step(self, embedding: Tensor) -> None:
        """Do one EM step on the points that the last gradient was taken at, not on the moved ones."""
        if self._pending is not None:
            self._em_step(*self._pending)
            self._pending = None

    @torch.no_grad()
    def em_step(self, points: Tensor) -> float:
        """Do one EM step of the t-mixture on points; returns the mean log-likelihood before it.

        E: q, u = (nu + D)/(nu + delta). M: mu = sum q u z / sum q u, scale = sum q u (z - mu)^2 / sum q. A
        component without weight keeps its parameters.
        """
        return self._em_step(points, *self._log_density(points))

    def _log_density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return student_t_log_density(points, self.centres, self.scales, self.nu)

    def _em_step(self, points: Tensor, log_f: Tensor, delta: Tensor) -> float:
        joint = log_f + self.log_weights
        log_likelihood = torch.logsumexp(joint, dim=1)
        q = torch.exp(joint - log_likelihood[:, None])  # (N, K)
        u = (self.nu + points.shape[1]) / (self.nu + delta)  # (N, K)
        mass = q.sum(dim=0)  # (K,)
        alive = mass > PROBABILITY_FLOOR * len(points)
        mu, scales = self._weighted_moments(points, q * u, mass)
        if self.config.learn_nu:
            self.nu.copy_(
                torch.where(alive, learned_nu(q, u, nu=self.nu, n_features=points.shape[1]), self.nu)
            )
        self.centres.copy_(torch.where(alive[:, None], mu, self.centres))
        self.scales.copy_(torch.where(alive[:, None], scales, self.scales))
        if self.config.learn_weights:
            share = (mass / len(points)).clamp_min(PROBABILITY_FLOOR)
            self.log_weights.copy_((share / share.sum()).log())
        return float(log_likelihood.mean())

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering."""
        log_q = self.log_q(points)
        clamped = (self.scales <= self.config.scale_min) | (self.scales >= self.config.scale_max)
        return diagnose(
            points,
            self.centres,
            log_q=log_q,
            kl=float(self._kl(log_q)),
            share_clamped=float(clamped.double().mean()),
        )

    def cluster_parameters(self, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Centres, scales, weights and degrees of freedom of the mixture."""
        found = {
            "centres": self.centres,
            "scales": self.scales,
            "weights": self.log_weights.exp(),
            "nu": self.nu,
        }
        return {name: value.cpu().numpy().astype(np.float64)[order] for name, value in found.items()}

    def _weighted_moments(self, points: Tensor, weight: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        """Centres and clamped scales of the M-step from weights q u (N, K) and masses sum q (K,)."""
        # In double precision: the difference of two moments would lose the small scales of tight clusters.
        origin = points.mean(dim=0)
        x, w = (points - origin).double(), weight.double()
        total = w.sum(dim=0).clamp_min(torch.finfo(torch.float64).tiny)[:, None]
        mu = (w.T @ x) / total
        around = (w.T @ x**2) - total * mu**2  # sum q u (z - mu)^2
        scales = around / mass.double().clamp_min(PROBABILITY_FLOOR)[:, None]
        clamped = scales.clamp(self.config.scale_min, self.config.scale_max)
        return mu.to(points.dtype) + origin, clamped.to(points.dtype)

    def _kl(self, log_q: Tensor) -> Tensor:
        # Both probabilities are held above 1e-8 as in the published loss, here without cutting gradients
        # of the large ones.
        floor = float(np.log(PROBABILITY_FLOOR))
        log_p = log_target(log_q.detach() if self.config.detach_target else log_q, power=self.config.power)
        return mean_kl(log_p.clamp_min(floor), log_q.clamp_min(floor))


def learned_nu(q: Tensor, u: Tensor, *, nu: Tensor, n_features: int) -> Tensor:
    r"""Degrees of freedom of every component, the root of Peel & McLachlan's (2000) equation (M-step).

    .. math:: -\psi(\tfrac{\nu}{2}) + \log\tfrac{\nu}{2} + 1
       + \frac{1}{n_j}\sum_i q_{ij}(\log u_{ij} - u_{ij})
       + \psi(\tfrac{\nu' + D}{2}) - \log\tfrac{\nu' + D}{2} = 0

    Parameters
    ----------
    q, u : Tensor, shape (n_neurons, n_clusters)
        Posteriors and weights of the E-step.
    nu : Tensor, shape (n_clusters,)
        Degrees of freedom of the E-step.
    n_features : int
        D.

    Returns
    -------
    Tensor, shape (n_clusters,)
        By bisection within [0.1, 200]; the bound where the root lies outside.
    """
    mass = q.sum(dim=0).clamp_min(torch.finfo(q.dtype).tiny)
    half = (nu + n_features) / 2
    constant = 1 + (q * (u.log() - u)).sum(dim=0) / mass + torch.digamma(half) - half.log()
    low, high = torch.full_like(nu, NU_MIN), torch.full_like(nu, NU_MAX)
    # The left side falls in nu; 50 halvings of a factor 2000 reach double precision.
    for _ in range(50):
        middle = torch.sqrt(low * high)
        above = -torch.digamma(middle / 2) + (middle / 2).log() + constant > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return torch.sqrt(low * high)
