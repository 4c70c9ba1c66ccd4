"""What is known of every neuron, and of one partition of them? Read only and safe under threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import ConfigError
from decortex_schemas.queries.basis import PARTITION, START, array, name_of, rows
from decortex_schemas.queries.population.own_tables import table_names
from decortex_schemas.tables import (
    Clustering,
    ClusteringMethod,
    ContinuedTraining,
    Dataset,
    DECFinetune,
    FinetuneSpec,
    Performance,
    Study,
)
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    MAIN_TIER,
    ClusterPerformance,
    ClusterQuality,
    RetainedPerformance,
)

Row = dict[str, Any]
NEURON = ("neuron_idx", "session", "unit_id", "animal", "scan", "area", "x", "y", "z", "true_type")
_NUMBERS = {"neuron_idx": np.int64, "unit_id": np.int64, "scan": np.int64, "x": float, "y": float, "z": float}
MOST_PARTITIONS = 64


def neurons(dataset: str) -> dict[str, NDArray[Any]]:
    """Every neuron of a dataset, one array per column of `Dataset.Neuron`, in its order.

    Positions are micrometres, NaN where nobody knows them; ``true_type`` is -1 where nobody does. Neurons of a user's
    own table have ``id`` beside them, as the table wrote it.

    Examples
    --------
    >>> sorted(neurons("v4"))    # doctest: +SKIP
    """
    found = rows(
        f"SELECT {', '.join(NEURON)} FROM {name_of(Dataset.Neuron)} WHERE dataset = %s ORDER BY neuron_idx",
        (dataset,),
    )
    columns: dict[str, NDArray[Any]] = {}
    for name in NEURON:
        values = [row[name] for row in found]
        if name == "true_type":
            columns[name] = np.array([-1 if one is None else one for one in values], dtype=np.int64)
        else:
            columns[name] = np.array(values, dtype=_NUMBERS.get(name, np.str_))
    names = table_names(dataset)
    if names is not None:
        columns["id"] = names.ids
    return columns


def _where(names: tuple[str, ...], alias: str = "") -> str:
    dot = f"{alias}." if alias else ""
    return " AND ".join(f"{dot}{name} = %({name})s" for name in names)


def labels(key: Mapping[str, Any]) -> NDArray[np.int16]:
    """Labels of a partition, -1 for an excluded neuron.

    Raises
    ------
    ConfigError
        If there is no such partition.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> labels(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    on = " AND ".join(f"c.{name} = d.{name}" for name in START)
    found = rows(
        f"SELECT COALESCE(d.labels, c.labels) AS labels FROM {name_of(DECFinetune)} d "
        f"JOIN {name_of(Clustering)} c ON {on} WHERE {_where(PARTITION, 'd')}",
        dict(key),
    )
    if not found:
        raise ConfigError(
            f"there is no partition {_said(key)} yet; `decortex work` computes it when its study asks for it."
        )
    own: NDArray[np.int16] = array(found[0]["labels"])
    return own


def _said(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={key[name]}" for name in PARTITION if name in key)


def exists(key: Mapping[str, Any]) -> bool:
    """Whether a partition is computed.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> exists(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    return bool(rows(f"SELECT 1 FROM {name_of(DECFinetune)} WHERE {_where(PARTITION)}", dict(key)))


def scores(key: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Every neuron's test correlation under the partition's own network; None if it was not scored.

    The network is the fine-tuned one where the partition is of a fine-tuning.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> scores(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    values = {**key, "tier": MAIN_TIER, "metric": MAIN_METRIC}
    found = rows(
        f"SELECT score_values FROM {name_of(DECFinetune.Score)} WHERE {_where((*PARTITION, 'tier', 'metric'))}",
        values,
    ) or rows(
        f"SELECT score_values FROM {name_of(Performance.Score)} "
        f"WHERE {_where(('dataset', 'model_spec_id', 'model_seed', 'tier', 'metric'))}",
        values,
    )
    if not found:
        return None
    own: NDArray[np.float64] = array(found[0]["score_values"])
    return own


def clusters(key: Mapping[str, Any]) -> list[Row]:
    """Clusters of a partition before fine-tuning: size, share, spread and centre in the embedding.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> clusters(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    return [
        {**row, "centre": np.asarray(array(row["centre"]), dtype=np.float64).ravel()}
        for row in rows(
            f"SELECT cluster, size, share, spread, centre FROM {name_of(Clustering.Cluster)} "
            f"WHERE {_where(START)} ORDER BY cluster",
            dict(key),
        )
    ]


def performance_by_cluster(key: Mapping[str, Any]) -> Row | None:
    """Is performance tied to cluster? The row of `ClusterPerformance` with its ``clusters`` and ``pairs``.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> performance_by_cluster(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    values = {**key, "metric": MAIN_METRIC}
    where = _where((*PARTITION, "metric"))
    found = rows(f"SELECT * FROM {name_of(ClusterPerformance)} WHERE {where}", values)
    if not found:
        return None
    drop = {*PARTITION, "metric"}

    def part(table: Any, order: str) -> list[Row]:
        own = rows(f"SELECT * FROM {name_of(table)} WHERE {where} ORDER BY {order}", values)
        return [{name: value for name, value in row.items() if name not in drop} for row in own]

    return {
        **found[0],
        "clusters": part(ClusterPerformance.Cluster, "cluster"),
        "pairs": part(ClusterPerformance.Pair, "first, second"),
    }


def finetuning(key: Mapping[str, Any]) -> Row | None:
    """One fine-tuning: its row, ``epochs``, ``control`` (epochs of the equal-epoch control), ``price``, ``qualities``.

    ``heads`` are further numbers of clusters that were trained beside its own.

    ``price`` is the row of `RetainedPerformance` with its ``clusters``; None where there is none.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> tuned = [row for row in queries.partitions("v4-sweep") if row["finetune"] != "none"]    # doctest: +SKIP
    >>> finetuning(tuned[0]["key"])    # doctest: +SKIP
    """
    light = (
        "finetune_status, stop_reason, n_epochs, kept_epoch, share_changed, beta, mean_max_q_start, kl_start, "
        "mean_max_q, entropy_mean_q, distance_over_scale, n_alive, seconds"
    )
    where = _where(PARTITION)
    found = rows(f"SELECT {light} FROM {name_of(DECFinetune)} WHERE {where}", dict(key))
    if not found:
        return None
    spec = rows(
        f"SELECT finetune, kind, schedule_id, control_seed FROM {name_of(FinetuneSpec)} WHERE finetune_id = %s",
        (key["finetune_id"],),
    )[0]
    own = ("dataset", "model_spec_id", "model_seed", "schedule_id", "control_seed")
    control = rows(
        "SELECT epoch, train_loss, validation_loss, validation_correlation "
        f"FROM {name_of(ContinuedTraining.Epoch)} WHERE {_where(own)} ORDER BY epoch",
        {**key, **spec},
    )
    price = rows(f"SELECT * FROM {name_of(RetainedPerformance)} WHERE {where}", dict(key))
    if price:
        price[0]["clusters"] = rows(
            "SELECT cluster, n_neurons, n_sessions, difference, difference_over_sessions, low, high "
            f"FROM {name_of(RetainedPerformance.Cluster)} WHERE {where} ORDER BY cluster",
            dict(key),
        )
    return {
        **found[0],
        **spec,
        "epochs": rows(f"SELECT * FROM {name_of(DECFinetune.Epoch)} WHERE {where} ORDER BY epoch", dict(key)),
        "control": control,
        "heads": rows(
            "SELECT head_k, kl_start, kl, mean_max_q_start, mean_max_q, entropy_mean_q, n_empty "
            f"FROM {name_of(DECFinetune.Head)} WHERE {where} ORDER BY head_k",
            dict(key),
        ),
        "price": price[0] if price else None,
        "qualities": rows(
            f"SELECT space, quality_status, silhouette, davies_bouldin, calinski_harabasz, n_neurons "
            f"FROM {name_of(ClusterQuality.Space)} WHERE {where} ORDER BY space DESC",
            dict(key),
        ),
    }


def partitions_at(
    study: str, *, dataset: str, model_spec_id: int, embedding_spec_id: int, k: int, finetune_id: int
) -> list[Row]:
    """Partitions of a study that differ in method, network seed and start, with their ``labels``.

    At most `MOST_PARTITIONS`, those of the first starts.
    """
    on = " AND ".join(f"c.{name} = d.{name}" for name in START)
    found = rows(
        "SELECT d.method_id, s.method_name, d.model_seed, d.seed, COALESCE(d.labels, c.labels) AS labels "
        f"FROM {name_of(DECFinetune)} d JOIN {name_of(Clustering)} c ON {on} "
        f"JOIN {name_of(ClusteringMethod)} s ON s.method_id = d.method_id "
        "WHERE d.dataset = %(dataset)s AND d.model_spec_id = %(model_spec_id)s "
        "AND d.embedding_spec_id = %(embedding_spec_id)s AND d.k = %(k)s AND d.finetune_id = %(finetune_id)s "
        "AND (d.dataset, d.model_spec_id, d.model_seed) IN "
        f"(SELECT dataset, model_spec_id, model_seed FROM {name_of(Study.Model)} WHERE study = %(study)s) "
        f"AND EXISTS (SELECT 1 FROM {name_of(Study.Finetuning)} g WHERE g.study = %(study)s "
        "AND g.method_id = d.method_id AND g.k = d.k AND g.seed = d.seed AND g.finetune_id = d.finetune_id) "
        "ORDER BY d.seed, d.method_id, d.model_seed LIMIT %(most)s",
        {
            "study": study,
            "dataset": dataset,
            "model_spec_id": model_spec_id,
            "embedding_spec_id": embedding_spec_id,
            "k": k,
            "finetune_id": finetune_id,
            "most": MOST_PARTITIONS,
        },
    )
    ordered = sorted(found, key=lambda row: (row["method_id"], row["model_seed"], row["seed"]))
    return [{**row, "labels": array(row["labels"])} for row in ordered]
