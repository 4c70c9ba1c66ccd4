"""The file that records the digests of all table definitions. Run as a module, it brings the file up to date.

``definitions.json`` keeps the digests of this code, so that a definition that changes without a migration is seen: a
test compares them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.database.digests import combined_digest, definition_digests, differences, told
from decortex_schemas.database.schema import table_classes
from decortex_schemas.database.versions import SCHEMA_VERSION

RECORD = Path(__file__).with_name("definitions.json")
COMMAND = "python -m decortex_schemas.database.definitions"


def recorded_definitions() -> dict[str, Any]:
    """The record: ``schema_version``, ``released`` (whether any lab may hold it), ``sha256`` and ``tables``."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def unrecorded_change(record: Mapping[str, Any], version: int, digests: Mapping[str, str]) -> str | None:
    """Say what must be done about definitions that are not the recorded ones; None where they are.

    Parameters
    ----------
    record : mapping
        As `recorded_definitions` gives it.
    version : int
        ``SCHEMA_VERSION`` of this code.
    digests : mapping
        Of this code's definitions.
    """
    found = told(differences(record["tables"], digests))
    if not found and record["schema_version"] == version:
        return None
    if record["schema_version"] == version and record["released"]:
        return (
            f"definitions changed ({found}), and schema version {version} is released: raise SCHEMA_VERSION to "
            f"{version + 1}, write the migration decortex_schemas/migrations/to_version_{version + 1}.py that brings "
            f"the tables of version {version} there, and then run `{COMMAND}`."
        )
    what = found or f"the record is of schema version {record['schema_version']}"
    return (
        f"definitions changed ({what}): see to it that "
        f"decortex_schemas/migrations/to_version_{version}.py brings older tables there too, then run `{COMMAND}`."
    )


def write_record(*, release: bool = False) -> Path:
    """Record this code's definitions; refused where they changed though their version is released.

    Parameters
    ----------
    release : bool
        Mark the version as released: from then on a change takes a new version and a migration.

    Raises
    ------
    ConfigError
        If the recorded version is released and another definition goes by its number.
    """
    digests = definition_digests(table_classes())
    record = (
        recorded_definitions() if RECORD.exists() else {"schema_version": 0, "released": False, "tables": {}}
    )
    same = record["schema_version"] == SCHEMA_VERSION
    if same and record["released"]:
        fault = unrecorded_change(record, SCHEMA_VERSION, digests)
        if fault:
            raise ConfigError(fault)
    content = {
        "schema_version": SCHEMA_VERSION,
        "released": release or (same and record["released"]),
        "sha256": combined_digest(digests),
        "tables": digests,
    }
    RECORD.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return RECORD


if __name__ == "__main__":
    try:
        sys.stdout.write(f"recorded in {write_record(release='--release' in sys.argv[1:])}\n")
    except ConfigError as error:
        sys.exit(f"error: {error}")
