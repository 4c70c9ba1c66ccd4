"""Every clustering method and every rotation of an embedding, through the tables."""

from __future__ import annotations

import numpy as np
import pytest
from small_lab import SCHEDULE, SMALL, TESTS, fill, plan_for

import decortex_schemas as schemas
from decortex.clustering import fit, get_method
from decortex.clustering import methods as clustering_methods
from decortex.data.simulation import SimulationConfig
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study, load_embedding, raw_embedding, register_simulation

METHODS = [
    {"method": "kmeans"},
    {"method": "gmm", "name": "gmm tied", "params": {"covariance": "tied"}},
    {"method": "tmixture", "params": {"nu": 2.1}},
    {"method": "rotation_tmixture", "params": {"n_orientations": 3, "n_init": 2}},
    {"method": "spectral"},
    {"method": "sec", "params": {"n_neighbors": 4}},
    {"method": "sec", "name": "sec by k-means", "params": {"n_neighbors": 4, "discretisation": "kmeans"}},
    {"method": "ldmgi", "params": {"lam": 0.01}},
]
METHODS += [
    {"method": name} for name in clustering_methods() if name not in {one["method"] for one in METHODS}
]
EMBEDDINGS = [
    {"name": "raw", "params": {"kind": "raw"}},
    {"name": "magnitudes", "params": {"kind": "l2", "rotation": "fft", "n_orientations": 3}},
    {"name": "aligned", "params": {"kind": "raw", "rotation": "aligned", "n_orientations": 3}},
    {"name": "smoothed", "params": {"kind": "raw", "rotation": "smooth", "n_orientations": 2}},
]


@pytest.fixture(scope="module")
def methods(database: dict[str, str]) -> str:
    register_simulation("methods", SimulationConfig.from_params(SMALL), seed=4)
    plan = plan_for(
        "methods",
        embeddings=EMBEDDINGS[:1],
        methods=METHODS,
        counts=[2, 5],
        seeds=[0],
        finetunings=[],
    )
    declare_plan("methods", plan)
    rotated = [{"name": "joint", "params": {"kind": "dec_joint"}, "schedule": SCHEDULE, "counts": [2]}]
    declare_plan(
        "rotations",
        plan_for(
            "methods",
            embeddings=EMBEDDINGS[1:],
            methods=METHODS[:1],
            counts=[2],
            seeds=[0],
            finetunings=rotated,
        ),
    )
    fill(few=TESTS)
    return "methods"


def test_every_method_fills_its_rows(methods: str) -> None:
    asked = schemas.Study.Method & {"study": methods}
    rows = (schemas.Clustering & asked & "dataset = 'methods' AND k IN (2, 5)").to_dicts()
    used = {row["method"] for row in rows}
    assert used == set(clustering_methods())
    raw = (schemas.EmbeddingSpec & {"embedding_name": "raw"}).fetch1("embedding_spec_id")
    rows = [row for row in rows if row["embedding_spec_id"] == raw and row["seed"] == 0]
    assert len(rows) == 2 * 2 * len(METHODS)
    for row in rows:
        assert row["labels"].shape == (36,)
        assert row["fit_status"] in {"ok", "not_converged", "fragmented", "empty_cluster"}
        assert 0 < row["largest_share"] <= 1
        assert (row["n_components"] is not None) == get_method(row["method"]).searches_neighbours


def test_resolved_parameters_are_what_sql_restricts_by(methods: str) -> None:
    by_kmeans = schemas.ClusteringMethod & {"params.discretisation": "kmeans", "method": "sec"}
    row = by_kmeans.fetch1()
    assert row["params"]["mu"] == 1e-6
    assert row["params"]["n_neighbors"] == 4
    key = (schemas.Clustering & by_kmeans & {"k": 5, "model_seed": 1}).keys()[0]
    expected = fit(load_embedding(key), "sec", n_clusters=5, seed=0, **row["params"])
    np.testing.assert_array_equal((schemas.Clustering & key).fetch1("labels"), expected.labels)


@pytest.mark.parametrize("embedding", EMBEDDINGS[1:], ids=lambda one: str(one["name"]))
def test_a_rotation_is_an_embedding_that_is_clustered_and_fine_tuned(
    methods: str, embedding: dict[str, dict[str, object]]
) -> None:
    config = EmbeddingConfig.from_params(embedding["params"])
    spec = schemas.EmbeddingSpec & {"embedding_name": embedding["name"]}
    assert spec.fetch1("params") == config.resolved()
    key = (schemas.Embedding & spec & {"dataset": "methods", "model_seed": 1}).keys()[0]
    raw = raw_embedding(schemas.TrainedModel & key)
    np.testing.assert_allclose(load_embedding(key), fit_map(raw, config).apply(raw), atol=1e-12)
    tuned = schemas.DECFinetune * schemas.FinetuneSpec & key & {"finetune": "joint", "k": 2}
    assert tuned.fetch1("stop_reason") == "max_epochs"
    quality = schemas.ClusterQuality & tuned.proj()
    assert len(quality)


def test_a_study_of_all_methods_is_frozen_and_compared(methods: str) -> None:
    assert freeze_study(methods)["n_members"] == 2 * 2 * len(METHODS)
    fill(few=TESTS)
    agreement = (schemas.SeedAgreement * schemas.ClusteringMethod & {"study": methods}).to_dicts()
    assert len(agreement) == 2 * len(METHODS)
    assert {row["method_name"] for row in agreement} >= {"sec by k-means", "gmm tied"}
    assert all(row["n_pairs_seeds"] == 1 for row in agreement)
