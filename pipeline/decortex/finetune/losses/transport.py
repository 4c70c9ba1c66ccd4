"""A target whose clusters are of similar size: assignments by relaxed optimal transport. No training here."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MAX_ITERATIONS = 200
_TOLERANCE = 1e-6


def balanced_log_target(
    log_q: Tensor, *, epsilon: float, balance: float, max_iterations: int = _MAX_ITERATIONS
) -> Tensor:
    r"""Target that moves the assignments towards equal cluster sizes, as RoNID does.

    .. math:: P = \arg\max_{P 1 = 1} \; \sum_{ij} p_{ij} \log q_{ij} + \epsilon H(P)
       - \tau \, KL\bigl(P^T 1 \,\|\, \tfrac{N}{K} 1\bigr)

    The first term follows the assignments, the entropy H softens, the last one draws sizes together. Without it
    (:math:`\tau \to 0`) the target is :math:`p_{ij} \propto q_{ij}^{1/\epsilon}`; DEC's, :math:`q_{ij}^2/f_j`, is the
    first half-step with :math:`\epsilon = 1/2`. With :math:`\tau \to \infty` all clusters get N/K neurons.

    Parameters
    ----------
    log_q : Tensor, shape (n_neurons, n_clusters)
        Log of the soft assignments of *all* neurons.
    epsilon : float
        Weight of the entropy, positive.
    balance : float
        :math:`\tau`, positive.
    max_iterations : int
        Iterations at most; they end when no size changes by more than 1e-6 of itself.

    Returns
    -------
    Tensor, shape (n_neurons, n_clusters)
        log p; every row sums to 1 after exp. Without a gradient.

    Notes
    -----
    Scaling iterations of unbalanced optimal transport (Chizat, Peyre, Schmitzer & Vialard, Math. Comput. 87, 2018) in
    the log domain; the target of RoNID (Zhang et al., 2024, "New intent discovery with reliable pseudo-labels").

    Examples
    --------
    >>> log_q = torch.tensor([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]]).log()
    >>> sizes = balanced_log_target(log_q, epsilon=0.5, balance=1e6).exp().sum(dim=0)
    >>> [round(float(size), 3) for size in sizes]
    [1.5, 1.5]
    """
    log_kernel = log_q.detach() / epsilon
    size = math.log(len(log_q) / log_q.shape[1])
    damped = balance / (balance + epsilon)
    scaling = torch.zeros_like(log_kernel[0])  # of every cluster, as logarithm
    for _ in range(max_iterations):
        rows = -torch.logsumexp(log_kernel + scaling, dim=1, keepdim=True)
        # What a cluster would get without its own scaling, against what it should.
        renewed = damped * (size - torch.logsumexp(log_kernel + rows, dim=0))
        change = float((renewed - scaling).abs().max())
        scaling = renewed
        if change < _TOLERANCE:
            break
    return torch.log_softmax(log_kernel + scaling, dim=1)
