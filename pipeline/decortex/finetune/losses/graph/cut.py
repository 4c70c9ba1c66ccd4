"""SEC's objective of one partition as a function of the points: the normalised cut, and a regression on the points."""

from __future__ import annotations

import torch
from torch import Tensor

from decortex.finetune.losses.graph.neighbours import RowSums, with_gradient

FLOOR = 1e-8  # smallest volume of a cluster


class Cut:
    r"""SEC's objective of one partition, a cluster; partition, pairs of neighbours and scales stay, points move.

    .. math:: \frac1K \mathrm{tr}\,F^\top(\tilde L + \mu L_g)F, \qquad F_{ij} = [i \in j] \sqrt{d_i/\mathrm{vol}_j}

    of which the first part is the normalised cut, :math:`\sum_j \mathrm{cut}_j/\mathrm{vol}_j`, with affinities
    :math:`\exp(-|z_i - z_l|^2/(s_i s_l))` over the pairs of neighbours, and the second what a linear map of the points
    (ridge gamma) does not explain of F.

    Parameters
    ----------
    labels : Tensor of int64, shape (n_neurons,)
        The partition.
    graph : tuple of Tensor
        Of `neighbours_of`.
    n_clusters : int
        K.
    mu, gamma : float
        Weight and ridge of the regression.

    Notes
    -----
    The gradient is in closed form. A pair's weight w has, with :math:`c_i` the cluster of neuron i and
    :math:`v_j = \partial L/\partial \mathrm{vol}_j`, in the first part the derivative

    .. math:: [c_i \neq c_l] \Bigl(\frac1{\mathrm{vol}_{c_i}} + \frac1{\mathrm{vol}_{c_l}}\Bigr) + v_{c_i} + v_{c_l},
       \qquad v_j = -\mathrm{cut}_j/\mathrm{vol}_j^2,

    and pulls its two neurons along their difference. Of the regression, with :math:`Q = (X^\top X + \gamma I)^{-1}
    X^\top F`, the explained part :math:`\mathrm{tr}\,F^\top X Q` has the derivatives :math:`2(F - XQ)Q^\top` in X and
    :math:`2XQ` in F. Left to automatic differentiation, the same takes several times as long.
    """

    def __init__(
        self,
        labels: Tensor,
        graph: tuple[Tensor, Tensor, Tensor],
        *,
        n_clusters: int,
        mu: float,
        gamma: float,
    ) -> None:
        self.labels, self.n_clusters, self.mu, self.gamma = labels, n_clusters, mu, gamma
        self.first, self.second, self.falloff = pairs_of(graph)
        self.between = RowSums.differences(self.first, self.second, like=self.falloff)
        self.at_ends = RowSums.spread(self.first, self.second, len(labels), like=self.falloff)
        self.members = RowSums(torch.arange(len(labels), device=labels.device), labels, n_clusters)
        self.clusters = labels[self.first], labels[self.second]
        self.apart = (self.clusters[0] != self.clusters[1]).to(self.falloff.dtype)

    def __call__(self, points: Tensor) -> Tensor:
        """Between 0 and 1 + mu, of points (n_neurons, n_features), which may be differentiated."""
        value, gradient = self.evaluate(points.detach())
        return with_gradient(value, points, gradient)

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Value, and its gradient (n_neurons, n_features)."""
        between = self.between(points)
        weights = _weights(between, self.falloff)
        degree = self._at(self.first, weights, len(points)).index_add_(0, self.second, weights)
        volume = self._at(self.labels, degree, self.n_clusters).clamp_min_(FLOOR)
        cut = weights * self.apart
        cuts = self._at(self.clusters[0], cut, self.n_clusters).index_add_(0, self.clusters[1], cut)
        cost = (cuts / volume).sum()
        of_volume, of_degree, gradient = -cuts / volume**2, torch.zeros_like(degree), None
        if self.mu > 0:
            left, of_degree, by_volume, gradient = self._regression(points, degree, volume)
            cost, of_volume = cost + left, of_volume + by_volume
        of_degree = of_degree + of_volume[self.labels]
        parted = 1 / volume
        of_weight = parted.index_select(0, self.clusters[0]).add_(parted.index_select(0, self.clusters[1]))
        of_weight.mul_(self.apart)
        of_weight.add_(of_degree.index_select(0, self.first)).add_(of_degree.index_select(0, self.second))
        pull = of_weight.mul_(weights).mul_(self.falloff).mul_(-2)
        pulled = self.at_ends(between, pull)
        total = pulled if gradient is None else pulled.add_(gradient)
        return cost / self.n_clusters, total.div_(self.n_clusters)

    def _regression(
        self, points: Tensor, degree: Tensor, volume: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mu tr(F'L_g F), and its derivatives in degrees at constant volumes, in volumes, and in points."""
        n, labels = len(points), self.labels
        own_volume = volume[labels]
        root = (degree / own_volume).sqrt_()  # what F holds
        centred = points - points.mean(dim=0)
        against = self.members(centred, root)  # F'X
        ridge = self.gamma * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
        slopes = torch.linalg.solve(centred.T @ centred + ridge, against.T).T.contiguous()  # Q'
        roots = self._at(labels, root, self.n_clusters)
        left = root.square().sum() - roots.square().sum() / n - (against * slopes).sum()
        own_slope = slopes[labels]
        of_root = (root - roots[labels] / n - (centred * own_slope).sum(dim=1)).mul_(2 * self.mu)
        of_degree = of_root / (2 * root.clamp_min(torch.finfo(root.dtype).tiny) * own_volume)
        of_volume = -self._at(labels, of_root * root, self.n_clusters) / (2 * volume)
        of_points = (centred @ (slopes.T @ slopes)).sub_(own_slope * root[:, None]).mul_(2 * self.mu)
        return self.mu * left, of_degree, of_volume, of_points - of_points.mean(dim=0)

    @staticmethod
    def _at(targets: Tensor, values: Tensor, n: int) -> Tensor:
        return values.new_zeros(n).index_add_(0, targets, values)


def embedded_cut(
    points: Tensor,
    labels: Tensor,
    graph: tuple[Tensor, Tensor, Tensor],
    *,
    n_clusters: int,
    mu: float,
    gamma: float,
) -> Tensor:
    """`Cut` of one partition at one set of points."""
    return Cut(labels, graph, n_clusters=n_clusters, mu=mu, gamma=gamma)(points)


def pairs_of(graph: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Both neurons of every counted pair, and 1/(s_i s_l), each (n_pairs,)."""
    indices, counted, scale = graph
    first, place = counted.nonzero(as_tuple=True)
    second = indices[first, place]
    return first, second, 1 / (scale[first] * scale[second])


def affinities(points: Tensor, graph: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Weight of every counted pair, (n_neurons, n_neighbors); 0 where the other neuron lists it."""
    first, second, falloff = pairs_of(graph)
    weights = points.new_zeros(graph[1].shape)
    weights[graph[1]] = _weights(points[first] - points[second], falloff)
    return weights


def _weights(between: Tensor, falloff: Tensor) -> Tensor:
    squared: Tensor = torch.linalg.vector_norm(between, dim=1).square()
    return squared.mul(falloff).neg().exp()
