"""What a worker says of its own memory."""

from __future__ import annotations

import subprocess
import sys

PARENT = """
import subprocess, sys
held = bytearray(2**29)
held[:: 2**12] = b"1" * len(held[:: 2**12])
child = "from decortex_ops.workers.resources import own_memory; print(own_memory())"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout)
"""


def test_the_memory_of_the_process_that_started_a_worker_is_not_its_own() -> None:
    held = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=True).stdout
    assert 0 < int(held) < 2**29
