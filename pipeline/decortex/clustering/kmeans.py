"""k-means: scikit-learn's implementation; starts are screened on a subsample of many neurons."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin_min

from decortex.clustering.inputs import FloatArray, check_n_clusters, generator, sklearn_state
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order, relabel
from decortex.clustering.screening import best_starts, subsample
from decortex.config import Config


class KMeansConfig(Config):
    """Parameters of k-means."""

    n_init: int = Field(10, ge=1, description="k-means++ starts; the lowest sum of squares is kept")
    max_iter: int = Field(300, ge=1, description="Lloyd iterations a start")
    tol: float = Field(1e-4, ge=0, description="stop when centres move less, relative to the mean variance")
    n_screen: int = Field(
        10_000, ge=100, description="above this many neurons, starts run on a subsample of this size"
    )
    n_refined: int = Field(2, ge=1, description="screened starts that go on with all neurons")


def prepare(points: Points, config: KMeansConfig) -> Fitter:
    """Return the fitter of these neurons; k-means shares nothing over K and seeds but the checked array."""
    return partial(fit_kmeans, points.values, config)


def fit_kmeans(x: FloatArray, config: KMeansConfig, n_clusters: int, seed: int) -> ClusteringResult:
    """Minimise sum_i |x_i - c_(label i)|^2 from `n_init` k-means++ starts.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    config : KMeansConfig
        Starts and stopping.
    n_clusters, seed : int
        Together they determine every random number.

    Returns
    -------
    ClusteringResult
        ``objective`` is the sum of squared distances; parameters: ``centres``.

    References
    ----------
    Arthur & Vassilvitskii, "k-means++", SODA 2007; Bradley & Fayyad, ICML 1998 (screening).
    """
    n_clusters = check_n_clusters(n_clusters, len(x))
    rng = generator(seed, n_clusters)
    sample = subsample(x, n_clusters, config.n_screen, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct neurons than K: see status
        if sample is None:
            best = _lloyd(x, config, rng, n_clusters=n_clusters, n_init=config.n_init)
        else:
            starts = [
                _lloyd(sample, config, rng, n_clusters=n_clusters, n_init=1).cluster_centers_
                for _ in range(config.n_init)
            ]
            refined = [
                _lloyd(x, config, rng, n_clusters=n_clusters, init=centres, n_init=1)
                for centres in best_starts(starts, partial(_inertia, x), config.n_refined)
            ]
            best = min(refined, key=lambda fitted: fitted.inertia_)
    order = canonical_order(best.labels_, n_clusters)
    labels = relabel(best.labels_, order)
    converged = best.n_iter_ < config.max_iter
    status: FitStatus = "ok" if converged else "not_converged"
    if len(np.unique(labels)) < n_clusters:
        status = "empty_cluster"
    return ClusteringResult(
        method="kmeans",
        labels=labels,
        n_clusters=n_clusters,
        seed=seed,
        objective=float(best.inertia_),
        n_iterations=int(best.n_iter_),
        converged=bool(converged),
        status=status,
        parameters={"centres": best.cluster_centers_[order]},
    )


def centre_scores(result: ClusteringResult, x_new: FloatArray, _x: FloatArray | None = None) -> FloatArray:
    """Score of every cluster: minus the squared distance to its centre, up to a constant a neuron."""
    centres = result.parameters["centres"]
    scores: FloatArray = 2 * x_new @ centres.T - (centres**2).sum(axis=1)
    return scores


def _lloyd(
    x: FloatArray, config: KMeansConfig, rng: np.random.Generator, *, n_clusters: int, **start: Any
) -> KMeans:
    return KMeans(
        n_clusters=n_clusters,
        **start,
        max_iter=config.max_iter,
        tol=config.tol,
        random_state=sklearn_state(rng),
    ).fit(x)


def _inertia(x: FloatArray, centres: FloatArray) -> float:
    _, squared = pairwise_distances_argmin_min(x, centres, metric="sqeuclidean")
    return float(squared.sum())


KMEANS = Method(
    name="kmeans",
    summary="k-means from k-means++ starts",
    config=KMeansConfig,
    algorithm_version=1,
    prepare=prepare,
    scores=centre_scores,
)
