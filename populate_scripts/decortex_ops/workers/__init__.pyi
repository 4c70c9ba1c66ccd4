from .job import make_key
from .local_pool import OnRound, run_until_empty
from .log import Log
from .resources import Device, Limits, parse_bytes
from .scheduler import Sweep, keep_sweeping, queues_empty, retry_failed, sweep
from .signals import INTERRUPTIONS, end_with_parent, postponed, whole_statements
from .transient_errors import Patience, trouble_of
from .worker import WorkSummary, choose_tables, work

__all__ = [
    "INTERRUPTIONS",
    "Device",
    "Limits",
    "Log",
    "OnRound",
    "Patience",
    "Sweep",
    "WorkSummary",
    "choose_tables",
    "end_with_parent",
    "keep_sweeping",
    "make_key",
    "parse_bytes",
    "postponed",
    "queues_empty",
    "retry_failed",
    "run_until_empty",
    "sweep",
    "trouble_of",
    "whole_statements",
    "work",
]
