"""Workers and servers that are killed, or told to stop, amid their work."""

from __future__ import annotations

import os
import signal
import time

from fault_lab import FaultLab, await_file, await_text, computed, ended
from support.faults.register import REPEATS, fault, some_key

from decortex_schemas.database.server import connection


def kill_worker_at(lab: FaultLab, stage: str, *, after: bool) -> None:
    table, nth = some_key(lab)
    folder = lab.begin(table)
    with ended(lab.worker(table, folder, stage=stage, nth=nth, after=after)) as worker:
        await_file(folder / "here", worker)
        worker.kill()
    assert lab.count(table) == nth - 1  # what it had inserted of this key is not there
    assert lab.jobs(table)["reserved"] == 1
    assert lab.sweep() == 0  # its lease is fresh: it might be alive
    lab.let_lease_run_out(worker.pid)
    lab.finish()


@fault("kill -9 of a worker in fetch")
def kill_in_fetch(lab: FaultLab) -> None:
    kill_worker_at(lab, "fetch", after=False)


@fault("kill -9 of a worker in compute")
def kill_in_compute(lab: FaultLab) -> None:
    kill_worker_at(lab, "compute", after=False)


@fault("kill -9 of a worker in insert")
def kill_in_insert(lab: FaultLab) -> None:
    """The file is in the store and the row is not committed."""
    kill_worker_at(lab, "insert", after=True)


@fault("kill -9 of a worker between insert and queue")
def kill_after_commit(lab: FaultLab) -> None:
    """The row is committed, its key still reserved."""
    table, _ = some_key(lab)
    folder = lab.begin(table)
    code = "from decortex_ops.workers import job as making\nmaking.complete = lambda table, key: stop()\n"
    with ended(lab.worker(table, folder, code=code)) as worker:
        await_file(folder / "here", worker)
        worker.kill()
    assert lab.count(table) == 1
    lab.let_lease_run_out(worker.pid)
    lab.finish()


def kill_server_at(lab: FaultLab, stage: str) -> None:
    table, nth = some_key(lab)
    folder = lab.begin(table)
    with ended(lab.worker(table, folder, stage=stage, nth=nth, after=True)) as worker:
        await_file(folder / "here", worker)
        lab.kill_server()
        (folder / "go").touch()
        await_text(worker, "waiting")
        assert lab.server.start().port == int(lab.lab.environment["DJ_PORT"])
        assert worker.wait() == 0, worker.communicate()[0]
    lines = computed(folder)
    assert len(lines) == len(set(lines)) == len(lab.keys[table])  # what was computed was not computed again
    assert lab.count(table) == len(lab.keys[table])
    lab.finish()


@fault("kill -9 of mysqld while a worker computes")
def kill_server_in_compute(lab: FaultLab) -> None:
    kill_server_at(lab, "compute")


@fault("kill -9 of mysqld while a worker inserts")
def kill_server_in_insert(lab: FaultLab) -> None:
    kill_server_at(lab, "insert")


# Stops a worker before one of its statements, whichever connection it is on; heartbeats go on.
BEFORE_STATEMENT = """
import threading
import pymysql
execute = pymysql.cursors.Cursor.execute
statements = []
def counted(self, *rest, **more):
    if threading.current_thread() is threading.main_thread():
        statements.append(rest)
        if len(statements) == {nth}:
            stop()
    return execute(self, *rest, **more)
pymysql.cursors.Cursor.execute = counted
"""


@fault("kill -9 of mysqld while a worker starts")
def kill_server_at_start(lab: FaultLab) -> None:
    """Whatever statement it comes before: the version, the tables, its lease, the queues; one of a batch too."""
    folder = lab.begin("Clustering")
    code = BEFORE_STATEMENT.format(nth=lab.rng.randint(1, 40))
    with ended(lab.worker("Clustering", folder, code=code)) as worker:
        await_file(folder / "here", worker)
        lab.kill_server()
        (folder / "go").touch()
        await_text(worker, "waiting")
        lab.server.start()
        assert worker.wait(120) == 0, worker.communicate()[0]
    lines = computed(folder)
    assert len(lines) == len(set(lines)) == 8
    lab.finish()


@fault("SIGTERM of a worker")
def terminate(lab: FaultLab) -> None:
    table, nth = some_key(lab)
    stage = lab.rng.choice(["fetch", "compute", "insert"])
    folder = lab.begin(table)
    number = lab.rng.choice([signal.SIGTERM, signal.SIGINT])
    with ended(lab.worker(table, folder, stage=stage, nth=nth, after=True)) as worker:
        await_file(folder / "here", worker)
        worker.send_signal(number)
        assert worker.wait() == 0, worker.communicate()[0]
        assert "1 handed back" in worker.stdout
    assert lab.jobs(table) == {"pending": len(lab.keys[table]) - nth + 1}
    lab.finish()


@fault("SIGTERM of a worker while mysqld hangs")
def terminate_while_hanging(lab: FaultLab) -> None:
    """It ends within ten seconds though no statement is answered (silence itself ends one after 90 seconds).

    Its lease gives the key back. `make faults` holds it to ten seconds; `make test`, beside other tests, to half of
    the silence.
    """
    table, nth = some_key(lab)
    folder = lab.begin(table)
    server = lab.server.status().pid
    assert server is not None
    with ended(lab.worker(table, folder, stage="compute", nth=nth, after=True)) as worker:
        await_file(folder / "here", worker)
        os.kill(server, signal.SIGSTOP)
        try:
            (folder / "go").touch()
            time.sleep(lab.rng.uniform(0.2, 1.0))  # it is in a statement
            asked = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            worker.wait(120)
            took = time.monotonic() - asked
        finally:
            os.kill(server, signal.SIGCONT)
    assert took < (10 if REPEATS > 1 else connection.SILENCE_SECONDS / 2)
    assert "its lease runs out" in worker.stderr
    lab.let_lease_run_out(worker.pid)
    lab.finish()
