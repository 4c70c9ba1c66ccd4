"""Upgrading a database's tables: refused while anybody computes, after a backup, step by step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from decortex.errors import ConfigError, OperationError
from decortex_ops.admin.backup import MANIFEST
from decortex_schemas.database import database_name
from decortex_schemas.migrations import OnStep, Plan, plan_upgrade, refuse_living, upgrade


def upgrade_with_backup(connection: Any, folder: Path | None, *, on_step: OnStep) -> Plan | None:
    """Take a backup, then bring the tables to this version; an upgrade that was interrupted goes on where it was.

    Parameters
    ----------
    connection : datajoint.Connection
        Of an administrator; no table is bound to it.
    folder : Path or None
        Where the backup goes; must not exist. An upgrade that was interrupted has its backup already.
    on_step : callable
        Takes every step before it is begun.

    Returns
    -------
    Plan or None
        What was done; None where the tables are of this version.

    Raises
    ------
    ConfigError
        If no folder is named and a backup is needed.
    OperationError
        If a process may still compute, or the backup fails. Nothing was changed then.
    """
    database = database_name()
    plan = plan_upgrade(connection, database)
    if plan is None:
        return None
    refuse_living(connection, database)
    if plan.begun:
        return upgrade(connection, database, backup=plan.backup, on_step=on_step)
    if folder is None:
        raise ConfigError(
            "MySQL takes no change of a table back, so a backup comes first: name a folder for it, which must "
            "not exist "
            "(--backup FOLDER)."
        )
    return upgrade(connection, database, backup=str(_backup(folder)), on_step=on_step)


def _backup(folder: Path) -> Path:
    """Save the database in a process of its own, which binds the older tables as they are."""
    folder = folder.expanduser().resolve()
    if folder.exists():
        raise ConfigError(f"{folder} exists already; a backup is a folder of its own.")
    done = subprocess.run(
        [sys.executable, "-m", "decortex_ops", "db", "backup", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Files that were damaged before are told and left out (exit status 1); all rows are saved then too.
    if not (folder / MANIFEST).exists():
        raise OperationError(f"the backup failed, nothing was upgraded: {done.stderr.strip()[-1000:]}")
    if done.returncode:
        sys.stderr.write(done.stderr)
    return folder
