"""Gaussian mixture: scikit-learn's EM; starts are screened on a subsample of many neurons."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from decortex.clustering.inputs import FloatArray, check_n_clusters, generator, sklearn_state
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.mixture import (
    Covariance,
    Mixture,
    MixtureFit,
    mixture_result,
    mixture_scores,
    n_parameters,
    posterior,
)
from decortex.clustering.result import ClusteringResult
from decortex.clustering.screening import best_starts, subsample
from decortex.config import Config
from decortex.errors import InputError


class GMMConfig(Config):
    """Parameters of the Gaussian mixture."""

    covariance: Covariance = Field("diag", description="shape of the components' covariances")
    reg: float = Field(1e-6, ge=0, description="added to every variance, in units of the embedding squared")
    n_init: int = Field(
        10, ge=1, description="starts (each from its own k-means); the best likelihood is kept"
    )
    max_iter: int = Field(500, ge=1, description="EM iterations a start")
    tol: float = Field(1e-4, gt=0, description="stop when the mean log-likelihood rises by less (nats)")
    n_screen: int = Field(
        10_000, ge=100, description="above this many neurons, starts run on a subsample of this size"
    )
    n_refined: int = Field(2, ge=1, description="screened starts that go on with all neurons")


def prepare(points: Points, config: GMMConfig) -> Fitter:
    """Return the fitter of these neurons."""
    return partial(fit_gmm, points.values, config)


def fit_gmm(x: FloatArray, config: GMMConfig, n_clusters: int, seed: int) -> ClusteringResult:
    """Maximise the mean log-likelihood of a Gaussian mixture by EM.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    config : GMMConfig
        Covariances, regularisation, starts.
    n_clusters, seed : int
        Together they determine every random number.

    Returns
    -------
    ClusteringResult
        ``objective`` is minus the mean log-likelihood (nats a neuron); parameters: ``centres``, ``weights``,
        ``scales`` (variances (K, D) for 'diag' and 'spherical', covariances (K, D, D) for 'full' and 'tied').

    Raises
    ------
    InputError
        If a covariance is singular, which `reg` should prevent.
    """
    n_clusters = check_n_clusters(n_clusters, len(x))
    rng = generator(seed, n_clusters)
    sample = subsample(x, n_clusters, config.n_screen, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see status
        try:
            if sample is None:
                best = _model(config, n_clusters, rng, n_init=config.n_init).fit(x)
            else:
                best = _screened(x, sample, config, n_clusters, rng)
        except ValueError as error:
            raise InputError(
                f"the Gaussian mixture with {n_clusters} {config.covariance} components failed: {error} "
                f"Raise reg (now {config.reg:g}; features vary by up to {x.var(axis=0).max():.3g})."
            ) from error
    return mixture_result(_handed_over(best, config, x.shape[1], seed), x)


def _model(
    config: GMMConfig,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    n_init: int = 1,
    start: GaussianMixture = None,
) -> GaussianMixture:
    given = (
        {}
        if start is None
        else {
            "weights_init": start.weights_ / start.weights_.sum(),
            "means_init": start.means_,
            "precisions_init": start.precisions_,
        }
    )
    return GaussianMixture(
        n_components=n_clusters,
        covariance_type=config.covariance,
        reg_covar=config.reg,
        n_init=n_init,
        max_iter=config.max_iter,
        tol=config.tol,
        random_state=sklearn_state(rng),
        **given,
    )


def _screened(
    x: FloatArray, sample: FloatArray, config: GMMConfig, n_clusters: int, rng: np.random.Generator
) -> GaussianMixture:
    starts = [_model(config, n_clusters, rng).fit(sample) for _ in range(config.n_init)]
    refined = [
        _model(config, n_clusters, rng, start=start).fit(x)
        for start in best_starts(starts, lambda start: -float(start.score(x)), config.n_refined)
    ]
    return max(refined, key=lambda fitted: fitted.lower_bound_)


def _handed_over(best: GaussianMixture, config: GMMConfig, n_features: int, seed: int) -> MixtureFit:
    n_clusters = len(best.weights_)
    scales = np.asarray(best.covariances_, dtype=np.float64)
    if config.covariance == "spherical":
        scales = np.repeat(scales[:, None], n_features, axis=1)
    elif config.covariance == "tied":
        scales = np.repeat(scales[None], n_clusters, axis=0)
    return MixtureFit(
        method="gmm",
        seed=seed,
        mixture=Mixture(best.means_, scales, best.weights_),
        n_iterations=int(best.n_iter_),
        converged=bool(best.converged_),
        n_parameters=n_parameters(n_clusters, n_features, config.covariance),
    )


GMM = Method(
    name="gmm",
    summary="Gaussian mixture by EM",
    config=GMMConfig,
    algorithm_version=1,
    prepare=prepare,
    scores=mixture_scores,
    posterior=posterior,
)
