"""LDMGI's objective of one partition as a function of the points: local models, eliminated all at once."""

from __future__ import annotations

import torch
from torch import Tensor

from decortex.finetune.losses.graph.neighbours import CHUNK, RowSums, with_gradient

# Matrix elements of the cliques that are worked on at a time: on a CPU what its cache holds.
PART = 2**18


class LocalDiscriminants:
    r"""LDMGI's objective of one partition, a cluster and clique member, in units of its ridge; the points move.

    .. math:: \frac{\lambda}{K k} \sum_i \mathrm{tr}\,F_i^\top H (H X_i X_i^\top H + \lambda I)^{-1} H F_i,
       \qquad F_{ij} = [i \in j]/\sqrt{n_j}

    with the k neurons of a clique as rows of :math:`X_i`: what a linear model of the clique's points (ridge lambda)
    does not explain of their clusters.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        Points like those that will come.
    labels : Tensor of int64, shape (n_neurons,)
        The partition.
    cliques : Tensor of int64, shape (n_neurons, k)
        Every neuron and its nearest ones.
    n_clusters : int
        K.
    lam : float
        Ridge, in units of the embedding squared.

    Notes
    -----
    H projects out the constant. With the differences B = [-1 I] to the first neuron of the clique in its place,
    D = B X and M = B F F'B' (constant between two fits),

    .. math:: \mathrm{tr}\,F^\top H(\cdot)^{-1}HF = \mathrm{tr}\,T M, \qquad T = (D D^\top + \lambda B B^\top)^{-1},
       \qquad B B^\top = I + 1 1^\top,

    which holds for every B whose rows span the complement of 1; its gradient in D is :math:`-2\,T M T D`. A clique
    within one cluster has M = 0 and is left out. The systems are eliminated side by side, cliques last in memory, one
    operation for a row of all of them; a solver that takes one after the other needs several times as long.
    """

    def __init__(
        self, points: Tensor, labels: Tensor, cliques: Tensor, *, n_clusters: int, lam: float
    ) -> None:
        k, d = cliques.shape[1], points.shape[1]
        cliques = cliques[(labels[cliques] != labels[cliques[:, :1]]).any(dim=1)]
        whole = max(1, CHUNK // (k * max(k, d)))
        width = max(1, PART // k**2) if points.device.type == "cpu" else whole
        ridge = lam * (1 + torch.eye(k - 1, dtype=points.dtype, device=points.device))
        share = 1 / torch.bincount(labels, minlength=n_clusters).clamp_min(1).to(points.dtype)
        rooms: dict[int, _Room] = {}
        self.blocks = []
        for block in torch.split(cliques, whole):
            parts = []
            for rows in torch.split(block, width):
                if len(rows) not in rooms:
                    rooms[len(rows)] = _Room(len(rows), d, ridge)
                parts.append(_Part(rows, labels, share, rooms[len(rows)]))
            self.blocks.append((parts, RowSums.spread(*_pairs(block), len(points), like=points)))
        self.pulls = points.new_empty(min(len(cliques), whole), k - 1, d)
        self.factor = lam / (n_clusters * k)

    def __call__(self, points: Tensor) -> Tensor:
        """Between 0 and 1, of points (n_neurons, n_features), which may be differentiated."""
        value, gradient = self.evaluate(points.detach())
        return with_gradient(value, points, gradient)

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Value, and its gradient (n_neurons, n_features)."""
        value, gradient = points.new_zeros(()), torch.zeros_like(points)
        for parts, sums in self.blocks:
            sizes = [len(part.mixing) for part in parts]
            pulls = torch.split(self.pulls[: sum(sizes)], sizes)
            value += sum(part.evaluate(points, one) for part, one in zip(parts, pulls, strict=True))
            gradient += sums(self.pulls.flatten(0, 1))
        return value * self.factor, gradient.mul_(-2 * self.factor)


class _Part:
    """Some cliques: their neurons and their M."""

    def __init__(self, cliques: Tensor, labels: Tensor, share: Tensor, room: _Room) -> None:
        own = labels[cliques]
        indicator = (own[:, :, None] == own[:, None, :]) * share[own][:, None, :]  # F F'
        to_first = indicator - indicator[:, :1]
        self.mixing = (to_first - to_first[:, :, :1])[:, 1:, 1:].contiguous()
        self.between, self.room = RowSums.differences(*_pairs(cliques), like=share), room

    def evaluate(self, points: Tensor, pulls: Tensor) -> Tensor:
        """Sum over the cliques of tr(T M); writes T M T D of each to ``pulls`` (n_cliques, k - 1, n_features)."""
        between, room = self.between(points).view_as(pulls), self.room
        inverse = room.inverse(between)
        torch.bmm(inverse, between, out=room.pulled)
        torch.bmm(self.mixing, room.pulled, out=between)
        torch.bmm(inverse, between, out=pulls)
        return torch.dot(inverse.flatten(), self.mixing.flatten())


class _Room:
    r"""Memory for as many systems, written to in every step; the inverses T of their matrices.

    :math:`T = (L^{-1})^\top D^{-1} L^{-1}`, of L D L' without pivots, for the matrices are positive definite. Row
    operations turn a matrix into D L' and, in the place of the entries that they clear, the identity into the inverse
    of L. One operation clears a column and writes it: with its pivot doubled it becomes its own negative, which is that
    of the inverse times the pivot.
    """

    def __init__(self, n: int, n_features: int, ridge: Tensor) -> None:
        k = len(ridge)
        self.ridge = ridge
        self.pulled = ridge.new_empty(n, k, n_features)
        self.matrix, self.root = ridge.new_empty(2, n, k, k)
        self.work, ratio = ridge.new_empty(k, k, n), ridge.new_empty(k, n)
        self.steps = [
            (self.work[j], self.work[j, j], self.work[j + 1 :], self.work[j + 1 :, j], ratio[j + 1 :])
            for j in range(k)
        ]
        self.lower = (torch.ones_like(ridge).tril() - torch.eye(k).to(ridge) / 2)[:, :, None]

    def inverse(self, between: Tensor) -> Tensor:
        """T = (D D' + ridge)^-1 of D (n, k, n_features); the next call writes over it."""
        torch.bmm(between, between.mT, out=self.matrix).add_(self.ridge)
        work = self.work.copy_(self.matrix.permute(1, 2, 0))
        for row, pivot, below, column, ratio in self.steps:
            torch.div(column, pivot, out=ratio)
            pivot.mul_(2)
            below.addcmul_(ratio[:, None], row, value=-1)
        pivots = work.diagonal().T / 2
        work.mul_(self.lower).mul_(pivots.rsqrt()[:, None]).mul_(pivots.reciprocal())
        self.root.flatten(1).copy_(work.flatten(0, 1).T)
        return torch.bmm(self.root.mT, self.root, out=self.matrix)


def _pairs(cliques: Tensor) -> tuple[Tensor, Tensor]:
    """The other neurons of every clique, and its first one beside each."""
    return cliques[:, 1:].flatten(), cliques[:, :1].expand(-1, cliques.shape[1] - 1).flatten()


def local_discriminant(
    points: Tensor, labels: Tensor, cliques: Tensor, *, n_clusters: int, lam: float
) -> Tensor:
    """`LocalDiscriminants` of one partition at one set of points."""
    return LocalDiscriminants(points, labels, cliques, n_clusters=n_clusters, lam=lam)(points)
