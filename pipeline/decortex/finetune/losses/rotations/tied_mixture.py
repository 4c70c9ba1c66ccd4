"""Scores of a t-mixture whose components are tied over rolls, their gradient in closed form. No loss, no M step.

One pass over the neurons gives the scores and the weights r u of every neuron under every roll; the gradient and the
EM step are both made of these weights, so that no density is computed twice. Left to automatic differentiation, the
same gradient writes and reads about ten arrays of n_neurons x O n_clusters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decortex.finetune.losses.assignment import cancelled, middle_of, replaced
from decortex.finetune.losses.rotations import rotation
from decortex.finetune.losses.rotations.rotation import block_rows, rolls


@dataclass(frozen=True)
class Pass:
    r"""What one pass over a block of neurons gives.

    Parameters
    ----------
    scores : Tensor, shape (n, n_clusters)
        :math:`s_{ij} = \log \sum_o \frac{\pi_j}{O} t_\nu(z_i; T_o \mu_j, T_o \sigma_j)`.
    weights : Tensor, shape (n, O * n_clusters)
        :math:`r_{ijo} u_{ijo}`, r the share of roll o in the score, u = (nu + D)/(nu + delta).
    spread : Tensor, shape (n, n_clusters)
        :math:`\sum_o r_{ijo} (\log u_{ijo} - u_{ijo})`.
    """

    scores: Tensor
    weights: Tensor
    spread: Tensor | None


class TiedMixture:
    r"""A t-mixture, its rolls made once for all blocks.

    .. math:: \partial s_{ij}/\partial z_i = -\sum_o r_{ijo} u_{ijo} (z_i - T_o \mu_j) / T_o \sigma_j

    Parameters
    ----------
    centres, scales : Tensor, shape (n_clusters, n_features)
        Scales in squared units of the embedding.
    nu, log_weights : Tensor, shape (n_clusters,)
        Degrees of freedom, and log of pi.
    n_orientations : int
        O of the features o F + f.
    with_spread : bool
        Whether passes measure ``spread``, which learning nu needs.
    """

    def __init__(
        self,
        centres: Tensor,
        scales: Tensor,
        *,
        nu: Tensor,
        log_weights: Tensor,
        n_orientations: int,
        with_spread: bool = False,
    ) -> None:
        n_features = centres.shape[1]
        rolled = rolls(centres, n_orientations)
        self.origin = middle_of(rolled)
        self.centres, self.precision = rolled - self.origin, 1 / rolls(scales, n_orientations)
        self.nu = nu.repeat(n_orientations)
        self.half = (self.nu + n_features) / 2
        self.constant = (
            torch.lgamma(self.half)
            - torch.lgamma(self.nu / 2)
            + 0.5 * torch.log(self.precision).sum(dim=1)
            - 0.5 * n_features * (torch.log(self.nu) + math.log(math.pi))
            + log_weights.repeat(n_orientations)
            - math.log(n_orientations)
        )
        self.n_orientations, self.with_spread = n_orientations, with_spread
        self.linear = self.centres * self.precision
        self.square = (self.centres**2 * self.precision).sum(dim=1)

    @property
    def n_components(self) -> int:
        """O * n_clusters."""
        return len(self.centres)

    def joint(self, block: Tensor) -> Tensor:
        """Log of weight times density of every roll, (n, O * n_clusters), of a block of points."""
        return torch.log1p(self._ratio(block)).mul_(-self.half).add_(self.constant)

    def run(self, block: Tensor) -> Pass:
        """Scores, weights and spread of a block of points, (n, n_features)."""
        ratio = self._ratio(block)
        joint = torch.log1p(ratio).mul_(-self.half).add_(self.constant)
        folded = joint.view(len(block), self.n_orientations, -1)
        peak = folded.amax(dim=1, keepdim=True)
        share = folded.sub_(peak).exp_()
        total = share.sum(dim=1, keepdim=True)
        share.div_(total)
        u = (2 * self.half / self.nu) / ratio.add_(1)
        spread = None
        if self.with_spread:
            spread = (share * (u.log() - u).view_as(share)).sum(dim=1)
        return Pass((peak + total.log()).squeeze(1), joint.mul_(u), spread)

    def passes(self, points: Tensor) -> Iterator[tuple[Tensor, Pass]]:
        """Blocks of the points and what a pass over each gives."""
        for block in torch.split(points, block_rows(points, self.n_components)):
            yield block, self.run(block)

    def pulled(self, block: Tensor, weights: Tensor) -> Tensor:
        """Sum over rolls of weights (n, O * n_clusters) times (z - T_o mu_j) / T_o sigma_j, (n, n_features)."""
        return (block - self.origin) * (weights @ self.precision) - weights @ self.linear

    def _ratio(self, block: Tensor) -> Tensor:
        """Return delta / nu of every roll."""
        x = block - self.origin
        terms = torch.addmm(self.square, x**2, self.precision.T)
        delta = torch.addmm(terms, x, self.linear.T, alpha=-2)
        lost = cancelled(delta, terms)

        def exact(i: Tensor, j: Tensor) -> Tensor:
            return ((x[i] - self.centres[j]) ** 2 * self.precision[j]).sum(dim=1)

        return replaced(delta.clamp_min_(0), lost, exact).div_(self.nu)


class Kept:
    """The passes of one evaluation, for its gradient and the EM step that follows; none where they are too many."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.passes: list[Pass] | None = None


class _Scores(torch.autograd.Function):
    """Scores (n_neurons, n_clusters) of points, differentiable in the points alone."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, mixture: TiedMixture, kept: Kept) -> Tensor:
        ctx.mixture, ctx.kept = mixture, kept
        fits = len(points) * mixture.n_components <= rotation.BLOCK_ENTRIES
        passes, scores = [], []
        for _, found in mixture.passes(points):
            scores.append(found.scores)
            if fits:
                passes.append(found)
        kept.passes = passes if fits else None
        return torch.cat(scores)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        mixture: TiedMixture = ctx.mixture
        found = []
        above = torch.split(gradients[0], block_rows(ctx.kept.points, mixture.n_components))
        for (block, one), gradient in zip(passes_of(mixture, ctx.kept), above, strict=True):
            folded = one.weights.view(len(block), mixture.n_orientations, -1)
            weights = (folded * gradient[:, None]).view_as(one.weights)
            found.append(-mixture.pulled(block, weights))
        return torch.cat(found), None, None


def passes_of(mixture: TiedMixture, kept: Kept) -> Iterator[tuple[Tensor, Pass]]:
    """Blocks and passes that were kept, or computed once more."""
    if kept.passes is None:
        yield from mixture.passes(kept.points)
        return
    blocks = torch.split(kept.points, block_rows(kept.points, mixture.n_components))
    yield from zip(blocks, kept.passes, strict=True)


def tied_mixture_scores(points: Tensor, mixture: TiedMixture) -> tuple[Tensor, Kept]:
    """Score of every neuron under every cluster, and what the EM step on the same points needs.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        May require a gradient; those of the mixture's parameters are not computed.
    mixture : TiedMixture
        At which the scores are taken.

    Returns
    -------
    scores : Tensor, shape (n_neurons, n_clusters)
        Log of the joint density of point and cluster.
    kept : Kept
        For `passes_of`.
    """
    kept = Kept(points.detach())
    scores: Tensor = _Scores.apply(points, mixture, kept)  # type: ignore[no-untyped-call]
    return scores, kept
