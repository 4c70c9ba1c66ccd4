"""Load the commands; prints which modules that loaded."""

from __future__ import annotations

import json
import sys

import decortex  # noqa: F401
import decortex_ops.cli  # noqa: F401

print(json.dumps(sorted(sys.modules)))
