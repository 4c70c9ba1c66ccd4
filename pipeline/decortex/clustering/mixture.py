"""Densities that Gaussian and t mixtures share: distances, log densities, posteriors. No fitting here."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp

from decortex.clustering.inputs import FloatArray
from decortex.clustering.result import ClusteringResult

Covariance: TypeAlias = Literal["diag", "full", "tied", "spherical"]


def squared_distances(
    x: FloatArray, centres: FloatArray, scales: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Squared Mahalanobis distances and log determinants.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    centres : ndarray, shape (n_clusters, n_features)
        Means.
    scales : ndarray, shape (n_clusters, n_features) or (n_clusters, n_features, n_features)
        Variances, or covariance matrices.

    Returns
    -------
    delta : ndarray, shape (n_neurons, n_clusters)
        (x - c)' S^-1 (x - c).
    log_det : ndarray, shape (n_clusters,)
        log |S|.
    """
    if scales.ndim == 2:
        middle = centres.mean(axis=0)  # the expansion of the square below cancels less near the middle
        near, means = x - middle, centres - middle
        delta = (near**2) @ (1 / scales).T
        delta -= 2 * (near @ (means / scales).T)
        delta += (means**2 / scales).sum(axis=1)
        return np.maximum(delta, 0, out=delta), np.log(scales).sum(axis=1)
    delta = np.empty((len(x), len(centres)))
    log_det = np.empty(len(centres))
    for j, (centre, scale) in enumerate(zip(centres, scales, strict=True)):
        root = np.linalg.cholesky(scale)
        white = solve_triangular(root, (x - centre).T, lower=True, check_finite=False)
        delta[:, j] = np.einsum("dn,dn->n", white, white)
        log_det[j] = 2 * np.log(np.diagonal(root)).sum()
    return delta, log_det


def log_density(delta: FloatArray, log_det: FloatArray, n_features: int, nu: FloatArray | None) -> FloatArray:
    """Log density of every neuron under every component.

    Parameters
    ----------
    delta, log_det : ndarray
        As `squared_distances` returns them.
    n_features : int
        D.
    nu : ndarray, shape (n_clusters,), or None
        Degrees of freedom of t components; None for Gaussian ones.

    Returns
    -------
    ndarray, shape (n_neurons, n_clusters)
    """
    if nu is None:
        density: FloatArray = -0.5 * (delta + log_det + n_features * np.log(2 * np.pi))
        return density
    constant = (
        gammaln((nu + n_features) / 2) - gammaln(nu / 2) - 0.5 * (log_det + n_features * np.log(nu * np.pi))
    )
    heavy: FloatArray = constant - (nu + n_features) / 2 * np.log1p(delta / nu)
    return heavy


def joint_log_density(result: ClusteringResult, x: FloatArray) -> FloatArray:
    """Log of weight times density under the parameters of a fitted mixture, (n_neurons, n_clusters)."""
    fitted = result.parameters
    delta, log_det = squared_distances(x, fitted["centres"], fitted["scales"])
    with np.errstate(divide="ignore"):  # an empty component has weight 0
        log_weights = np.log(fitted["weights"])
    joint: FloatArray = log_density(delta, log_det, x.shape[1], fitted.get("nu")) + log_weights
    return joint


def mixture_scores(result: ClusteringResult, x_new: FloatArray, _x: FloatArray | None = None) -> FloatArray:
    """Score of every cluster for new neurons: log of weight times density."""
    return joint_log_density(result, x_new)


def posterior(result: ClusteringResult, x: FloatArray) -> FloatArray:
    """Posterior probability of every cluster, (n_neurons, n_clusters)."""
    joint = joint_log_density(result, x)
    probability: FloatArray = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return probability


def n_parameters(n_clusters: int, n_features: int, covariance: Covariance) -> int:
    """Count the free parameters of a mixture (weights, means, scales; without degrees of freedom)."""
    triangle = n_features * (n_features + 1) // 2
    scales = {
        "diag": n_clusters * n_features,
        "full": n_clusters * triangle,
        "tied": triangle,
        "spherical": n_clusters,
    }
    return n_clusters - 1 + n_clusters * n_features + scales[covariance]


def hard_labels(joint: FloatArray) -> NDArray[np.int64]:
    """Most probable cluster of every neuron; of equal ones the first."""
    labels: NDArray[np.int64] = np.argmax(joint, axis=1).astype(np.int64)
    return labels
