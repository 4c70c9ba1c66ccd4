"""Import decortex, then DataJoint; prints the host and the file that DataJoint read its settings from."""

from __future__ import annotations

import decortex_schemas.database  # noqa: F401

# isort: split
import datajoint as dj

print(dj.config["database.host"], dj.config._config_path)
