"""Workers as processes: two fill the database as one does, and a killed one loses nothing."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Lab

DECLARE = """
import decortex_schemas as schemas
from small_lab import declare_small_study
schemas.connect()
declare_small_study('small', 'study')
"""
# Everything that is a result, by table, without when, where and how long.
DUMP = """
import pickle, sys
import numpy as np
import decortex_schemas as s
from decortex_schemas.database import computed_tables
s.connect()
circumstance = {'env_id', 'db_user', 'host_name', 'started_at', 'seconds', 'epoch_seconds', 'checkpoint'}
def plain(value):
    if hasattr(value, 'load'):
        value = value.load()
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value
found = {}
for table in computed_tables():
    for part in [table, *(getattr(table, n) for n in sorted(vars(table)) if n[0].isupper())]:
        rows = part().to_dicts(order_by='KEY')
        found[part.__qualname__] = [{k: plain(v) for k, v in r.items() if k not in circumstance} for r in rows]
sys.stdout.write(pickle.dumps(found).hex())
"""


def drain(lab: Lab, workers: int) -> None:
    """Run a scheduler and so many workers until every queue is empty."""
    lab.run("schedule")
    running = [lab.start("work", "--quiet", "--stop-when-idle", "20") for _ in range(workers)]
    deadline = time.monotonic() + 240
    while True:
        assert time.monotonic() < deadline, [p.communicate()[0] for p in running if p.poll() is not None]
        waiting = sum(jobs(lab, state) for state in ("pending", "reserved"))
        queued = lab.run("schedule").stdout
        if not waiting and queued.startswith("0 queued"):
            break
    for process in running:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.communicate()[0]
    assert jobs(lab, "error") == 0


def jobs(lab: Lab, state: str) -> int:
    """Number of jobs in this state, over all queues."""
    tables = [row[0] for row in lab.query("SHOW TABLES") if row[0].startswith("~~")]
    assert tables
    return sum(lab.query(f"SELECT COUNT(*) FROM `{name}` WHERE status = %s", state)[0][0] for name in tables)


def dump(lab: Lab) -> dict[str, list[dict[str, object]]]:
    """Every computed row of a lab."""
    found: dict[str, list[dict[str, object]]] = pickle.loads(bytes.fromhex(lab.python(DUMP)))
    return found


def test_two_workers_fill_the_database_as_one_does(make_lab: Callable[[str], Lab]) -> None:
    dumps = []
    for workers in (1, 2):
        lab = make_lab(f"with-{workers}")
        lab.python(DECLARE)
        drain(lab, workers)
        lab.run("study", "freeze", "study")
        drain(lab, workers)
        dumps.append(dump(lab))
    one, two = dumps
    assert set(one) == set(two)
    assert len(one["SeedAgreement"]) == 6
    for table, rows in one.items():
        assert rows == two[table], table


@pytest.mark.parametrize("table", ["_trained_model", "_clustering"])
def test_a_key_of_a_killed_worker_is_freed_and_made(make_lab: Callable[[str], Lab], table: str) -> None:
    lab = make_lab("killed")
    lab.python(DECLARE)
    queue = f"~~{table.lstrip('_')}"
    if table != "_trained_model":
        lab.run("schedule")
        lab.run("work", "--stop-when-idle", "1", "--tables", "TrainedModel")
        lab.run("schedule")
        lab.run("work", "--stop-when-idle", "1", "--tables", "Embedding")
    lab.run("schedule")
    worker = lab.start("work")
    while not (held := lab.query(f"SELECT pid FROM `{queue}` WHERE status = 'reserved'")):
        assert worker.poll() is None, worker.communicate()[0]
    assert held[0][0] == worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    done = lab.query(f"SELECT COUNT(*) FROM `{table.replace('_', '__', 1)}`")[0][0]

    # Its lease is still fresh: the key stays reserved, nobody else may make it.
    assert ", 0 freed" in lab.run("schedule").stdout
    lab.query(
        "UPDATE worker_lease SET last_seen = last_seen - INTERVAL 61 SECOND WHERE process_id = %s", worker.pid
    )
    assert ", 1 freed" in lab.run("schedule").stdout

    drain(lab, 1)
    assert lab.query(f"SELECT COUNT(*) FROM `{table.replace('_', '__', 1)}`")[0][0] > done
    assert jobs(lab, "reserved") == jobs(lab, "error") == 0


def test_sigterm_hands_the_key_back(make_lab: Callable[[str], Lab]) -> None:
    lab = make_lab("terminated")
    lab.python(DECLARE)
    lab.run("schedule")
    worker = lab.start("work")
    while not lab.query("SELECT 1 FROM `~~trained_model` WHERE status = 'reserved'"):
        assert worker.poll() is None, worker.communicate()[0]
    worker.send_signal(signal.SIGTERM)
    text = worker.communicate(timeout=60)[0]
    assert worker.returncode == 0, text
    assert "handed back" in text
    assert lab.query("SELECT status, COUNT(*) FROM `~~trained_model` GROUP BY status") == [("pending", 2)]


def test_a_plain_populate_works_without_our_worker(make_lab: Callable[[str], Lab]) -> None:
    lab = make_lab("plain")
    lab.python(DECLARE)
    lab.python(
        "import decortex_schemas as s; s.connect()\n"
        "for table in (s.TrainedModel, s.Embedding, s.Clustering):\n"
        "    outcome = table.populate(reserve_jobs=True)\n"
        "    assert outcome['error_list'] == [], outcome\n"
        "assert len(s.Clustering()) == 16, len(s.Clustering())"
    )


def test_the_scripts_fill_the_chain(make_lab: Callable[[str], Lab]) -> None:
    lab = make_lab("scripts")
    lab.python(DECLARE)
    scripts = Path(__file__).resolve().parents[2] / "populate_scripts"
    for stage in ("models", "embeddings", "clustering", "finetune", "evaluation"):
        script = scripts / f"populate_{stage}.py"
        assert script.read_text().count("\n") < 20
        done = subprocess.run(
            [sys.executable, str(script)],
            env=lab.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
    assert lab.query("SELECT COUNT(*) FROM `__d_e_c_finetune`") == [(20,)]
    assert lab.query("SELECT COUNT(*) FROM `__cluster_performance`") == [(20,)]
