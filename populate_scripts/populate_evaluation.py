"""Evaluate every partition, and compare across the studies that are frozen."""

import decortex_schemas as schemas

schemas.connect()
for table in (
    schemas.ClusterQuality,
    schemas.ClusterPerformance,
    schemas.RecordingSummary,
    schemas.ClusterAssociation,
    schemas.ClusterConfound,
    schemas.RetainedPerformance,
    schemas.SeedAgreement,
    schemas.GridAssociation,
    schemas.AdjustedPValue,
):
    table.populate(reserve_jobs=True, display_progress=True)
