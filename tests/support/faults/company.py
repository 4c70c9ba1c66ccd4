"""Workers and schedulers beside others, cut off from the server, late, or under another's name."""

from __future__ import annotations

import signal
import time
import uuid
from dataclasses import replace

from fault_lab import CHAIN, SMALL, FaultLab, Proxy, await_file, await_text, computed, ended
from support.faults.register import AWAY_SECONDS, fault, some_key


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
