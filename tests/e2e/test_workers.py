"""Workers as processes: two fill the database as one does, and a killed one loses nothing."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from other_processes import Lab

from decortex_schemas.database import computed_tables

DECLARE = """
from decortex_ops.defaults import register_defaults
from small_lab import declare_small_study
register_defaults()
declare_small_study('small', 'study')
"""
FILL = """
from decortex_ops.fleet import run_until_empty
from decortex_schemas.queries import failed_jobs
run_until_empty(workers={workers})
assert failed_jobs() == [], failed_jobs()
"""
FREEZE = """
from decortex_schemas.frozen import freeze_study
freeze_study('study')
"""
# Everything that is a result, by table, without when, where and how long.
DUMP = """
import pickle, sys
import numpy as np
from decortex_schemas.database import computed_tables
circumstance = {'env_id', 'db_user', 'host_name', 'started_at', 'seconds', 'epoch_seconds'}
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


def test_two_workers_fill_the_database_as_one_does(make_lab: Callable[[str], Lab]) -> None:
    dumps: list[dict[str, list[object]]] = []
    for workers in (1, 2):
        lab = make_lab(f"with-{workers}")
        fill = FILL.format(workers=workers)
        dumps.append(pickle.loads(bytes.fromhex(lab.python(DECLARE + fill + FREEZE + fill + DUMP))))
        assert waiting(lab) == {}
    one, two = dumps
    assert set(one) == set(two)
    assert (len(one["DECFinetune"]), len(one["RetainedPerformance"]), len(one["SeedAgreement"])) == (20, 4, 6)
    for table, rows in one.items():
        assert rows == two[table], table


def waiting(lab: Lab) -> dict[str, int]:
    """Jobs by state, over all queues."""
    tables = [row[0] for row in lab.query("SHOW TABLES") if row[0].startswith("~~")]
    assert len(tables) == len(computed_tables())
    states = [row[0] for name in tables for row in lab.query(f"SELECT status FROM `{name}`")]
    return {state: states.count(state) for state in set(states)}


def started_on(lab: Lab, queue: str) -> subprocess.Popen[str]:
    """Start a worker and wait until it has reserved a key of this queue."""
    worker = lab.start("work")
    while not (held := lab.query(f"SELECT pid FROM `{queue}` WHERE status = 'reserved'")):
        assert worker.poll() is None, worker.communicate()[0]
    assert held[0][0] == worker.pid
    return worker


def test_an_interrupted_worker_loses_nothing(make_lab: Callable[[str], Lab]) -> None:
    lab = make_lab("interrupted")
    lab.python(DECLARE + "from decortex_ops.scheduler import sweep; sweep()")

    # SIGTERM: the key in work goes back to the queue, the worker ends in order.
    worker = started_on(lab, "~~trained_model")
    worker.send_signal(signal.SIGTERM)
    text = worker.communicate(timeout=60)[0]
    assert worker.returncode == 0, text
    assert "1 handed back" in text
    # Two networks, and the summary of their recordings, which the worker had not come to.
    assert waiting(lab) == {"pending": 3}

    # SIGKILL: its lease is still fresh, so the key stays reserved; when the lease has run out, it is freed.
    worker = started_on(lab, "~~trained_model")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert waiting(lab) == {"reserved": 1, "pending": 2}
    lab.python(
        "from decortex_ops.scheduler import sweep\n"
        "from decortex_schemas import leases\n"
        "leases.MINIMUM_UPTIME = 0\n"  # this run's server may be younger
        "assert sweep().freed == 0\n"
        "schemas.schema.connection.query(\n"
        "    f'UPDATE {schemas.WorkerLease().full_table_name} SET last_seen = last_seen - INTERVAL 61 SECOND '\n"
        f"    'WHERE process_id = {worker.pid}'\n"
        ")\n"
        "assert sweep().freed == 1\n" + FILL.format(workers=1)
    )
    assert waiting(lab) == {}
    assert lab.query("SELECT COUNT(*) FROM `__trained_model`") == [(2,)]
    assert lab.query("SELECT COUNT(*) FROM `__d_e_c_finetune`") == [(20,)]


def test_the_scripts_fill_the_chain_without_our_worker(make_lab: Callable[[str], Lab]) -> None:
    lab = make_lab("scripts")
    lab.python(DECLARE)
    scripts = Path(__file__).resolve().parents[2] / "populate_scripts"
    for stage in ("models", "embeddings", "clustering", "finetune", "evaluation"):
        done = subprocess.run(
            [sys.executable, str(scripts / f"populate_{stage}.py")],
            env=lab.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
    for table in ("d_e_c_finetune", "cluster_performance", "cluster_quality"):
        assert lab.query(f"SELECT COUNT(*) FROM `__{table}`") == [(20,)]
    assert waiting(lab) == {}
