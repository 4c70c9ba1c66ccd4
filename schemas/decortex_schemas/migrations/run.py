"""Running migrations one step after the other: what is left to do, doing it, and keeping what is done."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from datajoint.declare import declare  # type: ignore[import-untyped]

from decortex.errors import DatabaseError, OperationError
from decortex_schemas.database import (
    LEASE_SECONDS,
    OLDEST_VERSION,
    SCHEMA_VERSION,
    VERSION_TABLE,
    UpgradeStep,
    declare_everything,
    declared_version,
    declaring,
)
from decortex_schemas.migrations.step import Migration, OldTables, Step

_STEPS = "upgrade_step"
OnStep = Callable[[Migration, Step], None]


@dataclass(frozen=True)
class Plan:
    """What an upgrade has to do.

    Attributes
    ----------
    from_version, to_version : int
        Of the table definitions.
    steps : list of (Migration, Step)
        That are not done, in order.
    done : int
        Steps that an interrupted upgrade finished.
    backup : str
        Folder of the backup that the interrupted upgrade took; empty where none was begun.
    """

    from_version: int
    to_version: int
    steps: list[tuple[Migration, Step]]
    done: int
    backup: str

    @property
    def begun(self) -> bool:
        """Whether an upgrade was begun and not finished."""
        return bool(self.backup)


def migrations() -> list[Migration]:
    """Every migration, oldest first: the module ``to_version_N`` of each version."""
    package = __name__.rpartition(".")[0]
    return [
        importlib.import_module(f"{package}.to_version_{number}").MIGRATION
        for number in range(OLDEST_VERSION + 1, SCHEMA_VERSION + 1)
    ]


def plan_upgrade(connection: Any, database: str) -> Plan | None:
    """What an upgrade of a database has to do; None where its tables are of this version. Changes nothing.

    Raises
    ------
    DatabaseError
        If the database holds no tables, or tables that no migration begins at.
    """
    declared = declared_version(connection, database)
    if declared is None:
        raise DatabaseError(
            f"database {database!r} holds no tables of decortex: `decortex init` declares them."
        )
    if declared.version > SCHEMA_VERSION or declared.version < OLDEST_VERSION:
        raise DatabaseError(
            f"the tables in database {database!r} are of schema version {declared.version}; this decortex upgrades "
            f"versions {OLDEST_VERSION} to {SCHEMA_VERSION - 1}. Install the decortex that made them, or a newer one."
        )
    if declared.version == SCHEMA_VERSION and declared.definitions is not None:
        return None
    old = OldTables(connection, database)
    # The row of the version that an upgrade began at stays until it is finished.
    rows = [int(row[0]) for row in old.query(f"SELECT version FROM {old.name(VERSION_TABLE)}").fetchall()]
    begins = min(rows)
    if begins == SCHEMA_VERSION:
        begins -= 1  # declared before the release, without digests: what its migration adds may be missing
    finished: dict[tuple[int, str], str] = {}
    if len(rows) > 1 and old.tables(_STEPS):
        for to_version, step, backup in old.query(
            f"SELECT to_version, step, backup FROM {old.name(_STEPS)} WHERE from_version = %s ORDER BY finished_at",
            begins,
        ).fetchall():
            finished[int(to_version), str(step)] = str(backup)
    wanted = [(one, step) for one in migrations() if one.to_version > begins for step in one.steps]
    left = [(one, step) for one, step in wanted if (one.to_version, step.name) not in finished]
    backups = list(finished.values())
    return Plan(begins, SCHEMA_VERSION, left, len(wanted) - len(left), backups[-1] if backups else "")


def living_processes(connection: Any, database: str) -> list[str]:
    """Processes whose lease lives, as ``host:pid``: workers, schedulers, notebooks that compute."""
    rows = connection.query(
        f"SELECT host_name, process_id FROM `{database}`.`worker_lease` WHERE ended = 0 AND "
        f"last_seen > CURRENT_TIMESTAMP(3) - INTERVAL {LEASE_SECONDS:d} SECOND ORDER BY 1, 2"
    ).fetchall()
    return [f"{host}:{pid}" for host, pid in rows]


def refuse_living(connection: Any, database: str) -> None:
    """Refuse an upgrade while a process may compute.

    Raises
    ------
    OperationError
        If a lease lives; the message names the processes.
    """
    living = living_processes(connection, database)
    if living:
        raise OperationError(
            f"{len(living)} processes may still compute in database {database!r} ({', '.join(living)}): stop "
            "workers and "
            f"schedulers (SIGTERM), and try again; one that was killed is forgotten after {LEASE_SECONDS} s."
        )


def upgrade(
    connection: Any, database: str, *, backup: str, on_step: OnStep = lambda migration, step: None
) -> Plan | None:
    """Do what is left of an upgrade, declare the tables that are new, and record the version last.

    MySQL cannot take a change of a table back; so every finished step is kept, and an upgrade that was interrupted goes
    on where it was. Meanwhile every other command of any version refuses the database.

    Parameters
    ----------
    connection : datajoint.Connection
        Of a user who may alter and declare tables; no table is bound to it yet.
    database : str
        Its name.
    backup : str
        Folder of the backup that was taken before; kept with every step.
    on_step : callable
        Takes every step before it is begun.

    Returns
    -------
    Plan or None
        What was done; None where nothing was left to do.

    Raises
    ------
    DatabaseError
        If no migration begins at its version.
    OperationError
        If a process may still compute.
    """
    with declaring(connection, database):
        plan = plan_upgrade(connection, database)
        if plan is None:
            return None
        refuse_living(connection, database)
        old = OldTables(connection, database)
        _begin(old)
        for migration, step in plan.steps:
            on_step(migration, step)
            started = time.monotonic()
            step.run(old)
            old.query(
                f"REPLACE INTO {old.name(_STEPS)} (to_version, step, from_version, backup, decortex_version, "
                "db_user, "
                "seconds) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                migration.to_version,
                step.name,
                plan.from_version,
                backup,
                version("decortex"),
                connection.get_user(),
                time.monotonic() - started,
            )
        declare_everything(connection, upgraded=True)
    return plan


def _begin(old: OldTables) -> None:
    """Make room for what is kept, and mark the database: neither this code nor an older one takes it for whole."""
    if not old.tables(_STEPS):
        old.query(str(declare(old.name(_STEPS), UpgradeStep.definition, {}, old.adapter)[0]))
    table = old.name(VERSION_TABLE)
    if "definitions" not in old.columns(VERSION_TABLE):
        old.query(
            f"ALTER TABLE {table} ADD COLUMN definitions_sha256 char(64) NOT NULL DEFAULT '' COMMENT "
            "':char(64):over those "
            "of all tables; empty while an upgrade is under way', ADD COLUMN definitions json NULL COMMENT "
            "':json:sha256 of every table''s definition, by the name of its class'"
        )
    old.query(
        f"INSERT INTO {table} (version, definitions_sha256) VALUES (%s, '') "
        "ON DUPLICATE KEY UPDATE definitions_sha256 = '', definitions = NULL",
        SCHEMA_VERSION,
    )
