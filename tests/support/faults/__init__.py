"""Faults by name: a function each, which makes it happen in a lab and sees what must hold."""

from support.faults import company, killed, storage  # noqa: F401  (each names its faults)
from support.faults.register import FAULTS, REPEATS

__all__ = ["FAULTS", "REPEATS"]
