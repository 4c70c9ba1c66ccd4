"""Independent work on several threads, each on one core, so that no bit depends on how many there are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

from decortex.errors import InputError

Submit = Callable[..., "Future[Any]"]


def n_cores() -> int:
    """Cores that numerical libraries may take here: what OMP_NUM_THREADS and the like leave of the machine's.

    Examples
    --------
    >>> n_cores() >= 1
    True
    """
    return max((int(library["num_threads"]) for library in threadpool_info()), default=1)


@contextmanager
def worker_threads(n_threads: int | None = None) -> Iterator[Submit]:
    """Threads for independent work; inside every one of them BLAS and OpenMP compute on one core.

    Sums that BLAS or OpenMP share among cores depend on how many there are, in the last digits. Here every piece of
    work is computed by one core, and pieces run side by side: the same bits whatever the number of threads.
    Numerical code releases Python's lock, so that threads do use several cores.

    Parameters
    ----------
    n_threads : int, optional
        Default: `n_cores()`.

    Yields
    ------
    callable
        ``submit(function, *args, **kwargs)`` returns a `concurrent.futures.Future`. On an error work that has not
        begun is dropped.

    Raises
    ------
    InputError
        If n_threads is below 1.

    Examples
    --------
    >>> with worker_threads(2) as submit:
    ...     found = [submit(pow, 2, n) for n in range(3)]
    >>> [one.result() for one in found]
    [1, 2, 4]
    """
    if n_threads is not None and n_threads < 1:
        raise InputError(f"n_threads should be at least 1, got {n_threads}; leave it out for all cores.")
    wanted = n_cores() if n_threads is None else n_threads
    # Filters of warnings are the process's, and work that sets and restores them does so side by side.
    with threadpool_limits(1), warnings.catch_warnings():
        executor = ThreadPoolExecutor(
            wanted, thread_name_prefix="decortex-worker", initializer=threadpool_limits, initargs=(1,)
        )
        try:
            yield executor.submit
        finally:
            executor.shutdown(cancel_futures=True)
