"""Building the project's wheel, and installing it where nothing of the checkout is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this tree."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Install a wheel into an environment of its own, and lend it this one's third-party packages; returns its python.

    Its own packages are found first. The checkout is not: editable installations are ``.pth`` files, which Python
    follows in its own folder only, not in one that is lent.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
        cwd=folder,
        env=without_checkout(),
    )
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def without_checkout() -> dict[str, str]:
    """The environment, without what leads to this tree."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
