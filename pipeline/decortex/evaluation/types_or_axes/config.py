"""Settings of the comparison of clusters and axes. No algorithm here."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from decortex.config import Config


class TypesOrAxesConfig(Config):
    """How clusters and axes are compared; docs/science/types-or-axes-measured.md says how often the answer is right."""

    method: str = Field(
        default="kmeans", description="clustering method, a name of `decortex.clustering.methods`"
    )
    params: dict[str, Any] = Field(
        default_factory=lambda: {"n_init": 4}, description="parameters of the method"
    )
    n_clusters: tuple[int, ...] = Field(
        default=(2, 3, 4, 6, 8, 11, 15, 20),
        min_length=1,
        description="numbers of clusters K to choose from; axes choose from the same freedoms K - 1",
    )
    min_per_cluster: int = Field(
        default=12,
        ge=2,
        description="training neurons per cluster, at least, on average; larger K are left out",
    )
    smooth_axes: tuple[int, ...] = Field(
        default=(1, 2, 3, 5),
        description="numbers of first axes that smooth functions are made of; none: straight axes only",
    )
    n_landmarks: int = Field(default=40, ge=4, description="landmarks of the smooth functions")
    n_folds: int = Field(default=5, ge=2, le=50, description="folds, of whole blocks where there are blocks")
    n_repeats: int = Field(
        default=1, ge=1, le=50, description="draws of the folds, averaged neuron by neuron"
    )
    alpha: float = Field(default=0.025, gt=0, lt=0.5, description="level of every one-sided test")
    margin: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="a description that adds less than this share of what the other adds does not count as adding",
    )
