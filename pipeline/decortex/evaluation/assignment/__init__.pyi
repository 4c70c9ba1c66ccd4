from .config import AssignmentConfig
from .conformal import assign
from .distances import cluster_distances
from .result import Assignment, AssignmentStatus

__all__ = [
    "Assignment",
    "AssignmentConfig",
    "AssignmentStatus",
    "assign",
    "cluster_distances",
]
