"""What a mixture says of K: BIC, ICL, log-likelihood of held-out neurons. Fits are those of `clustering`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from decortex.clustering import ClusteringResult
from decortex.clustering.mixtures import fitted_mixture
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.selection.config import CriterionValue

FloatArray = NDArray[np.float64]
_MIXTURES = ("gmm", "tmixture", "rotation_tmixture")
_NORMAL = 1.959963984540054


def companion(clusterer: Clusterer) -> Clusterer:
    """Return the mixture behind BIC, ICL and held-out likelihood: the method itself, or a diagonal Gaussian one.

    The companion's variances are kept above a thousandth of unit variance, so that single neurons do not take
    components; embeddings are brought to unit mean variance for it.
    """
    if clusterer.method in _MIXTURES:
        return clusterer
    params: dict[str, Any] = {"covariance": "diag", "n_init": 1, "max_iter": 200, "tol": 1e-3, "reg": 1e-3}
    return Clusterer("gmm", params)


def log_likelihoods(result: ClusteringResult, x: FloatArray) -> FloatArray:
    """Log-likelihood (nats) of every neuron under a fitted mixture, (n_neurons,)."""
    joint: FloatArray = logsumexp(fitted_mixture(result).joint(x), axis=(1, 2))
    return joint


def information_criteria(result: ClusteringResult, x: FloatArray) -> tuple[CriterionValue, CriterionValue]:
    """BIC (Schwarz 1978) and ICL (Biernacki, Celeux & Govaert 2000), lower is better.

    BIC = -2 log L + p log n;  ICL = BIC - 2 sum_ij tau_ij log tau_ij.

    The interval is that of the log-likelihood as a sum over neurons, 95 % by the normal distribution: it says how
    far another sample of neurons would move the criterion, and is much wider than a difference between two K needs.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex.clustering import fit
    >>> x = np.r_[np.zeros((20, 1)), np.ones((20, 1)) * 9] + np.linspace(0, 1, 40)[:, None]
    >>> one, two = (information_criteria(fit(x, "gmm", n_clusters=k), x)[0].value for k in (1, 2))
    >>> two < one    # BIC: lower is better
    True
    """
    k, n = result.n_clusters, len(x)
    by_cluster = logsumexp(fitted_mixture(result).joint(x), axis=2)
    each = logsumexp(by_cluster, axis=1)
    log_tau = by_cluster - each[:, None]
    entropy = -(np.exp(log_tau) * np.maximum(log_tau, -1e3)).sum(axis=1)
    penalty = result.diagnostics["n_parameters"] * np.log(n)
    found = []
    for name, terms in (("bic", -2 * each), ("icl", -2 * each + 2 * entropy)):
        value = float(terms.sum() + penalty)
        half = float(_NORMAL * np.sqrt(n) * terms.std())
        found.append(CriterionValue(name, k, value, value - half, value + half, n, "ok"))
    return found[0], found[1]


def held_out_likelihood(k: int, held_out: list[FloatArray]) -> CriterionValue:
    """Mean log-likelihood (nats per neuron) of neurons that the mixture did not see, with its 95 % interval.

    Parameters
    ----------
    k : int
        Number of components.
    held_out : list of ndarray
        Log-likelihoods of the neurons of every part held out.
    """
    values = np.concatenate(held_out)
    mean, half = float(values.mean()), float(_NORMAL * values.std() / np.sqrt(len(values)))
    return CriterionValue("held_out_likelihood", k, mean, mean - half, mean + half, len(values), "ok")
