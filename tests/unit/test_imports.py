"""What a command loads: help and reading commands must not wait for libraries that only computing needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "plotly", "openTSNE")
# DataJoint itself imports pandas and networkx; who loads DataJoint cannot avoid them.
READING = """
import json, sys
from decortex_schemas.database import load_tables
import decortex_schemas.queries as queries
for name in queries.__all__:
    getattr(queries, name)
load_tables()
print(json.dumps(sorted(sys.modules)))
"""
COMMANDS = """
import json, sys
import decortex_ops.cli, decortex
print(json.dumps(sorted(sys.modules)))
"""


def loaded(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    ("program", "never"), [(COMMANDS, (*HEAVY, "pandas", "datajoint", "pydantic")), (READING, HEAVY)]
)
def test_neither_help_nor_reading_loads_what_only_computing_needs(
    program: str, never: tuple[str, ...]
) -> None:
    found = loaded(program)
    assert "decortex" in found
    assert not found & set(never)
