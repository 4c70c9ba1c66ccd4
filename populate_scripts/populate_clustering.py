"""Find the partitions that studies ask for: every method, number of clusters and seed."""

import decortex_schemas as schemas

schemas.connect()
schemas.Clustering.populate(reserve_jobs=True, display_progress=True)
