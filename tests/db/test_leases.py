"""Leases: a reservation is freed when its process is gone, never while it lives, and a late result is refused."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from small_lab import PRIORITY, fill, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError, OperationError
from decortex_ops.workers import retry_failed, sweep, work
from decortex_schemas import queries
from decortex_schemas.database import confirm_reservation, hand_back, instance_of, queue_missing
from decortex_schemas.database.work import leases
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study


@pytest.fixture(scope="module")
def asked(lab: str) -> Iterator[dict[str, Any]]:
    """Clusterings that a study asks for: the only keys that any queue lacks. The study is removed in the end."""
    fill()  # what other files have asked for and left
    declare_plan("queued", plan_for("small", counts=[7], finetunings=[]))
    yield {"dataset": "small", "k": 7}
    (schemas.Study & {"study": "queued"}).delete(prompt=False)


@pytest.fixture
def queued(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Keys of one clustering table waiting in the queue; neither they nor their rows are left afterwards."""
    monkeypatch.setattr(leases, "MINIMUM_UPTIME", 0)  # this run's server may be younger
    assert queue_missing(schemas.Clustering, priority=PRIORITY) == 8
    keys = schemas.Clustering.jobs.pending.keys()
    assert len(keys) == 8
    yield [dict(key) for key in keys]
    schemas.Clustering.jobs.delete()
    if schemas.Clustering & asked:  # deleting looks at every table that rests on it
        (schemas.Clustering & asked).delete(prompt=False)


def reserve_as(key: dict[str, Any], *, host: str, pid: int, lease: str = "") -> None:
    """Reserve a key as another process; without a lease, as one of plain DataJoint."""
    jobs = schemas.Clustering.jobs
    assert jobs.reserve(key)
    schemas.schema.connection.query(
        f"UPDATE {jobs.full_table_name} SET host = %s, pid = %s, version = %s WHERE status = 'reserved'",
        args=(host, pid, lease),
    )


def test_the_reservation_of_this_living_process_stays(queued: list[dict[str, Any]]) -> None:
    assert schemas.Clustering.jobs.reserve(queued[0])
    assert sweep().freed == 0
    assert len(schemas.Clustering.jobs.reserved) == 1


def test_a_reservation_names_its_lease(queued: list[dict[str, Any]]) -> None:
    """Also where DataJoint's own populate() takes the key."""
    jobs, lease = schemas.Clustering.jobs, leases.start_heartbeat()
    assert jobs.reserve(queued[0])
    assert not jobs.reserve(queued[0])  # another thread of this process
    assert leases.reserve(instance_of(schemas.Clustering), queued[1])
    assert leases.reserve(instance_of(schemas.Clustering), queued[1])  # asked again: the answer was lost
    assert [row["version"] for row in jobs.reserved.to_dicts()] == [lease, lease]


def test_a_twin_is_another_process(queued: list[dict[str, Any]]) -> None:
    """Two containers of one name: neither process takes, ends or hands back what the other has."""
    host, pid, table = platform.node(), os.getpid(), instance_of(schemas.Clustering)
    reserve_as(queued[0], host=host, pid=pid, lease="a" * 32)
    assert not leases.holds(table, queued[0])
    assert not leases.reserve(table, queued[0])
    with pytest.raises(OperationError, match=f"went to process {pid} on {host}"):
        confirm_reservation(table, queued[0])
    leases.complete(table, queued[0])
    table.jobs.error(queued[0], "InputError: of this process")
    assert hand_back([table.jobs.full_table_name]) == 0
    assert len(table.jobs.reserved) == 1
    held = {
        worker["process_id"]: worker["holds"] for worker in queries.workers() if worker["host_name"] == host
    }
    assert held[pid] == []  # of this process
    assert sweep().freed == 1  # that lease is nobody's


def test_a_lease_that_was_forgotten_is_there_again_at_the_next_beat(database: dict[str, str]) -> None:
    lease = leases.start_heartbeat()
    (schemas.WorkerLease & {"lease_id": lease}).delete(prompt=False)
    leases._running[os.getpid()].beat()
    assert len(schemas.WorkerLease & {"lease_id": lease} & {"ended": 0}) == 1


def test_the_reservation_of_a_process_without_a_lease_is_freed(queued: list[dict[str, Any]]) -> None:
    reserve_as(queued[0], host="elsewhere", pid=4711)
    assert sweep().freed == 1
    assert len(schemas.Clustering.jobs.pending) == 8


@pytest.mark.parametrize("lease", ["f" * 32, ""], ids=["named", "by host and number"])
@pytest.mark.parametrize(
    ("started", "seen", "ended", "freed"),
    [
        (-300, -5, 0, 0),  # alive
        (-300, -59, 0, 0),  # silent, but within its lease
        (-300, -61, 0, 1),  # silent for longer than its lease
        (-300, -1, 1, 1),  # has said good-bye
        (+1, +2, 0, 1),  # another process with the same number, younger than the reservation
    ],
)
def test_a_lease_decides(
    queued: list[dict[str, Any]], started: int, seen: int, ended: int, *, freed: int, lease: str
) -> None:
    reserve_as(queued[0], host="elsewhere", pid=99, lease=lease)
    schemas.schema.connection.query(
        f"INSERT INTO {schemas.WorkerLease().full_table_name} (lease_id, host_name, process_id, started_at, last_seen, "
        "ended) VALUES (%s, 'elsewhere', 99, CURRENT_TIMESTAMP(3) + INTERVAL %s SECOND, "
        "CURRENT_TIMESTAMP(3) + INTERVAL %s SECOND, %s)",
        args=("f" * 32, started, seen, ended),
    )
    try:
        # A reservation that names its lease is of that process, whenever it began.
        assert sweep().freed == (0 if lease and started > 0 else freed)
    finally:
        (schemas.WorkerLease & {"lease_id": "f" * 32}).delete(prompt=False)


def test_a_late_result_is_refused(queued: list[dict[str, Any]]) -> None:
    reserve_as(queued[0], host="elsewhere", pid=99)
    with pytest.raises(OperationError, match="went to process 99 on elsewhere"):
        confirm_reservation(schemas.Clustering(), queued[0])


def test_a_result_of_ones_own_is_taken(queued: list[dict[str, Any]]) -> None:
    assert schemas.Clustering.jobs.reserve(queued[0])
    confirm_reservation(schemas.Clustering(), queued[0])
    confirm_reservation(schemas.Clustering(), queued[1])  # nobody reserved it: a direct populate()


def test_handing_back_takes_what_this_process_holds_and_nothing_else(queued: list[dict[str, Any]]) -> None:
    jobs = schemas.Clustering.jobs
    reserve_as(queued[0], host="elsewhere", pid=99)
    assert jobs.reserve(queued[1])
    assert jobs.reserve(queued[2])
    jobs.error(queued[2], "SystemExit: SIGTERM received")
    assert jobs.reserve(queued[3])
    jobs.error(queued[3], "InputError: something real")
    assert hand_back([jobs.full_table_name]) == 2
    assert len(jobs.pending) == 6
    assert len(jobs.errors) == len(jobs.reserved) == 1


def test_errors_are_kept_and_retried(queued: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a fault of this test [with] 100 %")

    with monkeypatch.context() as patch:
        patch.setattr("decortex.clustering.fit", fail)
        summary = work([schemas.Clustering], stop_when_idle=0.0)
    assert (summary.done, len(summary.failed)) == (0, 8)
    failed = queries.failed_jobs()
    assert len(failed) == 8
    assert failed[0]["message"] == "ValueError: a fault of this test [with] 100 %"
    assert "in fail" in failed[0]["traceback"]
    assert retry_failed([schemas.Clustering], match="something else") == 0
    assert retry_failed([schemas.Clustering], match="100 %") == 8
    fill()
    assert queries.failed_jobs() == []
    assert len(schemas.Clustering & {"dataset": "small", "k": 7}) == 8


def test_nothing_is_freed_just_after_the_server_was_away(
    queued: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve_as(queued[0], host="elsewhere", pid=4711)
    with monkeypatch.context() as patch:
        patch.setattr(leases, "MINIMUM_UPTIME", 10**9)
        assert sweep().freed == 0
    assert sweep().freed == 1


def test_a_late_worker_drops_its_result_and_goes_on(
    queued: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process computed, its key was freed, made by another and is no longer queued."""
    jobs = schemas.Clustering.jobs
    original = schemas.Clustering.make_compute

    def made_by_another(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        result = original(self, key, *fetched)
        (jobs & key).delete_quick()
        schemas.schema.connection.query(
            f"INSERT INTO {jobs.full_table_name} ({', '.join(key)}, status, priority, host, pid) "
            f"VALUES ({', '.join(['%s'] * len(key))}, 'reserved', 5, 'elsewhere', 99)",
            args=tuple(key.values()),
        )
        return result

    with monkeypatch.context() as patch:
        patch.setattr(schemas.Clustering, "make_compute", made_by_another)
        summary = work([schemas.Clustering], max_calls=1, stop_when_idle=0.0)
    assert summary.done == 0
    assert "went to process 99 on elsewhere" in summary.failed[0]
    assert [(row["status"], row["pid"]) for row in jobs.reserved.to_dicts()] == [("reserved", 99)]
    assert len(jobs.errors) == 0
    assert len(schemas.Clustering & {"dataset": "small", "k": 7}) == 0


def test_an_interrupted_key_is_no_failure(queued: list[dict[str, Any]]) -> None:
    jobs = schemas.Clustering.jobs
    assert jobs.reserve(queued[0])
    jobs.error(queued[0], "KeyboardInterrupt")
    with pytest.raises(ConfigError, match="8 of 8 members of study 'queued' are neither computed nor failed"):
        freeze_study("queued")
    assert sweep().freed == 1
    assert len(jobs.pending) == 8


def test_one_heartbeat_a_process(database: dict[str, str]) -> None:
    first = leases.start_heartbeat()
    assert leases.start_heartbeat() == first
    mine = schemas.WorkerLease & {"host_name": platform.node(), "process_id": os.getpid(), "ended": 0}
    assert len(mine) == 1
    assert sum(thread.name == "decortex-heartbeat" for thread in threading.enumerate()) == 1


def test_queries_hold_under_threads(lab: str) -> None:
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(3):
                assert len(queries.results(lab)) == 6
                assert queries.progress()[0]["done"] >= 2
        except BaseException as error:  # noqa: BLE001  (carried to the main thread)
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
