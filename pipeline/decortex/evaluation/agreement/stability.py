"""Stability of one partition's clusters and neurons against other partitions of (a part of) the same neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation.agreement.indices import contingency, match_table
from decortex.labels import assigned_in_all

Labels = NDArray[np.integer[Any]]

# Hennig (2007): a cluster is dissolved where no other comes to half of it, recovered at three quarters.
DISSOLVED = 0.5
RECOVERED = 0.75


@dataclass(frozen=True)
class Stability:
    """How well the clusters and neurons of one partition are found again.

    Parameters
    ----------
    jaccard : ndarray of float64, shape (n_others, n_clusters)
        Clusterwise Jaccard: the largest |C and D| / |C or D| over the other partition's clusters D, on the
        neurons that both place; NaN where none of C's neurons is among them.
    mean : ndarray of float64, shape (n_clusters,)
        Mean of ``jaccard`` over the others, NaN left out; NaN for a cluster that no other could find.
    dissolved, recovered : ndarray of float64, shape (n_clusters,)
        Share of the others in which the cluster's Jaccard is at most .5, at least .75.
    neurons : ndarray of float64, shape (n_neurons,)
        Share of the others, among those that place the neuron, whose cluster is the one matched with the
        neuron's own (Hungarian assignment); NaN where there is none.
    """

    jaccard: NDArray[np.float64]
    mean: NDArray[np.float64]
    dissolved: NDArray[np.float64]
    recovered: NDArray[np.float64]
    neurons: NDArray[np.float64]


def stability(reference: Labels, others: Sequence[Labels], n_clusters: int) -> Stability:
    """Look for every cluster of a partition in other partitions.

    Parameters
    ----------
    reference : ndarray of int, shape (n_neurons,)
        Labels below ``n_clusters``, -1 for a neuron without a cluster.
    others : sequence of ndarray of int, shape (n_neurons,)
        Partitions of the same neurons, or of a subsample (-1 elsewhere).
    n_clusters : int
        Clusters of the reference, empty ones included.

    Raises
    ------
    InputError
        If there is no other partition, lengths differ, or a label is too high.

    Notes
    -----
    Hennig, Comput. Stat. Data Anal. 52, 2007 (clusterwise stability). Linear in the number of neurons.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([0, 0, 0, 1, 1])
    >>> stability(a, [1 - a], 2).recovered.tolist()
    [1.0, 1.0]
    """
    if not len(others):
        raise InputError("stability needs at least one other partition; run more seeds or subsamples.")
    (reference, *others), _ = assigned_in_all([reference, *others])
    if int(reference.max(initial=-1)) >= n_clusters:
        raise InputError(
            f"the reference's labels should lie below n_clusters={n_clusters}, but reach {reference.max()}."
        )
    jaccard = np.full((len(others), n_clusters), np.nan)
    found, asked = np.zeros(len(reference)), np.zeros(len(reference))
    for row, other in enumerate(others):
        k_other = max(int(other.max(initial=-1)) + 1, 1)
        table = contingency(reference, other, (n_clusters, k_other))
        jaccard[row] = best_jaccard(table)
        match = match_table(table)
        partner = np.full(n_clusters, -2)
        partner[match.first] = match.second
        placed = (reference >= 0) & (other >= 0)
        asked[placed] += 1
        found[placed] += partner[reference[placed]] == other[placed]
    defined = ~np.isnan(jaccard)
    n_defined = defined.sum(axis=0)
    share = np.where(n_defined > 0, 1.0 / np.maximum(n_defined, 1), np.nan)
    with np.errstate(invalid="ignore"):
        neurons = np.where(asked > 0, found / np.maximum(asked, 1), np.nan)
        return Stability(
            jaccard=jaccard,
            mean=np.where(defined, jaccard, 0.0).sum(axis=0) * share,
            dissolved=(defined & (jaccard <= DISSOLVED)).sum(axis=0) * share,
            recovered=(defined & (jaccard >= RECOVERED)).sum(axis=0) * share,
            neurons=neurons,
        )


def best_jaccard(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Largest Jaccard coefficient of each row's cluster with any column's, (n_rows,); NaN for an empty row."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    union = rows[:, None] + columns[None, :] - table
    coefficient = np.where(union > 0, table / np.maximum(union, 1), 0.0)
    best: NDArray[np.float64] = np.where(rows > 0, coefficient.max(axis=1), np.nan)
    return best


def draw_subsample(n_neurons: int, fraction: float, seed: int) -> NDArray[np.int64]:
    """Draw neurons without replacement; equal seeds draw the same ones for every embedding of a dataset.

    Parameters
    ----------
    n_neurons : int
        Neurons to draw from.
    fraction : float
        Share of them, above 0 and below 1; the number is rounded.
    seed : int
        Seed, not negative.

    Returns
    -------
    ndarray of int64
        Indices, ascending.

    Raises
    ------
    InputError
        If the fraction does not lie between 0 and 1.

    Examples
    --------
    >>> len(draw_subsample(100, 0.8, seed=0))
    80
    """
    if not 0 < fraction < 1:
        raise InputError(f"the fraction of a subsample should lie between 0 and 1, got {fraction}.")
    size = max(round(fraction * n_neurons), 1)
    return np.sort(np.random.default_rng([seed, n_neurons]).permutation(n_neurons)[:size]).astype(np.int64)
