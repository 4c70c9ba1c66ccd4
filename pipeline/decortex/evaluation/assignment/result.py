"""Result of the assignment of new neurons, frozen. No algorithm here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

AssignmentStatus = Literal["assigned", "none", "ambiguous", "small_cluster"]


@dataclass(frozen=True)
class Assignment:
    """Clusters of new neurons.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_new,)
        Cluster of every neuron, in the numbers of the reference; -1: refused.
    status : ndarray of str, shape (n_new,)
        'assigned'; 'none': farther from its nearest cluster than that cluster's own neurons; 'ambiguous': nearly as
        near to another one; 'small_cluster': its nearest cluster has too few reference neurons to tell.
    nearest : ndarray of int64, shape (n_new,)
        Nearest cluster, refused or not.
    confidence : ndarray of float64, shape (n_new,)
        Share of held-out reference neurons of such separation whose nearest cluster is their own.
    separation : ndarray of float64, shape (n_new,)
        Distance of the second nearest cluster over that of the nearest, less 1.
    p : ndarray of float64, shape (n_new, n_clusters)
        Of 'the neuron belongs to this cluster': 1 + the number of the cluster's reference neurons, held out, that are
        at least as far from it, over 1 + their number.
    clusters : ndarray of int64, shape (n_clusters,)
        Numbers of the clusters, columns of ``p``.
    small_clusters : tuple of int
        Clusters to which no neuron is given, because their smallest possible p is above alpha.
    n_reference : int
        Reference neurons with a cluster.
    n_groups : int or None
        Groups that calibration left out one by one; None: folds of neurons.
    expected_coverage, expected_precision : float
        Share of held-out reference neurons that this rule assigns, and share of these whose cluster is their own; of
        neurons of known clusters. NaN precision: none is assigned.
    """

    labels: NDArray[np.int64]
    status: NDArray[np.str_]
    nearest: NDArray[np.int64]
    confidence: NDArray[np.float64]
    separation: NDArray[np.float64]
    p: NDArray[np.float64]
    clusters: NDArray[np.int64]
    small_clusters: tuple[int, ...]
    n_reference: int
    n_groups: int | None
    expected_coverage: float
    expected_precision: float

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Whether a neuron is given to no cluster, (n_new,)."""
        return self.labels < 0

    @property
    def coverage(self) -> float:
        """Share of the new neurons that are assigned."""
        return float(np.mean(self.labels >= 0))

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        counts = {
            status: int((self.status == status).sum())
            for status in ("assigned", "none", "ambiguous", "small_cluster")
        }
        left_out = "folds of neurons" if self.n_groups is None else f"{self.n_groups} groups"
        precision = "undefined" if np.isnan(self.expected_precision) else f"{self.expected_precision:.2f}"
        small = (
            f", {counts['small_cluster']} near a cluster too small to tell" if counts["small_cluster"] else ""
        )
        return (
            f"{counts['assigned']} of {len(self.labels)} neurons assigned, {counts['none']} to none of the "
            f"{len(self.clusters)} clusters, {counts['ambiguous']} between two{small}. Of {self.n_reference} reference "
            f"neurons ({left_out} left out one by one) {self.expected_coverage:.2f} are assigned so, "
            f"precision {precision}."
        )
