"""Many viewers at once on a large database: seconds per page, queries that failed, and a worker beside them.

A database of its own is filled with clusterings (rows as a worker inserts them, labels drawn at random), a dashboard
is started on it as `decortex dashboard` starts it, and viewers open pages as browsers do, some seconds apart. A worker
computes keys of its own meanwhile. Prints one JSON object, and drops the database.

Usage (the server is the configured one, else the embedded one):

    python benchmarks/operations/dashboard_load.py [--clusterings 40000] [--neurons 2000] [--viewers 20] [--seconds 60]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from load import ask, database

import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex_ops.workers import sweep
from decortex_schemas.database import read_settings
from decortex_schemas.queries import START
from decortex_schemas.register import register_checkpoint, register_none
from decortex_schemas.tables import (
    FinetunePlan,
    Study,
    StudyPlan,
    declare_study,
    register_embedding_spec,
    register_method,
)

STUDY = "viewed"
THINK_SECONDS = 2.0
METHODS, STARTS = 5, 20
COUNTS = tuple(range(2, 42))
PAGES = (
    ("/queue", "?hours=24"),
    ("/runs", "?study={study}"),
    ("/runs", "?study={study}&k={k}&sort=largest_share&down=1"),
    ("/runs", "?study={study}&sort=objective&page={page}"),
    ("/map", "?study={study}&k={k}&seed={seed}"),
    ("/which-k", "?study={study}"),
    ("/agreement", "?study={study}&k={k}"),
    ("/fine-tune", "?study={study}"),
    ("/performance", "?study={study}&k={k}&seed={seed}"),
    ("/cluster", "?study={study}&k={k}&seed={seed}&cluster=1"),
    ("/provenance", "?study={study}&k={k}&seed={seed}"),
)


def declare(n_networks: int, n_neurons: int) -> None:
    """Declare a study of some networks, five methods, forty numbers of clusters and twenty starts."""
    keys = []
    for seed in range(n_networks):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.pth"
            weights = torch.randn(n_neurons, 8, generator=torch.Generator().manual_seed(seed))
            torch.save({"readout.weight": weights}, path)
            known = {"dataset": keys[0]["dataset"], "name": STUDY} if keys else {"name": STUDY}
            keys.append(register_checkpoint(path, seed=seed, embedding_key="readout.weight", **known))
    methods = tuple(
        register_method("kmeans", {"n_init": 1, "max_iter": 100 + i}, name=f"kmeans {i}")["method_id"]
        for i in range(METHODS)
    )
    untouched = FinetunePlan(finetune_id=register_none(), methods=(), counts=(), seeds=())
    plan = StudyPlan(
        models=tuple(keys),
        embedding_spec_ids=(register_embedding_spec("raw", EmbeddingConfig(kind="raw")),),
        method_ids=methods,
        counts=COUNTS,
        seeds=tuple(range(STARTS)),
        finetunings=(untouched,),
    )
    declare_study(STUDY, plan)
    for table in (schemas.TrainedModel, schemas.Embedding):
        table.populate()


def fill(n_clusterings: int, n_neurons: int) -> dict[str, Any]:
    """Insert clusterings: one is computed, the others carry its row with labels of their own."""
    started = time.perf_counter()
    declare(max(1, n_clusterings // (METHODS * len(COUNTS) * STARTS)), n_neurons)
    asked = (
        schemas.Embedding.proj() * Study.Method.proj() * Study.Count.proj() * Study.ClusteringSeed.proj()
    ).to_dicts()
    keys = [{name: row[name] for name in START} for row in asked if row["study"] == STUDY]
    schemas.Clustering.populate(keys[0])
    schemas.DECFinetune.populate(keys[0])
    own = (schemas.Clustering & keys[0]).fetch1()
    untouched = (schemas.DECFinetune & keys[0]).fetch1()
    rng = np.random.default_rng(0)
    for first in range(1, len(keys), 2000):
        part = keys[first : first + 2000]
        drawn = [np.sort(rng.integers(0, key["k"], n_neurons)).astype(np.int16) for key in part]
        schemas.Clustering.insert(
            (
                {**own, **key, "labels": labels, "largest_share": rng.random(), "objective": rng.random()}
                for key, labels in zip(part, drawn, strict=True)
            ),
            allow_direct_insert=True,
        )
        schemas.Clustering.Cluster.insert(
            (
                {
                    **key,
                    "cluster": c,
                    "size": int(size),
                    "share": size / n_neurons,
                    "spread": 1.0,
                    "centre": np.zeros(8),
                }
                for key, labels in zip(part[:100], drawn, strict=False)
                for c, size in enumerate(np.bincount(labels, minlength=key["k"]))
            ),
            allow_direct_insert=True,
        )
        schemas.DECFinetune.insert(({**untouched, **key} for key in part), allow_direct_insert=True)
    return {"clusterings": len(schemas.Clustering()), "fill_seconds": round(time.perf_counter() - started, 1)}


@contextmanager
def dashboard() -> Iterator[tuple[str, int]]:
    """A dashboard in a process of its own."""
    settings = read_settings()
    environment = {
        **os.environ,
        "DJ_HOST": settings.host,
        "DJ_PORT": str(settings.port),
        "DJ_USER": settings.user,
        "DJ_PASS": settings.password,
    }
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "decortex_ops", "dashboard", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1].rstrip("/"), process.pid
        finally:
            process.terminate()
            process.wait(30)
            log.seek(0)
            sys.stderr.write(log.read())


def open_page(url: str, path: str, search: str) -> str:
    """Ask for a page's content as the browser does."""
    outputs = [
        ("page", "children"),
        ("nav", "children"),
        ("canonical", "data"),
        ("clock", "disabled"),
        ("clock", "interval"),
    ]
    body = {
        "output": ".." + "...".join(f"{name}.{prop}" for name, prop in outputs) + "..",
        "outputs": [{"id": name, "property": prop} for name, prop in outputs],
        "inputs": [
            {"id": "url", "property": "pathname", "value": path},
            {"id": "url", "property": "search", "value": search},
            {"id": "clock", "property": "n_intervals"},
        ],
        "state": [{"id": "canonical", "property": "data"}],
        "changedPropIds": ["url.pathname"],
    }
    request = urllib.request.Request(
        url + "/_dash-update-component",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(response.read().decode())


def view(url: str, number: int, until: float, taken: dict[str, list[float]], failed: list[str]) -> None:
    """One viewer: open a page, look at it, open another."""
    rng = np.random.default_rng(number)
    time.sleep(rng.random() * THINK_SECONDS)
    while time.monotonic() < until:
        path, search = PAGES[rng.integers(len(PAGES))]
        values = {
            "study": STUDY,
            "k": rng.choice(COUNTS),
            "seed": rng.integers(0, 100),
            "page": rng.integers(1, 50),
        }
        started = time.perf_counter()
        try:
            answer = open_page(url, path, search.format(**values))
        except OSError as error:
            failed.append(f"{path}: {error}")
            continue
        taken[path].append(time.perf_counter() - started)
        if "refused or did not answer" in answer:
            failed.append(f"{path}: the database did not answer")
        time.sleep(THINK_SECONDS * (0.5 + rng.random()))


def processor_seconds(pid: int) -> float:
    """Time that a process has computed, on Linux; other load on the machine does not enter it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, pid: int, viewers: int, seconds: float) -> dict[str, Any]:
    """Many viewers and a worker."""
    for path, search in PAGES:  # what a dashboard that has been up for a while has loaded
        open_page(url, path, search.format(study=STUDY, k=3, seed=1, page=1))
    ask("worked", 400, {"n_neurons": 500, "n_features": 4, "params": {"n_init": 2}})
    sweep()
    before = len(schemas.Clustering())
    worker = subprocess.Popen(
        [sys.executable, "-m", "decortex_ops", "work", "--quiet", "--tables", "Clustering"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while len(schemas.Clustering()) == before and worker.poll() is None:
        time.sleep(0.2)
    computed = processor_seconds(pid)
    taken: dict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=view, args=(url, i, until, taken, failed)) for i in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.terminate()
    said = worker.communicate(timeout=60)[0]
    everything = [value for values in taken.values() for value in values]
    return {
        "viewers": viewers,
        "pages": len(everything),
        "median_seconds": round(float(np.median(everything)), 3),
        "p95_seconds": round(float(np.quantile(everything, 0.95)), 3),
        "median_by_page": {
            path: round(float(np.median(values)), 3) for path, values in sorted(taken.items())
        },
        "processor_seconds_a_page": round((processor_seconds(pid) - computed) / max(len(everything), 1), 3),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "failed": failed,
        "rows_by_worker": len(schemas.Clustering()) - before,
        "failed_jobs": sum(
            len(schemas.database.queue_of(t).errors) for t in schemas.database.computed_tables()
        ),
        "worker_said": said.strip(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusterings", type=int, default=40_000)
    parser.add_argument("--neurons", type=int, default=2_000)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args(arguments)
    with database():
        found = fill(asked.clusterings, asked.neurons)
        with dashboard() as (url, pid):
            found |= measure(url, pid, asked.viewers, asked.seconds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
