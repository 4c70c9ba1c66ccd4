"""Queues are filled in bulk: every missing key once, whoever else fills them, and what nobody asks for goes out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
from small_lab import fill, plan_for
from typer.testing import CliRunner

import decortex_schemas as schemas
from decortex_ops.cli import app
from decortex_ops.workers import Patience, Sweep, make_key, sweep
from decortex_schemas.database import (
    KeySources,
    compressed_tables,
    computed_tables,
    connection_info,
    instance_of,
    queue_missing,
    queue_of,
    refresh_queue,
    reserve,
    sources_of,
)
from decortex_schemas.database.work import key_sources, queues
from decortex_schemas.register import apply_priorities, declare_plan, set_priority
from decortex_schemas.tables import StudyPlan, declare_study


@pytest.fixture(scope="module")
def filled(lab: str) -> None:
    """What other files asked for and left is computed; the tests of this one leave nothing."""
    fill()


@pytest.fixture
def asked(filled: None) -> Iterator[Any]:
    """Eight clusterings that a study asks for and nobody has queued; gone afterwards."""
    declare_plan("filled", plan_for("small", counts=[19], finetunings=[]))
    jobs = schemas.Clustering.jobs
    assert len(jobs) == 0
    yield jobs
    (schemas.Study & {"study": "filled"}).delete(prompt=False)
    jobs.delete()


def test_missing_keys_are_queued_once(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "BATCH", 3)  # eight keys are three statements
    assert refresh_queue(schemas.Clustering, priority=4).added == 8
    assert refresh_queue(schemas.Clustering, priority=4).added == 0
    rows = asked.to_dicts()
    assert {(row["status"], row["priority"], row["k"]) for row in rows} == {("pending", 4, 19)}
    assert asked.reserve(rows[0])  # at once
    assert refresh_queue(schemas.Clustering, priority=4).added == 0
    assert len(asked.pending) == 7


def test_a_key_queued_by_another_meanwhile_is_left_as_it_is(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = queues._insert

    def late(jobs: Any, keys: list[dict[str, Any]], priority: int) -> int:
        assert insert(jobs, keys[:2], 9) == 2
        return insert(jobs, keys, priority)

    monkeypatch.setattr(queues, "_insert", late)
    assert refresh_queue(schemas.Clustering, priority=4).added == 6
    assert sorted(row["priority"] for row in asked.to_dicts()) == [4] * 6 + [9] * 2


def test_filling_waits_for_no_worker(asked: Any) -> None:
    """A worker that is inserting its result holds locks on the tables that the keys are read from."""
    refresh_queue(schemas.Clustering, priority=5)
    asked.delete()
    with pymysql.connect(**connection_info()) as link, link.cursor() as cursor:
        for table in (schemas.Clustering(), schemas.Embedding(), schemas.TrainedModel()):
            cursor.execute(f"SELECT * FROM {table.full_table_name} FOR UPDATE")
        schemas.schema.connection.query("SET SESSION innodb_lock_wait_timeout = 2")
        try:
            assert refresh_queue(schemas.Clustering, priority=5).added == 8
        finally:
            schemas.schema.connection.query("SET SESSION innodb_lock_wait_timeout = DEFAULT")


def test_what_nobody_asks_for_is_removed(asked: Any) -> None:
    refresh_queue(schemas.Clustering, priority=5)
    failed, ignored, *_ = asked.keys()
    asked.error(failed, "InputError: something")
    asked.ignore(ignored)
    (schemas.Study & {"study": "filled"}).delete(prompt=False)
    held = next(key for key in asked.proj().to_dicts() if key not in (failed, ignored))
    assert reserve(instance_of(schemas.Clustering), held)
    assert (
        refresh_queue(schemas.Clustering, priority=5).removed == 6
    )  # at once; what somebody has in work is his
    assert sorted(row["status"] for row in asked.to_dicts()) == ["ignore", "reserved"]
    outcome = make_key(instance_of(schemas.Clustering), held, patience=Patience(0.0))
    assert outcome.kind == "made"  # its parents are there: the row was asked for when it was reserved
    (schemas.Clustering & held).delete(prompt=False)
    assert [row["status"] for row in asked.to_dicts()] == ["ignore"]


def test_a_studys_priority_reaches_all_that_it_asks_for_and_nothing_else(
    asked: Any,
) -> None:
    """Also where it lists no fine-tuning, which is not a part of a clustering's key."""
    model = (schemas.Study.Model & {"study": "filled"}).proj().to_dicts()[0]
    embedding = int((schemas.Study.Embedding & {"study": "filled"}).to_arrays("embedding_spec_id")[0])
    method = int((schemas.Study.Method & {"study": "filled", "method": "kmeans"}).to_arrays("method_id")[0])
    plan = StudyPlan(
        models=({name: value for name, value in model.items() if name != "study"},),
        embedding_spec_ids=(embedding,),
        method_ids=(method,),
        counts=(18, 20),
        seeds=(0, 1, 2),
        subsample_seeds=(0,),
        nulls=("gaussian",),
        n_surrogates=2,
    )
    declare_study("urgent", plan)
    try:
        sweep()

        def found(table: Any) -> dict[int, tuple[int, set[int]]]:
            rows = queue_of(table).to_dicts()
            numbers = {int(row["priority"]) for row in rows}
            return {
                n: (
                    sum(row["priority"] == n for row in rows),
                    {int(row["k"]) for row in rows if row["priority"] == n},
                )
                for n in numbers
            }

        tables = (schemas.Clustering, schemas.SubsampleClustering, schemas.KCriteria, schemas.NullFit)
        assert [found(table) for table in tables] == [
            {5: (8 + 6, {18, 19, 20})},
            {5: (2, {18, 20})},
            {5: (2, {18, 20})},
            {5: (4, {18, 20})},
        ]
        said = CliRunner().invoke(app, ["study", "priority", "urgent", "0"])
        assert "14 waiting keys changed" in " ".join(said.output.split())
        urgent = [{0: (6, {18, 20})}, {0: (2, {18, 20})}, {0: (2, {18, 20})}, {0: (4, {18, 20})}]
        assert [found(table) for table in tables] == [{**urgent[0], 5: (8, {19})}, *urgent[1:]]
        sweep()  # changes nothing more
        assert [found(table) for table in tables] == [{**urgent[0], 5: (8, {19})}, *urgent[1:]]
        set_priority("urgent", 5)
        assert apply_priorities(computed_tables(), usual=5) == 14
        assert apply_priorities(computed_tables(), usual=5) == 0
    finally:
        (schemas.Study & {"study": "urgent"}).delete(prompt=False)
        for table in (schemas.Clustering, schemas.SubsampleClustering, schemas.KCriteria, schemas.NullFit):
            queue_of(table).delete()


def test_a_round_looks_at_queues_whose_keys_can_have_changed(asked: Any) -> None:
    """An idle one at none, and reads next to nothing; a study that is declared is queued by the next."""
    tables = computed_tables()
    assert {"study__model", "study__clustering_seed", "__embedding", "__clustering"} <= sources_of(
        schemas.Clustering
    )
    sources = KeySources(tables)
    assert sources.look() == tables  # nothing is known yet
    sweep(sources)
    deadline = time.monotonic() + 120
    while sources.look():  # what this module wrote just before settles in two seconds
        assert time.monotonic() < deadline
        time.sleep(0.5)
        sweep(sources)
    before = read_rows()
    assert sweep(sources) == Sweep(0, 0, 0)
    assert not sources.studies_changed
    assert read_rows() - before < 5000

    declare_plan("more", plan_for("small", counts=[21], finetunings=[]))
    try:
        due = sources.look()
        assert sources.new_studies(schemas.Clustering) == ("more",)
        assert sources.is_enlarged(schemas.Clustering)
        assert not sources.is_enlarged(schemas.Embedding)  # not read off studies: looked at whole
        assert schemas.Clustering in due
        assert schemas.Performance not in due
        # What it asks for needs no look at what all others do.
        assert queue_missing(schemas.Clustering, priority=5, studies=["nobody's"]) == 0
        assert queue_missing(schemas.Performance, priority=5, studies=["more"]) == 0
        assert queue_missing(schemas.Clustering, priority=5, studies=["more"]) == 8
        assert sweep(sources) == Sweep(0, 0, 0)
        declare_plan("still more", plan_for("small", counts=[22], finetunings=[]))
        sources.look()  # a look alone forgets nothing
        assert sweep(sources).added == 8
        assert sources.new_studies(schemas.Clustering) == ()
    finally:
        for name in ("more", "still more"):
            (schemas.Study & {"study": name}).delete(prompt=False)
    assert sweep(sources).removed == 16


def read_rows() -> int:
    """Rows that this session has read."""
    rows = schemas.schema.connection.query("SHOW SESSION STATUS LIKE 'Handler_read%%'").fetchall()
    return sum(int(n) for _, n in rows)


def test_rows_that_workers_compute_are_looked_for_for_a_share_of_the_time(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh that takes long is not repeated at once for them; what somebody declares does not wait."""
    clock = [1000.0]
    monkeypatch.setattr(key_sources, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    sources = KeySources([schemas.DECFinetune])
    times = {"__clustering": 1, "study": 1, "study__model": 1}

    monkeypatch.setattr(key_sources, "_written", lambda: dict(times))
    assert sources.look() == [schemas.DECFinetune]
    sources.refreshed(schemas.DECFinetune, 0.25)
    assert sources.look() == []
    times["__clustering"] = 2
    assert sources.look() == []
    times["study__model"] = 2
    assert sources.look() == [schemas.DECFinetune]
    times["study__model"] = 1
    assert sources.look() == []
    clock[0] += 0.99  # .25 s are a fifth of the time until 1 s later
    assert sources.look() == []
    clock[0] += 0.02
    assert sources.look() == [schemas.DECFinetune]


def test_large_tables_are_kept_compressed(database: dict[str, str]) -> None:
    rows = schemas.schema.connection.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND row_format = 'Compressed'",
        args=(database["DECORTEX_DATABASE"],),
    ).fetchall()
    assert {row[0] for row in rows} == set(compressed_tables())
