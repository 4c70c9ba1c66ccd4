"""The read layer of the dashboard on a real server: threads, no writing, and the numbers that DataJoint reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymysql
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.agreement import matched_confusion
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, queue_of
from decortex_schemas.database import connection_info as reading_info
from decortex_schemas.queries import PARTITION
from decortex_schemas.queries.basis import connection as reading
from decortex_schemas.tables import (
    Clustering,
    Dataset,
    DECFinetune,
    Performance,
    Seed,
    members_of,
    partition_labels,
)
from decortex_schemas.tables.evaluation import ClusterPerformance


def key_of(row: dict) -> dict:
    return {name: row[name] for name in PARTITION}


def test_many_threads_read_without_an_error(lab: str) -> None:
    def ask(i: int) -> int:
        return len(queries.runs(lab, order_by=queries.SORTABLE[i % 20], limit=5)["rows"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(60))) == {5}


def test_the_server_refuses_to_write(lab: str) -> None:
    table = reading.name_of(Seed)
    for statement in (f"INSERT INTO {table} VALUES (4711)", f"DELETE FROM {table}", f"DROP TABLE {table}"):
        with pytest.raises(pymysql.MySQLError, match="READ ONLY"):
            reading.rows(statement)
    assert not len(Seed & {"seed": 4711})


def test_a_lost_connection_is_opened_again(lab: str) -> None:
    own = reading.rows("SELECT CONNECTION_ID() AS id")[0]["id"]
    Seed.connection.query(f"KILL {own}")
    assert reading.rows("SELECT CONNECTION_ID() AS id")[0]["id"] != own


def test_runs_are_the_members_of_the_study(lab: str) -> None:
    found = queries.runs(lab, limit=1000)
    expected = members_of(lab).proj().to_dicts()
    assert found["n"] == len(expected)
    assert sorted(map(str, map(key_of, found["rows"]))) == sorted(map(str, map(key_of, expected)))
    for row in found["rows"][::5]:
        effect = (ClusterPerformance & key_of(row)).fetch1("epsilon2_corrected")
        assert row["epsilon2"] == effect
        assert row["largest_share"] == (Clustering & key_of(row)).fetch1("largest_share")


def test_runs_are_sorted_filtered_and_paged(lab: str) -> None:
    rows = queries.runs(lab, order_by="silhouette", descending=True, limit=1000)["rows"]
    values = [row["silhouette"] for row in rows if row["silhouette"] is not None]
    assert values == sorted(values, reverse=True)
    assert all(row["silhouette"] is None for row in rows[len(values) :])
    pages = [
        row
        for offset in (0, 4)
        for row in queries.runs(lab, order_by="silhouette", descending=True, limit=4, offset=offset)["rows"]
    ]
    assert pages == rows[:8]
    few = queries.runs(lab, where={"k": 3, "model_seed": 1}, statuses=["ok"])
    assert few["n"] > 0
    assert {(row["k"], row["model_seed"], row["status"]) for row in few["rows"]} == {(3, 1, "ok")}
    with pytest.raises(ConfigError, match="cannot sort by"):
        queries.runs(lab, order_by="1; DROP TABLE x")
    with pytest.raises(ConfigError, match="cannot filter by"):
        queries.runs(lab, where={"k = 3 OR 1": 1})


def test_runs_are_gathered_in_groups_that_hold_all_of_them(lab: str) -> None:
    every = queries.runs(lab, limit=1000)["rows"]
    for by in ("method_id", "k", "model_seed", "seed", "finetune_id"):
        groups = queries.run_groups(lab, by=by, measure="silhouette")
        assert [one["value"] for one in groups] == sorted({row[by] for row in every})
        for one in groups:
            members = [row for row in every if row[by] == one["value"]]
            known = [row["silhouette"] for row in members if row["silhouette"] is not None]
            assert one["n"] == len(members)
            assert (one["low"], one["high"]) == ((min(known), max(known)) if known else (None, None))
    narrowed = queries.run_groups(lab, by="k", measure="ari_seeds", where={"model_seed": 1}, statuses=["ok"])
    assert (
        sum(one["n"] for one in narrowed) == queries.runs(lab, where={"model_seed": 1}, statuses=["ok"])["n"]
    )
    with pytest.raises(ConfigError, match="cannot group by"):
        queries.run_groups(lab, by="1; DROP TABLE x", measure="k")
    with pytest.raises(ConfigError, match="cannot tell"):
        queries.run_groups(lab, by="k", measure="1; DROP TABLE x")


def test_the_queue_counts_what_datajoint_counts(lab: str) -> None:
    rows = {row["table"]: row for row in queries.queue_state()}
    for table in computed_tables():
        counts = queue_of(table).progress()
        row = rows[table.__name__]
        assert (row["done"], row["waiting"], row["failed"]) == (
            len(table()),
            counts["pending"],
            counts["error"],
        )
    finished = queries.throughput(hours=24)
    assert sum(row["n"] for row in finished if row["table"] == "DECFinetune") == len(DECFinetune())


def test_neurons_labels_and_scores_are_the_stored_ones(lab: str) -> None:
    columns = queries.neurons("small")
    stored = (Dataset.Neuron & {"dataset": "small"}).to_dicts(order_by="neuron_idx")
    assert list(columns["session"]) == [row["session"] for row in stored]
    assert list(columns["neuron_idx"]) == list(range(len(stored)))
    for kind in ("none", "dec"):
        row = next(r for r in queries.runs(lab, where={"k": 3}, limit=99)["rows"] if r["kind"] == kind)
        key = key_of(row)
        assert queries.exists(key)
        np.testing.assert_array_equal(queries.labels(key), partition_labels(key))
        table = Performance.Score if kind == "none" else DECFinetune.Score
        stored_scores = (table & key & {"tier": "test", "metric": "correlation_to_average"}).fetch1(
            "score_values"
        )
        np.testing.assert_array_equal(queries.scores(key), stored_scores)
    assert not queries.exists({**key, "seed": 999})
    with pytest.raises(ConfigError, match="there is no partition"):
        queries.labels({**key, "seed": 999})


def test_a_fine_tuning_has_its_epochs_its_control_and_its_price(lab: str) -> None:
    row = next(r for r in queries.runs(lab, where={"k": 3}, limit=99)["rows"] if r["kind"] == "dec")
    found = queries.finetuning(key_of(row))
    assert [one["epoch"] for one in found["epochs"]] == list(range(1, found["n_epochs"] + 1))
    assert len(found["control"]) == 2
    assert found["price"]["difference"] == row["difference"]
    assert {one["cluster"] for one in found["price"]["clusters"]} <= {0, 1, 2}
    assert queries.performance_by_cluster(key_of(row))["epsilon2_corrected"] == row["epsilon2"]


def test_partitions_of_one_count_are_found_with_their_labels(lab: str) -> None:
    row = next(r for r in queries.runs(lab, where={"k": 3}, limit=99)["rows"] if r["kind"] == "none")
    names = ("dataset", "model_spec_id", "embedding_spec_id", "k", "finetune_id")
    found = queries.partitions_at(lab, **{name: row[name] for name in names})
    assert len(found) == 8  # two methods, two networks, two starts
    assert {len(one["labels"]) for one in found} == {36}
    curves = queries.agreement_by_count(
        lab, **{name: row[name] for name in ("dataset", "model_spec_id", "embedding_spec_id")}
    )
    assert row["ari_seeds"] in {one["ari_seeds"] for one in curves}


def test_a_monitor_sees_what_the_queue_page_sees(lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = queries.watched()
    state = {row["table"]: row for row in queries.queue_state()}
    names = ("done", "waiting", "running", "failed")
    assert {row["table"]: [row[name] for name in names] for row in found["tables"]} == {
        table: [row[name] for name in names] for table, row in state.items()
    }
    assert sum(row["rows_last_hour"] for row in found["tables"]) == sum(
        row["done"] for row in found["tables"]
    )
    assert found["processes"] == len(queries.workers()) >= 1
    assert 0 <= found["heartbeat_age_seconds"] < 60
    assert found["database_bytes"] > 10**5
    queries.ping()
    closed = {**reading_info(), "port": 1}
    monkeypatch.setattr("decortex_schemas.queries.operation.watch.connection_info", lambda: closed)
    with pytest.raises(pymysql.OperationalError):
        queries.ping()


def test_numbers_follow_a_cluster_from_the_first_network_to_any_other(lab: str) -> None:
    where = {"dataset": "small", "method": "kmeans", "k": 3, "seed": 0}
    none = (schemas.FinetuneSpec & {"kind": "none"}).fetch1("finetune_id")
    keys = [
        (schemas.DECFinetune & where & {"model_seed": seed, "finetune_id": none}).keys()[0] for seed in (0, 1)
    ]
    numbers = [queries.matched_clusters(lab, dict(key)) for key in keys]
    labels = [partition_labels(dict(key)) for key in keys]
    matched = matched_confusion(labels[0], labels[1])
    for a, b in zip(matched.first.tolist(), matched.second.tolist(), strict=True):
        assert numbers[0][a] == numbers[1][b]
    smaller = {**keys[0], "k": 2}
    assert queries.matched_clusters(lab, smaller) == {0: 0, 1: 1}
    below = matched_confusion(partition_labels(smaller), labels[0])
    for a, b in zip(below.first.tolist(), below.second.tolist(), strict=True):
        assert numbers[0][b] == a, "a cluster keeps its number from K = 2 to K = 3"
    assert queries.matched_clusters(lab, {**keys[0], "seed": 99}) == {}
