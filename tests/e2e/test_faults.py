"""Faults, each with real processes: after it every key is made once, nothing is lost, nothing held, rows as without it.

`make faults` repeats each (REPEATS=20) and ends with a line per fault; `make test` runs each once.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_lab import FaultLab
from forked_commands import ForkedLab, Yard
from support.copies import Copies
from support.faults import FAULTS, REPEATS
from tiny_chain import declare_tiny

from decortex_ops.server import EmbeddedServer


@pytest.fixture(scope="module")
def fault_lab(
    yard: Yard, copies: Copies, fast_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultLab]:
    """A lab on a server of its own, computed once without a fault."""
    folder = tmp_path_factory.mktemp("faults")
    server = EmbeddedServer(home=fast_folder / "faults")
    found = server.start()
    environment = {
        **os.environ,
        "DJ_HOST": found.host,
        "DJ_PORT": str(found.port),
        "DJ_USER": found.user,
        "DJ_PASS": found.password,
        "DECORTEX_DATABASE": "faults",
        "DECORTEX_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
    }
    lab = ForkedLab(environment, folder, yard)
    try:
        copies.load("declared", lab, lambda one: one.run("init"))
        declare_tiny(lab)
        made = FaultLab(lab, server, random.Random(0))
        made.finish()
        made.remember()
        assert len(made.keys["Clustering"]) == 8
        made.check()
        yield made
    finally:
        server.stop()


@pytest.mark.parametrize("run", range(REPEATS))
@pytest.mark.parametrize("name", list(FAULTS))
def test_fault(
    fault_lab: FaultLab, name: str, run: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", name)
    fault_lab.rng.seed(f"{name} {run}")
    FAULTS[name](fault_lab)
    fault_lab.check()
