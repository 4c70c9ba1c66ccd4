"""What Gaussian and t mixtures share: distances, densities, posteriors, the result. No fitting here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp

from decortex.clustering.inputs import FloatArray
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order
from decortex.errors import InputError

ROUNDING = 1e-15  # of the terms of an expanded square, what their sum may be off by
NEGLIGIBLE = 1e-7  # error of a squared Mahalanobis distance that changes no label and no likelihood
REORDERINGS = 5  # at most, until the labels' order is that of the clusters
RELEVANT = 1e-2  # distances below this share of the terms have cancelled

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

    Raises
    ------
    InputError
        If a covariance matrix is singular.
    """
    if scales.ndim == 2:
        return _diagonal_distances(x, centres, scales), np.log(scales).sum(axis=1)
    delta = np.empty((len(x), len(centres)))
    log_det = np.empty(len(centres))
    difference, white = (
        np.empty_like(x),
        np.empty_like(x),
    )  # fresh memory a component costs more than it holds
    for j, (centre, scale) in enumerate(zip(centres, scales, strict=True)):
        inverse, log_det[j] = _whitening(scale)
        np.subtract(x, centre, out=difference)
        np.matmul(difference, inverse.T, out=white)  # several times as fast as solving for every neuron
        delta[:, j] = np.einsum("nd,nd->n", white, white)
    return delta, log_det


def whitening(scales: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matrices that turn every component's neurons to unit covariance, (n_clusters, D, D), and log determinants.

    Raises
    ------
    InputError
        If a covariance matrix is singular.
    """
    found = [_whitening(scale) for scale in scales]
    return np.stack([inverse for inverse, _ in found]), np.array([log_det for _, log_det in found])


def _whitening(scale: FloatArray) -> tuple[FloatArray, float]:
    try:
        root = np.linalg.cholesky(scale)
    except np.linalg.LinAlgError as error:
        raise InputError(
            f"a component's scale matrix is singular: reg is lost to rounding beside variances of up to "
            f"{np.diagonal(scale).max():.3g}. Raise reg, scale the embedding, or use diagonal scales."
        ) from error
    inverse: FloatArray = solve_triangular(root, np.eye(len(root)), lower=True, check_finite=False)
    return inverse, float(2 * np.log(np.diagonal(root)).sum())


def middle_centre(centres: FloatArray) -> FloatArray:
    """Median of the centres, of an even number the lower one, (n_features,)."""
    middle: FloatArray = np.partition(centres, (len(centres) - 1) // 2, axis=0)[(len(centres) - 1) // 2]
    return middle


def _diagonal_distances(x: FloatArray, centres: FloatArray, scales: FloatArray) -> FloatArray:
    """Expand the square around a middle centre; what cancels there is computed again from differences."""
    middle = middle_centre(centres)
    near, means = x - middle, centres - middle
    size = (near**2) @ (1 / scales).T
    size += (means**2 / scales).sum(axis=1)
    delta = size - 2 * (near @ (means / scales).T)
    if size.size and size.max() * ROUNDING > NEGLIGIBLE:  # else no entry can be off by more
        lost = (size * ROUNDING > NEGLIGIBLE) & (delta < RELEVANT * size)
        for j in np.flatnonzero(lost.any(axis=0)):
            rows = np.flatnonzero(lost[:, j])
            delta[rows, j] = ((x[rows] - centres[j]) ** 2 / scales[j]).sum(axis=1)
    distances: FloatArray = np.maximum(delta, 0, out=delta)
    return distances


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


def component_offsets(
    weights: FloatArray, log_det: FloatArray, n_features: int, nu: FloatArray | None
) -> FloatArray:
    """Log of weight times the density at a component's own centre, (n_clusters,); -inf for an empty one."""
    with np.errstate(divide="ignore"):
        offsets: FloatArray = log_density(np.zeros((1, len(weights))), log_det, n_features, nu)[0] + np.log(
            weights
        )
    return offsets


@dataclass(frozen=True)
class Mixture:
    """Parameters of a mixture, components in any order.

    Parameters
    ----------
    centres : ndarray, shape (n_clusters, n_features)
        Means (Gaussian) or locations (t).
    scales : ndarray, shape (n_clusters, n_features) or (n_clusters, n_features, n_features)
        Variances or covariances; of a t component its scale matrix.
    weights : ndarray, shape (n_clusters,)
        Mixing proportions.
    nu : ndarray, shape (n_clusters,), or None
        Degrees of freedom of t components.
    n_orientations : int
        O > 1: every component stands for its O rolls, each of weight 1/O; features are ordered o F + f.
    """

    centres: FloatArray
    scales: FloatArray
    weights: FloatArray
    nu: FloatArray | None = None
    n_orientations: int = 1

    def joint(self, x: FloatArray) -> FloatArray:
        """Log of weight times density, (n_neurons, n_clusters, n_orientations)."""
        rolled = [rolls(array, self.n_orientations) for array in (self.centres, self.scales)]
        nu = None if self.nu is None else np.repeat(self.nu, self.n_orientations)
        delta, log_det = squared_distances(x, *rolled)
        joint = log_density(delta, log_det, x.shape[1], nu)
        with np.errstate(divide="ignore"):  # an empty component has weight 0
            joint += np.repeat(np.log(self.weights / self.n_orientations), self.n_orientations)
        return joint.reshape(len(x), len(self.weights), self.n_orientations)


def rolls(array: FloatArray, n_orientations: int) -> FloatArray:
    """All rolls of every row, (n_rows * O, n_features): row r O + o is row r, rolled by o orientations."""
    if n_orientations == 1:
        return array
    folded = array.reshape(len(array), n_orientations, -1)
    rolled = np.stack([np.roll(folded, o, axis=1) for o in range(n_orientations)], axis=1)
    return rolled.reshape(len(array) * n_orientations, -1)


def fitted_mixture(result: ClusteringResult) -> Mixture:
    """Return the mixture whose parameters a result carries."""
    fitted = result.parameters
    orientations = fitted.get("n_orientations")
    return Mixture(
        centres=fitted["centres"],
        scales=fitted["scales"],
        weights=fitted["weights"],
        nu=fitted.get("nu"),
        n_orientations=1 if orientations is None else int(orientations.item()),
    )


def mixture_scores(result: ClusteringResult, x_new: FloatArray, _x: FloatArray | None = None) -> FloatArray:
    """Score of every cluster for new neurons: log of weight times density."""
    scores: FloatArray = logsumexp(fitted_mixture(result).joint(x_new), axis=2)
    return scores


def posterior(result: ClusteringResult, x: FloatArray) -> FloatArray:
    """Posterior probability of every cluster, (n_neurons, n_clusters)."""
    scores = mixture_scores(result, x)
    probability: FloatArray = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
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


@dataclass(frozen=True)
class MixtureFit:
    """What a fitter hands over for one K and seed.

    Parameters
    ----------
    method : str
        Its name.
    seed : int
        Seed of the run.
    mixture : Mixture
        Fitted parameters.
    n_iterations : int
        Iterations of the best start.
    converged : bool
        Whether it stopped by itself.
    n_parameters : int
        Free parameters, for information criteria.
    """

    method: str
    seed: int
    mixture: Mixture
    n_iterations: int
    converged: bool
    n_parameters: int


def mixture_result(fit: MixtureFit, x: FloatArray) -> ClusteringResult:
    """Assemble the result: hard labels, posterior, minus the mean log-likelihood, parameters in canonical order.

    With O > 1 the parameters also hold ``shifts``, (n_neurons,): by how many orientations the neuron's cluster
    is rolled to meet the neuron. Each cluster's gauge is fixed so that its centre is strongest at o = 0.
    """
    mixture = _in_gauge(fit.mixture)
    n_clusters, n_orientations = len(mixture.weights), mixture.n_orientations
    for _ in range(
        REORDERINGS
    ):  # rounding may depend on the order: labels are those of the order that is kept
        joint = mixture.joint(x)
        by_cluster = logsumexp(joint, axis=2)
        labels = np.argmax(by_cluster, axis=1)
        order = canonical_order(labels, n_clusters)
        if np.array_equal(order, np.arange(n_clusters)):
            break
        mixture = _reordered(mixture, order)
    parameters = {"centres": mixture.centres, "scales": mixture.scales, "weights": mixture.weights}
    if mixture.nu is not None:
        parameters["nu"] = mixture.nu
    if n_orientations > 1:
        parameters["n_orientations"] = np.array([float(n_orientations)])
        parameters["shifts"] = np.argmax(joint[np.arange(len(x)), labels], axis=1).astype(np.float64)
    total = logsumexp(by_cluster, axis=1)
    status: FitStatus = "ok"
    if not fit.converged:
        status = "not_converged"
    elif len(np.unique(labels)) < n_clusters:
        status = "empty_cluster"
    return ClusteringResult(
        method=fit.method,
        labels=labels.astype(np.int16),
        n_clusters=n_clusters,
        seed=fit.seed,
        objective=-float(total.mean()),
        n_iterations=fit.n_iterations,
        converged=fit.converged,
        status=status,
        parameters=parameters,
        soft=np.exp(by_cluster - total[:, None]),
        diagnostics={"n_parameters": float(fit.n_parameters)},
    )


def _reordered(mixture: Mixture, order: NDArray[np.int64]) -> Mixture:
    return replace(
        mixture,
        centres=mixture.centres[order],
        scales=mixture.scales[order],
        weights=mixture.weights[order],
        nu=None if mixture.nu is None else mixture.nu[order],
    )


def _in_gauge(mixture: Mixture) -> Mixture:
    """Roll every component so that its centre is strongest at the first orientation."""
    n_orientations = mixture.n_orientations
    if n_orientations == 1:
        return mixture
    folded = mixture.centres.reshape(len(mixture.centres), n_orientations, -1)
    strongest = np.argmax((folded**2).sum(axis=2), axis=1)

    def rolled(array: FloatArray) -> FloatArray:
        rows = [
            np.roll(row.reshape(n_orientations, -1), -by, axis=0).ravel()
            for row, by in zip(array, strongest, strict=True)
        ]
        return np.stack(rows)

    return replace(mixture, centres=rolled(mixture.centres), scales=rolled(mixture.scales))
