"""Gaussian mixtures of many neurons: starts on a subsample, then components exchanged between them. No result here.

Several k-means run on a random subsample, then for a few iterations on all neurons; EM goes on from those whose
partition has the highest likelihood. The best of them then takes a component of another solution in place of
one of its own, does a few EM iterations, and keeps the change if the likelihood of all neurons rose, until four
changes in a row have failed (the idea of split-and-merge EM, Ueda, Nakano, Ghahramani & Hinton, Neural
Computation 12, 2000). EM is scikit-learn's, or `diagonal_em` that gives its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from decortex.clustering import torch_backend
from decortex.clustering.inputs import FloatArray, sklearn_state
from decortex.clustering.kmeans_swap import CPU, Screening, SklearnEngine, screened_starts
from decortex.clustering.mixtures.base import Covariance, Mixture
from decortex.clustering.mixtures.diagonal_em import run_diagonal_em
from decortex.clustering.multistart import best_starts, subsample

COARSE = 1e-3  # tolerance (nats) up to which solutions are compared: scikit-learn's own
FULL_STARTS = 7  # k-means of the subsample that go on with all neurons, or n_refined where that is more
LLOYD_STEPS = 20  # k-means iterations of a start with all neurons
AFTER_EXCHANGE = 3  # EM iterations after an exchange
EXCHANGES = 20  # at most
FAILURES = 4  # exchanges in a row that did not raise the likelihood, after which it ends
ENTERING, LEAVING = 8, 4  # components, looking best one by one, whose pairs are compared
KMEANS_STOPPING: dict[str, Any] = {"max_iter": 300, "tol": 1e-4}  # scikit-learn's


@dataclass(frozen=True)
class EMOptions:
    """How scikit-learn's EM runs.

    Parameters
    ----------
    covariance : {'diag', 'full', 'tied', 'spherical'}
        Shape of the covariances.
    reg : float
        Added to every variance, in units of the embedding squared.
    max_iter, tol
        Stopping rule.
    engine : SklearnEngine
        What computes the steps that touch all neurons.
    """

    covariance: Covariance
    reg: float
    max_iter: int
    tol: float
    engine: SklearnEngine = CPU


def run_em(
    x: FloatArray,
    options: EMOptions,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    n_init: int = 1,
    start: Mixture | None = None,
) -> GaussianMixture:
    """Fit a mixture from `n_init` k-means, keeping the best, or from a mixture; x lies around the origin."""
    if options.engine is not CPU:
        return _run_on_device(x, options, n_clusters, rng, n_init=n_init, start=start)
    if options.covariance in ("diag", "spherical"):
        starts = (
            [start]
            if start is not None
            else [_from_kmeans(x, options, n_clusters, rng) for _ in range(n_init)]
        )
        stopping: dict[str, Any] = {"max_iter": options.max_iter, "tol": options.tol}
        spherical = options.covariance == "spherical"
        runs = [run_diagonal_em(x, one, reg=options.reg, spherical=spherical, **stopping) for one in starts]
        return max(runs, key=lambda run: run.lower_bound_)
    given = {}
    if start is not None:
        scales = start.scales[0] if options.covariance == "tied" else start.scales
        given = {
            "weights_init": start.weights / start.weights.sum(),
            "means_init": start.centres,
            "precisions_init": _inverse(scales),
        }
    return GaussianMixture(
        n_components=n_clusters,
        covariance_type=options.covariance,
        reg_covar=options.reg,
        n_init=n_init,
        max_iter=options.max_iter,
        tol=options.tol,
        random_state=sklearn_state(rng),
        **given,
    ).fit(x)


def _run_on_device(
    x: FloatArray,
    options: EMOptions,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    n_init: int,
    start: Mixture | None,
) -> GaussianMixture:
    """Fit by torch, from the starts that scikit-learn would take."""
    engine = options.engine
    assert isinstance(engine, torch_backend.TorchEngine)
    if start is not None:
        starts = [start]
    elif options.covariance in ("diag", "spherical"):
        starts = [_from_kmeans(x, options, n_clusters, rng) for _ in range(n_init)]
    else:
        state = np.random.RandomState(sklearn_state(rng))
        starts = [_from_kmeans(x, options, n_clusters, state) for _ in range(n_init)]
    stopping: dict[str, Any] = {"reg": options.reg, "max_iter": options.max_iter, "tol": options.tol}
    runs = [
        torch_backend.run_gaussian_em(engine.held, x, one, covariance=options.covariance, **stopping)
        for one in starts
    ]
    return max(runs, key=lambda run: run.lower_bound_)


def _from_kmeans(
    x: FloatArray, options: EMOptions, n_clusters: int, rng: np.random.Generator | np.random.RandomState
) -> Mixture:
    partition = options.engine.lloyd(x, n_clusters, rng, n_init=1)
    return mixture_of_partition(x, partition.labels_, partition.cluster_centers_, options)


def _inverse(matrices: FloatArray) -> FloatArray:
    inverse = np.linalg.inv(matrices)
    return np.asarray((inverse + np.swapaxes(inverse, -1, -2)) / 2, dtype=np.float64)


def mixture_of(fitted: GaussianMixture) -> Mixture:
    """Return scikit-learn's mixture with one scale a component: variances, or covariances for 'full' and 'tied'."""
    n_clusters, n_features = fitted.means_.shape
    scales = np.asarray(fitted.covariances_, dtype=np.float64)
    if fitted.covariance_type == "spherical":
        scales = np.repeat(scales[:, None], n_features, axis=1)
    elif fitted.covariance_type == "tied":
        scales = np.repeat(scales[None], n_clusters, axis=0)
    return Mixture(fitted.means_, scales, fitted.weights_)


def mixture_of_partition(
    x: FloatArray, labels: NDArray[np.integer[Any]], centres: FloatArray, options: EMOptions
) -> Mixture:
    """Means, covariances (plus reg) and shares of a partition; an empty cluster gets those of all neurons.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    labels : ndarray of int, shape (n_neurons,)
        Their clusters.
    centres : ndarray, shape (n_clusters, n_features)
        Where an empty cluster begins.
    options : EMOptions
        Shape of the covariances, and reg.

    Returns
    -------
    Mixture
    """
    n_clusters, n_features = centres.shape
    sizes = np.bincount(labels, minlength=n_clusters)
    wide = options.covariance in ("full", "tied")
    means, scales = centres.copy(), []
    for j in range(n_clusters):
        own = x[labels == j] if sizes[j] else x
        means[j] = own.mean(axis=0) if sizes[j] else centres[j]
        centred = own - own.mean(axis=0)
        scales.append(
            centred.T @ centred / len(own) if wide else np.einsum("nd,nd->d", centred, centred) / len(own)
        )
    shares = np.maximum(sizes, 1) / np.maximum(sizes, 1).sum()
    each = np.stack(scales)
    if options.covariance == "tied":
        each = np.repeat(np.einsum("k,kde->de", shares, each)[None], n_clusters, axis=0)
    elif options.covariance == "spherical":
        each = np.repeat(each.mean(axis=1, keepdims=True), n_features, axis=1)
    each = each + options.reg * (np.eye(n_features) if wide else 1.0)
    return Mixture(means, each, shares)


def fit_many(
    x: FloatArray,
    sample: FloatArray,
    *,
    options: EMOptions,
    screening: Screening,
    n_clusters: int,
    rng: np.random.Generator,
) -> GaussianMixture:
    """Fit a mixture to more neurons than the subsample holds.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        All neurons.
    sample : ndarray, shape (n_screen, n_features)
        Those that the starts run on.
    options : EMOptions
        Covariances and the stopping rule of the last run.
    screening : Screening
        Number of starts, how many go on, size of the subsample.
    n_clusters : int
        K.
    rng : Generator
        Source of all randomness.

    Returns
    -------
    GaussianMixture
        Fitted to all neurons.
    """
    coarse = replace(options, tol=max(options.tol, COARSE))
    judges = subsample(x, n_clusters, screening.n_screen, rng)
    judges = x if judges is None else judges
    begun = []
    screened = best_starts(
        screened_starts(sample, screening, n_clusters, rng, engine=options.engine),
        lambda centres: float(options.engine.nearest_squares(judges, centres).sum()),
        max(FULL_STARTS, screening.n_refined),
    )
    for centres in screened:
        partition = options.engine.lloyd(
            x, n_clusters, rng, init=centres, n_init=1, max_iter=LLOYD_STEPS, tol=screening.tol
        )
        begun.append(mixture_of_partition(x, partition.labels_, partition.cluster_centers_, options))
    chosen = best_starts(begun, lambda mixture: -_log_likelihood(judges, mixture), screening.n_refined)
    runs = [run_em(x, coarse, n_clusters, rng, start=start) for start in chosen]
    runs.sort(key=lambda run: -run.lower_bound_)
    best = runs[0]
    if len(runs) > 1:
        others = _joined([mixture_of(run) for run in runs[1:]])
        after = replace(coarse, max_iter=AFTER_EXCHANGE)
        best = _after_exchanges(x, judges, best, others, options=after, rng=rng)
    return run_em(x, options, n_clusters, rng, start=mixture_of(best))


def _log_likelihood(x: FloatArray, mixture: Mixture) -> float:
    return float(logsumexp(mixture.joint(x)[:, :, 0], axis=1).mean())


def _joined(mixtures: list[Mixture]) -> Mixture:
    return Mixture(
        centres=np.concatenate([mixture.centres for mixture in mixtures]),
        scales=np.concatenate([mixture.scales for mixture in mixtures]),
        weights=np.concatenate([mixture.weights for mixture in mixtures]),
    )


def _after_exchanges(
    x: FloatArray,
    judges: FloatArray,
    best: GaussianMixture,
    others: Mixture,
    *,
    options: EMOptions,
    rng: np.random.Generator,
) -> GaussianMixture:
    failures = 0
    tried: set[int] = set()
    for _ in range(min(EXCHANGES, len(others.weights))):
        now = mixture_of(best)
        entering, leaving = best_exchange(judges, now, others, tried)
        tried.add(entering)
        changed = _exchanged(now, others, entering, leaving, tied=options.covariance == "tied")
        run = run_em(x, options, len(now.weights), rng, start=changed)
        if run.lower_bound_ > best.lower_bound_:
            best, failures = run, 0
        else:
            failures += 1
            if failures == FAILURES:
                break
    return best


def best_exchange(x: FloatArray, mixture: Mixture, others: Mixture, tried: set[int]) -> tuple[int, int]:
    """Find the exchange of a component for another that gives the highest likelihood, before any EM iteration.

    Compared are the pairs of the components whose addition, and whose loss, change the likelihood of these
    neurons most for the better.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons that judge.
    mixture : Mixture
        The solution.
    others : Mixture
        Components that may enter it, with their weights.
    tried : set of int
        Those that may not.

    Returns
    -------
    entering, leaving : int
        Indices in `others` and in `mixture`.
    """
    joint = mixture.joint(x)[:, :, 0]
    total = logsumexp(joint, axis=1)
    share = np.exp(joint - total[:, None])
    offered = np.exp(np.minimum(others.joint(x)[:, :, 0] - total[:, None], 700.0))
    rest = np.maximum(1 - share, np.finfo(np.float64).tiny)
    gain = np.log1p(offered).mean(axis=0)
    gain[list(tried)] = -np.inf
    entering = np.argsort(-gain, kind="stable")[: min(ENTERING, len(gain) - len(tried))]
    leaving = np.argsort(-np.log(rest).mean(axis=0), kind="stable")[:LEAVING]
    best, found = -np.inf, (int(entering[0]), int(leaving[0]))
    for a in entering:
        for j in leaving:
            weight = 1 - mixture.weights[j] + others.weights[a]
            value = float(np.log(rest[:, j] + offered[:, a]).mean() - np.log(weight))
            if value > best:
                best, found = value, (int(a), int(j))
    return found


def _exchanged(mixture: Mixture, others: Mixture, entering: int, leaving: int, *, tied: bool) -> Mixture:
    centres, scales, weights = mixture.centres.copy(), mixture.scales.copy(), mixture.weights.copy()
    centres[leaving], weights[leaving] = others.centres[entering], others.weights[entering]
    if not tied:
        scales[leaving] = others.scales[entering]
    return Mixture(centres, scales, weights / weights.sum())
