"""Soft assignments, targets and the clustering loss as pure functions of tensors. No training, no state.

Everything is in the log domain and of size n_neurons x n_clusters: no n_neurons x n_clusters x n_features
array exists, neither here nor in the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

EXACT_ROWS = 2**16  # distances that are computed from differences at a time


def squared_distances(z: Tensor, mu: Tensor) -> Tensor:
    """Squared Euclidean distances |z_i|^2 - 2 z_i mu_j + |mu_j|^2, from differences where that cancels.

    Parameters
    ----------
    z : Tensor, shape (n_neurons, n_features)
        Embeddings.
    mu : Tensor, shape (n_clusters, n_features)
        Centres.

    Returns
    -------
    Tensor, shape (n_neurons, n_clusters)
        Not negative.
    """
    origin = middle_of(mu)
    near, centres = z - origin, mu - origin
    of_z, of_mu = (near**2).sum(dim=1, keepdim=True), (centres**2).sum(dim=1)
    expanded = torch.addmm(of_mu, near, centres.T, alpha=-2) + of_z
    lost = cancelled(expanded, of_z.detach() + of_mu.detach())
    return replaced(expanded.clamp_min(0), lost, lambda i, j: ((z[i] - mu[j]) ** 2).sum(dim=1))


def middle_of(mu: Tensor) -> Tensor:
    """Median centre, feature by feature, (n_features,): an origin that one far centre does not move."""
    middle: Tensor = mu.detach().median(dim=0).values
    return middle


def cancelled(distances: Tensor, terms: Tensor) -> Tensor:
    """Entries of an expanded square that have lost half of their digits or more, given the sum of its terms."""
    lost: Tensor = distances.detach() < float(torch.finfo(terms.dtype).eps) ** 0.5 * terms
    return lost


def replaced(values: Tensor, lost: Tensor, exact: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Values with those that are lost computed again, a few at a time, by ``exact(rows, columns)``."""
    if not bool(lost.any()):
        return values
    rows, columns = torch.nonzero(lost, as_tuple=True)
    parts = [
        exact(i, j)
        for i, j in zip(torch.split(rows, EXACT_ROWS), torch.split(columns, EXACT_ROWS), strict=True)
    ]
    return values.index_put((rows, columns), torch.cat(parts))


def student_log_q(
    z: Tensor, mu: Tensor, *, alpha: float, exponent: float, scale2: Tensor | float = 1.0
) -> Tensor:
    r"""Soft assignment of DEC (Xie, Girshick & Farhadi 2016, eq. 1), as logarithm.

    .. math:: q_{ij} \propto \Bigl(1 + \frac{|z_i - \mu_j|^2}{\alpha s^2}\Bigr)^{-e}

    Parameters
    ----------
    z : Tensor, shape (n_neurons, n_features)
        Embeddings.
    mu : Tensor, shape (n_clusters, n_features)
        Centres.
    alpha : float
        Degrees of freedom.
    exponent : float
        e; (alpha + 1)/2 as published, (alpha + n_features)/2 in the Student density.
    scale2 : Tensor or float
        s^2, squared unit of distance.

    Returns
    -------
    Tensor, shape (n_neurons, n_clusters)
        log q; every row sums to 1 after exp.
    """
    kernel = student_log_kernel(squared_distances(z, mu), alpha=alpha, exponent=exponent, scale2=scale2)
    return functional.log_softmax(kernel, dim=1)


def student_log_kernel(
    distances: Tensor, *, alpha: float, exponent: float, scale2: Tensor | float = 1.0
) -> Tensor:
    """Log of DEC's kernel of squared distances, not normalised; parameters as in `student_log_q`."""
    return -exponent * torch.log1p(distances / (alpha * scale2))


def log_target(log_q: Tensor, *, power: float = 2.0) -> Tensor:
    r"""Sharpened target (DEC eq. 3), :math:`p_{ij} \propto q_{ij}^e / f_j` with :math:`f_j = \sum_i q_{ij}`.

    Parameters
    ----------
    log_q : Tensor, shape (n_neurons, n_clusters)
        Soft assignments of *all* neurons: f runs over them.
    power : float
        e, 2 as published.

    Returns
    -------
    Tensor, shape (n_neurons, n_clusters)
        log p, differentiable in log q.
    """
    return functional.log_softmax(power * log_q - torch.logsumexp(log_q, dim=0), dim=1)


def mean_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    r"""Mean over neurons of :math:`KL(P_i \| Q_i) = \sum_j p_{ij} \log(p_{ij}/q_{ij})`."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def student_t_log_density(z: Tensor, mu: Tensor, sigma: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
    r"""Log density of every neuron under every t component with diagonal scale (Peel & McLachlan 2000).

    Parameters
    ----------
    z : Tensor, shape (n_neurons, n_features)
        Embeddings.
    mu, sigma : Tensor, shape (n_clusters, n_features)
        Centres, and scales in squared units of the embedding.
    nu : Tensor, shape (n_clusters,)
        Degrees of freedom.

    Returns
    -------
    log_f, delta : Tensor, shape (n_neurons, n_clusters)
        Log density, and :math:`\delta_{ij} = \sum_d (z_{id} - \mu_{jd})^2 / \sigma_{jd}`.
    """
    n_features = z.shape[1]
    origin = middle_of(mu)
    near, centres = z - origin, mu - origin
    precision = 1 / sigma
    of_z, of_mu = (near**2) @ precision.T, (centres**2 * precision).sum(dim=1)
    delta = torch.addmm(of_mu, near, (centres * precision).T, alpha=-2) + of_z
    lost = cancelled(delta, of_z.detach() + of_mu.detach())
    delta = replaced(delta.clamp_min(0), lost, lambda i, j: ((z[i] - mu[j]) ** 2 * precision[j]).sum(dim=1))
    log_normaliser = (
        torch.lgamma((nu + n_features) / 2)
        - torch.lgamma(nu / 2)
        - 0.5 * torch.log(sigma).sum(dim=1)
        - 0.5 * n_features * (torch.log(nu) + math.log(math.pi))
    )
    return log_normaliser - 0.5 * (nu + n_features) * torch.log1p(delta / nu), delta
