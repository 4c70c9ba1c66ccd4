"""Names of faults, how often each runs, and on which key it falls."""

from __future__ import annotations

import os
from collections.abc import Callable

from fault_lab import FaultLab

REPEATS = int(os.environ.get("REPEATS", "1"))
# How long the database is away; `make faults` takes half a minute.
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "1.5"))


Fault = Callable[[FaultLab], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Name a fault."""

    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


def some_key(lab: FaultLab) -> tuple[str, int]:
    """Draw a table that is computed, and which of its keys the fault falls on."""
    table = lab.rng.choice(["Embedding", "Clustering"])
    return table, lab.rng.randint(1, len(lab.keys[table]))
