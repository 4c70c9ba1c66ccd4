"""Clusters that are sessions or animals in disguise: association with them, and transfer to an animal left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.metrics import adjusted_mutual_info_score

from decortex.distances import nearest
from decortex.errors import InputError
from decortex.evaluation.agreement import agreement, contingency
from decortex.labels import assigned_only

FloatArray = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]
ConfoundStatus = Literal["ok", "no_neurons", "one_cluster", "one_group"]
TransferStatus = Literal["ok", "one_animal"]


@dataclass(frozen=True)
class Confound:
    """Association of a partition with a grouping of its neurons (sessions, animals); None where undefined.

    Parameters
    ----------
    status : {'ok', 'no_neurons', 'one_cluster', 'one_group'}
        Why there are no numbers.
    n_neurons, n_groups : int
        Neurons compared, and groups.
    ami : float or None
        Adjusted mutual information (arithmetic mean): 0 on average where clusters ignore the groups.
    cramers_v : float or None
        Cramer's V, which rises with the size of the table alone.
    cramers_v_corrected : float or None
        With Bergsma's (2013) correction for that.
    chi2, p : float or None
        Pearson's statistic and its asymptotic p; with many neurons everything is significant.
    """

    status: ConfoundStatus
    n_neurons: int
    n_groups: int
    ami: float | None = None
    cramers_v: float | None = None
    cramers_v_corrected: float | None = None
    chi2: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Transfer:
    """What clusters of the other animals say about one animal's neurons.

    Parameters
    ----------
    animal : str
        The animal left out.
    status : {'ok', 'one_animal'}
        'one_animal': there is no other one to transfer from.
    n_neurons : int
        Its neurons.
    share_kept : float or None
        Share of its neurons whose nearest centre, computed without them, is that of their own cluster.
    ari : float or None
        Adjusted Rand index between the two assignments.
    score_correlation : float or None
        Correlation of its scores with the other animals' cluster means, both without session levels: how far
        the tie of performance to cluster carries over.
    """

    animal: str
    status: TransferStatus
    n_neurons: int
    share_kept: float | None = None
    ari: float | None = None
    score_correlation: float | None = None


def confound(labels: Labels, groups: NDArray[Any]) -> Confound:
    """Measure how far a partition follows a grouping.

    Parameters
    ----------
    labels : ndarray of int, shape (n_neurons,)
        Clusters, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    groups : ndarray, shape (n_neurons,)
        Session or animal of each neuron.

    Raises
    ------
    InputError
        If the two do not describe the same neurons.

    Examples
    --------
    >>> import numpy as np
    >>> confound(np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"])).cramers_v
    0.0
    """
    labels, groups = assigned_only(labels, groups)
    if groups.ndim != 1:
        raise InputError(f"expected one group per neuron, got groups of shape {groups.shape}.")
    n = len(labels)
    cluster = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    group = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    n_groups = int(group.max(initial=-1)) + 1
    if not n:
        return Confound("no_neurons", 0, 0)
    if cluster.max() == 0 or group.max() == 0:
        return Confound("one_cluster" if cluster.max() == 0 else "one_group", n, n_groups)
    table = contingency(cluster, group)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    statistic = float(((table - expected) ** 2 / expected).sum())
    rows, columns = table.shape
    phi2 = statistic / n
    free = (rows - 1) * (columns - 1)
    corrected = max(phi2 - free / (n - 1), 0.0)
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return Confound(
        status="ok",
        n_neurons=n,
        n_groups=n_groups,
        ami=float(adjusted_mutual_info_score(cluster, group)),
        cramers_v=float(np.sqrt(phi2 / (min(rows, columns) - 1))),
        cramers_v_corrected=float(min(np.sqrt(corrected / smaller), 1.0)) if smaller > 0 else None,
        chi2=statistic,
        p=float(chi2.sf(statistic, free)),
    )


def leave_one_out(
    x: FloatArray,
    labels: Labels,
    animals: NDArray[Any],
    sessions: NDArray[Any],
    scores: FloatArray | None = None,
) -> Sequence[Transfer]:
    """Assign every animal's neurons to the nearest centre of the *other* animals' neurons.

    The partition itself was found on all animals: this says whether a cluster lies at the same place in every
    animal, not whether it would be found again without one.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        The embedding.
    labels : ndarray of int, shape (n_neurons,)
        Clusters, as `decortex.labels.check_labels` takes them; -1 leaves a neuron out.
    animals, sessions : ndarray, shape (n_neurons,)
        Where each neuron comes from.
    scores : ndarray of float64, shape (n_neurons,), optional
        Performance, NaN where undefined.

    Raises
    ------
    InputError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([[0.0], [5.0]], (10, 1)) + np.linspace(0, 1, 20)[:, None]
    >>> labels, animals = np.tile([0, 1], 10), np.repeat(["a", "b"], 10)
    >>> [one.share_kept for one in leave_one_out(x, labels, animals, animals)]
    [1.0, 1.0]
    """
    labels, x, animals, sessions, scores = assigned_only(labels, x, animals, sessions, scores)
    n = len(labels)
    names = np.unique(animals)
    if len(names) < 2:
        return [Transfer(str(name), "one_animal", n) for name in names]
    level_free = None if scores is None else _without_levels(scores, sessions)
    return [_transfer(x, labels, animals == name, str(name), level_free) for name in names]


def _transfer(
    x: FloatArray,
    labels: Labels,
    out: NDArray[np.bool_],
    name: str,
    scores: FloatArray | None,
) -> Transfer:
    n = int(out.sum())
    known = np.unique(labels[~out])
    centres = np.stack([x[~out & (labels == cluster)].mean(axis=0) for cluster in known])
    assigned = known[nearest(x[out], centres)[0]]
    found = agreement(labels[out], assigned)
    correlation = None
    if scores is not None:
        means = {c: _mean(scores[~out & (labels == c)]) for c in known}
        expected = np.array([means.get(label, np.nan) for label in labels[out]])
        correlation = _correlation(expected, scores[out])
    return Transfer(
        animal=name,
        status="ok",
        n_neurons=n,
        share_kept=float((assigned == labels[out]).mean()),
        ari=found.ari,
        score_correlation=correlation,
    )


def _without_levels(scores: FloatArray, sessions: NDArray[Any]) -> FloatArray:
    centred = scores.copy()
    for session in np.unique(sessions):
        here = sessions == session
        centred[here] -= _mean(scores[here])
    return centred


def _mean(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
