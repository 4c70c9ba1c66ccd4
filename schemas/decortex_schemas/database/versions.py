"""Which version of the table definitions a database holds, and what to do where it is not this code's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decortex.errors import DatabaseError
from decortex_schemas.database.digests import combined_digest, differences, told

# Raised whenever a released version's definitions change; decortex_schemas/migrations brings older databases there.
SCHEMA_VERSION = 3
# The oldest version that a migration begins at.
OLDEST_VERSION = 2
VERSION_TABLE = "#schema_version"


@dataclass(frozen=True)
class Declared:
    """What a database says of its tables.

    Attributes
    ----------
    version : int
        Of the definitions.
    definitions : dict of str to str or None
        Digest of every definition, by the name of its class; None where an upgrade is under way or was interrupted, or
        the tables were declared before digests were kept.
    """

    version: int
    definitions: dict[str, str] | None


def declared_version(connection: Any, database: str) -> Declared | None:
    """What a database's tables are; None where no declaration was finished (it is recorded last).

    Parameters
    ----------
    connection : datajoint.Connection
        Of any user who may read.
    database : str
        Its name.
    """
    names = [
        str(row[0])
        for row in connection.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            args=(database, VERSION_TABLE),
        ).fetchall()
    ]
    if not names:
        return None
    kept = ", definitions" if "definitions" in names else ", NULL"
    row = connection.query(
        f"SELECT version{kept} FROM `{database}`.`{VERSION_TABLE}` ORDER BY version DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    known = json.loads(row[1]) if row[1] else None
    return Declared(int(row[0]), known or None)


def record_version(connection: Any, database: str, digests: Mapping[str, str]) -> None:
    """Record that this code's definitions are declared, all of them; in place of what was recorded.

    Nothing is written where that is recorded already: a backup holds the row meanwhile.
    """
    declared = declared_version(connection, database)
    if declared == Declared(SCHEMA_VERSION, dict(digests)):
        return
    values = [combined_digest(digests), json.dumps(dict(digests))]
    connection.query(
        f"INSERT INTO `{database}`.`{VERSION_TABLE}` (version, definitions_sha256, definitions) VALUES (%s, %s, %s) "
        "ON DUPLICATE KEY UPDATE definitions_sha256 = %s, definitions = %s",
        args=(SCHEMA_VERSION, *values, *values),
    )
    connection.query(f"DELETE FROM `{database}`.`{VERSION_TABLE}` WHERE version <> {SCHEMA_VERSION:d}")


def version_fault(
    declared: Declared | None, database: str, digests: Mapping[str, str], *, to_declare: bool = False
) -> str | None:
    """Say why this code may not use a database's tables, and what to do; None where it may.

    Parameters
    ----------
    declared : Declared or None
        What the database says. One without a finished declaration passes.
    database : str
        Its name.
    digests : mapping
        Of this code's definitions.
    to_declare : bool
        Whether tables that are missing are about to be declared.
    """
    if declared is None:
        return None
    if declared.version > SCHEMA_VERSION:
        return (
            f"the tables in database {database!r} are of schema version {declared.version}, this decortex needs "
            f"{SCHEMA_VERSION}: install the decortex that made them, or a newer one."
        )
    if declared.version < SCHEMA_VERSION or declared.definitions is None:
        return _older(declared, database)
    found = differences(declared.definitions, digests)
    if found["changed"] or found["gone"]:
        return (
            f"the tables in database {database!r} are of schema version {declared.version}, as this decortex "
            "needs, but "
            f"declared with other definitions ({told({**found, 'new': []})}): another build of decortex made them. "
            "Install that one, or set DECORTEX_DATABASE to a new database."
        )
    if found["new"] and not to_declare:
        return (
            f"database {database!r} lacks tables of this decortex ({', '.join(found['new'])}): run `decortex "
            "init` as an "
            "administrator, then `decortex db grant` to anybody, which renews the roles' rights."
        )
    return None


def _older(declared: Declared, database: str) -> str:
    if declared.version < OLDEST_VERSION:
        return (
            f"the tables in database {database!r} are of schema version {declared.version}, this decortex needs "
            f"{SCHEMA_VERSION}, and upgrades begin at {OLDEST_VERSION}: install the decortex that made them, or set "
            "DECORTEX_DATABASE to a new database."
        )
    what = (
        f"are of schema version {declared.version}, this decortex needs {SCHEMA_VERSION}"
        if declared.version < SCHEMA_VERSION
        else f"are of schema version {declared.version}, but an upgrade to it is not finished (or they were declared "
        "before releases kept digests of their definitions)"
    )
    return (
        f"the tables in database {database!r} {what}: an administrator runs `decortex db upgrade` (--dry-run "
        "says what it "
        "will do), or install the decortex that made them. docs/operations/backup.md has the steps."
    )


def refuse_other_version(
    connection: Any, database: str, digests: Mapping[str, str], *, to_declare: bool = False
) -> None:
    """Refuse tables that other definitions declared, before anything is read or declared.

    Raises
    ------
    DatabaseError
        What is wrong, and what to do; see `version_fault`.
    """
    fault = version_fault(declared_version(connection, database), database, digests, to_declare=to_declare)
    if fault is not None:
        raise DatabaseError(fault)
