"""A lab on a server of its own that may be killed, cut off and filled up, and what must hold after that."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked_commands import ForkedLab, ForkedProcess
from pymysql.cursors import DictCursor

from decortex_ops.server import EmbeddedServer

CHAIN = ("TrainedModel", "Embedding", "Clustering", "DECFinetune", "ClusterQuality", "ClusterConfound")
CIRCUMSTANCE = {"env_id", "db_user", "host_name", "started_at", "seconds"}

# What stops a worker at one place: it says that it is there, and goes on when it is told to.
HOOK = """
import os, time
from pathlib import Path
import decortex_schemas as schemas
from decortex_schemas.database.server import connection
from decortex_schemas.database.work import leases
folder = Path({folder!r})
table = getattr(schemas, {table!r})
calls = []
def stop():
    (folder / 'here').write_text(str(os.getpid()))
    while not (folder / 'go').exists():
        time.sleep(0.005)
def stopping(stage, after, original):
    def make(self, key, *rest):
        if stage == 'make_compute':
            with (folder / 'computed').open('a') as out:
                out.write(repr(sorted(key.items())) + chr(10))
        # By key: DataJoint fetches again before it inserts, to see that nothing has changed.
        fresh = stage == 'make_' + {stage!r} and key not in calls
        calls.append(dict(key)) if fresh else None
        here = fresh and len(calls) == {nth}
        if here and not after:
            stop()
        found = original(self, key, *rest)
        if here and after:
            stop()
        return found
    return make
for stage in ('make_fetch', 'make_compute', 'make_insert'):
    setattr(table, stage, stopping(stage, {after}, getattr(table, stage)))
"""
# Only the chain's own tables are looked at: the others stay empty, and cost a statement or five each.
SMALL = """
from decortex_ops.workers import scheduler
from decortex_schemas.database.work import leases
from decortex_schemas.database.schema import computed_tables
names = {names!r}
chain = [table for table in computed_tables() if table.__name__ in names]
scheduler.computed_tables = lambda: chain
leases.MINIMUM_UPTIME = 0  # the server of this run is young
"""
FINISH = (
    SMALL
    + """
from decortex_ops.workers.worker import work
while True:
    swept = scheduler.sweep()
    summary = work(chain, stop_when_idle=0.0)
    assert summary.failed == [], summary.failed
    if not swept.added and not summary.done:
        break
"""
)


class Proxy:
    """Passes a port on to another, until the network is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._links: list[socket.socket] = []
        self._lock = threading.Lock()
        self._open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    link.close()
                    continue
                with contextlib.suppress(OSError):
                    on = socket.create_connection(("127.0.0.1", self._to))
                    self._links += [link, on]
                    for a, b in ((link, on), (on, link)):
                        threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            self._open = False
            for link in self._links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
                link.close()
            self._links.clear()

    def mend(self) -> None:
        """Pass on again."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        self._listener.close()
        self.cut()


@dataclass
class FaultLab:
    """The lab, what it holds without faults, and one run's draws.

    Parameters
    ----------
    lab : ForkedLab
        Its tiny chain has been computed once.
    server : EmbeddedServer
        Its own.
    rng : random.Random
        Draws where a fault falls.
    """

    lab: ForkedLab
    server: EmbeddedServer
    rng: random.Random
    reference: dict[str, list[Any]] = field(default_factory=dict)
    keys: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _runs: int = 0

    def remember(self) -> None:
        """Take what is there now as what must be there after every fault."""
        self.reference = self.rows()
        for table in CHAIN:
            self.keys[table] = self._dicts(
                f"SELECT {', '.join(f'`{n}`' for n in self._key_names(table))} FROM `{sql_name(table)}`"
            )

    def begin(self, stage: str) -> Path:
        """Go back to where this table and those after it are empty and its keys are queued; returns a folder."""
        before = CHAIN[: CHAIN.index(stage)]
        if any(self.count(table) != len(self.keys[table]) for table in before):
            self.begin(CHAIN[0])  # what a failed run left
            self.finish()
        self._runs += 1
        folder = self.lab.folder / f"run-{self._runs}"
        folder.mkdir()
        gone = CHAIN[CHAIN.index(stage) :]
        with self.lab.link() as link, link.cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            cursor.execute("SHOW TABLES")
            names = [row[0] for row in cursor.fetchall()]
            for table in gone:
                own = sql_name(table)
                for name in names:
                    if name == own or name.startswith(f"{own}__"):
                        cursor.execute(f"DELETE FROM `{name}`")
                shutil.rmtree(self.store / own, ignore_errors=True)
            for name in names:
                if name.startswith("~~"):
                    cursor.execute(f"DELETE FROM `{name}`")
            cursor.execute("DELETE FROM worker_lease")
            columns = self._key_names(stage)
            cursor.executemany(
                f"INSERT INTO `~~{sql_name(stage).lstrip('_')}` ({', '.join(f'`{c}`' for c in columns)}, status, "
                f"priority) VALUES ({', '.join(['%s'] * len(columns))}, 'pending', 5)",
                [tuple(key[c] for c in columns) for key in self.keys[stage]],
            )
        return folder

    @property
    def store(self) -> Path:
        """Folder of the chain's files."""
        return (
            Path(self.lab.environment["DECORTEX_STORE"])
            / "_schema"
            / self.lab.environment["DECORTEX_DATABASE"]
        )

    def worker(
        self,
        table: str,
        folder: Path,
        *,
        stage: str = "none",
        nth: int = 1,
        after: bool = False,
        words: tuple[str, ...] = (),
        code: str = "",
        **changed: str,
    ) -> ForkedProcess:
        """Start a worker on one table that stops at one place (and after it, if asked) until it is told to go on."""
        hook = HOOK.format(folder=str(folder), table=table, stage=stage, nth=nth, after=after)
        return self.lab.start(
            "work",
            "--tables",
            table,
            "--stop-when-idle",
            "0",
            *words,
            code=hook + code,
            **changed,
        )

    def finish(self) -> None:
        """Queue and compute what is left, with a scheduler and a worker without faults."""
        self.lab.python(FINISH.format(names=CHAIN))

    def sweep(self, *, code: str = "") -> int:
        """One round of the scheduler; returns how many keys it freed."""
        said = self.lab.python(code + SMALL.format(names=CHAIN) + "\nprint(scheduler.sweep().freed)")
        return int(said)

    def let_lease_run_out(self, pid: int) -> None:
        """What a minute of silence does."""
        self.lab.query(
            "UPDATE worker_lease SET last_seen = last_seen - INTERVAL 61 SECOND WHERE process_id = %s", pid
        )

    def jobs(self, table: str) -> dict[str, int]:
        """Jobs of one queue by state."""
        return self._all_jobs(table)[table]

    def _all_jobs(self, *tables: str) -> dict[str, dict[str, int]]:
        found = {}
        with self.lab.link() as link, link.cursor() as cursor:
            for table in tables:
                queue = f"~~{sql_name(table).lstrip('_')}"
                cursor.execute(f"SELECT status, COUNT(*) FROM `{queue}` GROUP BY status")
                found[table] = dict(cursor.fetchall())
        return found

    def count(self, table: str) -> int:
        """Rows of one table."""
        return int(self.lab.query(f"SELECT COUNT(*) FROM `{sql_name(table)}`")[0][0])

    def check(self) -> None:
        """Every key made once, no row lost, no reservation left, every file whole, rows as without faults."""
        assert self._all_jobs(*CHAIN) == {t: {} for t in CHAIN}
        found = self.rows()
        for table, rows in self.reference.items():
            assert found[table] == rows, table
        with self.lab.link() as link, link.cursor() as cursor:
            for table, column in (("__trained_model", "checkpoint"), ("__embedding", "array")):
                cursor.execute(f"SELECT `{column}` FROM `{table}`")
                for (text,) in cursor.fetchall():
                    stored = json.loads(text)
                    data = (self.store.parents[1] / stored["path"]).read_bytes()
                    assert hashlib.sha256(data).hexdigest() == stored["sha256"], stored["path"]

    def rows(self) -> dict[str, list[Any]]:
        """Every row of the chain without circumstance; of a file its digest, not its name."""
        found: dict[str, list[Any]] = {}
        names = [row[0] for row in self.lab.query("SHOW TABLES")]
        with self.lab.link() as link, link.cursor(DictCursor) as cursor:
            for table in CHAIN:
                own = sql_name(table)
                for name in sorted(n for n in names if n == own or n.startswith(f"{own}__")):
                    cursor.execute(f"SELECT * FROM `{name}`")
                    found[name] = sorted(
                        (
                            tuple((c, _content(v)) for c, v in row.items() if c not in CIRCUMSTANCE)
                            for row in cursor.fetchall()
                        ),
                        key=repr,
                    )
        return found

    def kill_server(self) -> None:
        """Kill -9 of mysqld."""
        pid = self.server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while _runs(pid):
            time.sleep(0.01)

    def _key_names(self, table: str) -> list[str]:
        return [
            row[0]
            for row in self.lab.query(
                "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = %s AND "
                "table_name = %s AND constraint_name = 'PRIMARY' ORDER BY ordinal_position",
                self.lab.environment["DECORTEX_DATABASE"],
                sql_name(table),
            )
        ]

    def _dicts(self, sql: str) -> list[dict[str, Any]]:
        with self.lab.link() as link, link.cursor(DictCursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def await_file(path: Path, process: ForkedProcess, seconds: float = 300) -> None:
    """Wait until a process has come where it stops."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{path.name} did not come: {process.stdout} {process.stderr}"
        time.sleep(0.005)


def await_text(process: ForkedProcess, text: str, seconds: float = 300) -> None:
    """Wait until a process has said something."""
    deadline = time.monotonic() + seconds
    while text not in process.stderr + process.stdout:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{text!r} was not said: {process.stdout} {process.stderr}"
        time.sleep(0.01)


def computed(folder: Path) -> list[str]:
    """Keys that a worker computed, one per line, in order."""
    path = folder / "computed"
    return path.read_text().splitlines() if path.exists() else []


@contextlib.contextmanager
def ended(process: ForkedProcess) -> Iterator[ForkedProcess]:
    """See to it that a process is gone at the end of a block, whatever happened in it."""
    try:
        yield process
    finally:
        process.kill()


def sql_name(table: str) -> str:
    """Name of a computed table in MySQL."""
    return "__" + "".join(f"_{c.lower()}" if c.isupper() else c for c in table).lstrip("_")


def _content(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(json.JSONDecodeError):
            parsed = json.loads(value)
            if isinstance(parsed, dict):
                parsed.pop("path", None)
                return json.dumps(parsed, sort_keys=True)
    return value


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
