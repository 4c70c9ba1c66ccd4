"""What a reviewer would use to count types instead: SigClust-like, forest, Silverman's test, HDBSCAN, mixtures and BIC.

Short versions, to stand beside `count_types` in `known_types.py`; each takes features and a Generator and returns
labels. Those that split go on while a split in two by k-means is significant at .05, without correction down the tree,
at most to sixteen groups.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_predict

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Rng = np.random.Generator

ALPHA = 0.05
MOST_GROUPS, FEWEST = 16, 20
N_SIMULATED = 99


def two_means(x: FloatArray, rng: Rng) -> IntArray:
    """Split in two by k-means."""
    return KMeans(2, n_init=3, random_state=int(rng.integers(2**31 - 1))).fit_predict(x)


def split_while(x: FloatArray, rng: Rng, p_value: Callable[[FloatArray, IntArray, Rng], float]) -> IntArray:
    """Split the largest group not yet refused while splits are significant."""
    labels = np.zeros(len(x), dtype=np.int64)
    n_groups, waiting = 1, [0]
    while waiting and n_groups < MOST_GROUPS:
        group = max(waiting, key=lambda g: int((labels == g).sum()))
        waiting.remove(group)
        members = np.flatnonzero(labels == group)
        if len(members) < FEWEST:
            continue
        sides = two_means(x[members], rng)
        if min(np.bincount(sides, minlength=2)) < FEWEST // 4 or p_value(x[members], sides, rng) > ALPHA:
            continue
        labels[members[sides == 1]] = n_groups
        waiting += [group, n_groups]
        n_groups += 1
    return labels


def sigclust(x: FloatArray, sides: IntArray, rng: Rng) -> float:
    """P of the two-means cluster index under one Gaussian with the sample's eigenvalues (Liu et al. 2008)."""

    def index(points: FloatArray, labels: IntArray) -> float:
        within = sum(((points[labels == s] - points[labels == s].mean(axis=0)) ** 2).sum() for s in (0, 1))
        return float(within / ((points - points.mean(axis=0)) ** 2).sum())

    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(x.T)), 0))
    simulated = []
    for _ in range(19):
        null = rng.standard_normal(x.shape) * spread
        simulated.append(index(null, two_means(null, rng)))
    return (1 + sum(value <= index(x, sides) for value in simulated)) / 20


def forest(x: FloatArray, sides: IntArray, rng: Rng) -> float:
    """P of a forest's held-out accuracy against permuted labels (as CHOIR asks of every pair of clusters)."""

    def accuracy(labels: IntArray) -> float:
        model = RandomForestClassifier(
            30, max_depth=8, oob_score=True, random_state=int(rng.integers(2**31 - 1))
        )
        return float(model.fit(x, labels).oob_score_)

    reached = accuracy(sides)
    return (1 + sum(accuracy(rng.permutation(sides)) >= reached for _ in range(19))) / 20


def silverman(x: FloatArray, sides: IntArray, rng: Rng) -> float:
    """P of one mode along the held-out discriminant line of the two sides (Silverman 1981)."""
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    line = cross_val_predict(model, x, sides, cv=5, method="decision_function")
    line = (line - line.mean()) / line.std()
    grid = np.linspace(line.min(), line.max(), 200)

    def n_modes(sample: FloatArray, width: float) -> int:
        density = np.exp(-(((grid[:, None] - sample) / width) ** 2) / 2).sum(axis=1)
        rising = np.diff(density) > 0
        return int((rising[:-1] & ~rising[1:]).sum() + (not rising[0]) + rising[-1])

    low, high = 0.02, 3.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if n_modes(line, middle) > 1 else (low, middle)
    shrink = 1 / np.sqrt(1 + high**2)
    more = 0
    for _ in range(N_SIMULATED):
        drawn = rng.choice(line, len(line)) + high * rng.standard_normal(len(line))
        more += n_modes(shrink * drawn, high) > 1
    return (1 + more) / (1 + N_SIMULATED)


def hdbscan(x: FloatArray, rng: Rng) -> IntArray:
    """HDBSCAN with clusters of fifteen neurons or more; -1 is noise."""
    return HDBSCAN(min_cluster_size=15, copy=True).fit_predict(x)


def gmm_bic(x: FloatArray, rng: Rng) -> IntArray:
    """Gaussian mixture on ten principal axes, full covariances, K = 1 to 12 by BIC."""
    z = PCA(min(10, *x.shape)).fit_transform(x)
    fits = [
        GaussianMixture(k, reg_covar=1e-4, random_state=int(rng.integers(2**31 - 1))).fit(z)
        for k in range(1, min(12, len(x) // 20) + 1)
    ]
    return min(fits, key=lambda fit: fit.bic(z)).predict(z)


RIVALS: dict[str, Callable[[FloatArray, Rng], IntArray]] = {
    "SigClust-like": lambda x, rng: split_while(x, rng, sigclust),
    "forest accuracy": lambda x, rng: split_while(x, rng, forest),
    "Silverman on LDA line": lambda x, rng: split_while(x, rng, silverman),
    "HDBSCAN": hdbscan,
    "GMM and BIC": gmm_bic,
}
