"""Load all that reads a database; prints which modules that loaded."""

from __future__ import annotations

import json
import sys

from decortex_schemas import queries
from decortex_schemas.database import load_tables

for name in queries.__all__:
    getattr(queries, name)
load_tables()
print(json.dumps(sorted(sys.modules)))
