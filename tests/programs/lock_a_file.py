"""Lock a file, say so, and hold it until standard input ends."""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

with Path(sys.argv[1]).open("r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
