"""Dying clusters: component-wise EM with the message-length rule of Figueiredo & Jain (PAMI 2002)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

# Log weight of a dead component. Finite, so that no target or gradient becomes NaN, and far below any density's reach.
DEAD = -1e6
# A component that lives has a weight of a neuron's share at least; a running average of weights keeps the dead below.
_LIVES_ABOVE = -50.0


class Components(Protocol):
    """A mixture whose components can be taken one by one."""

    log_weights: Tensor

    def component_density(self, points: Tensor, j: int) -> Tensor:
        """Log density of every neuron under component j, (n_neurons,)."""

    def refit_component(self, points: Tensor, j: int, q: Tensor) -> None:
        """M step of component j given its posteriors (n_neurons,); its weight is left alone."""


def living(log_weights: Tensor) -> Tensor:
    """Which components live, bool (n_clusters,)."""
    alive: Tensor = log_weights > _LIVES_ABOVE
    return alive


def length_penalty(n_features: int, *, learn_nu: bool, factor: float) -> float:
    """Neurons that a component must exceed to live: N/2 with its N free parameters, times ``factor``.

    N counts D means, D scales and, where they are learned, degrees of freedom; at factor 1 it is the published rule.
    """
    return factor * (2 * n_features + learn_nu) / 2


@torch.no_grad()
def annihilating_step(mixture: Components, points: Tensor, *, penalty: float) -> None:
    r"""One sweep of component-wise EM in which components may die.

    .. math:: \pi_j \leftarrow \frac{\max(0, n_j - N/2)}{\sum_k \max(0, n_k - N/2)}, \qquad n_j = \sum_i q_{ij}

    Component by component: posteriors, its weight, its M step where it lives. What a dead component held is shared out
    before the next one is judged, so that a start with many small components does not lose all of them at once. The
    last component never dies.

    Parameters
    ----------
    mixture : Components
        Changed in place.
    points : Tensor, shape (n_neurons, n_features)
        To which it is fitted.
    penalty : float
        N/2 in neurons, see `length_penalty`.

    Notes
    -----
    Figueiredo & Jain, "Unsupervised learning of finite mixture models", IEEE TPAMI 24(3), 2002, equation 17 and the
    algorithm of figure 2, with two choices that it leaves open or that differ: components are visited from the one of
    the smallest weight, so that the small ones die for the large; and after a sweep in which none dies no component is
    killed by force to look for a shorter message at a smaller K, for the embedding moves on under this mixture.
    """
    log_weights = mixture.log_weights
    log_f = torch.stack([mixture.component_density(points, j) for j in range(len(log_weights))], dim=1)
    for j in torch.argsort(log_weights, stable=True).tolist():
        alive = living(log_weights)
        if not alive[j]:
            continue
        q = torch.softmax(log_f + log_weights, dim=1)
        excess = torch.where(alive, (q.double().sum(dim=0) - penalty).clamp_min(0), 0.0)
        if excess[j] == 0 and int(alive.sum()) > 1:
            log_weights[j] = DEAD
        elif excess[j] > 0:
            log_weights[j] = (excess[j] / excess.sum()).log()
        alive = living(log_weights)
        log_weights[alive] -= torch.logsumexp(log_weights[alive], dim=0)
        if alive[j]:
            mixture.refit_component(points, j, q[:, j])
            log_f[:, j] = mixture.component_density(points, j)
