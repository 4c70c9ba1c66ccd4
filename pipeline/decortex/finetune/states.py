"""States of a network that a fine-tuning leaves to compare: start, control, own labels, clustered afresh.

Any network is a source of an embedding, and any embedding can be clustered by any method; what fine-tuning gained
is the difference between these partitions, asked of several networks of the same neurons. Own labels begin from the
start's partition, a clustering afresh from nothing: like with like is the start's partition carried to the control.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import InputError
from decortex.evaluation import cluster_quality
from decortex.evaluation.agreement import agreement
from decortex.models import Network

State = Literal["start", "control", "control_carried", "fine_tuned", "fine_tuned_afresh"]
STATES: tuple[State, ...] = ("start", "control", "control_carried", "fine_tuned", "fine_tuned_afresh")
# The 'method' of labels that fine-tuning itself gave.
OWN_LABELS = "own"

FloatArray = NDArray[np.float64]
Methods = Mapping[str, tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class StatePartition:
    """A partition of one state of one network.

    Parameters
    ----------
    state : {'start', 'control', 'control_carried', 'fine_tuned', 'fine_tuned_afresh'}
        'start': the network from which fine-tuning went on; 'control': trained as long without a clustering loss,
        clustered as if nothing were known; 'control_carried': the control under the start's partition, carried there
        (`carry_partition`); 'fine_tuned': under its own labels; 'fine_tuned_afresh': clustered as the control.
    method : str
        Name of the clustering method, 'own' for the labels that fine-tuning gave.
    labels : ndarray of int, shape (n_neurons,)
        -1 for a neuron that the embedding excludes.
    points : ndarray of float64, shape (n_neurons, n_features)
        The state's embedding.
    """

    state: State
    method: str
    labels: NDArray[np.integer[Any]]
    points: FloatArray


@dataclass(frozen=True)
class StateComparison:
    """One state under one method, over networks trained from several seeds on the same neurons.

    Parameters
    ----------
    state, method : str
        As in `StatePartition`.
    agreement : float or None
        Mean adjusted Rand index over pairs of networks; None of one network.
    truth : float or None
        Mean adjusted Rand index to the known types; None where nobody knows them.
    silhouette_start, silhouette_state : float or None
        Mean silhouette of the labels in the embedding of the start, the yardstick, and in the state's.
    n_networks : int
        Networks that have this state.
    """

    state: State
    method: str
    agreement: float | None
    truth: float | None
    silhouette_start: float | None
    silhouette_state: float | None
    n_networks: int


def embed(network: Network, config: EmbeddingConfig) -> FloatArray:
    """Points of a network in whatever state it is, (n_neurons, n_features)."""
    weights = network.embedding().detach().cpu().numpy()
    return fit_map(weights, config).apply(weights)


def cluster_state(
    points: FloatArray, methods: Methods, *, state: State, n_clusters: int, seed: int
) -> list[StatePartition]:
    """Cluster the embedding of one state by every method.

    Parameters
    ----------
    points : ndarray of float64, shape (n_neurons, n_features)
        Rows that are not finite are excluded and labelled -1.
    methods : mapping of str to (str, mapping)
        Name, method and its parameters.
    state : str
        What it is a state of.
    n_clusters, seed : int
        K, and the seed of the starts.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((5, 2)), np.ones((5, 2))] + np.linspace(0, 0.1, 10)[:, None]
    >>> found = cluster_state(x, {"kmeans": ("kmeans", {})}, state="start", n_clusters=2, seed=0)
    >>> found[0].labels.tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    placed = np.isfinite(points).all(axis=1)
    found = []
    for name, (method, params) in methods.items():
        labels = np.full(len(points), -1, dtype=np.int16)
        labels[placed] = fit(points[placed], method, n_clusters=n_clusters, seed=seed, **params).labels
        found.append(StatePartition(state, name, labels, points))
    return found


def carry_partition(points: FloatArray, labels: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
    """Carry the partition of an earlier state along: k-means from the means, in these points, of its clusters.

    What own labels of a fine-tuning are to be compared with: both begin from the same partition, one follows the
    training with a clustering loss and one without.

    Parameters
    ----------
    points : ndarray of float64, shape (n_neurons, n_features)
        Embedding of the later state, the control. Rows that are not finite are excluded and labelled -1.
    labels : ndarray of int, shape (n_neurons,)
        Partition of the earlier state; -1 for a neuron that it excludes, which joins the cluster nearest to it.

    Returns
    -------
    ndarray of int16, shape (n_neurons,)
        Clusters keep the numbers that they have in `labels`. At most 500 of Lloyd's iterations (scikit-learn's).

    Raises
    ------
    InputError
        If there are other numbers of points and labels, or no neuron has both a place and a label.

    Examples
    --------
    >>> import numpy as np
    >>> later = np.array([[0.0], [0.1], [0.2], [1.0], [1.1]])
    >>> carry_partition(later, np.array([2, 2, 5, 5, 5])).tolist()
    [2, 2, 2, 5, 5]
    """
    if len(points) != len(labels):
        raise InputError(
            f"{len(points)} points and {len(labels)} labels: a partition is carried to the same neurons."
        )
    placed = np.isfinite(points).all(axis=1)
    known = placed & (labels >= 0)
    if not known.any():
        raise InputError(
            "no neuron has both a place in the later embedding and a label in the earlier partition."
        )
    clusters = np.unique(labels[known])
    means = np.stack([points[known & (labels == cluster)].mean(axis=0) for cluster in clusters])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # points that coincide leave clusters empty
        fitted = KMeans(len(means), init=means, n_init=1, max_iter=500).fit(points[placed])
    carried = np.full(len(points), -1, dtype=np.int16)
    carried[placed] = clusters[fitted.labels_]
    return carried


def compare_states(
    networks: Sequence[Sequence[StatePartition]],
    truth: NDArray[np.integer[Any]] | None = None,
    *,
    seed: int = 0,
) -> list[StateComparison]:
    """Compare the partitions of several networks of the same neurons, state by state and method by method.

    Parameters
    ----------
    networks : sequence of sequence of StatePartition
        One sequence a network; a state and method once in each.
    truth : ndarray of int, shape (n_neurons,), optional
        Known types.
    seed : int
        Seed of the sample of neurons whose silhouette is taken.

    Returns
    -------
    list of StateComparison
        In the order of `STATES`, methods by name.

    Raises
    ------
    InputError
        If partitions label different numbers of neurons, or a network has one partition twice.
    """
    groups: dict[tuple[State, str], list[StatePartition]] = {}
    starts: dict[int, FloatArray] = {}
    for number, partitions in enumerate(networks):
        names = [(one.state, one.method) for one in partitions]
        if len(set(names)) != len(names):
            raise InputError(
                f"network {number} has a state and method twice: {sorted(names)}; give each once."
            )
        for one in partitions:
            groups.setdefault((one.state, one.method), []).append(one)
            if one.state == "start":
                starts[id(partitions)] = one.points
    lengths = {len(one.labels) for group in groups.values() for one in group}
    if len(lengths) > 1 or (truth is not None and lengths and lengths != {len(truth)}):
        raise InputError(
            f"partitions label {sorted(lengths)} neurons{'' if truth is None else f', {len(truth)} have a type'}; "
            "states are compared over networks of the same neurons."
        )
    start_of = {id(one): starts.get(id(partitions)) for partitions in networks for one in partitions}
    ordered = sorted(groups, key=lambda name: (STATES.index(name[0]), name[1]))
    return [_compared(name, groups[name], start_of, truth, seed=seed) for name in ordered]


def _compared(
    name: tuple[State, str],
    group: list[StatePartition],
    start_of: Mapping[int, FloatArray | None],
    truth: NDArray[np.integer[Any]] | None,
    *,
    seed: int,
) -> StateComparison:
    pairs = [_ari(one.labels, other.labels) for one, other in combinations(group, 2)]
    to_truth = [] if truth is None else [_ari(one.labels, truth) for one in group]
    return StateComparison(
        state=name[0],
        method=name[1],
        agreement=_mean(pairs),
        truth=_mean(to_truth),
        silhouette_start=_mean([_silhouette(start_of[id(one)], one.labels, seed) for one in group]),
        silhouette_state=_mean([_silhouette(one.points, one.labels, seed) for one in group]),
        n_networks=len(group),
    )


def _ari(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> float | None:
    placed = (one >= 0) & (other >= 0)
    return agreement(one[placed], other[placed]).ari if placed.any() else None


def _silhouette(points: FloatArray | None, labels: NDArray[np.integer[Any]], seed: int) -> float | None:
    if points is None:
        return None
    placed = (labels >= 0) & np.isfinite(points).all(axis=1)
    return cluster_quality(points[placed], labels[placed], seed=seed).silhouette if placed.any() else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
