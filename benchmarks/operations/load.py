"""What the pipeline costs beside the science: queueing and draining clusterings. One JSON object a measurement.

A database of its own is filled from a checkpoint of few neurons, clustered by k-means at ten numbers of clusters and
as many seeds as the keys need, and dropped at the end:

- ``one worker``: a worker in this process; for every key the time between two rows, less the time inside ``fit``, and
  each key's share of queueing. Median over keys, and over the first and the last tenth of them (growth).
- ``drained``: worker processes as `decortex work` starts them, until nothing is left; every key exactly once.
- ``rounds``: rounds of the scheduler while that many keys wait and nothing changes (seconds and rows that the server
  read for each, medians), all queues refreshed, with the slowest, and a round that looks at everything; then, beside
  `decortex schedule --every 5`, the seconds from a study's declaration to its last key in the queue.
- ``two workers``: keys that compute for about half a second each, by one process and by two; the ratio of their rates.

Usage (the server is the configured one, else the embedded one):

    python benchmarks/operations/load.py [--keys 20000] [--workers 8] [--slow-keys 60]
        [--only one-worker drained two-workers]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex_ops.workers import sweep, worker
from decortex_schemas.database import KeySources, computed_tables, queue_of, refresh_queue
from decortex_schemas.register import register_checkpoint, register_defaults
from decortex_schemas.tables import (
    StudyPlan,
    clustering,
    declare_study,
    register_embedding_spec,
    register_method,
)

COUNTS = tuple(range(2, 12))
QUICK = {"n_neurons": 60, "n_features": 4, "params": {"n_init": 1}}
SLOW = {"n_neurons": 8000, "n_features": 32, "params": {"n_init": 12}}
PRIORITY = 5
# Of `decortex schedule`, in seconds, and studies that are declared beside it.
EVERY, DECLARED = 5.0, 5
STEPS = ("one-worker", "drained", "two-workers", "rounds")


@contextmanager
def database() -> Iterator[str]:
    """An empty database with a store of its own, dropped at the end."""
    name = f"load_{os.getpid()}"
    with tempfile.TemporaryDirectory() as store:
        os.environ |= {"DECORTEX_DATABASE": name, "DECORTEX_STORE": store}
        connection = schemas.connect()
        register_defaults()
        try:
            yield name
        finally:
            connection.query(f"DROP DATABASE `{name}`")


def ask(study: str, n_keys: int, kind: dict[str, Any]) -> StudyPlan:
    """Declare a study of k-means on one checkpoint, ten numbers of clusters, and compute its embedding."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{study}.pth"
        weights = torch.randn(
            kind["n_neurons"], kind["n_features"], generator=torch.Generator().manual_seed(0)
        )
        torch.save({"readout.weight": weights}, path)
        key = register_checkpoint(path, embedding_key="readout.weight")
    plan = StudyPlan(
        models=(key,),
        embedding_spec_ids=(register_embedding_spec("raw", EmbeddingConfig(kind="raw")),),
        method_ids=(register_method("kmeans", kind["params"], name=f"kmeans {study}")["method_id"],),
        counts=COUNTS,
        seeds=tuple(range(-(-n_keys // len(COUNTS)))),
    )
    declare_study(study, plan)
    for table in (schemas.TrainedModel, schemas.Embedding):
        table.populate(reserve_jobs=True)
    return plan


def one_worker(n_keys: int) -> dict[str, Any]:
    """Milliseconds per key that are not science, with one worker in this process."""
    before = time.perf_counter()
    queued = sweep().added
    queueing = time.perf_counter() - before
    science: list[float] = []
    ended: list[float] = []
    fit, insert = clustering.fit, schemas.Clustering.make_insert

    def timed_fit(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = fit(*args, **kwargs)
        science.append(time.perf_counter() - start)
        return result

    def timed_insert(self: Any, *args: Any) -> None:
        insert(self, *args)
        ended.append(time.perf_counter())

    clustering.fit = timed_fit  # type: ignore[assignment]
    schemas.Clustering.make_insert = timed_insert  # type: ignore[method-assign]
    try:
        summary = worker.work([schemas.Clustering], max_calls=n_keys, stop_when_idle=0.0)
    finally:
        clustering.fit, schemas.Clustering.make_insert = fit, insert  # type: ignore[method-assign]
    each = 1e3 * (np.diff(ended) - np.array(science[1:])) + 1e3 * queueing / queued
    tenth = max(len(each) // 10, 1)
    return {
        "keys": summary.done,
        "failed": len(summary.failed),
        "overhead_ms": float(np.median(each)),
        "overhead_ms_mean": float(np.mean(each)),
        "overhead_ms_p95": float(np.quantile(each, 0.95)),
        "overhead_ms_first_tenth": float(np.median(each[:tenth])),
        "overhead_ms_last_tenth": float(np.median(each[-tenth:])),
        "queueing_ms": 1e3 * queueing / queued,
        "science_ms": 1e3 * float(np.median(science)),
    }


def drain(n_workers: int) -> dict[str, Any]:
    """Queue what is asked for and drain it with worker processes; seconds from the first row to the last."""
    start = time.perf_counter()
    queued = sweep().added
    queueing = time.perf_counter() - start
    before = len(schemas.Clustering())
    command = [
        sys.executable,
        "-m",
        "decortex_ops",
        "work",
        "--tables",
        "Clustering",
        "--stop-when-idle",
        "0",
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n_workers)]
    said = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), said
    rows = len(schemas.Clustering()) - before
    done = sum(int(text.split(" done")[0].rsplit(maxsplit=1)[-1]) for text in said)
    # By the rows' own stamps: starting Python and its libraries is not draining.
    first, last = schemas.schema.connection.query(
        f"SELECT MIN(started_at), MAX(started_at + INTERVAL 1e6*seconds MICROSECOND) FROM (SELECT started_at, seconds "
        f"FROM {schemas.Clustering().full_table_name} ORDER BY started_at DESC LIMIT {rows}) AS own"
    ).fetchone()
    seconds = (last - first).total_seconds()
    return {
        "workers": n_workers,
        "queued": queued,
        "rows": rows,
        "made": done,
        "left": len(schemas.Clustering.jobs),
        "queueing_s": queueing,
        "seconds": seconds,
        "keys_per_s": rows / seconds,
    }


def rounds(n_keys: int) -> Iterator[dict[str, Any]]:
    """Rounds of the scheduler while keys wait: idle, looking at everything, and after a declaration."""
    began = time.perf_counter()
    plan = ask("waiting", n_keys, QUICK)
    fill_queue()
    sources = KeySources(computed_tables())
    sweep(sources)
    while sources.look():  # what was just written settles
        time.sleep(1.0)
        sweep(sources)
    waiting = len(schemas.Clustering.jobs.pending)
    yield {"measure": "rounds, set up", "waiting": waiting, "seconds": time.perf_counter() - began}
    idle = [_round(lambda: sweep(sources)) for _ in range(10)]
    yield {
        "measure": "idle round",
        "seconds": float(np.median([seconds for seconds, _ in idle])),
        "rows_read": float(np.median([rows for _, rows in idle])),
    }
    taken: dict[str, float] = {}
    for table in computed_tables():
        start = time.perf_counter()
        refresh_queue(table, priority=PRIORITY)
        taken[table.__name__] = time.perf_counter() - start
    slowest = dict(sorted(taken.items(), key=lambda item: -item[1])[:4])
    yield {"measure": "queues refreshed", "seconds": sum(taken.values()), "slowest": slowest}
    seconds, rows = _round(sweep)
    yield {"measure": "full round", "seconds": seconds, "rows_read": rows}
    waits = list(_declared_beside_a_scheduler(plan, settle=seconds))
    yield {
        "measure": "changed study",
        "interval_s": EVERY,
        "queued_after_s": waits,
        "within_one_interval": max(waits) <= EVERY,
    }


def fill_queue() -> None:
    """Queue what clusterings are asked for, in one statement of the server."""
    table = schemas.Clustering()
    names = ", ".join(f"`{name}`" for name in table.primary_key)
    schemas.schema.connection.query(
        f"INSERT INTO {queue_of(schemas.Clustering).full_table_name} ({names}, status, priority) "
        f"SELECT {names}, 'pending', {PRIORITY} FROM ({table.key_source.make_sql()}) AS asked"
    )


def _declared_beside_a_scheduler(plan: StudyPlan, *, settle: float) -> Iterator[float]:
    """Seconds from a study's declaration to its last key in the queue, at random moments of a running scheduler."""
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "decortex_ops", "schedule", "--every", str(EVERY)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    jobs = schemas.Clustering.jobs
    try:
        time.sleep(15 + 2 * settle)  # it starts, and looks at everything, twice
        for turn in range(DECLARED):
            time.sleep(settle + rng.uniform(0, EVERY))
            counts = (COUNTS[-1] + 1 + turn,)
            declare_study(
                f"changed {turn}", plan.model_copy(update={"counts": counts, "seeds": tuple(range(20))})
            )
            start = time.perf_counter()
            while len(jobs & {"k": counts[0]}) < 20:
                assert time.perf_counter() - start < 600, "the study was never queued"
                assert process.poll() is None, "the scheduler has ended"
                time.sleep(0.05)
            yield time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


def _round(sweep_once: Callable[[], Any]) -> tuple[float, int]:
    """Seconds of a round, and rows that its session read."""
    before, start = _rows_read(), time.perf_counter()
    sweep_once()
    return time.perf_counter() - start, _rows_read() - before


def _rows_read() -> int:
    rows = schemas.schema.connection.query("SHOW SESSION STATUS LIKE 'Handler_read%%'").fetchall()
    return sum(int(n) for _, n in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=20000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--slow-keys", type=int, default=60)
    parser.add_argument("--only", nargs="*", choices=STEPS, default=STEPS)
    asked = parser.parse_args(arguments)
    with database():
        if "one-worker" in asked.only:
            ask("alone", asked.keys, QUICK)
            print(json.dumps({"measure": "one worker", **one_worker(asked.keys)}), flush=True)
        if "drained" in asked.only:
            ask("together", asked.keys, QUICK)
            print(json.dumps({"measure": "drained", **drain(asked.workers)}), flush=True)
        if "rounds" in asked.only:
            for found in rounds(asked.keys):
                print(json.dumps(found), flush=True)
        if "two-workers" in asked.only:
            seconds = {1: 0.0, 2: 0.0}
            for turn, n_workers in enumerate((1, 2, 2, 1)):  # what drifts on the machine falls on both
                ask(f"slow{turn}", asked.slow_keys, SLOW)
                found = drain(n_workers)
                seconds[n_workers] += found["seconds"]
                print(json.dumps({"measure": "compute-bound", **found}), flush=True)
            print(json.dumps({"measure": "two workers", "ratio": seconds[1] / seconds[2]}), flush=True)


if __name__ == "__main__":
    main()
