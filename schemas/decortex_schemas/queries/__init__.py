"""The read layer: every question that commands, report, dashboard and notebooks ask."""

from decortex_schemas.queries.overview import (
    AVERAGED,
    JOB_STATES,
    failed_jobs,
    progress,
    provenance,
    require_frozen,
    results,
    studies,
    test_performance,
    whole_key,
    worst_status,
)

__all__ = [
    "AVERAGED",
    "JOB_STATES",
    "failed_jobs",
    "progress",
    "provenance",
    "require_frozen",
    "results",
    "studies",
    "test_performance",
    "whole_key",
    "worst_status",
]
