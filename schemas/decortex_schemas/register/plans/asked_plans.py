"""What a plan asks for beside partitions: surrogates, shared labellings, communities, views and tuning."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from decortex.config import Config
from decortex.evaluation.nulls import NullKind
from decortex_schemas.tables.evaluation import SURROGATES


class AgreementNullPlan(Config):
    """Surrogates without types that the agreement of networks is compared with."""

    kinds: tuple[NullKind, ...] = Field(
        default=("gaussian",), min_length=1, description="Null models of all networks together"
    )
    surrogates: int = Field(
        default=SURROGATES,
        ge=2,
        le=10_000,
        description="Surrogates per null model; below 19 no p reaches .05",
    )
    methods: tuple[str, ...] = Field(default=(), description="Names of the methods; all if empty")


class SharedLabellingPlan(Config):
    """One labelling that all networks of the study support (TURTLE), at every K above 1."""

    entropy_weight: float = Field(
        10.0, ge=0, description="Weight of the entropy of cluster sizes; large values want equal sizes"
    )
    n_init: int = Field(10, ge=1, le=1000, description="Starts; the one of the smallest loss is kept")
    n_steps: int = Field(300, ge=1, le=100_000, description="Steps of Adam on the labelling")


class CommunitiesPlan(Config):
    """Communities of co-association, by method and pooled over methods."""

    n_draws: int = Field(
        19, ge=2, le=10_000, description="Independent partitions to compare with; below 19 no p reaches .05"
    )


class ViewPlan(Config):
    """A view of every embedding in two dimensions, and its name in tables and figures."""

    name: str = Field("", max_length=64, description="Default: the kind")
    params: dict[str, Any] = Field(default_factory=dict, description="ViewConfig")
    seed: int = Field(0, ge=0, description="Seed of what the kind leaves to chance")


class StimuliPlan(Config):
    """Partitions whose clusters get a stimulus that drives each alone."""

    method: str = Field(description="Name of one of the plan's methods")
    counts: tuple[int, ...] = Field(min_length=1, description="Numbers of clusters, of the plan's")


class TuningPlan(Config):
    """What every network is shown, and the partitions whose clusters are told apart by stimuli."""

    params: dict[str, Any] = Field(default_factory=dict, description="TuningConfig")
    stimuli: tuple[StimuliPlan, ...] = Field(default=(), description="Most discriminative stimuli")
