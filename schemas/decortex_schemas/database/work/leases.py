"""Leases: which processes may hold reservations, kept alive by a heartbeat. Freeing them is the scheduler's."""

from __future__ import annotations

import atexit
import os
import platform
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import datajoint as dj
import pymysql
from datajoint.jobs import Job  # type: ignore[import-untyped]

from decortex.errors import OperationError
from decortex_schemas.database.schema import queue_of, schema
from decortex_schemas.database.server import driver_arguments

HEARTBEAT_SECONDS = 10.0
# The queues' column that names the lease of a reservation: `version` of DataJoint, which keeps no version of ours.
# Host and number of a process do not tell two apart that run in containers of one name. Reservations by a process
# that does not know of leases leave it empty; they are told by host and number.
_LEASE = "version"
_NO_LEASE = f"CHAR_LENGTH({_LEASE}) != 32"
# A server that accepts and never answers must not hold a thread for ever.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 10, "write_timeout": 10}
# Errors of keys whose process was told to stop: nothing is wrong with the key.
INTERRUPTED = "error_message LIKE 'SystemExit%%' OR error_message LIKE 'KeyboardInterrupt%%'"
LEASE_SECONDS = 60
# After a start of the server, every living process has beaten again within this time.
MINIMUM_UPTIME = 30
# More than this between two looks at the server's clock and ours: one of them was set.
STEP_SECONDS = 5.0


@schema
class WorkerLease(dj.Manual):
    """One row per process that may reserve keys; ``last_seen`` is written by the server's clock."""

    definition = """
    # A process that may hold reservations
    lease_id : char(32)
    ---
    host_name : varchar(255)
    process_id : int32
    started_at : datetime(3)
    last_seen : datetime(3)
    ended = 0 : bool
    program = '' : varchar(16)       # worker or scheduler; empty: another one, a notebook for example
    index (host_name, process_id)
    """


class _Heartbeat:
    """A thread with a connection of its own that says every few seconds that this process lives."""

    def __init__(self, info: dict[str, Any], table: str) -> None:
        self.lease_id = uuid.uuid4().hex
        self.program = ""
        self._table = table
        self._info = info
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decortex-heartbeat", daemon=True)

    def start(self) -> None:
        self.beat()
        self._thread.start()
        atexit.register(self.end)

    def end(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        try:
            self._write(f"UPDATE {self._table} SET ended = 1 WHERE lease_id = %s", (self.lease_id,))
        except pymysql.MySQLError:
            return  # the server is gone; the lease runs out by itself

    def _run(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self.beat()
            except pymysql.MySQLError:
                continue  # a lost connection is tried again at the next beat; the lease bears six misses

    def beat(self) -> None:
        """Say that this process lives; a lease that was forgotten in a day of silence is there again."""
        self._write(
            f"INSERT INTO {self._table} (lease_id, host_name, process_id, started_at, last_seen, program) "
            "VALUES (%s, %s, %s, CURRENT_TIMESTAMP(3), CURRENT_TIMESTAMP(3), %s) "
            "ON DUPLICATE KEY UPDATE last_seen = CURRENT_TIMESTAMP(3), program = VALUES(program)",
            (self.lease_id, platform.node(), os.getpid(), self.program),
        )

    def _write(self, sql: str, args: tuple[Any, ...]) -> None:
        with (
            pymysql.connect(**self._info, autocommit=True) as link,
            link.cursor() as cursor,
        ):
            cursor.execute(sql, args)


_running: dict[int, _Heartbeat] = {}


def start_heartbeat() -> str:
    """Register this process and keep its lease alive; returns the lease's id. Calling it again is free."""
    beat = _running.get(os.getpid())
    if beat is None:
        beat = _Heartbeat(connection_info(), WorkerLease().full_table_name)
        beat.start()
        _running[os.getpid()] = beat
        Job.reserve = _reserve_in_populate
    return beat.lease_id


def say_program(program: Literal["worker", "scheduler"]) -> None:
    """Say in this process's lease what it is; monitors tell by it whether a scheduler and workers live."""
    start_heartbeat()
    beat = _running[os.getpid()]
    if beat.program != program:
        beat.program = program
        with suppress(pymysql.MySQLError):  # the next beat says it
            beat.beat()


def end_heartbeat() -> None:
    """End this process's lease, if it has one."""
    beat = _running.pop(os.getpid(), None)
    if beat is not None:
        beat.end()


def reserve(table: dj.Computed, key: dict[str, Any], *, again: bool = True) -> bool:
    """Take a pending key in the name of this process's lease; returns whether this process has it now.

    Parameters
    ----------
    table : Computed
        Whose queue.
    key : dict
        Primary key.
    again : bool
        Whether a key that this process has already is taken once more, for a statement whose answer was lost with its
        connection.
    """
    where, values = _is_key(table, key)
    jobs, lease = table.jobs, start_heartbeat()
    mine = f" OR (status = 'reserved' AND {_LEASE} = %s)" if again else ""
    taken = table.connection.query(
        f"UPDATE {jobs.full_table_name} SET status = 'reserved', host = %s, pid = %s, connection_id = %s, user = %s, "
        f"{_LEASE} = %s, reserved_time = CURRENT_TIMESTAMP(3) WHERE {where} AND ((status = 'pending' AND "
        f"scheduled_time <= CURRENT_TIMESTAMP(3)){mine})",
        args=(
            *(
                platform.node(),
                os.getpid(),
                table.connection.connection_id,
                table.connection.get_user(),
                lease,
            ),
            *values,
            *([lease] if again else []),
        ),
    )
    # MySQL counts rows that change: taken again within the same millisecond, none does.
    return bool(taken.rowcount) or (again and holds(table, key))


_reserve_by_process = Job.reserve


def _reserve_in_populate(jobs: Job, key: dict[str, Any]) -> bool:
    """What DataJoint's ``populate(reserve_jobs=True)`` calls to take a key; our tables are taken by lease."""
    if jobs.database != schema.database:
        return bool(_reserve_by_process(jobs, key))
    return reserve(jobs.target, key, again=False)


def holds(table: dj.Computed, key: dict[str, Any]) -> bool:
    """Whether this process has the reservation of a key."""
    where, values = _is_key(table, key)
    mine, me = _mine()
    row = table.connection.query(
        f"SELECT COUNT(*) FROM {table.jobs.full_table_name} WHERE {where} AND status = 'reserved' AND {mine}",
        args=(*values, *me),
    ).fetchone()
    return bool(row[0])


_keep_error_of_any = Job.error


def _keep_error(jobs: Job, key: dict[str, Any], error_message: str, error_stack: str | None = None) -> None:
    """Keep a key's error if this process still holds the key; else another one has it, or has made it.

    DataJoint's own update ends the worker where the queue entry is gone, and would mark another process's
    reservation.
    """
    if jobs.database != schema.database or holds(jobs.target, key):
        _keep_error_of_any(jobs, key, error_message, error_stack)


Job.error = _keep_error


def complete(table: dj.Computed, key: dict[str, Any]) -> None:
    """Take a key that is in the table from the queue, unless another process has reserved it meanwhile."""
    where, values = _is_key(table, key)
    mine, me = _mine()
    table.connection.query(
        f"DELETE FROM {table.jobs.full_table_name} WHERE {where} AND (status = 'pending' OR (status = 'reserved' "
        f"AND {mine}))",
        args=(*values, *me),
    )


def _is_key(table: dj.Computed, key: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Condition in SQL that a queue's row is of this key, and its values."""
    names = [name for name in table.jobs.primary_key if name in key]
    return " AND ".join(f"`{name}` = %s" for name in names), tuple(key[name] for name in names)


def _mine() -> tuple[str, tuple[Any, ...]]:
    """Condition in SQL that a reservation is this process's, and its values."""
    beat = _running.get(os.getpid())
    return (
        f"({_LEASE} = %s OR ({_NO_LEASE} AND host = %s AND pid = %s))",
        ("none" if beat is None else beat.lease_id, platform.node(), os.getpid()),
    )


def confirm_reservation(table: dj.Computed, key: dict[str, Any]) -> None:
    """Refuse to insert a key whose reservation meanwhile went to another process.

    Called first in every ``make_insert``, inside its transaction: the job's row stays locked until the
    result is committed. A key that nobody reserved (a direct ``populate()``) passes; the primary key
    guards it.

    Raises
    ------
    OperationError
        If another process holds the key now. Nothing is lost: that process computes the same row.
    """
    where, values = _is_key(table, key)
    mine, me = _mine()
    row = table.connection.query(
        f"SELECT status, host, pid, {mine} FROM {table.jobs.full_table_name} WHERE {where} FOR UPDATE",
        args=(*me, *values),
    ).fetchone()
    if row is not None and row[0] == "reserved" and not row[3]:
        raise OperationError(
            f"the reservation of {dict(key)} in {table.table_name} went to process {row[2]} on {row[1]} while "
            "this one was silent for longer than its lease; the late result is dropped."
        )


class _ServerClock:
    """Whether the server's clock runs as ours does; leases are counted on it, and a step would end them all."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._stepped: float | None = None

    def is_steady(self, server_seconds: float) -> bool:
        """Whether the clock has not been set lately; call it at every round."""
        now = time.monotonic()
        offset = server_seconds - now
        if self._offset is not None and abs(offset - self._offset) > STEP_SECONDS:
            self._stepped = now
        self._offset = offset
        return self._stepped is None or now - self._stepped > MINIMUM_UPTIME


_clock = _ServerClock()


def leases_can_be_trusted() -> bool:
    """Whether a stale lease means a dead process.

    It does not just after the server was away, or its clock was set: then every lease is stale, until its process
    has beaten again.
    """
    connection = schema.connection
    uptime = int(connection.query("SHOW GLOBAL STATUS LIKE 'Uptime'").fetchone()[1])
    seconds = connection.query("SELECT UNIX_TIMESTAMP(CURRENT_TIMESTAMP(3))").fetchone()[0]
    own = _running.get(os.getpid())
    if not _clock.is_steady(float(seconds)) or uptime < MINIMUM_UPTIME or own is None:
        return False
    age = connection.query(
        f"SELECT TIMESTAMPDIFF(SECOND, last_seen, CURRENT_TIMESTAMP(3)) FROM {WorkerLease().full_table_name} "
        "WHERE lease_id = %s",
        args=(own.lease_id,),
    ).fetchone()
    return age is not None and 0 <= int(age[0]) < 2 * HEARTBEAT_SECONDS


def tables_to_free(tables: Sequence[type[dj.Computed]]) -> list[type[dj.Computed]]:
    """Tables in whose queues keys are reserved, or were interrupted; one statement for all."""
    question = " UNION ALL ".join(
        f"SELECT {i}, EXISTS (SELECT 1 FROM {queue_of(table).full_table_name} WHERE status = 'reserved') OR EXISTS "
        f"(SELECT 1 FROM {queue_of(table).full_table_name} WHERE status = 'error' AND ({INTERRUPTED}))"
        for i, table in enumerate(tables)
    )
    rows = schema.connection.query(question, args=()).fetchall() if tables else []
    return [tables[int(i)] for i, some in rows if some]


def free_dead_reservations(table: type[dj.Computed]) -> int:
    """Hand back the keys that are reserved by a process without a living lease; returns how many.

    A lease lives if it was seen within the last minute by the server's clock and has not ended. A reservation that
    names no lease is of a process by host and number, whose lease must have begun before it (a new process may carry
    a dead one's number). A key whose row is locked, because its process stopped in the middle of an insert, is left
    until the server has ended that transaction.
    """
    queue = queue_of(table)
    dead = (
        f"FROM {queue.full_table_name} AS j WHERE j.status = 'reserved' AND NOT EXISTS ("
        f"SELECT 1 FROM {WorkerLease().full_table_name} AS w WHERE (w.lease_id = j.{_LEASE} OR ({_NO_LEASE} AND "
        "w.host_name = j.host AND w.process_id = j.pid AND w.started_at <= j.reserved_time)) AND w.ended = 0 "
        f"AND w.last_seen > CURRENT_TIMESTAMP(3) - INTERVAL {LEASE_SECONDS} SECOND)"
    )
    connection = schema.connection
    if not connection.query(f"SELECT COUNT(*) {dead}").fetchone()[0]:
        return 0
    names = ", ".join(f"j.`{name}`" for name in queue.primary_key)
    where = " AND ".join(f"`{name}` = %s" for name in queue.primary_key)
    freed = 0
    with connection.transaction:
        for values in connection.query(f"SELECT {names} {dead} FOR UPDATE OF j SKIP LOCKED").fetchall():
            updated = connection.query(
                f"UPDATE {queue.full_table_name} SET status = 'pending', scheduled_time = CURRENT_TIMESTAMP(3) "
                f"WHERE {where} AND status = 'reserved'",
                args=tuple(values),
            )
            freed += int(updated.rowcount)
    return freed


def requeue_errors(table: type[dj.Computed], condition: str, args: Sequence[Any] = ()) -> int:
    """Queue failed keys again whose queue entry meets a condition in SQL; returns how many."""
    updated = schema.connection.query(
        f"UPDATE {queue_of(table).full_table_name} SET status = 'pending', error_message = '', "
        "error_stack = NULL, scheduled_time = CURRENT_TIMESTAMP(3), completed_time = NULL "
        f"WHERE status = 'error' AND ({condition})",
        args=tuple(args),
    )
    return int(updated.rowcount)


def forget_old_leases() -> None:
    """Delete the leases that ended or ran out more than a day ago."""
    schema.connection.query(
        f"DELETE FROM {WorkerLease().full_table_name} WHERE last_seen < CURRENT_TIMESTAMP(3) - INTERVAL 1 DAY"
    )


def hand_back(queues: Sequence[str]) -> int:
    """Hand back every key that this process holds or was interrupted in; returns how many.

    Works on a connection of its own, because the interruption may have cut the shared one in mid-sentence.

    Parameters
    ----------
    queues : sequence of str
        Full names of the jobs tables.
    """
    handed = 0
    mine, me = _mine()
    with (
        pymysql.connect(**connection_info(), autocommit=True) as link,
        link.cursor() as cursor,
    ):
        for queue in queues:
            handed += cursor.execute(
                f"UPDATE {queue} SET status = 'pending', error_message = '', error_stack = NULL, "
                f"completed_time = NULL WHERE {mine} AND (status = 'reserved' "
                "OR (status = 'error' AND error_message LIKE 'SystemExit%%'))",
                me,
            )
    return handed


def connection_info() -> dict[str, Any]:
    """What pymysql needs to open another connection to the same server as the same user."""
    info = schema.connection.conn_info
    return {
        "host": info["host"],
        "port": info["port"],
        "user": info["user"],
        "password": info["passwd"],
        **driver_arguments(info["ssl_input"]),
        **TIMEOUTS,
    }
