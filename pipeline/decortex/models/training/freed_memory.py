"""What a step of training frees stays with the process for its next step, where the C library allows it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MOST = 2**31 - 1
# Where glibc leaves both by itself in a process that has freed large arrays.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}

_lock = threading.Lock()
_trainings: list[ctypes.CDLL] = []  # one entry for each that runs in this process now


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep memory that is freed inside, and give it back to the system in the end.

    The maps of a batch are larger than what glibc keeps: each step would have the system take them away and clear new
    ones, page by page, an eighth of the time of a network of V4. No number depends on it. Where the C library is
    another one, or the environment sets how it allocates (MALLOC_..., GLIBC_TUNABLES), nothing is done.

    Examples
    --------
    >>> with freed_memory_kept():
    ...     pass
    """
    library = None if _chosen() else _glibc()
    if library is None:
        yield
        return
    with _lock:
        _trainings.append(library)
        if len(_trainings) == 1:
            library.mallopt(_MMAP_MAX, 0)
            library.mallopt(_TRIM_THRESHOLD, _MOST)
    try:
        yield
    finally:
        with _lock:
            _trainings.pop()
            if not _trainings:
                for parameter, value in _USUAL.items():
                    library.mallopt(parameter, value)
                library.malloc_trim(0)


def _chosen() -> bool:
    """Whether somebody has chosen how this process allocates."""
    return "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name.startswith("MALLOC_") for name in os.environ
    )


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (raises where it is not glibc)
    except (AttributeError, OSError, TypeError):
        return None
    return library
