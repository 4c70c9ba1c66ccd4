"""What a clustering method is to the registry: a configuration, a fitter and a rule for new neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from decortex.clustering.cache import Cache, points_sha256
from decortex.clustering.inputs import FloatArray
from decortex.clustering.result import ClusteringResult
from decortex.config import Config

Fitter: TypeAlias = Callable[[int, int], ClusteringResult]
"""(n_clusters, seed) -> result; a pure function of the points, the configuration and these two."""

Posterior: TypeAlias = Callable[[ClusteringResult, FloatArray], FloatArray]
"""(result, neurons) -> probability of every cluster, (n_neurons, n_clusters)."""


@dataclass(frozen=True)
class Points:
    """Checked neurons and the place where work that several fits share is kept.

    Parameters
    ----------
    values : ndarray of float64, shape (n_neurons, n_features)
        Finite, C-contiguous.
    cache : Cache
        Memoisation; a result never depends on what it holds.
    device : str or None
        Torch device that neighbours are searched on (None: scikit-learn's search on the CPU) and that a
        configuration with ``backend: torch`` computes on (None: the first GPU, else the CPU).
    """

    values: FloatArray
    cache: Cache
    device: str | None = None

    @cached_property
    def sha256(self) -> str:
        """Digest of the neurons' features."""
        return points_sha256(self.values)

    def __len__(self) -> int:
        """Return the number of neurons."""
        return len(self.values)


@dataclass(frozen=True)
class Method:
    """One clustering method.

    Parameters
    ----------
    name : str
        How specifications call it.
    summary : str
        One line for listings.
    cited : str
        What a paper's methods section calls it, with its source.
    config : type of Config
        Its parameters with defaults and bounds.
    algorithm_version : int
        Raised when the same parameters may give other labels; part of every specification's hash.
    prepare : callable
        (points, config) -> Fitter; does what all K and seeds share.
    scores : callable
        (result, new neurons, training neurons or None) -> score of every cluster, largest wins,
        (n_new, n_clusters).
    posterior : callable or None
        Soft assignments, where the method has them.
    presets : mapping of str to mapping
        Settings that a new database starts with: name -> parameters.
    searches_neighbours : bool
        Whether a fit works on the neighbour graph: a device serves it, and memory is counted with the search.
    """

    name: str
    summary: str
    cited: str
    config: type[Config]
    algorithm_version: int
    prepare: Callable[[Points, Any], Fitter]
    scores: Callable[[ClusteringResult, FloatArray, FloatArray | None], FloatArray]
    posterior: Posterior | None = None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    searches_neighbours: bool = False
