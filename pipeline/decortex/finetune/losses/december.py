"""DECEMber: a mixture of t distributions that follows the embedding by EM, one step per optimiser step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.clustering import fit
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.annihilation import annihilating_step, length_penalty, living
from decortex.finetune.losses.assignment import log_target, mean_kl, student_t_log_density
from decortex.finetune.losses.base import ClusteringTerm, StartPoints, ToPoints, numbered_as
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose

# Bounds of the degrees of freedom where they are learned: below, variances stop existing for good; above,
# the t distribution is a Gaussian.
NU_MIN, NU_MAX = 0.1, 200.0
PROBABILITY_FLOOR = 1e-8
# Starts of the k-means from which a mixture begins anew, as published for its first start.
RESTART_STARTS = 20


@dataclass(frozen=True)
class Moments:
    """What the M step needs of the neurons, in double precision (small scales are differences of moments).

    Parameters
    ----------
    mass, pull, spread : Tensor, shape (n_clusters,)
        Sums over neurons of q, of q u and, where nu is learned, of q (log u - u).
    first, second : Tensor, shape (n_clusters, n_features)
        Sums of q u x and q u x^2, with x = z - origin.
    origin : Tensor, shape (n_features,)
        Near the middle of the points.
    log_likelihood : float
        Mean over neurons, nats, of the parameters before the step.
    """

    mass: Tensor
    pull: Tensor
    spread: Tensor
    first: Tensor
    second: Tensor
    origin: Tensor
    log_likelihood: float


class DECEMberTerm(ClusteringTerm):
    """beta KL(P || Q) of a t-mixture (Nellen, Turishcheva et al., NeurIPS 2025), as a mean over neurons.

    Centres and scales are not trained by gradients: one EM step per optimiser step moves them, on the
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
    _densities: tuple[Tensor, Tensor] | None = None

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, start, config, prediction_weight=1.0)
        self._points: Tensor | None = None
        for name, value in self._mixture_of(start).items():
            self.register_buffer(name, value)
        self.begin(start)

    @torch.no_grad()
    def start_epoch(self, embedding: Tensor, epoch: int) -> bool:
        """Let beta rise, and fit the mixture anew where that is due; returns whether it was."""
        super().start_epoch(embedding, epoch)
        return self.refit_is_due(epoch) and self.restart(embedding, seed=epoch)

    @torch.no_grad()
    def restart(self, embedding: Tensor, *, seed: int) -> bool:
        """Fit the mixture to the present embedding as at the start: k-means (shift-EM with rolls), means, variances.

        Its EM follows the points from where it stands and hardly leaves its first partition; a new fit can. Clusters
        are numbered by the ones they share most neurons with. Returns False, and nothing changes, where the
        embedding does not have K separate clusters.
        """
        points = self.to_points(embedding)
        start = self._clustered(points, seed=seed)
        if not bool(torch.bincount(start.labels, minlength=self.n_clusters).all()):
            return False
        start = replace(start, labels=numbered_as(start.labels, self.labels, self.n_clusters))
        for name, value in self._mixture_of(start).items():
            getattr(self, name).copy_(value)
        self._points = self._densities = None
        return True

    def _clustered(self, points: Tensor, *, seed: int) -> StartPoints:
        """Partition points as a start is made."""
        x = points.cpu().double().numpy()
        found = fit(x, "kmeans", n_clusters=self.n_clusters, seed=seed, n_init=RESTART_STARTS)
        labels = torch.as_tensor(found.labels.astype(np.int64), device=points.device)
        return StartPoints(points=points, labels=labels, n_clusters=self.n_clusters)

    @torch.no_grad()
    def _mixture_of(self, start: StartPoints) -> dict[str, Tensor]:
        """Parameters of the mixture at a partition without empty clusters."""
        config, aligned = self.config, start.aligned()
        centres = start.means(aligned)
        variances = start.means((aligned - centres[start.labels]) ** 2) + 1e-6
        weights = torch.full((start.n_clusters,), 1.0 / start.n_clusters)
        if config.learn_weights:
            weights = torch.bincount(start.labels, minlength=start.n_clusters) / len(start.labels)
        log_weights = weights.to(centres).log()
        return {
            "centres": centres,
            "scales": variances.clamp(config.scale_min, config.scale_max),
            "log_weights": log_weights,
            "nu": torch.full_like(log_weights, config.nu),
        }

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; keeps points and densities for the EM step."""
        log_f, delta = self._log_density(points)
        self._points, self._densities = points.detach(), (log_f.detach(), delta.detach())
        return self._kl(torch.log_softmax(log_f + self.log_weights, dim=1))

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the posterior of every component, (n_neurons, n_clusters)."""
        log_f, _ = self._log_density(points)
        return torch.log_softmax(log_f + self.log_weights, dim=1)

    @torch.no_grad()
    def after_step(self, embedding: Tensor) -> None:
        """Do one EM step on the points that the last gradient was taken at, not on the moved ones."""
        if self._points is None:
            return
        if self.config.annihilation:
            self.annihilating_step(self._points)
        else:
            self._maximise(self._moments(self._points))
        self._points = self._densities = None

    @torch.no_grad()
    def annihilating_step(self, points: Tensor) -> None:
        """Do one component-wise EM step on points, in which clusters may die (Figueiredo & Jain 2002)."""
        config = self.config
        penalty = length_penalty(points.shape[1], learn_nu=config.learn_nu, factor=config.annihilation)
        annihilating_step(self, points, penalty=penalty)

    def component_density(self, points: Tensor, j: int) -> Tensor:
        """Log density of every neuron under component j, (n_neurons,)."""
        one = slice(j, j + 1)
        log_f, _ = student_t_log_density(points, self.centres[one], self.scales[one], self.nu[one])
        return log_f[:, 0]

    def refit_component(self, points: Tensor, j: int, q: Tensor) -> None:
        """M step of component j given its posteriors (n_neurons,); its weight is left alone."""
        self._maximise(self._component_moments(points, j, q), slice(j, j + 1))

    def _component_moments(self, points: Tensor, j: int, q: Tensor) -> Moments:
        one = slice(j, j + 1)
        _, delta = student_t_log_density(points, self.centres[one], self.scales[one], self.nu[one])
        return self._moments_of(points, q[:, None], (self.nu[one] + points.shape[1]) / (self.nu[one] + delta))

    @torch.no_grad()
    def em_step(self, points: Tensor) -> float:
        """Do one EM step of the t-mixture on points; returns the mean log-likelihood before it.

        E: q, u = (nu + D)/(nu + delta). M: mu = sum q u z / sum q u, scale = sum q u (z - mu)^2 / sum q. A
        component without weight keeps its parameters.
        """
        self._densities = None
        moments = self._moments(points)
        self._maximise(moments)
        return moments.log_likelihood

    def _log_density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return student_t_log_density(points, self.centres, self.scales, self.nu)

    def _moments(self, points: Tensor) -> Moments:
        """E step: posteriors and what the M step needs of them."""
        log_f, delta = self._densities or self._log_density(points)
        joint = log_f + self.log_weights
        log_likelihood = torch.logsumexp(joint, dim=1)
        q = torch.exp(joint - log_likelihood[:, None])  # (N, K)
        u = (self.nu + points.shape[1]) / (self.nu + delta)  # (N, K)
        return self._moments_of(points, q, u, log_likelihood=float(log_likelihood.mean()))

    def _moments_of(
        self, points: Tensor, q: Tensor, u: Tensor, *, log_likelihood: float = math.nan
    ) -> Moments:
        """Sums that the M step needs, of posteriors and weights of some components, each (N, n_components)."""
        origin = points.mean(dim=0)
        x, w, mass = (points - origin).double(), (q * u).double(), q.double().sum(dim=0)
        return Moments(
            mass=mass,
            pull=w.sum(dim=0),
            spread=(q * (u.log() - u)).double().sum(dim=0)
            if self.config.learn_nu
            else torch.zeros_like(mass),
            first=w.T @ x,
            second=w.T @ x**2,
            origin=origin,
            log_likelihood=log_likelihood,
        )

    def _maximise(self, moments: Moments, rows: slice = slice(None)) -> None:
        """M step of the components ``rows``; one of a mass below 1e-8 a neuron keeps its parameters."""
        nu, centres = self.nu[rows], self.centres[rows]  # views
        kind = self.centres.dtype
        n_neurons = len(self.labels)
        alive = moments.mass > PROBABILITY_FLOOR * n_neurons
        total = moments.pull.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
        mu = moments.first / total
        around = moments.second - total * mu**2  # sum q u (z - mu)^2
        scales = around / moments.mass.clamp_min(PROBABILITY_FLOOR)[:, None]
        scales = scales.clamp(self.config.scale_min, self.config.scale_max)
        if self.config.learn_nu:
            found = nu_root(moments.mass, moments.spread, nu=nu.double(), n_features=centres.shape[1])
            nu.copy_(torch.where(alive, found.to(kind), nu))
        centres.copy_(torch.where(alive[:, None], mu.to(kind) + moments.origin, centres))
        self.scales[rows].copy_(torch.where(alive[:, None], scales.to(kind), self.scales[rows]))
        if self.config.learn_weights and not self.config.annihilation:
            share = (moments.mass / n_neurons).clamp_min(PROBABILITY_FLOOR)
            self.log_weights.copy_((share / share.sum()).log())

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering."""
        log_q = self.log_q(points)
        return diagnose(
            points,
            self.centres,
            log_q=log_q,
            kl=float(self._kl(log_q)),
            share_clamped=self._share_clamped(),
            alive=self._alive(),
        )

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Centres, scales, weights and degrees of freedom of the mixture."""
        found = {
            "centres": self.centres,
            "scales": self.scales,
            "weights": self.log_weights.exp(),
            "nu": self.nu,
        }
        return {name: value.cpu().numpy().astype(np.float64)[order] for name, value in found.items()}

    def _share_clamped(self) -> float:
        scales = self.scales[living(self.log_weights)]
        clamped = (scales <= self.config.scale_min) | (scales >= self.config.scale_max)
        return float(clamped.double().mean())

    def _alive(self) -> Tensor | None:
        """Which components live; None where none can die."""
        return living(self.log_weights) if self.config.annihilation else None

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
    return nu_root(q.sum(dim=0), (q * (u.log() - u)).sum(dim=0), nu=nu, n_features=n_features)


def nu_root(mass: Tensor, spread: Tensor, *, nu: Tensor, n_features: int) -> Tensor:
    """Root of the equation of `learned_nu` from the sums of q and of q (log u - u), each (n_clusters,)."""
    half = (nu + n_features) / 2
    constant = 1 + spread / mass.clamp_min(torch.finfo(mass.dtype).tiny) + torch.digamma(half) - half.log()
    low, high = torch.full_like(nu, NU_MIN), torch.full_like(nu, NU_MAX)
    # The left side falls in nu; 36 halvings of a factor 2000 leave a relative error of 1e-10.
    for _ in range(36):
        middle = torch.sqrt(low * high)
        above = -torch.digamma(middle / 2) + (middle / 2).log() + constant > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return torch.sqrt(low * high)
