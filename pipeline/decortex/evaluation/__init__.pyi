from .quality import cluster_quality

__all__ = [
    "cluster_quality",
]
