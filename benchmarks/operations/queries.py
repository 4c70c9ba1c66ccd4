"""How long the documented questions take on a database as large as a lab's, and how large it is. One table.

Fills an empty database with synthetic rows (`lab_scale.fill_lab`), asks every question of docs/how-to/questions.md
three times as the commands do, prints the seconds of the fastest and the first time, and the size of database and
store, and drops the database. Lines of Python that end in a query are timed as a notebook shows them, its first rows
and their number; beside it stands fetching all rows. Usage (the server is a private one in FOLDER, with 1 GB of
buffer as docs/operations/load.md has it, else the configured one):

    python benchmarks/operations/queries.py [--clusterings 40000] [--neurons 50000] [--home FOLDER] [--keep]
        [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
from lab_scale import NAME, Size, fill_lab

import decortex_schemas as schemas
from decortex_ops.workers import sweep
from decortex_schemas import queries

ROUNDS = 3
BUFFER_POOL = 2**30  # bytes, what docs/operations/load.md says a lab's server should have
QUESTIONS: dict[str, Callable[[], Any]] = {
    "decortex status": queries.progress,
    "decortex errors": queries.failed_jobs,
    "decortex study show": queries.studies,
    "decortex results": lambda: queries.results(NAME),
    "decortex agreement": lambda: queries.agreement(NAME),
    "decortex best-k": lambda: queries.best_k(NAME),
    "decortex stats (predictability)": lambda: queries.predictability(NAME),
    "decortex stats (confounds)": lambda: queries.confounds(NAME),
    "decortex price (price)": lambda: queries.price(NAME),
    "decortex price (improvement)": lambda: queries.improvement(NAME),
    "decortex price (front)": lambda: queries.front(NAME),
    "a round of the scheduler": sweep,
}
# What docs/how-to/questions.md and README.md write as queries: name, then the expression.
EXPRESSIONS: dict[str, Callable[[], Any]] = {
    "partitions of GMM at K = 8": lambda: (schemas.Clustering & {"method": "gmm", "k": 8}).proj(
        "fit_status", "largest_share"
    ),
    "the labels among them": lambda: (
        schemas.Clustering & {"method": "gmm", "k": 8, "model_seed": 3, "seed": 0}
    ).proj("labels"),
    "agreement of seeds and starts": lambda: (
        schemas.SeedAgreement.proj("ari_seeds", "ari_clustering_seeds", "n_pairs_seeds") & {"study": NAME}
    ),
    "clusters of the consensus found again": lambda: (
        schemas.ConsensusPartition.Cluster & {"study": NAME} & "recovered > 0.9"
    ),
    "the population, by animals": lambda: (
        schemas.ClusterAssociation.Population * schemas.CovariateSet.proj("covariate_set")
        & {"covariate_set": "norm and reliability", "unit_kind": "animal"}
    ).proj("population_status", "n_units", "p", "effect"),
    "partitions that survive correction": lambda: (
        schemas.AdjustedPValue.Partition & {"study": NAME} & "p_sessions_bh < 0.05"
    ),
    "fine-tunings of negligible cost": lambda: (
        schemas.RetainedPerformance * schemas.FinetuneSpec.proj("finetune") & "equivalent = 1"
    ),
    "clusters that paid more": lambda: schemas.RetainedPerformance.Cluster & "high < -0.005",
}


def asked_questions() -> dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]]:
    """Everything that is asked; an expression as a notebook shows it (its first rows), and fetched whole."""
    commands = {name: (ask, None) for name, ask in QUESTIONS.items()}
    expressions = {
        name: (lambda make=make: str(make()), lambda make=make: make().to_dicts())
        for name, make in EXPRESSIONS.items()
    }
    return {**commands, **expressions}


def timed(question: Callable[[], Any]) -> list[float]:
    """Seconds of every round."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        question()
        found.append(time.perf_counter() - start)
    return found


def sizes(store: Path) -> pd.DataFrame:
    """Gigabytes of every table on the disk, and of the store."""
    rows = schemas.schema.connection.query(
        "SELECT SUBSTRING_INDEX(name, '/', -1), file_size FROM information_schema.innodb_tablespaces "
        "WHERE name LIKE %s ORDER BY file_size DESC",
        args=(f"{schemas.schema.database}/%",),
    ).fetchall()
    files = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    found = [*((str(name), int(size) / 1e9) for name, size in rows), ("the store", files / 1e9)]
    return pd.DataFrame(found, columns=["table", "GB"])


def _fill(size: Size) -> None:
    """Fill the database; what is half filled is not kept."""
    try:
        fill_lab(size, say=lambda line: print(line, flush=True))
    except BaseException:
        schemas.schema.connection.query("DROP DATABASE IF EXISTS `synthetic`")
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, ask, print, drop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusterings", type=int, default=40000)
    parser.add_argument("--neurons", type=int, default=50000)
    parser.add_argument("--counts", type=int, default=40, help="numbers of clusters, from 2 on")
    parser.add_argument(
        "--home", type=Path, help="folder of a private server; default: the configured server"
    )
    parser.add_argument("--keep", action="store_true", help="leave the database, to ask it again")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        if asked.home:
            os.environ["DECORTEX_HOME"] = str(asked.home)
        store = (asked.home or Path(temporary)) / "synthetic-store"
        os.environ["DECORTEX_DATABASE"] = "synthetic"
        os.environ["DECORTEX_STORE"] = str(store)
        connection = schemas.connect()
        if asked.home:
            connection.query(f"SET GLOBAL innodb_buffer_pool_size = {BUFFER_POOL}")
        started = time.perf_counter()
        try:
            if not len(schemas.Clustering()):
                _fill(Size(asked.clusterings, asked.neurons, counts=tuple(range(2, 2 + asked.counts))))
                print(f"filled in {time.perf_counter() - started:.0f} s")
            table = pd.DataFrame(
                [
                    (name, found[0], min(found), None if whole is None else min(timed(whole)))
                    for name, found, whole in ((n, timed(q), w) for n, (q, w) in asked_questions().items())
                ],
                columns=["question", "first_s", "fastest_s", "fetched_whole_s"],
            )
            size = sizes(store)
        finally:
            if not asked.keep:
                connection.query("DROP DATABASE IF EXISTS `synthetic`")
    print(
        f"{len(schemas.Clustering()) if asked.keep else asked.clusterings} clusterings of {asked.neurons} neurons"
    )
    print(table.to_string(index=False, float_format="%.3f"))
    print(size[size["GB"] > 0.01].to_string(index=False, float_format="%.2f"))
    print(f"together {size['GB'].sum():.2f} GB; slowest question {table['fastest_s'].max():.2f} s")
    if asked.json:
        asked.json.write_text(
            json.dumps({"seconds": table.to_dict("records"), "GB": size.to_dict("records")})
        )


if __name__ == "__main__":
    main()
