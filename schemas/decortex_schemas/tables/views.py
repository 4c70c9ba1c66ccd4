"""Views of embeddings: neurons on a plane, to look at. Nothing is clustered, compared or decided by them.

What is drawn is no part of a study's plan: a view changes no result, so that one may be asked for at any time,
also of a frozen study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datajoint as dj
import numpy as np

from decortex import embeddings
from decortex.config import config_hash
from decortex_schemas.database import STAMP, Computation, Environment, Made, register_row, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import shared_work
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.specs import Seed, register_seeds, version_fault
from decortex_schemas.tables.studies import Study, require_study


@schema
class ViewSpec(dj.Lookup):
    """How an embedding is drawn in two dimensions."""

    definition = """
    # View of an embedding in two dimensions
    view_spec_id : int32
    ---
    spec_hash : char(64)
    view_name : varchar(64)
    kind : varchar(16)           # 'pca', 'tsne', 'umap'
    params : json                # resolved ViewConfig
    algorithm_version : int16
    unique index (spec_hash)
    """


@schema
class ViewRequest(dj.Manual):
    """A view that somebody wants of every embedding of a study."""

    author_rights = ("INSERT", "UPDATE (study)")

    definition = """
    # View asked of a study's embeddings
    -> Study
    -> ViewSpec
    -> Seed.proj(view_seed='seed')
    """


@schema
class EmbeddingView(Computation):
    """Neurons on a plane, and how much of the embedding they keep there."""

    definition = f"""
    # Two-dimensional view of an embedding, to look at
    -> Embedding
    -> ViewSpec
    -> Seed.proj(view_seed='seed')
    ---
    points : <blob>                      # float32 (n_neurons, 2), order of Dataset.Neuron; NaN: an excluded neuron
    neuron_order_sha256 : char(64)
    variance_share = null : float64      # share of the variance along both axes; pca only
    neighbours_kept : float64            # mean share of the 15 nearest neighbours that are nearest here, too
    distance_spearman = null : float64  # Spearman, distances of pairs; null: all distances are equal
    diagnostics : json                   # parameters as used, where the number of neurons bounds them
    {STAMP}
    """

    def specification_fault(self, key: Mapping[str, Any]) -> str | None:
        """Compare the version in the view's specification with the one that this code draws."""
        kind, stored = (ViewSpec & {"view_spec_id": key["view_spec_id"]}).fetch1("kind", "algorithm_version")
        return version_fault(str(kind), int(stored), embeddings.ALGORITHM_VERSION)

    @property
    def key_source(self) -> Any:
        """Views that somebody asks of a study."""
        asked = Study.Model.proj() * Study.Embedding.proj() * ViewRequest.proj()
        return Embedding.proj() * ViewSpec.proj() * Seed.proj(view_seed="seed") & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, excluded neurons and parameters."""
        sha256, order, excluded = (Embedding & key).fetch1(
            "embedding_sha256", "neuron_order_sha256", "excluded"
        )
        return sha256, order, excluded, (ViewSpec & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], sha256: str, order: str, excluded: dict[str, str], params: dict[str, Any]
    ) -> Made:
        """Draw the neurons that the embedding holds."""
        x = load_embedding(key)
        placed = np.setdiff1d(np.arange(len(x)), np.array([int(i) for i in excluded], dtype=np.int64))
        view = embeddings.draw_view(
            x[placed], embeddings.ViewConfig.from_params(params), seed=key["view_seed"], cache=shared_work()
        )
        points = np.full((len(x), 2), np.nan, dtype=np.float32)
        points[placed] = view.points
        row = {
            "points": points,
            "neuron_order_sha256": order,
            "variance_share": view.variance_share,
            "neighbours_kept": view.neighbours_kept,
            "distance_spearman": view.distance_spearman,
            "diagnostics": dict(view.diagnostics),
        }
        return Made(row)


def register_view_spec(name: str, config: embeddings.ViewConfig) -> int:
    """Register a view; returns ``view_spec_id``."""
    params = config.resolved()
    return register_row(
        ViewSpec,
        "view_spec_id",
        {"spec_hash": config_hash({"params": params, "algorithm_version": embeddings.ALGORITHM_VERSION})},
        {
            "view_name": name,
            "kind": config.kind,
            "params": params,
            "algorithm_version": embeddings.ALGORITHM_VERSION,
        },
    )


def request_view(study: str, name: str, config: embeddings.ViewConfig, *, seed: int = 0) -> dict[str, Any]:
    """Ask for a view of every embedding of a study, now and of those still to come; asking again changes nothing.

    Returns
    -------
    dict
        Key of the request: ``study``, ``view_spec_id``, ``view_seed``.

    Raises
    ------
    ConfigError
        If there is no such study.
    """
    require_study(study)
    register_seeds([seed])
    key = {"study": study, "view_spec_id": register_view_spec(name, config), "view_seed": seed}
    ViewRequest.insert1(key, skip_duplicates=True)
    return key
