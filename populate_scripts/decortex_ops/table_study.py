"""A study of a user's own table: registered, clustered and judged on a server, with files of what was found."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decortex.analysis import METHODS, Analysis, KFrom, check_asked_k, summarise
from decortex.config import config_hash
from decortex.data import NeuronTable, TableColumns, read_table
from decortex.embeddings import EmbeddingConfig
from decortex.errors import OperationError
from decortex.evaluation.splits import SplitConfig
from decortex_ops.workers import OnRound, run_until_empty
from decortex_schemas import queries
from decortex_schemas.register import (
    EmbeddingPlan,
    MethodPlan,
    NetworksPlan,
    PlanFile,
    declare_plan,
    register_table,
)
from decortex_schemas.tables import (
    Clustering,
    DECFinetune,
    Embedding,
    FinetuneSpec,
    freeze_study,
    load_embedding,
    register_embedding_spec,
    register_method,
    register_split_spec,
)
from decortex_schemas.tables.evaluation import TypeCount, table_associations

EMBEDDING = "zscore"
COUNTS = tuple(range(2, 11))
SEEDS = (0, 1)  # a third start would cost half as much again before the first answer


@dataclass(frozen=True)
class TableStudy:
    """A study of a table and what it found; ``answers`` are those of `queries.answers` at the K of ``found``."""

    study: str
    found: Analysis
    answers: list[dict[str, Any]]
    partition_file: Path
    picture: Path


def analyse_file(
    path: Path,
    columns: TableColumns,
    *,
    n_clusters: int | None = None,
    wide: bool = False,
    folder: Path | None = None,
    workers: int | None = None,
    on_round: OnRound = lambda rows: None,
) -> TableStudy:
    """Register a table, compute a study of it and write partition and picture; a repetition computes nothing.

    Parameters
    ----------
    path : Path
        A file that `decortex.data.read_table` reads.
    columns : TableColumns
        Which columns are no features.
    n_clusters : int, optional
        K; default: the number of types, else 8. Numbers of clusters from 2 to 10 are computed in any case.
    wide : bool
        Accept more than five features per neuron.
    folder : Path, optional
        Where partition and picture are written; default: beside the file, named like it.
    workers : int, optional
        Worker processes (default: one per processor core).
    on_round : callable
        Takes the progress of every round.

    Returns
    -------
    TableStudy

    Raises
    ------
    InputError
        If the table is bad, or does not have so many neurons as clusters are asked for.
    OperationError
        If rows of the study could not be computed.
    """
    table = read_table(path, columns, wide=wide)
    if n_clusters is not None:
        check_asked_k(n_clusters, len(table))
    counts = COUNTS if n_clusters is None else tuple(sorted({*COUNTS, n_clusters}))
    counts = tuple(k for k in counts if k <= len(table))
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:40] or "table"
    name = f"{stem}-{config_hash({'table': table.sha256, 'columns': columns.named(), 'wide': wide})[:8]}"
    key, table = register_table(path, columns, name=name, wide=wide)
    plan = PlanFile(
        description=f"the table {path.name}",
        networks=(NetworksPlan(dataset=name, imported=name),),
        embeddings=(EmbeddingPlan(name=EMBEDDING, params={"kind": EMBEDDING}),),
        methods=tuple(MethodPlan(method=method) for method in METHODS),
        counts=counts,
        seeds=SEEDS,
    )
    study = name if counts == tuple(k for k in COUNTS if k <= len(table)) else f"{name}-k{n_clusters}"
    declare_plan(study, plan)
    fleet = workers or os.cpu_count() or 1
    run_until_empty(workers=fleet, on_round=on_round, then=lambda: freeze_study(study), studies=[study])
    found = _summary(study, key, table, n_clusters)
    answers = queries.answers(study, n_clusters)
    folder = folder or path.with_name(f"{path.stem}-decortex")
    folder.mkdir(parents=True, exist_ok=True)
    partition_file, picture = folder / "partition.csv", folder / "map.png"
    found.partition().to_csv(partition_file, index=False)
    found.draw(picture)
    return TableStudy(study, found, answers, partition_file, picture)


def _summary(study: str, key: dict[str, Any], table: NeuronTable, n_clusters: int | None) -> Analysis:
    """Read what the workers computed, at the K that speaks for the study in every other reading of it."""
    spec = register_embedding_spec(EMBEDDING, EmbeddingConfig.from_params({"kind": EMBEDDING}))
    embedding = (Embedding & key & {"embedding_spec_id": spec}).fetch1("KEY")
    x = load_embedding(embedding)
    counted = (
        TypeCount & embedding & {"split_spec_id": register_split_spec("default", SplitConfig())}
    ).fetch1()
    status, n_types = str(counted["types_status"]), counted["n_types"]
    spoken = queries.reference(study, n_clusters)
    if spoken is None:
        raise OperationError(f"study {study} names no K above 1 (`decortex study show {study}`).")
    k = int(spoken["k"])
    k_from: KFrom = "asked" if n_clusters is not None else "types" if k == n_types else "default"
    partitions = {}
    for method in METHODS:
        asked = {**embedding, **register_method(method, {}, name=method), "k": k}
        rows = (Clustering & asked & [{"seed": seed} for seed in SEEDS]).to_dicts(order_by="seed")
        if len(rows) < len(SEEDS):
            raise OperationError(f"partitions by {method} at K = {k} failed; `decortex errors` shows why.")
        partitions[method] = [row["labels"] for row in rows]
    of_first = {**embedding, **register_method(METHODS[0], {}, name=METHODS[0]), "k": k, "seed": SEEDS[0]}
    judged = (DECFinetune * FinetuneSpec.proj("kind") & of_first & {"kind": "none"}).fetch1("KEY")
    scores = table_associations(judged)
    missing = sorted(set(table.scores) - set(scores))
    if missing:
        raise OperationError(f"score {missing[0]!r} was not compared; `decortex errors` shows why.")
    return summarise(
        table,
        x,
        partitions,
        method=METHODS[0],
        k=k,
        k_from=k_from,
        types=(status, n_types),
        scores=scores,
    )
