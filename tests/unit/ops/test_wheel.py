"""A wheel built from this tree holds every file of the packages: modules, templates, assets, type markers."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("pipeline/decortex", "schemas/decortex_schemas", "populate_scripts/decortex_ops")


def test_a_wheel_holds_every_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    own = {
        path.relative_to((ROOT / package).parent).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "decortex_ops/templates/report.html.j2" in own
    assert any(name.endswith(".css") for name in own)
    assert own <= held, sorted(own - held)
    assert not [name for name in held if name.startswith(("tests/", "docs/"))]
