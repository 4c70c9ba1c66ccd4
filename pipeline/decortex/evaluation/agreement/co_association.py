"""Co-association of neurons over many partitions, and its communities: groups whose number nobody sets.

How this differs from `consensus`: a consensus matches the clusters of all partitions one to one and lets each neuron
vote, so that it has the K that was asked for. Communities need no matching and no K: two neurons belong together where
they share a cluster in more partitions than chance has them share. Partitions of another K, or of other methods, count
in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from decortex.clustering import canonical_order, relabel
from decortex.clustering.graph import leiden_communities, modularity
from decortex.errors import InputError
from decortex.evaluation.agreement.indices import agreement
from decortex.labels import assigned_in_all

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]
CommunityStatus = Literal["ok", "one_community", "no_shared_cluster"]

# Neurons whose co-association matrix is made; the others follow them.
N_LANDMARKS = 500
# Of its own community's co-association, the most that a firm neuron may have with another community.
FIRM = 0.5


@dataclass(frozen=True)
class Communities:
    """Groups of neurons that share a cluster in more partitions than chance has them share.

    Parameters
    ----------
    status : {'ok', 'one_community', 'no_shared_cluster'}
        'no_shared_cluster': no two neurons share a cluster in any partition; there is no community then.
    labels : ndarray of int16, shape (n_neurons,)
        0 is the largest community; -1 where no partition assigns the neuron, or it shares no cluster with a landmark.
    n_communities : int
        An outcome.
    modularity : float or None
        Of the landmarks' co-association graph, at resolution 1: what Leiden maximises.
    own, other : ndarray of float64, shape (n_neurons,)
        Mean co-association with the other neurons of its own community, and the largest mean with another community;
        NaN where there is none.
    firm_share : float or None
        Share of the neurons with a community that share a cluster with its neurons at least twice as often as with
        those of any other; None below two communities.
    ari_members : tuple of float or None
        Adjusted Rand index of every partition with the communities, in order.
    chance : float or None
        Mean co-association over pairs of landmarks: what independent partitions of these sizes have on average.
    n_landmarks : int
        Neurons whose co-association matrix was made; where that is all, no neuron had to follow.
    """

    status: CommunityStatus
    labels: NDArray[np.int16]
    n_communities: int
    modularity: float | None
    own: FloatArray
    other: FloatArray
    firm_share: float | None
    ari_members: tuple[float | None, ...]
    chance: float | None
    n_landmarks: int

    @property
    def ari_mean(self) -> float | None:
        """Mean adjusted Rand index of the partitions with the communities, where defined."""
        values = [value for value in self.ari_members if value is not None]
        return float(np.mean(values)) if values else None


def co_association(partitions: Sequence[ArrayLike]) -> FloatArray:
    """Share of the partitions in which two neurons lie in one cluster, for all pairs of few neurons.

    Parameters
    ----------
    partitions : sequence of array_like of int, each of shape (n_neurons,)
        Labels, as `decortex.labels.check_labels` takes them. A partition that leaves one of the two without a cluster
        (-1) does not count for the pair.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_neurons)
        Symmetric, from 0 to 1; 0 where no partition assigns both. Memory grows with the square of the neurons.

    Raises
    ------
    InputError
        If there is no partition, or they are not labels of the same neurons.

    Notes
    -----
    Evidence accumulation: Fred & Jain, "Combining multiple clusterings using evidence accumulation", IEEE TPAMI 27(6),
    2005.

    Examples
    --------
    >>> co_association([[0, 0, 1], [2, 2, 2]])
    array([[1. , 1. , 0.5],
           [1. , 1. , 0.5],
           [0.5, 0.5, 1. ]])
    """
    return _matrix(np.stack(_checked(partitions)))


def communities(
    partitions: Sequence[ArrayLike], *, seed: int, resolution: float = 1.0, n_landmarks: int = N_LANDMARKS
) -> Communities:
    """Find the communities of the co-association graph of many partitions of the same neurons.

    Parameters
    ----------
    partitions : sequence of array_like of int, each of shape (n_neurons,)
        At least two, as `co_association` takes them; their numbers of clusters may differ.
    seed : int
        Of Leiden, and of the choice of landmarks.
    resolution : float
        Of modularity. 1 needs no label to be chosen: the mean co-association over all pairs is the same however
        partitions depend on each other, so that two neurons attract each other where they share a cluster more often
        than independent partitions of these sizes would have them.
    n_landmarks : int
        Of more neurons so many are drawn, whose communities are found; every other neuron joins the one with whose
        landmarks it shares clusters most often. Memory is bounded by the square of it.

    Returns
    -------
    Communities

    Raises
    ------
    InputError
        If there are fewer than two partitions, they are not labels of the same neurons, or none assigns two neurons.

    Notes
    -----
    Co-association: Fred & Jain (2005); its communities by modularity: Lancichinetti & Fortunato, "Consensus clustering
    in complex networks", Sci. Rep. 2, 336, 2012; Leiden: Traag, Waltman & van Eck (2019). Groups that partitions
    confuse with each other more often than chance are one community: many small groups (30, say) at poor agreement are
    joined. Noise has communities too: compare with `independent_communities`.

    Examples
    --------
    >>> from decortex import communities
    >>> found = communities([[0, 0, 1, 1, 2, 2], [1, 1, 0, 0, 2, 2], [0, 1, 2, 2, 3, 3]], seed=0)
    >>> found.labels, round(found.ari_mean, 3)
    (array([0, 0, 1, 1, 2, 2], dtype=int16), 0.921)
    """
    checked = _checked(partitions)
    if len(checked) < 2:
        raise InputError(
            f"co-association needs at least 2 partitions, got {len(checked)}; run more seeds or methods."
        )
    return _communities(np.stack(checked), _landmarks(checked, n_landmarks, seed), seed, resolution)


def independent_communities(
    partitions: Sequence[ArrayLike],
    networks: Sequence[Any],
    *,
    seed: int,
    n_draws: int = 19,
    blocks: NDArray[Any] | None = None,
    resolution: float = 1.0,
    n_landmarks: int = N_LANDMARKS,
) -> list[Communities]:
    """Communities of partitions that have the same sizes and know nothing of each other: the null of `communities`.

    Parameters
    ----------
    partitions, seed, resolution, n_landmarks
        As `communities` takes them.
    networks : sequence, one entry per partition
        The network of each. Partitions of one network are permuted together: what its starts and methods share is no
        agreement between networks, and stays in the null.
    n_draws : int
        Draws; below 19 no p reaches .05.
    blocks : ndarray, shape (n_neurons,), optional
        Session of every neuron, within which neurons are permuted: sizes per session are kept. Default: among all.

    Returns
    -------
    list of Communities
        One per draw; empty where there is only one network.

    Raises
    ------
    InputError
        As `communities`, or if networks or blocks do not fit.

    Examples
    --------
    >>> parts = [np.repeat([0, 1, 2], 30)] * 4
    >>> drawn = independent_communities(parts, [0, 0, 1, 1], seed=0, n_draws=3)
    >>> max(one.modularity for one in drawn) < communities(parts, seed=0).modularity
    True
    """
    checked = _checked(partitions)
    n = len(checked[0])
    if len(networks) != len(checked) or n_draws < 0:
        raise InputError(
            f"expected one network per partition and n_draws >= 0, got {len(networks)} networks of {len(checked)} "
            f"partitions and n_draws = {n_draws}."
        )
    if blocks is not None and np.shape(blocks) != (n,):
        raise InputError(
            f"expected one block per neuron, shape ({n},), got {np.shape(blocks)}; give each neuron's session."
        )
    own = list(dict.fromkeys(networks))
    if len(own) < 2:
        return []
    inside = np.zeros(n, dtype=np.int64) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    members = [np.flatnonzero(inside.ravel() == one) for one in range(int(inside.max(initial=0)) + 1)]
    landmarks, stacked = _landmarks(checked, n_landmarks, seed), np.stack(checked)
    rng = np.random.default_rng([seed, n, 1])
    drawn = []
    for _ in range(n_draws):
        permuted = stacked.copy()
        for network in own[1:]:
            order = np.empty(n, dtype=np.int64)
            for some in members:
                order[some] = rng.permutation(some)
            rows = [i for i, one in enumerate(networks) if one == network]
            permuted[rows] = stacked[rows][:, order]
        drawn.append(_communities(permuted, landmarks, seed, resolution))
    return drawn


def _checked(partitions: Sequence[ArrayLike]) -> list[Labels]:
    checked, _ = assigned_in_all(partitions)
    if not checked:
        raise InputError("co-association needs partitions, got none.")
    # Numbered without gaps, so that tables have no empty rows.
    return [np.unique(one, return_inverse=True)[1].ravel() - int((one < 0).any()) for one in checked]


def _landmarks(partitions: Sequence[Labels], n_landmarks: int, seed: int) -> NDArray[np.int64]:
    assigned = np.flatnonzero(np.any([one >= 0 for one in partitions], axis=0))
    if len(assigned) < 2 or n_landmarks < 2:
        raise InputError(
            "co-association is of at least 2 neurons with a cluster and of 2 landmarks, got "
            f"{len(assigned)} neurons and n_landmarks = {n_landmarks}."
        )
    if len(assigned) <= n_landmarks:
        return assigned
    rng = np.random.default_rng([seed, len(assigned)])
    return np.sort(rng.choice(assigned, n_landmarks, replace=False))


def _matrix(partitions: NDArray[np.int64]) -> FloatArray:
    n = partitions.shape[1]
    shared, both = np.zeros((n, n)), np.zeros((n, n))
    for one in partitions:
        assigned = one >= 0
        pairs = assigned[:, None] & assigned
        both += pairs
        shared += pairs & (one[:, None] == one)
    return shared / np.maximum(both, 1)


def _communities(
    partitions: NDArray[np.int64], landmarks: NDArray[np.int64], seed: int, resolution: float
) -> Communities:
    """Communities of labels without gaps, (n_partitions, n_neurons)."""
    n = partitions.shape[1]
    matrix = _matrix(partitions[:, landmarks])
    np.fill_diagonal(matrix, 0.0)
    if not matrix.any():
        nothing = np.full(n, np.nan)
        unknown = (None,) * len(partitions)
        labels = np.full(n, -1, dtype=np.int16)
        return Communities(
            "no_shared_cluster", labels, 0, None, nothing, nothing, None, unknown, 0.0, len(landmarks)
        )
    graph = sparse.csr_array(matrix)
    of_landmarks = leiden_communities(graph, resolution=resolution, seed=seed)
    labels = _followed(partitions, landmarks, of_landmarks)
    own, other = _mean_with(partitions, labels)
    k = int(labels.max()) + 1
    member = labels >= 0
    firm = other[member] <= FIRM * own[member]  # False where a community is one neuron: its own is NaN
    count = len(landmarks)
    return Communities(
        status="ok" if k > 1 else "one_community",
        labels=labels,
        n_communities=k,
        modularity=modularity(graph, of_landmarks, 1.0),
        own=own,
        other=other,
        firm_share=float(firm.mean()) if k > 1 else None,
        ari_members=tuple(_ari(one, labels) for one in partitions),
        chance=float(matrix.sum() / (count * (count - 1))),
        n_landmarks=count,
    )


def _followed(
    partitions: NDArray[np.int64], landmarks: NDArray[np.int64], of_landmarks: Labels
) -> NDArray[np.int16]:
    """Communities of all neurons: a neuron that is no landmark joins the landmarks it shares clusters with most."""
    n, k = partitions.shape[1], int(of_landmarks.max()) + 1
    order = canonical_order(of_landmarks, k)
    of_landmarks = relabel(of_landmarks, order).astype(np.int64)
    known = np.full(n, -1, dtype=np.int64)
    known[landmarks] = of_landmarks
    labels = known.copy()
    rest = np.flatnonzero((known < 0) & (partitions >= 0).any(axis=0))
    if len(rest):
        shared, both = _counts(partitions, known, rest, k)
        mean = shared / np.maximum(both, 1)
        labels[rest] = np.where(mean.any(axis=1), mean.argmax(axis=1), -1)
    placed = labels >= 0
    numbered = np.full(n, -1, dtype=np.int16)
    numbered[placed] = relabel(labels[placed], canonical_order(labels[placed], k))
    return numbered


def _mean_with(partitions: NDArray[np.int64], labels: NDArray[np.int16]) -> tuple[FloatArray, FloatArray]:
    """Mean co-association of every neuron with the others of its community, and the largest with another one."""
    n, k = len(labels), int(labels.max()) + 1
    member = np.flatnonzero(labels >= 0)
    shared, both = _counts(partitions, labels.astype(np.int64), member, k)
    rows, at = np.arange(len(member)), labels[member]
    itself = (partitions[:, member] >= 0).sum(axis=0)
    shared[rows, at] -= itself
    both[rows, at] -= itself
    with np.errstate(invalid="ignore"):
        mean = shared / np.where(both > 0, both, np.nan)
    own, other = np.full(n, np.nan), np.full(n, np.nan)
    own[member] = mean[rows, at]
    mean[rows, at] = -np.inf
    if k > 1:
        other[member] = np.where(np.isnan(mean), -np.inf, mean).max(axis=1)
        other[np.isinf(other)] = np.nan
    return own, other


def _counts(
    partitions: NDArray[np.int64], labels: Labels, neurons: NDArray[np.int64], k: int
) -> tuple[FloatArray, FloatArray]:
    """Over partitions and labelled neurons: times they share a cluster with, and are assigned beside, each neuron."""
    shared, both = np.zeros((len(neurons), k)), np.zeros((len(neurons), k))
    for one in partitions:
        counted = (one >= 0) & (labels >= 0)
        size = int(one.max(initial=-1)) + 1
        cells = np.bincount(one[counted] * k + labels[counted], minlength=size * k).reshape(size, k)
        here = one[neurons]
        rows = np.flatnonzero(here >= 0)
        shared[rows] += cells[here[rows]]
        both[rows] += cells.sum(axis=0)
    return shared, both


def _ari(one: Labels, labels: NDArray[np.int16]) -> float | None:
    both = (one >= 0) & (labels >= 0)
    return agreement(one[both], labels[both]).ari if both.any() else None
