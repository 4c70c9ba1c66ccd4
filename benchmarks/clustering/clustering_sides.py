"""What `clustering.py` times: neurons with known clusters, our side and the other sides. Prints nothing."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.datasets import load_digits
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from decortex.clustering import MemoryCache, Points, fit, fit_grid, predict
from decortex.clustering.graph import SECProblem, discretise, nearest_neighbours

K_GRID = range(2, 31)
SEEDS = range(3)
N_FITS = len(K_GRID) * len(SEEDS)

Row = dict[str, Any]
Work = Callable[[np.ndarray, np.ndarray], Row]


def neurons(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters of unequal size and width in 64 dimensions, with 2 % of far neurons; and the truth."""
    rng = np.random.default_rng(0)
    sizes = rng.dirichlet(np.full(20, 3.0))
    truth = rng.choice(20, size=n, p=sizes)
    width = rng.uniform(0.6, 1.2, size=20)
    x = 0.6 * rng.normal(size=(20, 64))[truth] + width[truth, None] * rng.normal(size=(n, 64))
    far = rng.random(n) < 0.02
    x[far] *= 3
    return x, truth


def heavy_tails(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve clusters with t noise of three degrees of freedom in 64 dimensions."""
    rng = np.random.default_rng(1)
    truth = rng.integers(12, size=n)
    return rng.normal(size=(12, 64))[truth] + 0.5 * rng.standard_t(3, size=(n, 64)), truth


def unit_length(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The neurons of `neurons`, each scaled to length 1."""
    x, truth = neurons(n)
    return x / np.linalg.norm(x, axis=1, keepdims=True), truth


def no_clusters(n: int) -> tuple[np.ndarray, np.ndarray]:
    """One Gaussian with variances from 4 to 1/4: every partition is as true as any other."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(n, 64)) * np.linspace(2, 0.5, 64), np.zeros(n, dtype=np.int64)


def accuracy(truth: np.ndarray, labels: np.ndarray) -> float:
    """Share of neurons in the class that their cluster is matched to."""
    table = confusion_matrix(truth, labels)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(truth))


def quality(truth: np.ndarray, labels: np.ndarray) -> Row:
    """ACC, NMI and ARI of a partition."""
    return {
        "acc": round(accuracy(truth, labels), 3),
        "nmi": round(float(normalized_mutual_info_score(truth, labels)), 3),
        "ari": round(float(adjusted_rand_score(truth, labels)), 3),
    }


def our_grid(method: str, **params: Any) -> Work:
    """Our whole grid; quality at K = 20."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        results = fit_grid(x, method, n_clusters=K_GRID, seeds=SEEDS, **params)
        at_truth = next(result for result in results if result.n_clusters == 20)
        statuses = {
            status: sum(r.status == status for r in results)
            for status in sorted({str(r.status) for r in results})
        }
        row = {"fits": len(results), "statuses": statuses, **quality(truth, at_truth.labels)}
        found = [
            r.diagnostics["discretisation_objective"]
            for r in results
            if "discretisation_objective" in r.diagnostics
        ]
        return {**row, "discretisation": round(float(np.mean(found)), 6)} if found else row

    return work


def leiden_resolutions(x: np.ndarray, truth: np.ndarray) -> Row:
    """Leiden at sixteen resolutions, K an outcome; seconds of the neighbour search and of all that follows it."""
    cache = MemoryCache()
    started = time.process_time()
    nearest_neighbours(Points(x, cache), 9)
    searched = time.process_time()
    resolutions = 2.0 ** np.arange(-5, 3, 0.5)
    results = [
        fit(x, "leiden", n_clusters=1000, seed=0, resolution=float(r), cache=cache) for r in resolutions
    ]
    best = max(results, key=lambda one: adjusted_rand_score(truth, one.labels))
    return {
        "fits": len(results),
        "search_s": round(searched - started, 1),
        "resolutions_s": round(time.process_time() - searched, 1),
        "k": {f"{r:.3g}": one.k_effective for r, one in zip(resolutions, results, strict=True)},
        **quality(truth, best.labels),
    }


def some_fits(fit_one: Callable[[np.ndarray, int], tuple[float, np.ndarray]], k: int) -> Work:
    """Fits at one K and every seed."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        fitted = [fit_one(x, seed) for seed in SEEDS]
        found = quality(truth, fitted[0][1]) if k == 20 else {}
        return {"fits": len(SEEDS), "k": k, "objective": [value for value, _ in fitted], **found}

    return work


def ours(method: str, k: int, **params: Any) -> Work:
    """Our fits at one K."""

    def fit_one(x: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
        result = fit(x, method, n_clusters=k, seed=seed, **params)
        return float(result.objective or 0), result.labels

    return some_fits(fit_one, k)


def theirs(model: Callable[[int, int], Any], k: int) -> Work:
    """scikit-learn at one K, one call after the other."""

    def fit_one(x: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
        fitted = model(k, seed).fit(x)
        if hasattr(fitted, "inertia_"):
            return float(fitted.inertia_), fitted.labels_
        return -float(fitted.score(x)), fitted.predict(x)

    return some_fits(fit_one, k)


def sk_spectral(k: int) -> Work:
    """scikit-learn's spectral clustering as one would write it, once."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        fitted = SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=10, random_state=0).fit(x)
        return {"fits": 1, "k": k, **(quality(truth, fitted.labels_) if k == 20 else {})}

    return work


def once(method: str, **params: Any) -> Work:
    """One fit of ours at K = 20."""

    def work(x: np.ndarray, truth: np.ndarray) -> Row:
        return {"fits": 1, **quality(truth, fit(x, method, n_clusters=20, **params).labels)}

    return work


def reused_embedding(x: np.ndarray, truth: np.ndarray) -> Row:
    """What an informed user does: one `spectral_embedding` at the largest K, k-means for every K and seed."""
    graph = kneighbors_graph(x, 10, include_self=True)
    basis = spectral_embedding(
        (graph + graph.T) / 2, n_components=max(K_GRID), drop_first=False, random_state=0
    )
    for k in K_GRID:
        for seed in SEEDS:
            labels = KMeans(k, n_init=10, random_state=seed).fit(basis[:, :k]).labels_
            if (k, seed) == (20, 0):
                found = quality(truth, labels)
    return {"fits": N_FITS, **found}


def brute_force(x: np.ndarray, _: np.ndarray) -> Row:
    """The neighbour search alone."""
    NearestNeighbors(n_neighbors=5, algorithm="brute").fit(x).kneighbors()
    return {"fits": 0}


def dense_sec(x: np.ndarray, truth: np.ndarray) -> Row:
    """SEC's matrix formed in full and given to a dense solver, once."""
    problem = SECProblem(x, nearest_neighbours(Points(x, MemoryCache()), 5), 1e-6, 1.0)
    _, vectors = np.linalg.eigh(problem.product(np.eye(len(x))))
    labels = discretise(vectors[:, :20], "rotation", 1, np.random.default_rng(0)).labels
    return {"fits": 1, **quality(truth, labels)}


def student_package(x: np.ndarray, truth: np.ndarray) -> Row:
    """The package studenttmixture, full covariance, fixed degrees of freedom, once."""
    model = importlib.import_module("studenttmixture").EMStudentMixture(
        n_components=20, fixed_df=True, df=4.0, random_state=0
    )
    model.fit(x)
    return {"fits": 1, **quality(truth, model.predict(x))}


def clustpy_subkmeans(x: np.ndarray, truth: np.ndarray) -> Row:
    """ClustPy's SubKmeans, once; it has neither SEC nor LDMGI."""
    model = importlib.import_module("clustpy.centroid").SubKmeans(n_clusters=20, random_state=0)
    return {"fits": 1, **quality(truth, model.fit(x).labels_)}


def digits_reference(_: np.ndarray, __: np.ndarray) -> Row:
    """The reference accuracies on digits, K = 10."""
    data = load_digits()
    x = data.data / 16
    return {
        "fits": 3,
        **{
            m: round(accuracy(data.target, fit(x, m, n_clusters=10).labels), 3)
            for m in ("sec", "ldmgi", "spectral")
        },
    }


def held_out_digits(_: np.ndarray, __: np.ndarray) -> Row:
    """SEC fitted to half of the digits, accuracy on the other half; five splits."""
    data = load_digits()
    x, scores = data.data / 16, []
    for split in range(5):
        order = np.random.default_rng(split).permutation(len(x))
        train, rest = order[: len(x) // 2], order[len(x) // 2 :]
        found = fit(x[train], "sec", n_clusters=10, seed=split, mu=1e-4)
        scores.append(accuracy(data.target[rest], predict(found, x[rest])))
    return {"fits": 5, "acc": round(float(np.mean(scores)), 3), "each": [round(s, 3) for s in scores]}


def sk_kmeans(k: int, seed: int) -> KMeans:
    """scikit-learn's k-means as one would write it."""
    return KMeans(k, n_init=10, random_state=seed)


def sk_gmm(k: int, seed: int) -> GaussianMixture:
    """scikit-learn's diagonal mixture as one would write it."""
    return GaussianMixture(k, covariance_type="diag", n_init=10, random_state=seed)
