"""docs/operations/first-day.md and every-monday.md: every command, in order, as the accounts that they name."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked_commands import Yard
from other_processes import Lab

DOCS = Path(__file__).resolve().parents[2] / "docs" / "operations"
PEOPLE = ("grace", "ada", "ben", "scheduler", "compute", "dashboard")
# For the sake of the machine that runs this, the scheduler looks more often. A worker idles for as long as on the page:
# where much else runs, a round of the scheduler takes seconds.
QUICKER = {"--every 5": "--every 1"}
# Each doctor's answer is kept, for whether it is good depends on the disks of the machine that runs this.
DOCTOR = "decortex doctor --json >> doctor.json || true; echo , >> doctor.json\n"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def script_of(page: str, root: str) -> str:
    """All blocks of a page; each begins by saying as whom, which holds until the next."""
    found = blocks(page, "bash")
    accounts = [re.match(r"export DJ_USER=(\w+) DJ_PASS_FILE=secrets/(\w+)\n", block) for block in found]
    assert all(match and match[1] == match[2] for match in accounts), accounts
    text = "".join(found).replace("DJ_USER=root ", f"DJ_USER={root} ")
    text = re.sub(r"^decortex doctor(?: \|\| true)?\n", DOCTOR, text, flags=re.M)
    for long, short in QUICKER.items():
        assert long in text or page != "first-day.md"
        text = text.replace(long, short)
    return text


@pytest.mark.timeout(3600)
def test_a_lab_follows_the_pages_from_top_to_bottom(make_lab: Callable[[str], Lab], yard: Yard) -> None:
    """Commands are forked: that an installed one starts is tested in test_installed.py."""
    lab = make_lab("first_day")
    generator = torch.Generator().manual_seed(0)
    readout = {
        "readout.cells._features": torch.randn(1, 4, 1, 40, generator=generator),
        "readout.cells._mu": torch.rand(1, 40, 1, 2, generator=generator),
    }
    torch.save(readout, lab.folder / "cells.pth")
    (plan,) = blocks("first-day.md", "json")
    (lab.folder / "plan.json").write_text(plan)
    (lab.folder / "secrets").mkdir(mode=0o700)
    (lab.folder / "secrets" / "root").write_text(lab.environment["DJ_PASS"])
    environment = {
        **{name: value for name, value in lab.environment.items() if name not in ("DJ_USER", "DJ_PASS")},
        "PATH": os.pathsep.join([str(yard.programs), lab.environment["PATH"]]),
        "DECORTEX_BACKUPS": str(lab.folder / "backups"),
        "DECORTEX_ALLOW_DIRTY": "1",
    }
    root = lab.environment["DJ_USER"]
    script = "".join(script_of(page, root) for page in ("first-day.md", "every-monday.md"))
    assert {f"DJ_USER={name} " in script for name in PEOPLE[:-1]} == {True}
    yard.await_ready()
    try:
        done = subprocess.run(
            ["bash", "-c", f"set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
            cwd=lab.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=3000,
        )
    finally:
        lab.query(f"DROP USER IF EXISTS {', '.join(PEOPLE)}")
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert lab.query("SELECT COUNT(*) FROM `__clustering`") == [(8,)]
    assert lab.query("SELECT COUNT(DISTINCT db_user) FROM `__clustering`") == [(1,)]
    assert re.search(r"study first would take \d+ jobs, .* GB free for the store", done.stdout), said
    assert re.search(r"^\d+ done, 0 failed", done.stdout, flags=re.M)
    assert done.stdout.count("equal: ") == 2, said
    assert "kmeans" in done.stdout.split("study first is frozen")[1]
    assert "0 missing, 0 altered" in done.stdout
    doctors = json.loads(f"[{(lab.folder / 'doctor.json').read_text().rstrip().rstrip(',')}]")
    bad = [{check["name"] for check in checks if check["good"] is False} for checks in doctors]
    assert "tables" in bad[0]
    disks = {"disk of the server", "disk of the store"}
    assert [names - disks for names in bad[1:]] == [set()] * 3, doctors[1:]
