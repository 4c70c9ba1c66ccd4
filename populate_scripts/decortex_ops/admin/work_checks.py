"""What `decortex doctor` finds of scheduler, workers, queues and the last backup. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from decortex_ops.admin.health_check import Check, duration
from decortex_ops.admin.saved_backups import BACKUPS, newest_backup
from decortex_schemas import queries

# A key that waits longer while nothing runs is waited for in vain; one that waits a day is taken by no worker.
LONGEST_WAIT_SECONDS, LONGEST_TURN_SECONDS = 600, 24 * 3600
LONGEST_WITHOUT_BACKUP_DAYS = 8
Progress = list[dict[str, Any]]


def work_checks(database: str, role: str) -> Iterator[Check]:
    """Look at scheduler, workers, queues and the last backup; needs the connection of `connect_to_read`."""
    found = queries.watched()
    tables: Progress = found["tables"]
    waiting, running = (sum(row[name] for row in tables) for name in ("waiting", "running"))
    unfinished = [
        row["study"] for row in queries.studies() if row["frozen_at"] is None and row["done"] < row["members"]
    ]
    processes = queries.workers()
    yield _of_scheduler(processes, unfinished, waiting)
    yield _of_workers(processes, waiting)
    yield _of_waiting(tables, running)
    failed = {row["table"]: row["failed"] for row in tables if row["failed"]}
    if failed:
        listed = ", ".join(f"{n} of {table}" for table, n in failed.items())
        yield Check(
            "failed keys", False, listed, "`decortex errors --trace`; mend the cause, then `decortex retry`"
        )
    else:
        yield Check("failed keys", True, "none")
    yield _of_backup(database, sum(row["done"] for row in tables), role)


def _of_scheduler(processes: Progress, unfinished: list[str], waiting: int) -> Check:
    alive = [row for row in processes if row["program"] == "scheduler"]
    if alive:
        return Check("scheduler", True, _beats(alive))
    if unfinished or waiting:
        asked = f"study {unfinished[0]} is not complete" if unfinished else f"{waiting} keys wait"
        return Check(
            "scheduler", False, f"none runs, and {asked}", "start one: `decortex schedule --every 5`"
        )
    return Check("scheduler", True, "none runs; nothing is asked for that is not there")


def _of_workers(processes: Progress, waiting: int) -> Check:
    alive = [row for row in processes if row["program"] == "worker"]
    if alive:
        return Check("workers", True, _beats(alive))
    if waiting:
        return Check("workers", False, f"none runs, and {waiting} keys wait", "start some: `decortex work`")
    return Check("workers", True, "none runs; no key waits")


def _beats(alive: Progress) -> str:
    hosts = sorted({str(row["host_name"]) for row in alive})
    named = ", ".join(hosts[:3]) + (", ..." if len(hosts) > 3 else "")
    return f"{len(alive)} on {named}; last heartbeat {min(row['silent_seconds'] for row in alive):.0f} s ago"


def _of_waiting(tables: Progress, running: int) -> Check:
    name = "oldest waiting key"
    rows = [row for row in tables if row["oldest_waiting_seconds"] is not None]
    if not rows:
        return Check(name, True, "none waits")
    row = max(rows, key=lambda one: one["oldest_waiting_seconds"])
    seconds = row["oldest_waiting_seconds"]
    found = f"{duration(seconds)}, of {row['table']}"
    if seconds > LONGEST_WAIT_SECONDS and not running and not sum(one["rows_last_hour"] for one in tables):
        return Check(name, False, f"{found}; nothing is computed", "start workers: `decortex work`")
    if seconds > LONGEST_TURN_SECONDS and not row["running"] and not row["rows_last_hour"]:
        return Check(
            name,
            False,
            f"{found}; no worker takes this table",
            "does any worker have the memory, the GPU and no other --tables? (`decortex work --log json` says)",
        )
    return Check(name, True, found)


def _of_backup(database: str, done: int, role: str) -> Check:
    name, folder = "last backup", os.environ.get(BACKUPS)
    found = newest_backup(database) if folder else None
    if found is None and not done:
        return Check(name, True, "none; nothing is computed yet")
    if not folder and role in ("viewer", "worker", "author"):
        return Check(name, None, f"{BACKUPS} names no folder: an administrator knows")
    if found is None:
        missing = f"none of {database!r} in {folder}" if folder else f"{BACKUPS} names no folder of backups"
        todo = f"`decortex db backup FOLDER/DATE` every week, with {BACKUPS}=FOLDER here"
        return Check(name, False, missing, todo)
    age = (datetime.now(timezone.utc) - found.taken_at).total_seconds()
    told = f"{found.folder}, {duration(max(age, 0))} ago"
    if found.incomplete:
        told += f"; {found.incomplete} files are not in it"
        return Check(name, False, told, "`decortex verify` names them; then take another")
    if age > LONGEST_WITHOUT_BACKUP_DAYS * 86400:
        return Check(name, False, told, "take another: `decortex db backup FOLDER/DATE`")
    return Check(name, True, told)
