"""The chain from networks to evaluation, on a real server: every row is there and says what it should."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import decortex_schemas as schemas
from decortex.clustering import fit
from decortex.config import config_hash
from decortex_ops.cli.read.results import parse_key
from decortex_schemas import queries
from decortex_schemas.tables import asked_members, load_embedding, partition_labels
from decortex_schemas.tables.evaluation import scores_of_control


def test_every_partition_asked_for_exists_once(lab: str) -> None:
    own = asked_members(lab)  # other tests ask this dataset for more
    assert len(schemas.TrainedModel() & "dataset = 'small'") == 2
    assert len(schemas.Embedding() & own) == 2
    assert len(schemas.Clustering() & own) == 2 * 2 * 2 * 2
    assert len(schemas.DECFinetune() & own) == 16 + 2 * 2
    controls = schemas.ContinuedTraining & (schemas.RetainedPerformance & own).proj("schedule_id")
    assert len(controls & "dataset = 'small'") == 2
    assert len(schemas.RetainedPerformance() & own) == 4
    assert len(schemas.ClusterPerformance() & own) == 20
    assert len(schemas.SeedAgreement() & {"study": lab}) == 2 * 2 + 2
    assert queries.failed_jobs() == []


def test_labels_are_those_of_the_science_function(lab: str) -> None:
    key = (
        schemas.Clustering & {"dataset": "small", "method": "gmm", "k": 3, "seed": 1, "model_seed": 0}
    ).keys()[0]
    params = (schemas.ClusteringMethod & key).fetch1("params")
    expected = fit(load_embedding(key), "gmm", n_clusters=3, seed=1, **params)
    labels = (schemas.Clustering & key).fetch1("labels")
    assert labels.dtype == np.int16
    np.testing.assert_array_equal(labels, expected.labels)


def test_cluster_rows_describe_the_members(lab: str) -> None:
    key = (
        schemas.Clustering & {"dataset": "small", "method": "kmeans", "k": 3, "seed": 0, "model_seed": 1}
    ).keys()[0]
    x, labels = load_embedding(key), (schemas.Clustering & key).fetch1("labels")
    rows = (schemas.Clustering.Cluster & key).to_dicts(order_by="cluster")
    assert [row["size"] for row in rows] == np.bincount(labels).tolist()
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    for row in rows:
        np.testing.assert_allclose(row["centre"], x[labels == row["cluster"]].mean(axis=0))


def test_none_passes_the_partition_on(lab: str) -> None:
    none = (
        schemas.DECFinetune * schemas.FinetuneSpec.proj("kind") & "dataset = 'small' AND kind = 'none'"
    ).keys()
    assert none
    key = none[0]
    assert (schemas.DECFinetune & key).fetch1("labels") is None
    np.testing.assert_array_equal(partition_labels(key), (schemas.Clustering & key).fetch1("labels"))


def test_agreement_is_the_adjusted_rand_index_of_the_stored_labels(lab: str) -> None:
    row = (
        schemas.SeedAgreement * schemas.FinetuneSpec.proj("kind")
        & {"study": lab, "method": "kmeans", "k": 3, "kind": "none"}
    ).fetch1()
    key = {"dataset": "small", "method_id": row["method_id"], "k": 3, "finetune_id": row["finetune_id"]}
    labels = {(m, s): partition_labels({**key, "model_seed": m, "seed": s}) for m in (0, 1) for s in (0, 1)}
    seeds = np.mean([adjusted_rand_score(labels[0, s], labels[1, s]) for s in (0, 1)])
    restarts = np.mean([adjusted_rand_score(labels[m, 0], labels[m, 1]) for m in (0, 1)])
    truth = (schemas.Dataset.Neuron & "dataset = 'small'").to_arrays("true_type", order_by="neuron_idx")
    against = np.mean([adjusted_rand_score(one, truth.astype(int)) for one in labels.values()])
    assert row["ari_seeds"] == pytest.approx(seeds)
    assert row["ari_clustering_seeds"] == pytest.approx(restarts)
    assert row["ari_truth"] == pytest.approx(against)


def test_the_price_is_read_against_the_control_at_the_same_epoch(lab: str) -> None:
    for row in (schemas.RetainedPerformance & asked_members(lab)).to_dicts():
        after = (
            schemas.DECFinetune.Score & row & {"tier": "test", "metric": "correlation_to_average"}
        ).fetch1("score_values")
        control = scores_of_control(row, row["epoch"])
        both = ~np.isnan(after) & ~np.isnan(control)
        assert row["difference"] == pytest.approx(np.mean(after[both] - control[both]), abs=1e-12)
        assert row["epoch"] == 2


def test_dec_alone_and_joint_share_one_control(lab: str) -> None:
    rows = (schemas.RetainedPerformance & asked_members(lab) & "model_seed = 0").to_dicts()
    assert len({row["finetune_id"] for row in rows}) == 2
    assert len({(row["schedule_id"], row["control_seed"]) for row in rows}) == 1


def test_every_computed_row_has_its_environment(lab: str) -> None:
    for table in (schemas.TrainedModel, schemas.Clustering, schemas.DECFinetune, schemas.SeedAgreement):
        for row in table().to_dicts():
            assert row["seconds"] >= 0
            environment = (schemas.Environment & {"env_id": row["env_id"]}).fetch1()
            assert environment["torch"].startswith("2.")
            assert environment["threads"] == 1
            assert environment["packages"]["datajoint"] == environment["datajoint"]


def test_provenance_leads_back_to_the_dataset(lab: str) -> None:
    key = (schemas.Clustering & "dataset = 'small'").keys()[0]
    found = queries.provenance("Clustering", dict(key))
    tables = [step["table"] for step in found["chain"]]
    assert tables[:1] == ["Environment"] or "Dataset" in tables
    assert {"Dataset", "ModelSpec", "TrainedModel", "Embedding", "ClusteringMethod"} <= set(tables)
    price = queries.provenance(
        "RetainedPerformance", dict((schemas.RetainedPerformance & "dataset = 'small'").keys()[0])
    )
    steps = {step["table"]: step for step in price["chain"]}
    assert {"FinetuneSpec", "TrainingSchedule", "ContinuedTraining", "DECFinetune"} <= set(steps)
    assert steps["ContinuedTraining"]["schedule_id"] == steps["FinetuneSpec"]["schedule_id"]
    assert found["environment"]["env_id"] == found["row"]["env_id"]
    compare, replace = found["recompute"]
    assert compare.startswith("decortex recompute ")
    assert replace.startswith("decortex delete ")
    assert parse_key(shlex.split(compare)[3]) == {name: str(value) for name, value in key.items()}


def test_a_recomputed_row_is_identical(lab: str) -> None:
    key = dict(
        (
            schemas.Clustering & {"dataset": "small", "method": "kmeans", "k": 2, "seed": 0, "model_seed": 0}
        ).keys()[0]
    )
    before = (schemas.Clustering & key).fetch1("labels", "objective")
    stored = load_embedding(key)
    again = fit(stored, "kmeans", n_clusters=2, seed=0, **(schemas.ClusteringMethod & key).fetch1("params"))
    np.testing.assert_array_equal(before[0], again.labels)
    assert before[1] == again.objective


def test_specifications_of_the_same_parameters_are_one_row(database: dict[str, str]) -> None:
    from decortex_schemas.tables import register_method

    first = register_method("kmeans", {"n_init": 7})
    assert register_method("kmeans", {"n_init": 7}, name="another name") == first
    assert register_method("kmeans", {"n_init": 8}) != first
    assert config_hash({"a": 1}) != config_hash({"a": "1"})


def test_case_tells_keys_apart(database: dict[str, str]) -> None:
    connection = schemas.schema.connection
    collation = connection.query("SELECT @@collation_database").fetchone()[0]
    found = connection.query("SELECT 'KMEANS' COLLATE utf8mb4_bin = 'kmeans'").fetchone()[0]
    declared = connection.query(
        "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
        args=(schemas.schema.database,),
    ).fetchone()[0]
    assert (declared, found) == ("utf8mb4_bin", 0), collation


def test_embeddings_of_excluded_neurons_are_not_clustered(lab: str) -> None:
    rows = (schemas.Embedding & "dataset = 'small'").to_dicts()
    assert [row["n_excluded"] for row in rows] == [0, 0]
    assert {row["n_features"] for row in rows} == {6}
