"""Hold half a GiB and start a process that prints its own memory."""

from __future__ import annotations

import subprocess
import sys

held = bytearray(2**29)
held[:: 2**12] = b"1" * len(held[:: 2**12])
CHILD = "from decortex_ops.workers.resources import own_memory; print(own_memory())"
print(subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout)
