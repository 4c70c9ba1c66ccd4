"""Faults, each with real processes: after it every key is made once, nothing is lost, nothing held, rows as without it.

`make faults` repeats each (REPEATS=20) and ends with a line per fault; `make test` runs each once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fault_lab import CHAIN, SMALL, FaultLab, Proxy, await_file, await_text, computed, ended
from forked_commands import ForkedLab, Yard
from support.copies import Copies
from tiny_chain import declare_tiny

from decortex_ops.server import EmbeddedServer
from decortex_schemas.database.server import connection

REPEATS = int(os.environ.get("REPEATS", "1"))
# How long the database is away; `make faults` takes half a minute.
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "1.5"))


@pytest.fixture(scope="module")
def fault_lab(
    yard: Yard, copies: Copies, fast_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultLab]:
    """A lab on a server of its own, computed once without a fault."""
    folder = tmp_path_factory.mktemp("faults")
    server = EmbeddedServer(home=fast_folder / "faults")
    found = server.start()
    environment = {
        **os.environ,
        "DJ_HOST": found.host,
        "DJ_PORT": str(found.port),
        "DJ_USER": found.user,
        "DJ_PASS": found.password,
        "DECORTEX_DATABASE": "faults",
        "DECORTEX_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
    }
    lab = ForkedLab(environment, folder, yard)
    try:
        copies.load("declared", lab, lambda one: one.run("init"))
        declare_tiny(lab)
        made = FaultLab(lab, server, random.Random(0))
        made.finish()
        made.remember()
        assert len(made.keys["Clustering"]) == 8
        made.check()
        yield made
    finally:
        server.stop()


Fault = Callable[[FaultLab], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Name a fault."""

    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


def some_key(lab: FaultLab) -> tuple[str, int]:
    """Draw a table that is computed, and which of its keys the fault falls on."""
    table = lab.rng.choice(["Embedding", "Clustering"])
    return table, lab.rng.randint(1, len(lab.keys[table]))


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


@fault("database unreachable")
def unreachable(lab: FaultLab) -> None:
    table, nth = some_key(lab)
    stage = lab.rng.choice(["compute", "insert"])
    folder = lab.begin(table)
    proxy = Proxy(int(lab.lab.environment["DJ_PORT"]))
    try:
        through = str(proxy.port)
        with ended(lab.worker(table, folder, stage=stage, nth=nth, after=True, DJ_PORT=through)) as worker:
            await_file(folder / "here", worker)
            proxy.cut()
            (folder / "go").touch()
            await_text(worker, "waiting")
            time.sleep(AWAY_SECONDS)
            assert worker.poll() is None
            proxy.mend()
            assert worker.wait(120) == 0, worker.communicate()[0]
    finally:
        proxy.close()
    lines = computed(folder)
    assert len(lines) == len(set(lines)) == len(lab.keys[table])
    assert lab.count(table) == len(lab.keys[table])
    lab.finish()


# From the first insert on a file may have so many bytes and no more, until a signal says that somebody made space.
FULL = """
import resource, signal
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
space = []
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
def make_space(*_):
    space.append(True)
    limit(most)
signal.signal(signal.SIGUSR1, make_space)
insert = table.make_insert
def make_insert(self, *rest):
    limit(most if space else 1500)
    insert(self, *rest)
table.make_insert = make_insert
"""


@fault("store full")
def store_full(lab: FaultLab) -> None:
    """What was computed waits for space."""
    folder = lab.begin("Embedding")
    with ended(lab.worker("Embedding", folder, code=FULL)) as worker:
        await_text(worker, "store full")
        assert lab.count("Embedding") == 0
        assert not list(lab.store.glob("__embedding/**/*.npy"))  # no file that might be taken for whole
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait() == 0, worker.communicate()[0]
    assert len(computed(folder)) == lab.count("Embedding") == 2
    lab.finish()


# Files of the store are refused with one error until a signal says that somebody has mended it.
REFUSING = """
import builtins, os, signal
from pathlib import Path
broken = [True]
signal.signal(signal.SIGUSR1, lambda *_: broken.clear())
def refusing(original):
    def refuse(path, mode='r', *rest, **more):
        if broken and str(path).startswith(os.environ['DECORTEX_STORE']) and mode == {mode!r}:
            raise OSError({number}, os.strerror({number}), {name})
        return original(path, mode, *rest, **more)
    return refuse
Path.open, builtins.open = refusing(Path.open), refusing(builtins.open)
"""


@fault("store refuses: permission, read-only, stale handle, input/output")
def store_refuses(lab: FaultLab) -> None:
    """One worker's broken mount is waited for: no key of the queue is spent on it."""
    table = lab.rng.choice(["Embedding", "Clustering"])  # writes a file; reads one
    folder = lab.begin(table)
    number = lab.rng.choice([errno.EACCES, errno.EROFS, errno.ESTALE, errno.EIO])
    mode, name = "xb" if table == "Embedding" else "rb", lab.rng.choice(["str(path)", "None"])
    code = REFUSING.format(number=number, name=name, mode=mode)
    with ended(lab.worker(table, folder, code=code)) as worker:
        await_text(worker, "store: StoreError")
        assert lab.count(table) == 0
        assert lab.jobs(table).get("error", 0) == 0
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait() == 0, worker.communicate()[0]
    assert lab.count(table) == len(lab.keys[table])
    if table == "Embedding":
        assert len(computed(folder)) == 2  # what was computed waited
    lab.finish()


@fault("store not mounted")
def store_not_mounted(lab: FaultLab) -> None:
    """An empty folder in the store's place is not taken for a store whose files are lost."""
    folder = lab.begin("Clustering")
    empty = folder / "mount"
    with ended(lab.worker("Clustering", folder, DECORTEX_STORE=str(empty))) as worker:
        await_text(worker, "holds nothing of the database")
        assert lab.jobs("Clustering").get("error", 0) == 0
        empty.rmdir()
        empty.symlink_to(lab.lab.environment["DECORTEX_STORE"])
        assert worker.wait() == 0, worker.communicate()[0]
    lab.finish()


@fault("store file truncated")
def truncated(lab: FaultLab) -> None:
    """No partition is made of a damaged embedding; with its file restored, the failed keys are made."""
    folder = lab.begin("Clustering")
    files = sorted(lab.store.glob("__embedding/**/*.npy"))
    victim = lab.rng.choice(files)
    content = victim.read_bytes()
    victim.write_bytes(content[: lab.rng.randint(0, len(content) - 1)])
    try:
        with ended(lab.worker("Clustering", folder)) as worker:
            assert worker.wait() == 3
            assert "is not the one that was written" in worker.stderr
        assert lab.jobs("Clustering") == {"error": 4}
        assert lab.count("Clustering") == 4
        assert lab.lab.run("verify", check=False).returncode == 1
    finally:
        victim.write_bytes(content)
    assert "4 queued again" in lab.lab.run("retry", "--match", "not the one that was written").stdout
    lab.finish()


# Two containers of one name: their processes have the same host and number.
TWIN = "import os, platform\nos.getpid = lambda: 1\nplatform.node = lambda: 'twin'\n"


@fault("twins: one host and process number, two containers")
def twins(lab: FaultLab) -> None:
    """Neither computes what the other has in work; one that is told to stop hands its own key back alone."""
    first, nth = lab.begin("Clustering"), lab.rng.randint(1, 4)
    second = first / "second"
    second.mkdir()
    with ended(lab.worker("Clustering", first, stage="compute", nth=nth, code=TWIN)) as one:
        await_file(first / "here", one)
        with ended(lab.worker("Clustering", second, stage="compute", nth=2, code=TWIN)) as two:
            await_file(second / "here", two)
            two.send_signal(signal.SIGTERM)
            assert two.wait() == 0, two.communicate()[0]
            assert "1 handed back" in two.stdout
        assert lab.jobs("Clustering")["reserved"] == 1
        with ended(lab.worker("Clustering", second, code=TWIN)) as two:
            assert two.wait() == 0, two.communicate()[0]
        assert lab.jobs("Clustering") == {"reserved": 1}
        assert lab.sweep() == 0
        (first / "go").touch()
        assert one.wait() == 0, one.communicate()[0]
    lines = computed(first) + computed(second)
    assert len(set(lines)) == 8
    assert len(lines) == 9  # the key that was handed back
    lab.finish()


@fault("parents deleted while keys wait")
def dead_parents(lab: FaultLab) -> None:
    """A worker drops such a key with a line, and the scheduler takes it from the queue at its next round."""
    folder = lab.begin("Clustering")
    with lab.lab.link() as link, link.cursor() as cursor:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("DELETE FROM __embedding WHERE embedding_spec_id = %s", (lab.rng.choice([1, 2]),))
    if lab.rng.random() < 0.5:
        with ended(lab.worker("Clustering", folder)) as worker:
            assert worker.wait() == 0, worker.communicate()[0]
        assert worker.stderr.count("dropped from the queue: Clustering") == 4
        assert "4 done, 0 failed, 4 no longer asked for" in worker.stdout
        assert lab.jobs("Clustering") == {}
    else:
        lab.sweep()
        assert lab.jobs("Clustering") == {"pending": 4}
    lab.finish()


@fault("workers start while the server has no connection left")
def too_many_connections(lab: FaultLab) -> None:
    """They wait as those that run do, and say why; every key is computed once."""
    folder = lab.begin("Clustering")
    with lab.lab.link() as link, link.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES LIKE 'max_connections'")
        usual = int(cursor.fetchone()[1])
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
        cursor.execute("SET GLOBAL max_connections = %s", (int(cursor.fetchone()[1]),))
        workers = [lab.worker("Clustering", folder) for _ in range(5)]
        try:
            for worker in workers[:2]:
                await_text(worker, "Too many connections")
                assert worker.poll() is None
            cursor.execute("SET GLOBAL max_connections = %s", (usual,))
            assert [worker.wait(120) for worker in workers] == [0] * 5, [w.stderr for w in workers]
        finally:
            cursor.execute("SET GLOBAL max_connections = %s", (usual,))
            for worker in workers:
                worker.kill()
    lines = computed(folder)
    assert len(lines) == len(set(lines)) == 8
    lab.finish()


@fault("a row that names a file elsewhere, in backup and restore")
def hostile_path(lab: FaultLab) -> None:
    """The file stays as it is, everything else is saved and brought back."""
    folder = lab.begin("Clustering")
    victim, database = folder / "victim", lab.lab.environment["DECORTEX_DATABASE"]
    victim.write_bytes(b"precious")
    path = lab.rng.choice([str(victim), f"_schema/{database}/../../../{folder.name}/victim"])
    stored = {
        "path": path,
        "size": 8,
        "sha256": hashlib.sha256(b"precious").hexdigest(),
        "dtype": "u1",
        "shape": [1],
    }
    columns = [row[0] for row in lab.lab.query("SHOW COLUMNS FROM __embedding")]
    chosen = ", ".join(
        {"embedding_spec_id": "99", "array": "CAST(%s AS JSON)"}.get(name, f"`{name}`") for name in columns
    )
    lab.lab.query(
        "INSERT INTO `#embedding_spec` SELECT 99, REPEAT('9', 64), 'hostile', kind, params FROM `#embedding_spec` "
        "LIMIT 1"
    )
    lab.lab.query(
        f"INSERT INTO __embedding SELECT {chosen} FROM __embedding WHERE embedding_spec_id = 1",
        json.dumps(stored),
    )
    done = lab.lab.run("db", "backup", str(folder / "backup"), check=False)
    assert done.returncode == 1
    assert "refused: Embedding" in done.stderr
    assert victim.read_bytes() == b"precious"
    lab.lab.query(f"DROP DATABASE `{database}`")
    shutil.rmtree(lab.store)
    lab.lab.run("db", "restore", str(folder / "backup"))
    assert victim.read_bytes() == b"precious"
    lab.lab.query("DELETE FROM __embedding WHERE embedding_spec_id = 99")
    lab.lab.query("DELETE FROM `#embedding_spec` WHERE embedding_spec_id = 99")
    lab.finish()


@fault("two schedulers")
def two_schedulers(lab: FaultLab) -> None:
    """They sweep at once, while a worker takes keys."""
    lab.begin("Embedding")
    rounds = SMALL.format(names=CHAIN) + "for _ in range(12): scheduler.sweep()\n"
    connect = "import decortex_schemas as schemas\nschemas.connect()\n"
    schedulers = [lab.lab.start(code=connect + rounds) for _ in range(2)]
    worker = lab.lab.start("work", "--stop-when-idle", "1", *tables(CHAIN))
    with ended(schedulers[0]), ended(schedulers[1]), ended(worker):
        assert [one.wait(120) for one in schedulers] == [0, 0], [one.stderr for one in schedulers]
        assert worker.wait(120) == 0, worker.communicate()[0]
    lab.finish()


@fault("clock skew of an hour")
def skewed_clock(lab: FaultLab) -> None:
    """Leases are counted on the server's clock: neither a worker's nor a scheduler's own matters."""
    table, nth = some_key(lab)
    folder = lab.begin(table)
    sign = lab.rng.choice([-1, 1])
    skew = "import time\nright = time.time\ntime.time = lambda: right() + {}\n"
    code = skew.format(3600 * sign)
    with ended(lab.worker(table, folder, stage="compute", nth=nth, code=code)) as worker:
        await_file(folder / "here", worker)
        assert (
            lab.sweep(code=skew.format(-3600 * sign)) == 0
        )  # alive, though their clocks are two hours apart
        assert lab.jobs(table)["reserved"] == 1
        (folder / "go").touch()
        assert worker.wait() == 0, worker.communicate()[0]
    lab.finish()


@fault("ten workers on an empty database")
def ten_workers(lab: FaultLab) -> None:
    name = f"empty_{uuid.uuid4().hex[:8]}"
    lab.begin("ClusterConfound")
    empty = {"DECORTEX_DATABASE": name, "DECORTEX_STORE": str(lab.lab.folder / name)}
    words = ("work", "--stop-when-idle", "0", "--tables", "TrainedModel")
    workers = [lab.lab.start(*words, **empty) for _ in range(10)]
    try:
        assert [worker.wait(300) for worker in workers] == [0] * 10, [w.stderr for w in workers]
        other = replace(lab.lab, environment={**lab.lab.environment, **empty})
        assert other.query("SELECT COUNT(*) FROM `#schema_version`") == [(1,)]
        assert other.query("SELECT COUNT(*) FROM worker_lease WHERE ended = 1") == [(10,)]
        n_tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
        assert other.query(n_tables) == lab.lab.query(n_tables)
    finally:
        for worker in workers:
            worker.kill()
        lab.lab.query(f"DROP DATABASE IF EXISTS `{name}`")
    lab.finish()


@fault("a worker paused in compute for longer than its lease")
def paused_in_compute(lab: FaultLab) -> None:
    table, nth = some_key(lab)
    folder = lab.begin(table)
    with ended(lab.worker(table, folder, stage="compute", nth=nth)) as worker:
        await_file(folder / "here", worker)
        worker.send_signal(signal.SIGSTOP)
        lab.let_lease_run_out(worker.pid)
        lab.finish()  # its key is made by another
        lab.check()
        (folder / "go").touch()
        worker.send_signal(signal.SIGCONT)
        assert worker.wait() in (0, 3), worker.communicate()[0]
        assert "dropped" in worker.stderr
    assert lab.lab.query(
        f"SELECT COUNT(*) FROM `~~{'clustering' if table == 'Clustering' else 'embedding'}`"
    ) == [(0,)]


@fault("a worker paused in insert for longer than its lease")
def paused_in_insert(lab: FaultLab) -> None:
    """It holds locks: nobody waits for them for ever, and the server ends its transaction."""
    table, nth = some_key(lab)
    folder = lab.begin(table)
    code = "connection.IDLE_IN_TRANSACTION_SECONDS = 2\n"
    with ended(lab.worker(table, folder, stage="insert", nth=nth, after=True, code=code)) as worker:
        await_file(folder / "here", worker)
        worker.send_signal(signal.SIGSTOP)
        lab.let_lease_run_out(worker.pid)
        deadline = time.monotonic() + 300
        while not lab.sweep():
            assert time.monotonic() < deadline, "its key was never freed"
            time.sleep(0.2)
        lab.finish()
        lab.check()
        (folder / "go").touch()
        worker.send_signal(signal.SIGCONT)
        assert worker.wait() in (0, 3), worker.communicate()[0]


def tables(names: tuple[str, ...]) -> list[str]:
    return [word for name in names for word in ("--tables", name)]


@pytest.mark.parametrize("run", range(REPEATS))
@pytest.mark.parametrize("name", list(FAULTS))
def test_fault(
    fault_lab: FaultLab, name: str, run: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", name)
    fault_lab.rng.seed(f"{name} {run}")
    FAULTS[name](fault_lab)
    fault_lab.check()
