"""Settings of the assignment of new neurons. No algorithm here."""

from __future__ import annotations

from pydantic import Field

from decortex.config import Config


class AssignmentConfig(Config):
    """When a new neuron is given to a cluster; docs/science/new-neurons.md says how often that is right."""

    alpha: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="a neuron farther from its nearest cluster than all but this share of the cluster's own neurons, "
        "each held out, belongs to none",
    )
    min_separation: float = Field(
        default=0.5,
        ge=0,
        description="the second nearest cluster must be farther than the nearest by this share of its distance",
    )
    n_neighbors: int = Field(
        default=4,
        ge=1,
        description="the distance to a cluster is the mean over so many nearest of its neurons",
    )
    n_orientations: int = Field(
        default=1,
        ge=1,
        description="of a rotation-equivariant network: distances are the smallest over rolls of orientation",
    )
    n_folds: int = Field(
        default=5, ge=2, le=50, description="folds of the calibration where there are no groups to leave out"
    )
