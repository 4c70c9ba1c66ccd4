"""TURTLE: one labelling of the neurons that linear classifiers on every network's embedding support. No vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import canonical_order, relabel
from decortex.errors import InputError

FloatArray = NDArray[np.float64]
_TINY = 1e-12


@dataclass(frozen=True)
class SharedLabelling:
    """The labelling that several embeddings of the same neurons support.

    Parameters
    ----------
    labels : ndarray of int16, shape (n_neurons,)
        0 is the largest cluster; -1 where an embedding does not place the neuron. Clusters may be empty.
    confidence : ndarray of float64, shape (n_neurons,)
        Probability of the neuron's label, NaN where there is none.
    loss : float
        Of the best start: mean cross-entropy of the linear classifiers, nats, minus the weighted entropy.
    cross_entropy : ndarray of float64, shape (n_embeddings,)
        Of each embedding's classifier, nats per neuron: what it cannot tell of the labelling.
    entropy : float
        Of the mean labelling, over log K: 1 where clusters are of equal size.
    n_alive : int
        Clusters that hold a neuron.
    losses : ndarray of float64, shape (n_init,)
        Of every start.
    """

    labels: NDArray[np.int16]
    confidence: FloatArray
    loss: float
    cross_entropy: FloatArray
    entropy: float
    n_alive: int
    losses: FloatArray


def turtle(
    embeddings: Sequence[NDArray[np.floating[Any]]],
    n_clusters: int,
    *,
    seed: int,
    entropy_weight: float = 10.0,
    n_init: int = 10,
    n_steps: int = 300,
    inner_steps: int = 10,
    learning_rate: float = 0.05,
) -> SharedLabelling:
    r"""Search the labelling that linear classifiers on every embedding learn best.

    .. math:: \min_\theta \; \frac{1}{S} \sum_s \frac{1}{N} \sum_i CE\bigl(\tau_\theta(i), \sigma(W_s x_{si})\bigr)
       - \gamma H\Bigl(\frac1N \sum_i \tau_\theta(i)\Bigr), \qquad
       \tau_\theta(i) = \frac1S \sum_s \sigma(\theta_s x_{si})

    with :math:`W_s` the classifier of embedding s after ``inner_steps`` gradient steps on the same cross-entropy, from
    where it stood. A labelling that one network alone can tell has a large cross-entropy on the others; the entropy H
    keeps it from putting all neurons in one cluster.

    Parameters
    ----------
    embeddings : sequence of ndarray, each of shape (n_neurons, n_features)
        Of the same neurons in the same order, at least one; features may differ. Rows that are not finite are left out.
    n_clusters : int
        K, at least 2.
    seed : int
        Seed of the starts.
    entropy_weight : float
        :math:`\gamma`, 10 as published; large values want clusters of equal size.
    n_init : int
        Starts from small random weights; the one of the smallest loss is kept.
    n_steps, inner_steps : int
        Steps of Adam on the labelling, and on the classifiers within each.
    learning_rate : float
        Of both.

    Returns
    -------
    SharedLabelling

    Raises
    ------
    InputError
        If embeddings hold different numbers of neurons, K is below 2, or fewer than K neurons lie in all of them.

    Notes
    -----
    Gadetsky, Jiang & Brbic, "Let go of your labels with unsupervised transfer", ICML 2024: the objective with the
    entropy term, classifiers that start where they stood, the labelling's gradient at fixed classifiers; here in full
    batches. Features are standardised and divided by the root of their number, with a constant beside them. The paper's
    embeddings are of foundation models; here they are of networks trained from several seeds, which need no alignment,
    for each has a classifier of its own.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = np.repeat([0, 1], 50)
    >>> one, other = (rng.normal(size=(100, 3)) + 6 * truth[:, None] for _ in range(2))
    >>> found = turtle([one, other], 2, seed=0, n_init=2)
    >>> np.bincount(found.labels).tolist()
    [50, 50]
    """
    points, placed = _checked(embeddings, n_clusters)
    n_neurons = len(placed)
    searches = [
        _Search(points, n_clusters, np.random.default_rng([seed, start]), entropy_weight, learning_rate)
        for start in range(n_init)
    ]
    for one in searches:
        for _ in range(n_steps):
            one.step(inner_steps)
    losses = np.array([one.loss() for one in searches])
    best = searches[int(np.argmin(losses))]
    tau = best.labelling()
    found = tau.argmax(axis=1)
    labels = np.full(n_neurons, -1, dtype=np.int16)
    labels[placed] = relabel(found, canonical_order(found, n_clusters))
    confidence = np.full(n_neurons, np.nan)
    confidence[placed] = tau.max(axis=1)
    return SharedLabelling(
        labels=labels,
        confidence=confidence,
        loss=float(losses.min()),
        cross_entropy=best.cross_entropies(tau),
        entropy=float(_entropy(tau.mean(axis=0)) / np.log(n_clusters)),
        n_alive=len(np.unique(found)),
        losses=losses,
    )


def _checked(
    embeddings: Sequence[NDArray[np.floating[Any]]], n_clusters: int
) -> tuple[list[FloatArray], NDArray[np.bool_]]:
    """Standardised features with a constant, of the neurons that all embeddings place; and which these are."""
    arrays = [np.asarray(one, dtype=np.float64) for one in embeddings]
    shapes = [one.shape for one in arrays]
    if not arrays or any(len(shape) != 2 for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
        raise InputError(
            f"expected embeddings (n_neurons, n_features) of the same neurons, got shapes {shapes}; take networks of "
            "one dataset."
        )
    if n_clusters < 2:
        raise InputError(f"a labelling needs at least 2 clusters, got {n_clusters}.")
    placed = np.all([np.isfinite(one).all(axis=1) for one in arrays], axis=0)
    if placed.sum() < n_clusters:
        raise InputError(
            f"{int(placed.sum())} neurons lie in all embeddings, fewer than the {n_clusters} clusters; take a "
            "smaller K."
        )
    return [_standardised(one[placed]) for one in arrays], placed


def _standardised(x: FloatArray) -> FloatArray:
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([z / np.sqrt(x.shape[1]), np.ones(len(x))])


class _Search:
    """One start: the labelling's weights, each embedding's classifier, and Adam's moments of both."""

    def __init__(
        self,
        points: list[FloatArray],
        n_clusters: int,
        rng: np.random.Generator,
        entropy_weight: float,
        rate: float,
    ) -> None:
        self.points, self.gamma = points, entropy_weight
        self.theta = [rng.normal(size=(x.shape[1], n_clusters)) for x in points]
        self.classifiers = [np.zeros((x.shape[1], n_clusters)) for x in points]
        self.outer = _Adam(self.theta, rate)
        self.inner = _Adam(self.classifiers, rate)

    def labelling(self) -> FloatArray:
        """tau, (n_neurons, n_clusters)."""
        views = [_softmax(x @ theta) for x, theta in zip(self.points, self.theta, strict=True)]
        found: FloatArray = np.mean(views, axis=0)
        return found

    def step(self, inner_steps: int) -> None:
        """Let the classifiers follow the labelling, then move the labelling to what they can tell."""
        tau, n_neurons = self.labelling(), len(self.points[0])
        for _ in range(inner_steps):
            self.inner.step(
                [
                    x.T @ (_softmax(x @ w) - tau) / n_neurons
                    for x, w in zip(self.points, self.classifiers, strict=True)
                ]
            )
        self.outer.step(self.gradients(tau))

    def gradients(self, tau: FloatArray) -> list[FloatArray]:
        """Of the loss in the labelling's weights, at fixed classifiers."""
        n_neurons, n_views = len(tau), len(self.points)
        log_p = np.mean(
            [_log_softmax(x @ w) for x, w in zip(self.points, self.classifiers, strict=True)], axis=0
        )
        mean = np.maximum(tau.mean(axis=0), _TINY)
        of_tau = (-log_p + self.gamma * (np.log(mean) + 1.0)) / n_neurons
        found = []
        for x, theta in zip(self.points, self.theta, strict=True):
            q = _softmax(x @ theta)
            found.append(x.T @ (q * (of_tau - (q * of_tau).sum(axis=1, keepdims=True))) / n_views)
        return found

    def cross_entropies(self, tau: FloatArray) -> FloatArray:
        """Of every embedding's classifier, (n_embeddings,)."""
        log_p = [_log_softmax(x @ w) for x, w in zip(self.points, self.classifiers, strict=True)]
        return np.array([-(tau * one).sum(axis=1).mean() for one in log_p])

    def loss(self) -> float:
        """Mean cross-entropy minus the weighted entropy."""
        tau = self.labelling()
        return float(self.cross_entropies(tau).mean() - self.gamma * _entropy(tau.mean(axis=0)))


class _Adam:
    """Adam (Kingma & Ba 2015) on arrays, in place."""

    def __init__(self, arrays: list[FloatArray], rate: float) -> None:
        self.arrays, self.rate, self.n = arrays, rate, 0
        self.first = [np.zeros_like(one) for one in arrays]
        self.second = [np.zeros_like(one) for one in arrays]

    def step(self, gradients: list[FloatArray]) -> None:
        self.n += 1
        for at, gradient in enumerate(gradients):
            self.first[at] += 0.1 * (gradient - self.first[at])
            self.second[at] += 0.001 * (gradient**2 - self.second[at])
            scale = np.sqrt(self.second[at] / (1 - 0.999**self.n)) + 1e-8
            self.arrays[at] -= self.rate * (self.first[at] / (1 - 0.9**self.n)) / scale


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def _softmax(logits: FloatArray) -> FloatArray:
    found: FloatArray = np.exp(_log_softmax(logits))
    return found


def _entropy(p: FloatArray) -> float:
    return float(-(p * np.log(np.maximum(p, _TINY))).sum())
