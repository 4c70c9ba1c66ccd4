from .environments import (
    computation_versions,
    differing_numerics,
    environments,
    mixed_environments,
)
from .jobs import (
    Row,
    bin_seconds,
    failures,
    queue_state,
    throughput,
    workers,
)
from .recompute import (
    recompute,
)
from .watch import (
    known_environments,
    lost_sample,
    ping,
    schema_version,
    store_path,
    watched,
)

__all__ = [
    "Row",
    "bin_seconds",
    "computation_versions",
    "differing_numerics",
    "environments",
    "failures",
    "known_environments",
    "lost_sample",
    "mixed_environments",
    "ping",
    "queue_state",
    "recompute",
    "schema_version",
    "store_path",
    "throughput",
    "watched",
    "workers",
]
