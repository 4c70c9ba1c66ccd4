from .key_sources import (
    KeySources,
    sources_of,
)
from .leases import (
    INTERRUPTED,
    LEASE_SECONDS,
    WorkerLease,
    complete,
    confirm_reservation,
    connection_info,
    forget_old_leases,
    free_dead_reservations,
    hand_back,
    holds,
    leases_can_be_trusted,
    requeue_errors,
    reserve,
    say_program,
    tables_to_free,
)
from .queues import (
    Changes,
    refresh_queue,
)

__all__ = [
    "INTERRUPTED",
    "LEASE_SECONDS",
    "Changes",
    "KeySources",
    "WorkerLease",
    "complete",
    "confirm_reservation",
    "connection_info",
    "forget_old_leases",
    "free_dead_reservations",
    "hand_back",
    "holds",
    "leases_can_be_trusted",
    "refresh_queue",
    "requeue_errors",
    "reserve",
    "say_program",
    "sources_of",
    "tables_to_free",
]
