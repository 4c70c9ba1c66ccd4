"""The one result that every clustering method returns. No algorithm here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FitStatus = Literal["ok", "not_converged", "empty_cluster", "fragmented"]


def canonical_order(labels: NDArray[np.integer[Any]], n_clusters: int) -> NDArray[np.int64]:
    """Order clusters by size (largest first), equal sizes by their first neuron, empty ones last.

    Parameters
    ----------
    labels : ndarray of int, shape (n_neurons,)
        Any numbering, 0 <= label < n_clusters.
    n_clusters : int
        Number of clusters asked for.

    Returns
    -------
    ndarray of int64, shape (n_clusters,)
        ``order[new] = old``.

    Examples
    --------
    >>> import numpy as np
    >>> canonical_order(np.array([0, 1, 1, 2, 2]), 3).tolist()
    [1, 2, 0]
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    first = np.full(n_clusters, len(labels), dtype=np.int64)
    found, where = np.unique(labels, return_index=True)
    first[found] = where
    return np.lexsort((first, -sizes)).astype(np.int64)


def relabel(labels: NDArray[np.integer[Any]], order: NDArray[np.int64]) -> NDArray[np.int16]:
    """Renumber labels so that cluster ``order[new]`` becomes ``new``.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 1, 1, 2, 2])
    >>> relabel(labels, canonical_order(labels, 3)).tolist()
    [2, 0, 0, 1, 1]
    """
    new = np.empty(len(order), dtype=np.int16)
    new[order] = np.arange(len(order), dtype=np.int16)
    renumbered: NDArray[np.int16] = new[labels]
    return renumbered


@dataclass(frozen=True)
class ClusteringResult:
    """One partition of the neurons.

    Parameters
    ----------
    method : str
        Name of the method.
    labels : ndarray of int16, shape (n_neurons,)
        Canonical: 0 is the largest cluster, equal sizes are ordered by their first neuron.
    n_clusters : int
        Number of clusters asked for.
    seed : int
        Seed of the run.
    objective : float or None
        The method's own criterion, lower is better; comparable within one method and embedding only.
    n_iterations : int
        Iterations of the best start.
    converged : bool
        Whether the method's own stopping rule was met.
    status : {'ok', 'not_converged', 'empty_cluster', 'fragmented'}
        What a reader must know before using the labels.
    parameters : mapping of str to ndarray
        Fitted parameters that `predict` and DEC need (``centres`` always, (n_clusters, n_features); for
        mixtures also ``scales``, ``weights``, ``nu``), in the canonical order of clusters.
    soft : ndarray of float64, shape (n_neurons, n_clusters), or None
        Posterior probabilities, where the method has them.
    diagnostics : mapping of str to float
        Residuals, multiplicities, number of graph components and the like.
    """

    method: str
    labels: NDArray[np.int16]
    n_clusters: int
    seed: int
    objective: float | None
    n_iterations: int
    converged: bool
    status: FitStatus
    parameters: Mapping[str, NDArray[np.float64]] = field(default_factory=lambda: MappingProxyType({}))
    soft: NDArray[np.float64] | None = None
    diagnostics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Neurons per cluster, (n_clusters,)."""
        return np.bincount(self.labels, minlength=self.n_clusters).astype(np.int64)

    @property
    def k_effective(self) -> int:
        """Number of clusters that hold a neuron."""
        return int(np.count_nonzero(self.sizes))

    @property
    def largest_share(self) -> float:
        """Share of the neurons in the largest cluster."""
        return float(self.sizes.max() / len(self.labels))
