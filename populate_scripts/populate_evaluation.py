"""Evaluate every partition, and compare across the studies that are frozen."""

import decortex_schemas as schemas

schemas.connect()
schemas.ClusterQuality.populate(reserve_jobs=True, display_progress=True)
schemas.ClusterPerformance.populate(reserve_jobs=True, display_progress=True)
schemas.RetainedPerformance.populate(reserve_jobs=True, display_progress=True)
schemas.SeedAgreement.populate(reserve_jobs=True, display_progress=True)
