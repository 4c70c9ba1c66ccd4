"""What `decortex init` puts into an empty database: the specifications a lab starts with."""

from __future__ import annotations

from typing import Any

from decortex import embeddings, models
from decortex.evaluation.splits import SplitConfig
from decortex_schemas.register.plans import register_none
from decortex_schemas.tables import (
    DEFAULT_COVARIATES,
    register_counts,
    register_covariates,
    register_embedding_spec,
    register_method,
    register_model_spec,
    register_seeds,
    register_split_spec,
)

DEFAULT_SEEDS = range(10)
DEFAULT_COUNTS = range(2, 31)
DEFAULT_EMBEDDINGS = {
    "raw": embeddings.EmbeddingConfig(kind="raw"),
    "l2": embeddings.EmbeddingConfig(kind="l2"),
}
# The papers' 5 neighbours cut islands off readout embeddings: 15 and 30 stand beside them. See docs/methods.md.
DEFAULT_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "kmeans": ("kmeans", {}),
    "gmm": ("gmm", {}),
    "gmm tied": ("gmm", {"covariance": "tied"}),
    "gmm full": ("gmm", {"covariance": "full"}),
    "tmixture": ("tmixture", {}),
    "tmixture nu 2.1": ("tmixture", {"nu": 2.1}),
    "rotation tmixture": ("rotation_tmixture", {}),
    "spectral": ("spectral", {}),
    **{f"sec {n} neighbours": ("sec", {"n_neighbors": n}) for n in (5, 15, 30)},
    **{f"ldmgi {n} neighbours": ("ldmgi", {"n_neighbors": n}) for n in (5, 15, 30)},
}


def register_defaults() -> None:
    """Insert the default specifications; repeating it changes nothing."""
    register_seeds(list(DEFAULT_SEEDS))
    register_counts(list(DEFAULT_COUNTS))
    register_none()
    for name, config in DEFAULT_EMBEDDINGS.items():
        register_embedding_spec(name, config)
    for name, (method, params) in DEFAULT_METHODS.items():
        register_method(method, params, name=name)
    for name, covariates in DEFAULT_COVARIATES.items():
        register_covariates(name, covariates)
    register_split_spec("default", SplitConfig())
    for name, recipe in models.RECIPES.items():
        register_model_spec(name, *recipe())
