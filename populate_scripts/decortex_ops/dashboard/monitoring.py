"""What a machine watches: /health (200 or 503) and /metrics (Prometheus text). Read only, a few questions a scrape."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pymysql
from datajoint.errors import DataJointError

from decortex.errors import DecortexError
from decortex_schemas import queries
from decortex_schemas.database import refusal_of

Row = Mapping[str, Any]
LOST = (pymysql.MySQLError, DataJointError, DecortexError, OSError)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = {"waiting": "waiting", "running": "running", "failed": "failed", "done": "done"}
# Name, type and help of every metric; docs/operations/lab-server.md has the table.
METRICS = {
    "decortex_database_up": ("gauge", "1 if the database answers, else 0 and nothing below is known."),
    "decortex_keys": ("gauge", "Keys by table and state: waiting, running, failed, done."),
    "decortex_rows_last_hour": ("gauge", "Rows finished within the last hour, by table."),
    "decortex_processes": ("gauge", "Processes whose lease lives."),
    "decortex_heartbeat_age_seconds": (
        "gauge",
        "Seconds since any process last renewed its lease, ended ones too.",
    ),
    "decortex_oldest_waiting_seconds": ("gauge", "Seconds that the oldest waiting key has waited, by table."),
    "decortex_database_bytes": ("gauge", "Bytes of tables and indexes in the database."),
    "decortex_disk_free_bytes": (
        "gauge",
        "Bytes left on a disk: 'store', and 'database' where this machine has it.",
    ),
    "decortex_disk_bytes": ("gauge", "Size of that disk."),
}


def health() -> tuple[str, int]:
    """What /health answers, and its status: 503 where the database cannot be read."""
    try:
        queries.ping()
    except LOST as error:
        refusal = refusal_of(error)
        if refusal:
            return f"the database refused the dashboard's account: {refusal}\n", 503
        code = error.args[0] if error.args and isinstance(error.args[0], int) else ""
        return f"the database cannot be read ({type(error).__name__} {code})\n".replace(" )", ")"), 503
    return "ok\n", 200


def metrics() -> str:
    """Everything in Prometheus' text format."""
    try:
        found = queries.watched()
    except LOST:
        return _text({"decortex_database_up": [({}, 0)], **_disks({})})
    return _text(
        {
            "decortex_database_up": [({}, 1)],
            "decortex_keys": [
                ({"table": row["table"], "state": state}, row[name])
                for row in found["tables"]
                for state, name in _STATES.items()
            ],
            "decortex_rows_last_hour": [
                ({"table": row["table"]}, row["rows_last_hour"]) for row in found["tables"]
            ],
            "decortex_oldest_waiting_seconds": [
                ({"table": row["table"]}, row["oldest_waiting_seconds"])
                for row in found["tables"]
                if row["oldest_waiting_seconds"] is not None
            ],
            "decortex_processes": [({}, found["processes"])],
            "decortex_heartbeat_age_seconds": [
                ({}, age) for age in [found["heartbeat_age_seconds"]] if age is not None
            ],
            "decortex_database_bytes": [({}, found["database_bytes"])],
            **_disks(found),
        }
    )


def _disks(found: Row) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Free bytes and size of the disks that this machine sees."""
    usage = {}
    for name, folder in (("store", queries.store_path()), ("database", found.get("data_folder"))):
        if folder and Path(folder).is_dir():
            usage[name] = shutil.disk_usage(folder)
    return {
        "decortex_disk_free_bytes": [({"of": name}, one.free) for name, one in usage.items()],
        "decortex_disk_bytes": [({"of": name}, one.total) for name, one in usage.items()],
    }


def _text(values: Mapping[str, Iterable[tuple[Mapping[str, str], float]]]) -> str:
    lines = []
    for name, (kind, about) in METRICS.items():
        samples = [f"{name}{_labels(labels)} {value:.12g}" for labels, value in values.get(name, [])]
        if samples:
            lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return (
        "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}" if labels else ""
    )
