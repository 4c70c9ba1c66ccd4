"""What a monitor asks: does the database answer, what waits, who beats, how much is there? Safe under threads."""

from __future__ import annotations

from typing import Any

import pymysql

from decortex_schemas.database import (
    Environment,
    WorkerLease,
    backend,
    connection_info,
    database_name,
    object_store,
    sealed_columns,
    store_folder,
    stored_file,
)
from decortex_schemas.queries.basis import name_of, queue_names, rows
from decortex_schemas.queries.operation.jobs import Row

# A probe that waits longer is an answer itself.
PING_SECONDS = 5


def ping() -> None:
    """Read the schema's version on a connection of its own.

    Raises
    ------
    pymysql.MySQLError
        If the server does not answer within seconds, refuses, or holds no tables.
    """
    bounded = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), PING_SECONDS)
    with pymysql.connect(**{**connection_info(), **bounded}) as link, link.cursor() as cursor:
        cursor.execute(f"SELECT MAX(version) FROM `{database_name()}`.`#schema_version`")


def watched() -> dict[str, Any]:
    """Numbers that are worth an alarm.

    Returns
    -------
    dict
        ``tables``: one row per computed table with ``table``, ``done``, ``waiting``, ``running``, ``failed``,
        ``rows_last_hour`` and ``oldest_waiting_seconds`` (None where nothing waits). ``processes`` with a living
        lease, ``heartbeat_age_seconds`` of the youngest lease (None where there never was one), ``database_bytes``,
        ``data_folder`` of the server, as it calls it.

    Examples
    --------
    >>> sorted(watched())    # doctest: +SKIP
    """
    tables = []
    for table, (own, queue) in queue_names().items():
        finished = "started_at + INTERVAL FLOOR(seconds) SECOND > UTC_TIMESTAMP() - INTERVAL 1 HOUR"
        done = rows(f"SELECT COUNT(*) AS n, COALESCE(SUM({finished}), 0) AS recent FROM {own}")[0]
        states = {
            row["status"]: row for row in rows(f"SELECT status, COUNT(*) AS n FROM {queue} GROUP BY status")
        }
        oldest = rows(
            "SELECT TIMESTAMPDIFF(SECOND, MIN(created_time), CURRENT_TIMESTAMP(3)) AS age "
            f"FROM {queue} WHERE status = 'pending'"
        )[0]["age"]
        tables.append(
            {
                "table": table,
                "done": int(done["n"]),
                "rows_last_hour": int(done["recent"]),
                **{
                    name: int(states[state]["n"]) if state in states else 0
                    for name, state in (("waiting", "pending"), ("running", "reserved"), ("failed", "error"))
                },
                "oldest_waiting_seconds": None if oldest is None else int(oldest),
            }
        )
    lease = name_of(WorkerLease)
    beat = rows(
        f"SELECT COALESCE(SUM(ended = 0 AND last_seen > CURRENT_TIMESTAMP(3) - INTERVAL 60 SECOND), 0) AS alive, "
        f"TIMESTAMPDIFF(MICROSECOND, MAX(last_seen), CURRENT_TIMESTAMP(3)) / 1e6 AS age FROM {lease}"
    )[0]
    size = rows(
        "SELECT COALESCE(SUM(data_length + index_length), 0) AS bytes FROM information_schema.tables "
        "WHERE table_schema = %s",
        (database_name(),),
    )[0]
    return {
        "tables": tables,
        "processes": int(beat["alive"]),
        "heartbeat_age_seconds": None if beat["age"] is None else float(beat["age"]),
        "database_bytes": int(size["bytes"]),
        "data_folder": str(rows("SELECT @@datadir AS folder")[0]["folder"]),
    }


def store_path() -> str | None:
    """Folder of the store; None where it is a bucket."""
    return None if object_store() else str(store_folder())


def schema_version() -> int:
    """Version of the tables that the database records.

    Examples
    --------
    >>> schema_version()    # doctest: +SKIP
    """
    return int(
        rows(f"SELECT MAX(version) AS version FROM `{database_name()}`.`#schema_version`")[0]["version"]
    )


def known_environments() -> list[Row]:
    """Environments that computed rows, the oldest first: ``env_id``, ``env_hash``, ``decortex_version``.

    Examples
    --------
    >>> known_environments()    # doctest: +SKIP
    """
    return rows(f"SELECT env_id, env_hash, decortex_version FROM {name_of(Environment)} ORDER BY env_id")


def lost_sample() -> str | None:
    """Look for one file of every table in the store; returns the first that is not there, None if all are.

    Raises
    ------
    OperationError
        If the store cannot be read.
    InputError
        If a row names no file of the store.
    """
    store = backend()
    for table, column in sealed_columns():
        found = rows(
            f"SELECT `{column}` AS record FROM {table.full_table_name} WHERE `{column}` IS NOT NULL LIMIT 1"
        )
        for row in found:
            path = stored_file(row["record"]).path
            if not store.exists(path):
                return path
    return None
