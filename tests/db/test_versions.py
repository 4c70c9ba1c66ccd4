"""Versions of algorithms and computations: who computes what, what is shown, and what is computed again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_lab import fill

import decortex_schemas as schemas
from decortex.clustering import algorithm_version
from decortex.errors import ConfigError, OperationError
from decortex_ops.cli import main
from decortex_ops.reports import report
from decortex_ops.workers.resources import Limits, reason_to_leave
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, instance_of
from decortex_schemas.queries import recompute
from decortex_schemas.tables import Fitting, delete_stale, rows_of_study, stale
from decortex_schemas.tables.studies.stale import _deletable


@pytest.fixture
def other_version(lab: str) -> Iterator[dict[str, object]]:
    """Key of a clustering whose method is recorded with a version that nobody has."""
    key = (schemas.Clustering & {"k": 3, "seed": 0}).keys(order_by="KEY")[0]
    own = {"method": key["method"], "method_id": key["method_id"]}
    schemas.ClusteringMethod.update1({**own, "algorithm_version": 99})
    try:
        yield {name: key[name] for name in schemas.Clustering().primary_key}
    finally:
        schemas.ClusteringMethod.update1({**own, "algorithm_version": algorithm_version(str(key["method"]))})


def test_a_worker_leaves_the_key_and_names_both_versions(other_version: dict[str, object]) -> None:
    reason = reason_to_leave(instance_of(schemas.Clustering), dict(other_version), Limits())
    assert reason is not None
    assert "version 99" in reason
    assert f"computes version {algorithm_version(str(other_version['method']))}" in reason


def test_populate_and_recompute_refuse(other_version: dict[str, object]) -> None:
    with pytest.raises(OperationError, match="version 99"):
        schemas.Clustering().make_compute(dict(other_version), "", "", {}, {})
    with pytest.raises(OperationError, match="version 99"):
        recompute("Clustering", dict(other_version))


def test_every_table_that_fits_a_method_checks_its_version() -> None:
    fitting = {table.__name__ for table in computed_tables() if issubclass(table, Fitting)}
    assert fitting == {"Clustering", "SubsampleClustering", "KCriteria", "NullFit", "SeedNullFit"}


def test_rows_say_the_version_of_their_computation(lab: str) -> None:
    for table in computed_tables():
        stored = {int(version) for version in table().to_arrays("computation_version")}
        assert stored <= {table.version}, table.__name__


@pytest.fixture
def older(lab: str) -> Iterator[Callable[[type[Any], Any], int]]:
    """Mark rows as computed by version 0; what is left of them is put back."""
    marked = []

    def mark(table: type[Any], rows: Any) -> int:
        names = table().primary_key
        where = " AND ".join(f"`{name}` = %s" for name in names)
        keys = rows.keys()
        for key in keys:
            schemas.schema.connection.query(
                f"UPDATE {table().full_table_name} SET computation_version = 0 WHERE {where}",
                args=tuple(key[name] for name in names),
            )
        marked.append(table)
        return len(keys)

    yield mark
    for table in marked:
        schemas.schema.connection.query(
            f"UPDATE {table().full_table_name} SET computation_version = {table.version} WHERE computation_version = 0"
        )


def said_by(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What a command says on its error stream."""
    monkeypatch.setattr(sys, "argv", ["decortex", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return " ".join(capsys.readouterr().err.split())


def test_two_versions_in_one_table_are_shown(
    lab: str,
    older: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert queries.computation_versions(lab) == []
    assert stale() == []
    marked = older(schemas.ClusterQuality, rows_of_study(schemas.ClusterQuality, lab) & {"k": 3, "seed": 0})
    rest = len(rows_of_study(schemas.ClusterQuality, lab)) - marked
    shown = queries.computation_versions(lab)
    assert shown == [{"table": "ClusterQuality", "current": 1, "versions": {0: marked, 1: rest}}]
    line = (
        f"mixed computations: ClusterQuality holds {marked} rows of version 0, {rest} rows of version 1; "
        "this decortex computes version 1: `decortex stale`"
    )
    for command in ("results", "stats", "price"):
        assert line in said_by(capsys, monkeypatch, command, lab)
    page = report(lab)
    assert f"ClusterQuality, now version 1: {marked} rows of version 0, {rest} rows of version 1" in page


def test_stale_rows_are_deleted_with_a_reason_and_come_back(lab: str, older: Callable[..., int]) -> None:
    before = (schemas.ClusterQuality.Space & {"k": 3, "dataset": "small"}).to_dicts(order_by="KEY")
    marked = older(schemas.ClusterQuality, rows_of_study(schemas.ClusterQuality, lab) & {"k": 3, "seed": 0})
    with pytest.raises(ConfigError, match="a deletion needs a reason"):
        delete_stale(lab, " ")
    with pytest.raises(ConfigError, match="there is no study 'nowhere'"):
        delete_stale("nowhere", "because")
    studies = stale(lab)[0].pop("studies")
    assert studies[lab] == marked  # other studies may share rows
    assert [
        (row["table"], row["stored"], row["current"], row["rows"], row["kept"], lab in row["studies"])
        for row in stale()
    ] == [("ClusterQuality", 0, 1, marked, 0, True)]
    deleted = delete_stale(lab, "its silhouette drifted")
    assert [(row["table"], row["rows"]) for row in deleted] == [("ClusterQuality", marked)]
    record = (schemas.Deletion & {"why": "its silhouette drifted"}).fetch1()
    assert record["table_name"] == "ClusterQuality"
    assert record["counts"]["ClusterQuality"] == marked
    assert record["restriction"] == {"computation_version": "not 1", "study": lab}
    assert queries.computation_versions(lab) == []
    fill()
    assert (schemas.ClusterQuality.Space & {"k": 3, "dataset": "small"}).to_dicts(order_by="KEY") == before


def test_members_of_a_frozen_study_and_what_nobody_could_compute_again_stay(
    lab: str, older: Callable[..., int], other_version: dict[str, object]
) -> None:
    # The method's specification is of a version that nobody has: its partitions are listed, and kept.
    marked = older(schemas.Clustering, schemas.Clustering())
    method = {"method": other_version["method"], "method_id": other_version["method_id"]}
    kept = len(schemas.Clustering & method)
    assert 0 < kept < marked
    assert [(row["table"], row["rows"], row["kept"]) for row in stale()] == [("Clustering", marked, kept)]
    # The others are members of a frozen study.
    n_rows = len(schemas.Clustering())
    with pytest.raises(ConfigError, match=r"frozen studies would lose members: .*small-study"):
        delete_stale(None, "because")
    # What such partitions rest on stays with them, allowed or not.
    older(schemas.Embedding, schemas.Embedding())
    assert not len(_deletable(schemas.Embedding, None) & (schemas.Clustering & method).proj())
    assert not len(_deletable(schemas.Clustering, None) & method)
    assert len(schemas.Clustering()) == n_rows
