"""Connect twice, read, and try to compute, as a notebook does; prints the rows and what was said of the role."""

from __future__ import annotations

import warnings

import decortex_schemas as schemas

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    schemas.connect()
    schemas.connect()
print(len(schemas.Clustering()), next(str(one.message) for one in told if "reading only" in str(one.message)))
try:
    schemas.ClusterQuality.populate({"k": 2})
    schemas.Clustering().insert1({})
except Exception as error:  # noqa: BLE001  (the test looks at what is printed)
    print(type(error).__name__)
