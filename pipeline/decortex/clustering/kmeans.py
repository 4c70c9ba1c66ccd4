"""k-means: scikit-learn's implementation; with many neurons its starts come from `exchange`."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.kmeans_swap import (
    Screening,
    exchanged_centres,
    lloyd,
    raced_centres,
    screened_starts,
)
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.multistart import subsample
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order, relabel
from decortex.config import Config

SCREENED_STARTS = 2  # times n_init: on a subsample starts are cheap


class KMeansConfig(Config):
    """Parameters of k-means."""

    n_init: int = Field(10, ge=1, description="k-means++ starts; the lowest sum of squares is kept")
    max_iter: int = Field(300, ge=1, description="Lloyd iterations a start")
    tol: float = Field(1e-4, ge=0, description="stop when centres move less, relative to the mean variance")
    n_screen: int = Field(
        10_000,
        ge=100,
        description="above this many neurons, twice as many starts run on a subsample of this size",
    )
    n_refined: int = Field(
        6, ge=1, description="screened starts that go on with all neurons and exchange centres"
    )


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
    Arthur & Vassilvitskii, "k-means++", SODA 2007; for many neurons see `decortex.clustering.kmeans_swap`.
    """
    n_clusters = check_n_clusters(n_clusters, len(x))
    rng = generator(seed, n_clusters)
    sample = subsample(x, n_clusters, config.n_screen, rng)
    stopping = {"max_iter": config.max_iter, "tol": config.tol}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct neurons than K: see status
        if sample is None:
            best = lloyd(x, n_clusters, rng, n_init=config.n_init, **stopping)
        else:
            screening = Screening(
                SCREENED_STARTS * config.n_init,
                config.n_refined,
                config.n_screen,
                config.max_iter,
                config.tol,
            )
            starts = screened_starts(sample, screening, n_clusters, rng)
            solutions = exchanged_centres(x, starts, screening, rng)
            runs = [
                lloyd(x, n_clusters, rng, init=centres, n_init=1, **stopping)
                for centres in raced_centres(x, solutions, rng)
            ]
            best = min(runs, key=lambda run: run.inertia_)
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


KMEANS = Method(
    name="kmeans",
    summary="k-means from k-means++ starts",
    config=KMeansConfig,
    algorithm_version=2,
    prepare=prepare,
    scores=centre_scores,
)
