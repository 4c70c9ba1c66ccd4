"""The read layer: every question that commands and figures ask, as plain rows. Writes nothing.

One lock guards the connection, because DataJoint's is not safe under threads.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import datajoint as dj
import numpy as np
from datajoint.errors import DataJointError

from decortex.errors import ConfigError
from decortex_schemas.database import Environment, computed_tables, queue_of, schema
from decortex_schemas.queries.basis import Names, agreeing_by_construction, averaged, paired
from decortex_schemas.tables import (
    ClusteringMethod,
    DECFinetune,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    ModelSpec,
    Performance,
    Study,
    StudyTag,
    changes_since_freezing,
    require_study,
    say_changes,
    scored_against,
    warn_of_changes,
)
from decortex_schemas.tables.evaluation import MAIN_METRIC, MAIN_TIER, SeedAgreement

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]
# What a shell leaves as it is.
_PLAIN = re.compile(r"[A-Za-z0-9._+-]+")
_lock = threading.RLock()

# Columns of `results` that are means over partitions, but ``p`` their median and ``p_max`` their maximum; below
# ``_smallest`` no p can fall with its permutations.
AVERAGED = (
    "correlation_before",
    "correlation_after",
    "correlation_control",
    "silhouette",
    "silhouette_moved",
    "share_changed",
    "largest_share",
    "n_components",
    "epsilon2",
    "epsilon2_within",
    "p",
    "p_smallest",
    "p_max",
    "p_max_smallest",
)
# Columns of `results` that compare a fine-tuned row with its own starts.
PAIRED = (
    "n_networks",
    "n_starts",
    "n_pairs",
    "ari_seeds_before",
    "ari_seeds_after",
    "epsilon2_before",
    "epsilon2_after",
)
JOB_STATES = ("pending", "reserved", "error", "ignore")


def one_at_a_time(query: Callable[P, T]) -> Callable[P, T]:
    """Run a query under the connection's lock."""

    @functools.wraps(query)
    def locked(*args: P.args, **kwargs: P.kwargs) -> T:
        with _lock:
            try:
                return query(*args, **kwargs)
            except DataJointError as error:
                if "fetch1 should only return one tuple" not in str(error):
                    raise
                raise ConfigError(
                    "a row that this answer needs is not there, deleted or not computed yet: `decortex schedule` "
                    "queues what studies ask for and `decortex work` computes it; table Deletion says who deleted what."
                ) from error

    return locked


@one_at_a_time
def progress() -> list[dict[str, Any]]:
    """One row per computed table, in chain order: rows done and jobs by state. Two statements for all tables.

    Examples
    --------
    >>> [(row["table"], row["done"]) for row in progress()]    # doctest: +SKIP
    """
    tables = computed_tables()
    names = [(i, table().full_table_name, queue_of(table).full_table_name) for i, table in enumerate(tables)]
    done = " UNION ALL ".join(f"SELECT {i}, COUNT(*) FROM {table}" for i, table, _ in names)
    jobs = " UNION ALL ".join(
        f"SELECT {i}, status, COUNT(*) FROM {queue} GROUP BY status" for i, _, queue in names
    )
    rows = [{"table": table.__name__, "done": 0, **dict.fromkeys(JOB_STATES, 0)} for table in tables]
    for i, n in schema.connection.query(done):
        rows[i]["done"] = int(n)
    for i, status, n in schema.connection.query(jobs):
        if status in JOB_STATES:
            rows[i][str(status)] = int(n)
    return rows


@one_at_a_time
def failed_jobs() -> list[dict[str, Any]]:
    """Every job that ended in an error: table, key, message, traceback, when and where.

    Examples
    --------
    >>> [(row["table"], row["error_message"]) for row in failed_jobs()]    # doctest: +SKIP
    """
    rows = []
    for table in computed_tables():
        jobs = queue_of(table)
        for row in jobs.errors.to_dicts():
            rows.append(
                {
                    "table": table.__name__,
                    "key": {name: row[name] for name in jobs.primary_key},
                    "message": row["error_message"],
                    "traceback": row["error_stack"],
                    "when": row["completed_time"],
                    "host_name": row["host"],
                    "process_id": row["pid"],
                }
            )
    return rows


@one_at_a_time
def studies() -> list[dict[str, Any]]:
    """Every study: what it asks for, how much of it exists, its tags, whether it is frozen.

    Examples
    --------
    >>> [row["study"] for row in studies()]    # doctest: +SKIP
    """
    rows = []
    tags: dict[str, list[str]] = {}
    for one in StudyTag.proj().to_dicts(order_by="tag"):
        tags.setdefault(str(one["study"]), []).append(str(one["tag"]))
    for row in Study().to_dicts(order_by="created_at"):
        name = {"study": row["study"]}
        asked = (Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & name).proj()
        frozen = (FrozenStudy & name).to_dicts()
        rows.append(
            {
                "study": row["study"],
                "description": row["description"],
                "networks": len(Study.Model & name),
                "methods": len(Study.Method & name),
                "counts": len(Study.Count & name),
                "seeds": len(Study.ClusteringSeed & name),
                "members": len(asked),
                "done": len(DECFinetune.proj() & asked),
                "frozen_at": frozen[0]["frozen_at"] if frozen else None,
                "tags": tags.get(str(row["study"]), []),
                "created_by": row["created_by"],
                "created_at": row["created_at"],
            }
        )
    return rows


@one_at_a_time
def test_performance(study: str) -> dict[str, Any]:
    """Mean over networks of the mean test correlation to average, and the neurons behind it.

    Examples
    --------
    >>> test_performance("v4-sweep")    # doctest: +SKIP
    """
    at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
    rows = (
        (Performance.Score & at & (Study.Model & {"study": study}).proj())
        .proj("mean", "n_defined")
        .to_dicts()
    )
    means = [row["mean"] for row in rows if row["mean"] is not None]
    return {
        "test_correlation": float(np.mean(means)) if means else None,
        "networks": [
            {name: row[name] for name in ("dataset", "model_spec_id", "model_seed", "mean", "n_defined")}
            for row in rows
        ],
    }


@one_at_a_time
def results(study: str) -> list[dict[str, Any]]:
    """One row per method, K and fine-tuning of a frozen study: agreement, performance and its tie to cluster.

    Correlations, effect sizes and qualities are means over the study's partitions of that row. ``epsilon2`` is
    the effect over all neurons, session differences included; ``epsilon2_within`` that of ranks within sessions,
    which the permutation tests: ``p`` is the median and ``p_max`` the largest of the partitions' p-values (a
    summary of dependent tests, not a test). ``scored_against``: what correlations are with, in words.

    A row of 'none' is a mean over all starts of the study, a fine-tuned one over those that were fine-tuned. Compare a
    fine-tuned row with its own ``_before``: the same networks and starts (`PAIRED`; None for 'none'). Where
    ``by_construction``, networks start from one partition or learnt from each other: ``ari_seeds`` is high by it.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [(row["method"], row["k"], row["ari_seeds"]) for row in results("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    partitions, tuned = averaged(study), paired(study)
    failures = (FrozenStudy & {"study": study}).fetch1("failed")
    failed = Counter(_group(failure["key"]) for failure in failures)
    agreements = (SeedAgreement * FinetuneSpec.proj("finetune", "kind") & {"study": study}).to_dicts()
    methods = {int(row["method_id"]): row["method_name"] for row in ClusteringMethod.to_dicts()}
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    embeddings = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    shared = agreeing_by_construction()
    against = {name: scored_against(name) for name in {str(row["dataset"]) for row in agreements}}
    rows = []
    for row in agreements:
        own = partitions.get(_group(row), {})
        rows.append(
            {
                "dataset": row["dataset"],
                "model": models[int(row["model_spec_id"])],
                "embedding": embeddings[int(row["embedding_spec_id"])],
                "method": row["method"],
                "method_name": methods[int(row["method_id"])],
                "method_id": int(row["method_id"]),
                "k": int(row["k"]),
                "finetune": row["finetune"],
                "by_construction": int(row["finetune_id"]) in shared,
                "status": worst_status(own.get("statuses", []) + ["failed"] * failed[_group(row)]),
                "n_partitions": own.get("n_partitions", 0),
                "scored_against": against[row["dataset"]],
                **{name: row[name] for name in ("ari_truth", "ari_seeds", "ari_clustering_seeds")},
                **{name: own.get(name) for name in AVERAGED},
                **{name: tuned.get(_group(row), {}).get(name) for name in PAIRED},
            }
        )
    return Names().in_order(rows)


def require_frozen(study: str) -> None:
    """Refuse a study that is not frozen: what looks across rows does not exist for it.

    Warns (`decortex_schemas.tables.FrozenStudyChanged`) if it is no longer what was frozen.

    Raises
    ------
    ConfigError
        If there is no such study, or it is not frozen.

    Examples
    --------
    >>> require_frozen("v4-sweep")    # doctest: +SKIP
    """
    if not len(FrozenStudy & {"study": study}):
        require_study(study)
        raise ConfigError(
            f"study {study!r} is not frozen; `decortex study freeze {study}` does when it is complete."
        )
    warn_of_changes(study)


@one_at_a_time
def frozen_changes(study: str) -> str:
    """How a frozen study is no longer what was frozen, in one sentence; empty where it is, or is not frozen.

    Examples
    --------
    >>> frozen_changes("v4-sweep") or "as it was frozen"    # doctest: +SKIP
    """
    return say_changes(study, changes_since_freezing(study)) if len(FrozenStudy & {"study": study}) else ""


def _group(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id", "k", "finetune_id")
    return tuple(row[name] for name in names)


def worst_status(statuses: list[str]) -> str:
    """'ok' if all are; else every other status with how often it came.

    Examples
    --------
    >>> worst_status(["ok", "no_scores"])    # doctest: +SKIP
    """
    others = sorted({status for status in statuses if status != "ok"})
    return ", ".join(f"{status} {statuses.count(status)}/{len(statuses)}" for status in others) or "ok"


def whole_key(table_name: str, key: dict[str, Any]) -> tuple[type[dj.Computed], dict[str, Any]]:
    """Computed table of a name, and the whole key of the one row that a part of it names.

    Raises
    ------
    ConfigError
        If the table is unknown, or the key does not name exactly one row.
    """
    tables = {table.__name__: table for table in computed_tables()}
    if table_name not in tables:
        raise ConfigError(f"there is no computed table {table_name!r}; there are {', '.join(tables)}.")
    table = tables[table_name]
    unknown = sorted(set(key) - set(table().heading.names))
    if unknown:
        raise ConfigError(
            f"{table_name} has no column {unknown}; its key is {', '.join(table().primary_key)}."
        )
    found = (table & key).keys()
    if len(found) != 1:
        raise ConfigError(
            f"the key {key} names {len(found)} rows of {table_name}, not one; a whole key has "
            f"{', '.join(table().primary_key)}."
        )
    return table, dict(found[0])


@one_at_a_time
def provenance(table_name: str, key: dict[str, Any]) -> dict[str, Any]:
    """Everything one row rests on: its ancestors' keys and digests, its environment, and how to recompute it.

    Raises
    ------
    ConfigError
        If the table is unknown, or the key does not name exactly one row.

    Examples
    --------
    >>> key = {"dataset": "v4", "method": "kmeans", "k": 3, "model_seed": 0, "seed": 0}    # doctest: +SKIP
    >>> provenance("Clustering", key)["recompute"]    # doctest: +SKIP
    """
    table, whole = whole_key(table_name, key)
    row = (table & whole).fetch1()
    known = dict(row)
    chain: list[dict[str, Any]] = []
    # From the row upwards: a specification near it says which schedule or seed further up is meant.
    for ancestor in reversed(_ancestors(table)):
        own = {name: known[name] for name in ancestor().primary_key if known.get(name) is not None}
        if len(own) < len(ancestor().primary_key):
            continue
        step = (ancestor & own).fetch1()
        known = {**step, **known}
        chain.insert(0, {"table": ancestor.__name__, **{n: v for n, v in step.items() if _is_light(v)}})
    environment = (Environment & {"env_id": row["env_id"]}).fetch1()
    return {
        "table": table_name,
        "key": whole,
        "chain": chain,
        "row": {name: value for name, value in row.items() if _is_light(value)},
        "environment": environment,
        "recompute": [
            f"decortex recompute {table_name} {_as_pairs(whole)}",
            f"decortex delete {table_name} {_as_pairs(whole)} --why REASON",
        ],
    }


def _as_pairs(key: Row) -> str:
    """A key as one word of a shell, as commands take it."""
    plain = all(isinstance(value, int) or _PLAIN.fullmatch(str(value)) for value in key.values())
    if plain:
        return ",".join(f"{name}={value}" for name, value in key.items())
    return shlex.quote(json.dumps(key, default=str))


def _ancestors(table: type[dj.Computed]) -> list[type[dj.Table]]:
    """Tables above one in the order of the chain, without parts."""
    names = set(table().ancestors())
    return [cls for cls, _ in schema.declare_list if cls is not table and cls().full_table_name in names]


def _is_light(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, datetime, dict, list))
