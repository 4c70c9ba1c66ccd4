"""What `decortex init` puts into an empty database: the specifications a lab starts with."""

from __future__ import annotations

from decortex import clustering, embeddings, models
from decortex.evaluation.splits import SplitConfig
from decortex.evaluation.types_or_axes import TypesOrAxesConfig
from decortex_schemas.register.plans.plans import register_none
from decortex_schemas.tables import (
    DEFAULT_COVARIATES,
    TRUE_TYPES,
    register_counts,
    register_covariates,
    register_embedding_spec,
    register_method,
    register_model_spec,
    register_seeds,
    register_split_spec,
)
from decortex_schemas.tables.evaluation import register_axes_spec

DEFAULT_SEEDS = range(10)
DEFAULT_COUNTS = range(2, 31)
# Networks of these model seeds are targets of the comparison of clusters and axes in all others of their specification.
DEFAULT_TARGET_SEEDS = (0, 1)
DEFAULT_EMBEDDINGS = {
    "raw": embeddings.EmbeddingConfig(kind="raw"),
    "l2": embeddings.EmbeddingConfig(kind="l2"),
}


def register_defaults() -> None:
    """Insert the default specifications; repeating it changes nothing."""
    register_seeds(list(DEFAULT_SEEDS))
    register_counts(list(DEFAULT_COUNTS))
    register_none()
    for name, config in DEFAULT_EMBEDDINGS.items():
        register_embedding_spec(name, config)
    for method in clustering.methods():
        for name, params in clustering.get_method(method).presets.items():
            register_method(method, params, name=name)
    for name, covariates in DEFAULT_COVARIATES.items():
        register_covariates(name, covariates)
    register_split_spec("default", SplitConfig())
    register_axes_spec("scores", "scores", config=TypesOrAxesConfig())
    register_axes_spec("true types", "labels", label_set=TRUE_TYPES, config=TypesOrAxesConfig())
    for seed in DEFAULT_TARGET_SEEDS:
        register_axes_spec(f"network of seed {seed}", "network", model_seed=seed, config=TypesOrAxesConfig())
    for name, recipe in models.RECIPES.items():
        register_model_spec(name, *recipe())
