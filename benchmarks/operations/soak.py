"""Hours of a lab with everything going wrong at random: what is made, lost, made twice and left behind.

A server of its own, a scheduler, workers and a dashboard run on a database of their own. Studies are declared whenever
little is left to compute. Meanwhile, at random: workers are killed or told to stop, the scheduler and the server are
killed (and start again), and rows are deleted with all that rests on them. `/metrics` is read throughout. At the end
the queues are drained and everything is compared: workers' logs, rows, queues, files.

- ``made``: keys that a worker reported as made.
- ``lost``: keys that a study asks for without a row or an error at the end, and rows that were reported as made, not
  deleted, and are gone.
- ``double``: keys reported as made twice without a deletion between.
- ``orphaned``: reservations that nobody holds. Files without a row are counted beside: a killed worker may leave one,
  `decortex gc` finds them.

Exit status 1 if any of lost, double, orphaned or damaged files is not 0.

Usage:

    python benchmarks/operations/soak.py [--hours 1] [--workers 8] [--pause 15] [--seed 0] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from soak_findings import Deletion, MadeKeys, Watch, compare
from soak_programs import DECLARE, LOOK

from decortex_ops.server import EmbeddedServer

# Fewer waiting keys than this, and the next study is declared.
LOW_WATER = 300
# What goes wrong, and how often among twenty: dealt like cards, so that nothing is left out of a short run.
DISTURBANCES = {"kill worker": 9, "stop worker": 3, "kill scheduler": 2, "kill server": 2, "delete": 4}
SCRAPE_SECONDS = 5.0
DRAIN_SECONDS = 1800.0

Say = Callable[[str], None]


@dataclass
class Soak:
    """The lab under test.

    Parameters
    ----------
    folder : Path
        Of server, store and logs.
    n_workers : int
        Worker processes at any time.
    pause : float
        Mean seconds between two disturbances.
    rng : random.Random
        Draws what goes wrong, and when.
    """

    folder: Path
    n_workers: int
    pause: float
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    deletions: list[Deletion] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    studies: int = 0
    _deck: list[str] = field(default_factory=list)
    _beside: dict[str, threading.Thread] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _started: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the server and declare the tables."""
        self.server = EmbeddedServer(home=self.folder / "mysql")
        found = self.server.start()
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "DECORTEX_"))
            },
            "DJ_HOST": found.host,
            "DJ_PORT": str(found.port),
            "DJ_USER": found.user,
            "DJ_PASS": found.password,
            "DECORTEX_DATABASE": "soak",
            "DECORTEX_STORE": str(self.folder / "store"),
            "DECORTEX_ALLOW_DIRTY": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.command("init")

    def command(self, *words: str) -> str:
        """Run `decortex` to its end; returns what it prints."""
        return self._run([sys.executable, "-m", "decortex_ops", *words])

    def python(self, code: str, *words: str) -> str:
        """Run lines of Python to their end; returns what they print."""
        return self._run([sys.executable, "-c", code, *words])

    def _run(self, words: list[str]) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[:4]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, name: str, *words: str) -> None:
        """Start a process that goes on; its output is kept as a file of its own."""
        self._started += 1
        log = (self.folder / "logs" / f"{name}.{self._started}.log").open("wb")
        with log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "decortex_ops", *words],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def keep_up(self) -> None:
        """Start again what is not running."""
        wanted = {f"worker-{i}": ("work", "--log", "json") for i in range(self.n_workers)}
        wanted["scheduler"] = ("schedule", "--every", "5", "--log", "json")
        for name, words in wanted.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                if process is not None and process.returncode not in (
                    -signal.SIGKILL,
                    0,
                    143,
                    -signal.SIGTERM,
                ):
                    self.counts[f"{name.partition('-')[0]} ended by itself ({process.returncode})"] += 1
                self.spawn(name, *words)

    def keep(self) -> None:
        """Keep processes running until the end, whatever command is being waited for meanwhile."""
        while not self._closing.wait(1.0):
            with self._lock:
                self.keep_up()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        with (
            pymysql.connect(
                host=self.environment["DJ_HOST"],
                port=int(self.environment["DJ_PORT"]),
                user=self.environment["DJ_USER"],
                password=self.environment["DJ_PASS"],
                database="soak",
            ) as link,
            link.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def jobs(self) -> Counter[str]:
        """Entries of all queues by state."""
        names = [row[0] for row in self.query("SHOW TABLES") if row[0].startswith("~~")]
        union = " UNION ALL ".join(f"SELECT status FROM `{name}`" for name in names)
        return Counter(dict(self.query(f"SELECT status, COUNT(*) FROM ({union}) AS every GROUP BY status")))

    def declare(self) -> None:
        """One more network, and a study of it."""
        self.studies += 1  # a name is used once, also where declaring it fails halfway
        self.python(DECLARE.format(number=self.studies - 1, folder=str(self.folder)))
        self.counts["studies declared"] += 1

    def delete(self) -> None:
        """Delete some rows and all that rests on them."""
        restriction: dict[str, Any] = {"dataset": f"soak-{self.rng.randrange(self.studies)}"}
        table = self.rng.choice(["Embedding", "Clustering", "Clustering", "ClusterQuality"])
        if table != "Embedding":
            restriction["k"] = self.rng.randrange(2, 12)
        words = ["delete", table, json.dumps(restriction), "--json"]
        tables = {row["table"] for row in json.loads(self.command(*words))["rows"]}
        if not tables:
            return
        # Rows that are computed between the question and the deletion may be of tables that had none.
        tables |= {name for rows in [d.tables for d in self.deletions if table in d.tables] for name in rows}
        gone = Deletion(tables, restriction, time.time())
        self.deletions.append(gone)
        try:
            done = json.loads(self.command(*words, "--why", "soak: a deletion amid everything", "--yes"))[
                "rows"
            ]
        finally:
            gone.ended = time.time()  # also of one that met a killed server: it is done, or rolled back
        gone.tables |= {row["table"] for row in done}
        self.counts["deletions"] += 1
        self.counts["rows deleted"] += sum(int(row["rows"]) for row in done)

    def end(self, name: str, how: signal.Signals) -> None:
        """Send a signal to one process."""
        with self._lock:
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                return
            process.send_signal(how)
            if how == signal.SIGKILL:
                process.wait()
            self.counts[f"{name.partition('-')[0]} {how.name}"] += 1

    def kill_server(self) -> None:
        """Kill the server, and start it again some seconds later."""
        pid = self.server.status().pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            self.counts["server SIGKILL"] += 1
        time.sleep(self.rng.uniform(0.5, 12.0))
        self.server.start()

    def disturb(self, say: Say) -> None:
        """Do one thing that goes wrong; a deletion goes on beside what follows."""
        if not self._deck:
            self._deck = [name for name, n in DISTURBANCES.items() for _ in range(n)]
            self.rng.shuffle(self._deck)
        drawn = self._deck.pop()
        worker = f"worker-{self.rng.randrange(self.n_workers)}"
        if drawn == "kill worker":
            self.end(worker, signal.SIGKILL)
        elif drawn == "stop worker":
            self.end(worker, signal.SIGTERM)
        elif drawn == "kill scheduler":
            self.end("scheduler", signal.SIGKILL)
        elif drawn == "kill server":
            self.kill_server()
        elif not self.go_on_beside("deletion", self.delete, say):
            self.counts["deletions left out, one was under way"] += 1

    def go_on_beside(self, name: str, command: Callable[[], None], say: Say) -> bool:
        """Start what takes long beside what goes wrong, one of a name at a time; returns whether it was started."""
        under_way = self._beside.get(name)
        if under_way is not None and under_way.is_alive():
            return False

        def run() -> None:
            try:
                command()
            except RuntimeError as error:  # a command that met a killed server: it is told
                self.counts[f"{name}: failed"] += 1
                say(f"{name} failed: {str(error)[-300:]}")

        self._beside[name] = threading.Thread(target=run, daemon=True)
        self._beside[name].start()
        return True

    def scrape(self, port: int) -> None:
        """Read /metrics until it is over."""
        while not self._over.wait(SCRAPE_SECONDS):
            self.watch.scrapes += 1
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                    text = answer.read().decode()
            except (urllib.error.URLError, OSError):
                self.watch.unanswered += 1
                continue
            self.watch.note(text)

    def run(self, seconds: float, say: Say) -> dict[str, Any]:
        """Run for so long, drain, and compare; returns the values."""
        (self.folder / "logs").mkdir()
        self.start()
        began = time.monotonic()
        self.declare()
        port = _free_port()
        self.spawn("dashboard", "dashboard", "--port", str(port))
        watching = threading.Thread(target=self.scrape, args=(port,), daemon=True)
        watching.start()
        keeping = threading.Thread(target=self.keep, daemon=True)
        keeping.start()
        try:
            while (passed := time.monotonic() - began) < seconds:
                waiting = -1
                try:
                    waiting = self.jobs()["pending"]
                    if waiting < LOW_WATER:
                        self.go_on_beside("declaration", self.declare, say)
                    self.disturb(say)
                except (pymysql.MySQLError, RuntimeError) as error:
                    self.counts["questions that failed"] += 1
                    say(f"{passed:.0f} s: {str(error)[-300:]}")
                    self.server.start()
                say(f"{passed:.0f} s: {waiting} waiting, {dict(self.counts)}")
                time.sleep(self.rng.uniform(0.5, 1.5) * self.pause)
            lasted = time.monotonic() - began
            for beside in self._beside.values():
                beside.join()
            drained = self.drain()
            self._closing.set()
            keeping.join()
            return self.compare(lasted, drained=drained)
        finally:
            self._over.set()
            self._closing.set()
            keeping.join()
            for process in self._processes.values():
                process.kill()
                process.wait()
            self.server.stop()

    def drain(self) -> bool:
        """Let the workers finish; whether nothing was left to do in time."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            jobs = self.jobs()
            if not jobs["pending"] and not jobs["reserved"]:
                self.command("schedule")
                jobs = self.jobs()
                if not jobs["pending"] and not jobs["reserved"]:
                    return True
            time.sleep(2)
        return False

    def compare(self, seconds: float, *, drained: bool) -> dict[str, Any]:
        """What was made, lost, made twice and left behind."""
        for name in [name for name in self._processes if name != "dashboard"]:
            self._processes[name].terminate()
            self._processes[name].wait()
        told = [{**vars(one), "tables": sorted(one.tables)} for one in self.deletions]
        (self.folder / "deletions.json").write_text(json.dumps(told))
        self.python(LOOK, str(self.folder / "found.json"))
        found = json.loads((self.folder / "found.json").read_text())
        return {
            "hours": round(seconds / 3600, 3),
            "workers": self.n_workers,
            "drained": drained,
            **compare(found, MadeKeys.read(self.folder / "logs"), self.deletions),
            "disturbances": dict(sorted(self.counts.items())),
            "metrics": vars(self.watch),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(words: Sequence[str] | None = None) -> int:
    """Run the soak and print its values as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--pause", type=float, default=15.0, help="mean seconds between two disturbances")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep server, store and logs here; it must not exist")
    asked = parser.parse_args(words)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes started here end with this one
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch) / "soak"
        folder.mkdir(parents=True)
        found = Soak(folder, asked.workers, asked.pause, random.Random(asked.seed)).run(
            asked.hours * 3600, say
        )
    print(json.dumps(found))
    print(
        f"made {found['made']}, lost {found['lost']}, double {found['double']}, orphaned {found['orphaned']}"
    )
    bad = found["lost"] or found["double"] or found["orphaned"] or found["damaged"] or not found["drained"]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
