"""A row computed again is the row that is stored, and where it is not, what differs is said."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import decortex_schemas as schemas
from decortex.errors import ConfigError, OperationError
from decortex_ops.cli import app
from decortex_ops.reports import report
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, describe_environment
from decortex_schemas.database.environment import provenance
from decortex_schemas.queries import recompute
from decortex_schemas.tables import members_of

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
    said = [line.split()[:2] for line in found["recompute"]]
    assert said == [["decortex", "recompute"], ["decortex", "delete"]]


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


def test_another_processor_is_no_fault_and_is_said(lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = dict((schemas.Clustering & members_of(lab).proj()).keys()[0])
    assert queries.mixed_environments(lab) == []
    row = (schemas.Clustering & key).fetch1()
    other = {
        name: value
        for name, value in (schemas.Environment & {"env_id": row["env_id"]}).fetch1().items()
        if name != "registered_at"
    }
    other |= {"env_id": 4711, "env_hash": "f" * 64, "cpu_capability": "none such", "blas_core": "none such"}
    schemas.Environment.insert1(other)
    connection = schemas.schema.connection
    own = schemas.Clustering().full_table_name
    where = {name: key[name] for name in schemas.Clustering().primary_key}
    condition = " AND ".join(f"`{name}` = %s" for name in where)
    values = tuple(where.values())
    connection.query(f"UPDATE {own} SET env_id = 4711, iterations = iterations + 1 WHERE {condition}", values)
    try:
        mixed = {(one["table"], one["column"]): one["values"] for one in queries.mixed_environments(lab)}
        n = len(schemas.Clustering & members_of(lab).proj())
        capability = describe_environment()["cpu_capability"]
        assert mixed["Clustering", "cpu_capability"] == {"none such": 1, capability: n - 1}
        assert {table for table, _ in mixed} == {"Clustering"}
        assert {column for _, column in mixed} == {"cpu_capability", "blas_core"}
        again = recompute("Clustering", key)
        assert [one.column for one in again.differences] == ["iterations"]
        assert again.other_numerics["cpu_capability"] == ("none such", capability)
        monkeypatch.setattr("decortex_ops.cli.read.recompute.open_tables", lambda **_: None)
        monkeypatch.setattr("decortex_ops.cli.read.results.open_to_read", lambda: None)
        words = ",".join(f"{name}={value}" for name, value in key.items())
        done = CliRunner().invoke(app, ["recompute", "Clustering", words])
        assert done.exit_code == 0, done.output
        assert "equal bits are not promised, so that these differences are no fault" in done.output
        shown = CliRunner().invoke(app, ["results", lab])
        assert "mixed environments: Clustering was computed with different cpu_capability" in shown.output
        page = report(lab)
        assert "were not computed under one environment" in page
    finally:
        connection.query(
            f"UPDATE {own} SET env_id = %s, iterations = iterations - 1 WHERE {condition}",
            (row["env_id"], *values),
        )
        connection.query(f"DELETE FROM {schemas.Environment().full_table_name} WHERE env_id = 4711")
    assert recompute("Clustering", key).other_numerics == {}


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
    with pytest.raises(OperationError, match=r"(?s)uncommitted changes.*DECORTEX_ALLOW_DIRTY=1"):
        provenance.register_environment(threads=1)
    monkeypatch.setenv("DECORTEX_ALLOW_DIRTY", "1")
    env_id = provenance.register_environment(threads=1)
    row = (schemas.Environment & {"env_id": env_id}).fetch1()
    assert (row["dirty"], row["diff_sha256"]) == (1, "b" * 64)
    monkeypatch.delenv("DECORTEX_ALLOW_DIRTY")
    monkeypatch.delenv("DJ_HOST")  # a private server: recorded, not refused
    monkeypatch.setattr(provenance._Current, "process", None)
    assert provenance.register_environment(threads=1) == env_id
