"""A row computed again is the row that is stored, and where it is not, what differs is said."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError, OperationError
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, provenance
from decortex_schemas.queries import recompute

TABLES = ("TrainedModel", "Embedding", "Clustering", "DECFinetune", "ClusterQuality", "SeedAgreement")


@pytest.mark.parametrize("name", TABLES)
def test_a_row_is_computed_again_bit_for_bit(lab: str, name: str) -> None:
    table = getattr(schemas, name)
    before = len(table())
    key = dict(table.keys(order_by="KEY")[-1])
    found = recompute(name, key)
    assert found.differences == []
    assert found.same_environment
    assert found.n_values > 1
    assert len(table()) == before


def test_what_differs_is_said(lab: str) -> None:
    key = dict((schemas.Clustering & {"dataset": "small"}).keys(order_by="KEY")[0])
    row = (schemas.Clustering & key).fetch1()
    changed = np.array(row["labels"])
    changed[:3] = (changed[:3] + 1) % key["k"]
    schemas.Clustering.update1({**key, "labels": changed, "objective": -1.0})
    size = (schemas.Clustering.Cluster & key & {"cluster": 0}).fetch1("size")
    schemas.Clustering.Cluster.update1({**key, "cluster": 0, "size": 0})
    try:
        found = {(one.table, one.column): one.what for one in recompute("Clustering", key).differences}
    finally:
        schemas.Clustering.update1({**key, "labels": row["labels"], "objective": row["objective"]})
        schemas.Clustering.Cluster.update1({**key, "cluster": 0, "size": size})
    assert found == {
        ("Clustering", "labels"): "3 of 36 values differ, by at most 2"
        if key["k"] > 2
        else found["Clustering", "labels"],
        ("Clustering", "objective"): f"-1.0 is now {row['objective']!r}",
        ("Clustering.Cluster", "size"): f"0 is now {size}",
    }
    assert found["Clustering", "labels"].startswith("3 of 36 values differ")
    assert recompute("Clustering", key).differences == []


def test_the_chain_leads_back_to_checkpoint_and_recordings(lab: str) -> None:
    key = dict(schemas.Clustering.keys()[0])
    found = queries.provenance("Clustering", key)
    chain = {step["table"]: step for step in found["chain"]}
    assert chain["Dataset"]["content_sha256"] == (schemas.Dataset & key).fetch1("content_sha256")
    assert chain["TrainedModel"]["checkpoint_sha256"] == (schemas.TrainedModel & key).fetch1(
        "checkpoint_sha256"
    )
    assert chain["Embedding"]["embedding_sha256"] == (schemas.Embedding & key).fetch1("embedding_sha256")
    assert len(chain["ClusteringMethod"]["method_hash"]) == 64
    assert found["environment"]["threads"] == 1
    assert len(found["recompute"]) == 3


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("Nothing", {}, "no computed table"),
        ("Clustering", {"k": 2}, "not one"),
        ("Clustering", {"x": 1}, "no column"),
    ],
)
def test_a_key_that_names_no_row_is_refused(lab: str, table: str, key: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recompute(table, key)


def test_every_computed_row_names_its_environment(lab: str) -> None:
    facts = schemas.Environment().to_dicts()[0]
    for name in ("packages", "blas", "cpu", "torch", "numpy", "python", "platform"):
        assert facts[name], name
    for table in computed_tables():
        assert {"env_id", "db_user", "host_name", "started_at", "seconds"} <= set(table().heading.names), (
            table
        )


def test_uncommitted_code_is_refused_on_a_shared_database(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        **provenance.describe_environment(),
        "git_commit": "a" * 40,
        "dirty": True,
        "diff_sha256": "b" * 64,
    }
    monkeypatch.setattr(provenance, "describe_environment", lambda: facts)
    monkeypatch.setattr(provenance._Current, "process", None)
    for name in ("env_id", "env_hash"):
        monkeypatch.setattr(provenance._Current, name, getattr(provenance._Current, name))
    assert os.environ["DJ_HOST"]
    monkeypatch.delenv("DECORTEX_ALLOW_DIRTY")
    with pytest.raises(OperationError, match=r"uncommitted changes.*DECORTEX_ALLOW_DIRTY=1"):
        provenance.register_environment(threads=1)
    monkeypatch.setenv("DECORTEX_ALLOW_DIRTY", "1")
    env_id = provenance.register_environment(threads=1)
    row = (schemas.Environment & {"env_id": env_id}).fetch1()
    assert (row["dirty"], row["diff_sha256"]) == (1, "b" * 64)
    monkeypatch.delenv("DECORTEX_ALLOW_DIRTY")
    monkeypatch.delenv("DJ_HOST")  # a private server: recorded, not refused
    monkeypatch.setattr(provenance._Current, "process", None)
    assert provenance.register_environment(threads=1) == env_id
