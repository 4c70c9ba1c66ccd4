"""What is done, in work, waiting and failed, and who works? Read only and safe under threads, in few statements."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from decortex_schemas.database import LEASE_SECONDS, WorkerLease
from decortex_schemas.queries.basis import array, name_of, queue_names, rows

Row = dict[str, Any]
# Columns that DataJoint's jobs tables have beside the key of their table.
_QUEUE_COLUMNS = {
    "status",
    "priority",
    "created_time",
    "scheduled_time",
    "reserved_time",
    "completed_time",
    "duration",
    "error_message",
    "error_stack",
    "user",
    "host",
    "pid",
    "connection_id",
    "version",
}
MOST_FAILURES = 200
BINS = 48


def queue_state() -> list[Row]:
    """One row per computed table in chain order: ``done``, ``running``, ``failed``, ``waiting``, ``set_aside``.

    ``seconds_mean`` is the mean time of a row that is done, ``seconds_left`` that times what waits or runs.

    Examples
    --------
    >>> [(row["table"], row["waiting"]) for row in queue_state()]    # doctest: +SKIP
    """
    found = []
    for table, (own, queue) in queue_names().items():
        done = rows(f"SELECT COUNT(*) AS n, AVG(seconds) AS seconds FROM {own}")[0]
        states = {
            row["status"]: int(row["n"])
            for row in rows(f"SELECT status, COUNT(*) AS n FROM {queue} GROUP BY status")
        }
        open_keys = states.get("pending", 0) + states.get("reserved", 0)
        mean = None if done["seconds"] is None else float(done["seconds"])
        found.append(
            {
                "table": table,
                "done": int(done["n"]),
                "running": states.get("reserved", 0),
                "failed": states.get("error", 0),
                "waiting": states.get("pending", 0),
                "set_aside": states.get("ignore", 0),
                "seconds_mean": mean,
                "seconds_left": mean * open_keys if mean is not None else 0.0 if not open_keys else None,
            }
        )
    return found


def workers() -> list[Row]:
    """Processes with a living lease, by the server's clock, and what they hold: table, key, seconds, database user.

    ``program`` says what each is: 'worker', 'scheduler', or nothing for others.

    Examples
    --------
    >>> workers()    # doctest: +SKIP
    """
    alive = rows(
        "SELECT lease_id, host_name, process_id, program, started_at, "
        "TIMESTAMPDIFF(SECOND, started_at, CURRENT_TIMESTAMP(3)) AS up_seconds, "
        "TIMESTAMPDIFF(MICROSECOND, last_seen, CURRENT_TIMESTAMP(3)) / 1e6 AS silent_seconds "
        f"FROM {name_of(WorkerLease)} "
        "WHERE ended = 0 AND last_seen > CURRENT_TIMESTAMP(3) - INTERVAL %s SECOND "
        "ORDER BY host_name, process_id",
        (LEASE_SECONDS,),
    )
    held: dict[Any, list[Row]] = {}
    for table, (_, queue) in queue_names().items():
        for row in rows(
            "SELECT *, TIMESTAMPDIFF(SECOND, reserved_time, CURRENT_TIMESTAMP(3)) AS held_seconds "
            f"FROM {queue} WHERE status = 'reserved' LIMIT 1000"
        ):
            seconds = row.pop("held_seconds")
            # By lease; a process that does not know of leases is told by host and number.
            lease = row["version"] if len(row["version"]) == 32 else (row["host"], int(row["pid"]))
            user = str(row["user"]).partition("@")[0]
            held.setdefault(lease, []).append(
                {"table": table, "key": _key(row), "seconds": seconds, "user": user}
            )
    return [
        {
            **{name: value for name, value in row.items() if name != "lease_id"},
            "silent_seconds": float(row["silent_seconds"]),
            "holds": held.get(row["lease_id"], []) + held.get((row["host_name"], int(row["process_id"])), []),
        }
        for row in alive
    ]


def bin_seconds(hours: int) -> int:
    """Width of a time bin of `throughput`.

    Examples
    --------
    >>> bin_seconds(24)    # doctest: +SKIP
    """
    return max(60, hours * 3600 // BINS)


def throughput(*, hours: int) -> list[Row]:
    """Rows finished in the last hours: one row per table and time bin in which any was.

    Returns
    -------
    list of dict
        ``table``, ``start`` (UTC), ``n``.

    Examples
    --------
    >>> throughput(hours=24)    # doctest: +SKIP
    """
    width = bin_seconds(hours)
    origin = "CAST('2000-01-01' AS DATETIME)"
    finished = "started_at + INTERVAL FLOOR(seconds) SECOND"
    statements = [
        f"SELECT '{table}' AS `table`, {origin} + INTERVAL ({width} * FLOOR(TIMESTAMPDIFF(SECOND, {origin}, "
        f"{finished}) / {width})) SECOND AS start, COUNT(*) AS n FROM {own} "
        f"WHERE {finished} > UTC_TIMESTAMP() - INTERVAL {int(hours)} HOUR GROUP BY start"
        for table, (own, _) in queue_names().items()
    ]
    return [{**row, "n": int(row["n"])} for row in rows(" UNION ALL ".join(statements))]


def failures(table: str | None = None) -> list[Row]:
    """Keys that ended in an error, the latest first: table, key, message, traceback, when, where.

    Examples
    --------
    >>> failures("Clustering")    # doctest: +SKIP
    """
    found = []
    for name, (_, queue) in queue_names().items():
        if table not in (None, name):
            continue
        for row in rows(
            f"SELECT * FROM {queue} WHERE status = 'error' ORDER BY completed_time DESC LIMIT {MOST_FAILURES}"
        ):
            found.append(
                {
                    "table": name,
                    "key": _key(row),
                    "message": row["error_message"],
                    "traceback": array(row["error_stack"]) or "",
                    "when": row["completed_time"],
                    "user": row["user"],
                    "host_name": row["host"],
                    "process_id": row["pid"],
                }
            )
    return sorted(found, key=lambda row: str(row["when"]), reverse=True)[:MOST_FAILURES]


def _key(row: Row) -> Row:
    return {name: _plain(value) for name, value in row.items() if name not in _QUEUE_COLUMNS}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, (date, datetime)) else value
