"""What a command loads: help and reading commands must not wait for libraries that only computing needs."""

from __future__ import annotations

import json

import pytest
from programs import run_program

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "plotly", "openTSNE")
# DataJoint itself imports pandas and networkx; who loads DataJoint cannot avoid them.


def loaded(name: str) -> set[str]:
    done = run_program(name)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    ("name", "never"),
    [("loaded_by_commands", (*HEAVY, "pandas", "datajoint", "pydantic")), ("loaded_by_reading", HEAVY)],
)
def test_neither_help_nor_reading_loads_what_only_computing_needs(name: str, never: tuple[str, ...]) -> None:
    found = loaded(name)
    assert "decortex" in found
    assert not found & set(never)
