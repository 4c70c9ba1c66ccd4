"""What `decortex init` puts into an empty database: the specifications a lab starts with."""

from __future__ import annotations

from decortex.embeddings import EmbeddingConfig
from decortex.models.recipes import RECIPES
from decortex_ops.plans import register_none
from decortex_schemas.specs import (
    register_counts,
    register_embedding_spec,
    register_method,
    register_model_spec,
    register_seeds,
)

DEFAULT_SEEDS = range(10)
DEFAULT_COUNTS = range(2, 31)
DEFAULT_EMBEDDINGS = {"raw": EmbeddingConfig(kind="raw"), "l2": EmbeddingConfig(kind="l2")}


def register_defaults() -> None:
    """Insert the default specifications; repeating it changes nothing."""
    register_seeds(list(DEFAULT_SEEDS))
    register_counts(list(DEFAULT_COUNTS))
    register_none()
    for name, config in DEFAULT_EMBEDDINGS.items():
        register_embedding_spec(name, config)
    register_method("kmeans")
    register_method("gmm")
    for name, recipe in RECIPES.items():
        register_model_spec(name, *recipe())
