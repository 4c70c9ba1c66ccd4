"""A scheduler and local worker processes that run until every queue is empty. For the demo and for one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from decortex.errors import OperationError
from decortex_ops.workers.scheduler import nothing_left, sweep
from decortex_ops.workers.signals import STOP_SECONDS
from decortex_schemas.database import KeySources, computed_tables, queue_of, schema
from decortex_schemas.queries import progress, study_progress
from decortex_schemas.tables import Study

# A round lasts at most so long; whether workers have run out of keys is looked at so often within it.
ROUND_SECONDS, LOOK_SECONDS = 2.0, 0.2
RESTARTS = 3

OnRound = Callable[[list[dict[str, Any]]], None]


def run_until_empty(
    *,
    workers: int,
    threads: int = 1,
    on_round: OnRound = lambda rows: None,
    then: Callable[[], object] | None = None,
    studies: Sequence[str] = (),
) -> None:
    """Queue what is asked for and compute it with local workers until nothing is pending or in work.

    Workers and schedulers of others may run beside: what they have in work is waited for. Keys that end in an error
    stay as they are, with their traceback (`decortex errors`).

    Parameters
    ----------
    workers : int
        Number of worker processes.
    threads : int
        Threads of each.
    on_round : callable
        Takes the rows of `decortex_schemas.queries.catalogue.overview.progress` after every round.
    then : callable, optional
        Called once when all is computed; what is asked for afterwards is computed by the same workers, which need
        not start again. `freeze_study` of a study for example.
    studies : sequence of str
        Whose progress is told, while there is any: what others ask for is computed and waited for too. Default: all.

    Raises
    ------
    OperationError
        If workers keep dying.
    """
    on_round(_told(studies))
    if nothing_left():
        if then is None:
            return
        then()
        then = None
        on_round(_told(studies))
        if nothing_left():
            return
    with _fleet(workers, threads) as fleet:
        sources = KeySources(computed_tables())
        while True:
            on_round(_told(studies))
            # Only queues whose keys can have changed are looked at; all of them before anything is said to be done.
            if not sweep(sources).added and nothing_left():
                if then is None:
                    return
                then()
                then = None
            fleet.keep_running()
            _pause()


def _told(studies: Sequence[str]) -> list[dict[str, Any]]:
    """Progress of some studies, or of all where these have nothing left that waits."""
    if not studies or set(Study.to_arrays("study")) <= set(studies):
        return progress()  # nothing is to be told apart, which takes longer
    own = study_progress(studies)
    return own if any(row["pending"] or row["reserved"] for row in own) else progress()


def _pause() -> None:
    """Wait until the next round: shorter where no key waits and a worker has ended one, on which others may rest."""
    end, in_work = time.monotonic() + ROUND_SECONDS, None
    queues = sorted(
        {queue for queue, _ in _open_keys([queue_of(one).full_table_name for one in computed_tables()])}
    )
    while time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        found = _open_keys(queues)
        if any(status == "pending" for _, status in found):
            continue
        if not found or (in_work is not None and len(found) < in_work):
            return
        in_work = len(found)


def _open_keys(queues: list[str]) -> list[tuple[str, str]]:
    """Queue and status of every key that is in work, and of one key that waits in each queue."""
    if not queues:
        return []
    asked = " UNION ALL ".join(
        f"(SELECT {i}, 'reserved' FROM {queue} WHERE status = 'reserved')"
        f" UNION ALL (SELECT {i}, 'pending' FROM {queue} WHERE status = 'pending' LIMIT 1)"
        for i, queue in enumerate(queues)
    )
    return [(queues[int(i)], str(status)) for i, status in schema.connection.query(asked)]


def _command(threads: int) -> list[str]:
    """The words that start a worker which ends with this process."""
    return [
        sys.executable,
        "-m",
        "decortex_ops",
        "work",
        "--quiet",
        "--with-parent",
        "--threads",
        str(threads),
    ]


class _Fleet:
    """Worker processes; one that dies is replaced, a few times. They end with this process, however it ends."""

    def __init__(self, workers: int, threads: int) -> None:
        self._command = _command(threads)
        # Threads are pinned before numpy is loaded; a worker pins them again for what is loaded later.
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self._environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        self._restarts = 0
        self.processes = [self._start() for _ in range(workers)]

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches the parent alone, which then stops its workers in order. Of the pipe
        # to standard input nothing is read but its end, which comes when the parent is gone (`end_with_parent`).
        return subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def keep_running(self) -> None:
        for i, process in enumerate(self.processes):
            if process.poll() is None:
                continue
            self._restarts += 1
            if self._restarts > RESTARTS:
                raise OperationError(
                    f"workers ended {self._restarts} times (last exit status {process.returncode}); their messages "
                    "are above. `decortex work` runs one by hand."
                )
            _close(process)
            self.processes[i] = self._start()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


@contextmanager
def _fleet(workers: int, threads: int) -> Iterator[_Fleet]:
    fleet = _Fleet(workers, threads)
    try:
        yield fleet
    finally:
        fleet.stop()
