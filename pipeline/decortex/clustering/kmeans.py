"""k-means: scikit-learn's implementation; with many neurons its starts come from `exchange`."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.backend import BackendConfig, engine_of
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator
from decortex.clustering.kmeans_swap import (
    Screening,
    exchanged_centres,
    raced_centres,
    screened_starts,
)
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.multistart import subsample
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order, relabel
from decortex.distances import distance_blocks, nearest, robust_centre

SCREENED_STARTS = 2  # times n_init: on a subsample starts are cheap


class KMeansConfig(BackendConfig):
    """Parameters of k-means."""

    n_init: int = Field(10, ge=1, description="k-means++ starts; the lowest sum of squares is kept")
    max_iter: int = Field(300, ge=1, description="Lloyd iterations per start")
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
    return partial(fit_kmeans, points.values, config, device=points.device)


def fit_kmeans(
    x: FloatArray, config: KMeansConfig, n_clusters: int, seed: int, *, device: str | None = None
) -> ClusteringResult:
    """Minimise sum_i |x_i - c_(label i)|^2 from `n_init` k-means++ starts.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    config : KMeansConfig
        Starts and stopping.
    n_clusters, seed : int
        Together they determine every random number.
    device : str, optional
        Torch device, where the configuration asks for torch.

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
    engine = engine_of(config, device)
    sample = subsample(x, n_clusters, config.n_screen, rng)
    stopping = {"max_iter": config.max_iter, "tol": config.tol}
    middle = robust_centre(x)
    near = x - middle
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct neurons than K: see status
        if sample is None:
            best = engine.lloyd(near, n_clusters, rng, n_init=config.n_init, **stopping)
        else:
            screening = Screening(
                SCREENED_STARTS * config.n_init,
                config.n_refined,
                config.n_screen,
                config.max_iter,
                config.tol,
            )
            starts = screened_starts(sample - middle, screening, n_clusters, rng, engine=engine)
            solutions = exchanged_centres(near, starts, screening, rng, engine=engine)
            runs = [
                engine.lloyd(near, n_clusters, rng, init=centres, n_init=1, **stopping)
                for centres in raced_centres(near, solutions, rng, engine=engine)
            ]
            best = min(runs, key=lambda run: run.inertia_)
    labels, centres, n_more = _settled(x, best.labels_, best.cluster_centers_ + middle, config.max_iter)
    converged = best.n_iter_ < config.max_iter and n_more < config.max_iter
    status: FitStatus = "ok" if converged else "not_converged"
    if len(np.unique(labels)) < n_clusters:
        status = "empty_cluster"
    return ClusteringResult(
        method="kmeans",
        labels=labels,
        n_clusters=n_clusters,
        seed=seed,
        objective=float(((x - centres[labels]) ** 2).sum()),
        n_iterations=int(best.n_iter_) + n_more,
        converged=bool(converged),
        status=status,
        parameters={"centres": centres},
    )


def _settled(
    x: FloatArray, labels: NDArray[np.integer[Any]], centres: FloatArray, max_iter: int
) -> tuple[NDArray[np.int16], FloatArray, int]:
    """Labels and centres in canonical order, every neuron with its nearest centre by distances that keep their digits.

    Scikit-learn expands squares around the mean, which one far neuron moves away from all others. Where that gave a
    neuron another label, Lloyd's iterations go on from there.
    """
    n_clusters = len(centres)
    for n_more in range(max_iter + 1):
        order = canonical_order(labels, n_clusters)
        centres = centres[order]
        before, (found, _) = relabel(labels, order), nearest(x, centres)
        if np.array_equal(found, before):
            return before, centres, n_more
        labels = found
        sizes = np.bincount(labels, minlength=n_clusters)
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, x)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return found.astype(np.int16), centres, max_iter


def centre_scores(result: ClusteringResult, x_new: FloatArray, _x: FloatArray | None = None) -> FloatArray:
    """Score of every cluster: minus the squared distance to its centre."""
    centres = result.parameters["centres"]
    return -np.concatenate([distances for _, distances in distance_blocks(x_new, centres)])


KMEANS = Method(
    name="kmeans",
    summary="k-means from k-means++ starts",
    cited="k-means (Lloyd 1982, k-means++ starts)",
    config=KMeansConfig,
    algorithm_version=3,
    prepare=prepare,
    scores=centre_scores,
    presets={"kmeans": {}},
)
