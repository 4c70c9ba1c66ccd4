"""docs/operations/lab-server.md as a person follows it: every command of its bash blocks, in order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch
from forked_commands import Yard
from other_processes import Lab

from decortex_schemas.register import PlanFile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations" / "lab-server.md"
PLAN = {
    "networks": [{"dataset": "cells", "imported": "cells"}],
    "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
    "methods": [{"method": "kmeans"}],
    "counts": [2, 3],
    "seeds": [0, 1],
}
QUICKER = {
    "1 2 3 4 5 6 7 8 9 10": "1 2",
    "--stop-when-idle 30": "--stop-when-idle 20",
    "--every 5": "--every 1",
}


def test_a_person_who_has_only_the_page_reads_the_result(make_lab: Callable[[str], Lab], yard: Yard) -> None:
    """With two workers in the place of ten that idle for less, forked, for the sake of the machine that runs this."""
    lab = make_lab("operations")
    generator = torch.Generator().manual_seed(0)
    readout = {
        "readout.cells._features": torch.randn(1, 4, 1, 40, generator=generator),
        "readout.cells._mu": torch.rand(1, 40, 1, 2, generator=generator),
    }
    torch.save(readout, lab.folder / "cells.pth")
    (lab.folder / "plan.json").write_text(PlanFile.from_params(PLAN).model_dump_json(exclude_none=True))
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(blocks) == 8
    page = "".join(blocks)
    for long, short in QUICKER.items():
        assert long in page
        page = page.replace(long, short)
    script = f"set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{page}"
    path = os.pathsep.join([str(yard.programs), lab.environment["PATH"]])
    yard.await_ready()
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=lab.folder,
            env={**lab.environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
    finally:
        lab.query("DROP USER IF EXISTS compute, ada")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert lab.query("SELECT COUNT(*) FROM `__clustering`") == [(4,)]
    assert "0 differ" in done.stdout
    assert "files as exported" in done.stdout
    logs = [path.read_text() for path in lab.folder.glob("worker*.log")]
    assert sum(bool(re.search(r"^\d+ done, 0 failed", log, flags=re.M)) for log in logs) == 2
