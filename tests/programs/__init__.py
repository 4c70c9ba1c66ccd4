"""Programs that tests start as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_program(
    name: str, *words: str, given: bytes = b"", check: bool = True
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
    """
    path = Path(__file__).with_name(f"{name}.py")
    done = subprocess.run([sys.executable, str(path), *words], input=given, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done
