"""Gaussian mixture: scikit-learn's EM; with many neurons its starts come from `component_exchange`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.backend import BackendConfig, engine_of
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.kmeans_swap import Screening
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.mixtures.base import (
    Covariance,
    MixtureFit,
    mixture_result,
    mixture_scores,
    n_parameters,
    posterior,
)
from decortex.clustering.mixtures.gmm_swap import (
    KMEANS_STOPPING,
    EMOptions,
    fit_many,
    mixture_of,
    run_em,
)
from decortex.clustering.multistart import subsample
from decortex.clustering.result import ClusteringResult
from decortex.distances import robust_centre, typical_variance
from decortex.errors import InputError


class GMMConfig(BackendConfig):
    """Parameters of the Gaussian mixture."""

    covariance: Covariance = Field("diag", description="shape of the components' covariances")
    reg: float = Field(
        1e-6, ge=0, description="added to every variance, as a share of the embedding's typical variance"
    )
    n_init: int = Field(
        10, ge=1, description="starts (each from its own k-means); the best likelihood is kept"
    )
    max_iter: int = Field(500, ge=1, description="EM iterations per start")
    tol: float = Field(1e-4, gt=0, description="stop when the mean log-likelihood rises by less (nats)")
    n_screen: int = Field(
        10_000, ge=100, description="above this many neurons, starts run on a subsample of this size"
    )
    n_refined: int = Field(4, ge=1, description="starts from which EM goes on with all neurons")


def prepare(points: Points, config: GMMConfig) -> Fitter:
    """Return the fitter of these neurons."""
    return partial(fit_gmm, points.values, config, device=points.device)


def fit_gmm(
    x: FloatArray, config: GMMConfig, n_clusters: int, seed: int, *, device: str | None = None
) -> ClusteringResult:
    """Maximise the mean log-likelihood of a Gaussian mixture by EM.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    config : GMMConfig
        Covariances, regularisation, starts.
    n_clusters, seed : int
        Together they determine every random number.
    device : str, optional
        Torch device, where the configuration asks for torch.

    Returns
    -------
    ClusteringResult
        ``objective`` is minus the mean log-likelihood (nats per neuron); parameters: ``centres``, ``weights``,
        ``scales`` (variances (K, D) for 'diag' and 'spherical', covariances (K, D, D) for 'full' and 'tied').

    Raises
    ------
    InputError
        If a covariance is singular, which `reg` should prevent.
    """
    n_clusters = check_n_clusters(n_clusters, len(x))
    rng = generator(seed, n_clusters)
    middle = robust_centre(x)
    near = x - middle
    sample = subsample(near, n_clusters, config.n_screen, rng)
    reg = config.reg * typical_variance(x)
    options = EMOptions(config.covariance, reg, config.max_iter, config.tol, engine_of(config, device))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see status
        try:
            if sample is None:
                best = run_em(near, options, n_clusters, rng, n_init=config.n_init)
            else:
                screening = Screening(config.n_init, config.n_refined, config.n_screen, **KMEANS_STOPPING)
                best = fit_many(
                    near, sample, options=options, screening=screening, n_clusters=n_clusters, rng=rng
                )
        except (ValueError, np.linalg.LinAlgError) as error:
            raise InputError(
                f"the Gaussian mixture with {n_clusters} {config.covariance} components failed: {error} "
                f"Raise reg (now {config.reg:g} of the typical variance, {reg:.3g}; features vary by up to "
                f"{x.var(axis=0).max():.3g})."
            ) from error
    found = mixture_of(best)
    return mixture_result(
        MixtureFit(
            method="gmm",
            seed=seed,
            mixture=replace(found, centres=found.centres + middle),
            n_iterations=int(best.n_iter_),
            converged=bool(best.converged_),
            n_parameters=n_parameters(n_clusters, x.shape[1], config.covariance),
        ),
        x,
    )


GMM = Method(
    name="gmm",
    summary="Gaussian mixture by EM",
    cited="a Gaussian mixture fitted by expectation maximisation",
    config=GMMConfig,
    algorithm_version=3,
    prepare=prepare,
    scores=mixture_scores,
    posterior=posterior,
    presets={"gmm": {}, "gmm tied": {"covariance": "tied"}, "gmm full": {"covariance": "full"}},
)
