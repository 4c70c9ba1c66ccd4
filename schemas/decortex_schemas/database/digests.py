"""Digests of table definitions: what of a definition counts, one digest per table, and how two sets differ.

A database keeps the digests that it was declared with, beside its version (`decortex_schemas.database.versions`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

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
