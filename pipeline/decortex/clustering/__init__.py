"""Clustering of neurons: the public names. Arrays in, frozen results out."""

from decortex.clustering.cache import Cache, DiskCache, MemoryCache
from decortex.clustering.registry import (
    algorithm_version,
    fit,
    fit_grid,
    method_config,
    methods,
    predict,
    soft_assignments,
    spec_hash,
)
from decortex.clustering.result import ClusteringResult, FitStatus

__all__ = [
    "Cache",
    "ClusteringResult",
    "DiskCache",
    "FitStatus",
    "MemoryCache",
    "algorithm_version",
    "fit",
    "fit_grid",
    "method_config",
    "methods",
    "predict",
    "soft_assignments",
    "spec_hash",
]
