"""Digests of all table definitions, and the file that records them. Run as a module, it brings the file up to date.

A database keeps the digests that it was declared with, beside its version (`decortex_schemas.database.versions`). The
file ``definitions.json`` keeps those of this code, so that a definition that changes without a migration is seen: a
test compares them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from decortex.errors import ConfigError

RECORD = Path(__file__).with_name("definitions.json")
COMMAND = "python -m decortex_schemas.database.definitions"
# A comment begins at a # that stands in no quoted default.
_QUOTED_OR_COMMENT = re.compile(r"\"[^\"]*\"|'[^']*'|#.*")


def normal_form(definition: str) -> str:
    r"""What of a definition decides the table: its lines without comments, blank lines and spaces that say nothing.

    Parameters
    ----------
    definition : str
        As DataJoint reads it.

    Examples
    --------
    >>> normal_form("# Cells\ncell : int32  # its number\n---\nname = '#1' : varchar(8)\n")
    "cell : int32\n---\nname = '#1' : varchar(8)"
    """
    lines = []
    for line in definition.splitlines():
        bare = _QUOTED_OR_COMMENT.sub(lambda part: "" if part[0].startswith("#") else part[0], line)
        bare = re.sub(r"^-{3,}$", "---", " ".join(bare.split()))
        if bare:
            lines.append(bare)
    return "\n".join(lines)


def definition_digests(tables: Iterable[type[Any]]) -> dict[str, str]:
    """Sha256 of every table's definition, by the name of its class; parts as ``Master.Part``.

    The comments of a definition and the order of the tables say nothing about what is stored, and do not count; how the
    rows are stored (``row_format_kb``) does.

    Parameters
    ----------
    tables : iterable of type
        As `decortex_schemas.database.schema.table_classes` gives them.
    """
    found = {}
    for table in tables:
        content = [normal_form(table.definition), getattr(table, "row_format_kb", None)]
        found[table.__qualname__] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return dict(sorted(found.items()))


def combined_digest(digests: Mapping[str, str]) -> str:
    """One sha256 over the digests of all tables."""
    return hashlib.sha256(json.dumps(dict(sorted(digests.items()))).encode()).hexdigest()


def differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    """Which tables are ``new``, ``gone`` and ``changed`` in ``now`` against ``recorded``, by name."""
    return {
        "new": sorted(now.keys() - recorded.keys()),
        "gone": sorted(recorded.keys() - now.keys()),
        "changed": sorted(name for name in now.keys() & recorded.keys() if now[name] != recorded[name]),
    }


def told(found: Mapping[str, list[str]]) -> str:
    """Name differing tables in words: ``changed: A, B; new: C``."""
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in found.items() if names)


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
    from decortex_schemas.database.schema import table_classes  # noqa: PLC0415  (it reads this module)
    from decortex_schemas.database.versions import SCHEMA_VERSION  # noqa: PLC0415

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
