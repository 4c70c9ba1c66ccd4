"""Start the embedded server of a folder; prints its port."""

from __future__ import annotations

import sys
from pathlib import Path

from decortex_ops.server import EmbeddedServer

print(EmbeddedServer(Path(sys.argv[1])).start().port)
