"""Programs that tests start as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def program(name: str, *words: str | os.PathLike[str]) -> list[str]:
    """The command that runs one of them."""
    return [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *map(os.fspath, words)]


def run_program(
    name: str,
    *words: str,
    given: bytes = b"",
    check: bool = True,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run one of them to its end.

    Parameters
    ----------
    name : str
        Of the module.
    words : str
        Its arguments.
    given : bytes
        What it reads from standard input.
    check : bool
        Whether it must end well.
    environment : dict, optional
        Its whole environment; by default that of the tests.
    folder : Path, optional
        Where it runs.
    """
    done = subprocess.run(
        program(name, *words), input=given, capture_output=True, check=False, env=environment, cwd=folder
    )
    assert not check or done.returncode == 0, done.stderr.decode()
    return done
