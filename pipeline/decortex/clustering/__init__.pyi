from .cache import (
    Cache,
    DiskCache,
    MemoryCache,
    cache_key,
    points_sha256,
)
from .inputs import (
    FloatArray,
    check_n_clusters,
    check_points,
    check_seed,
)
from .kmeans_swap import (
    Screening,
    best_exchanges,
    exchanged_centres,
    screened_starts,
)
from .memory import (
    memory_of_fit,
)
from .method import (
    Points,
)
from .registry import (
    algorithm_version,
    fit,
    fit_grid,
    get_method,
    method_config,
    methods,
    predict,
    soft_assignments,
    spec_hash,
)
from .result import (
    ClusteringResult,
    FitStatus,
    canonical_order,
    relabel,
)
from .rotation import (
    check_orientations,
    shift_kmeans,
)

__all__ = [
    "Cache",
    "ClusteringResult",
    "DiskCache",
    "FitStatus",
    "FloatArray",
    "MemoryCache",
    "Points",
    "Screening",
    "algorithm_version",
    "best_exchanges",
    "cache_key",
    "canonical_order",
    "check_n_clusters",
    "check_orientations",
    "check_points",
    "check_seed",
    "exchanged_centres",
    "fit",
    "fit_grid",
    "get_method",
    "memory_of_fit",
    "method_config",
    "methods",
    "points_sha256",
    "predict",
    "relabel",
    "screened_starts",
    "shift_kmeans",
    "soft_assignments",
    "spec_hash",
]
