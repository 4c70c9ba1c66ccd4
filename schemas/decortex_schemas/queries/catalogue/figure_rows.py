"""The rows behind figures that no other question has: neurons, pairs of partitions, epochs, surrogates. Read only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex_schemas.queries.basis import PARTITION, Names, Row, average
from decortex_schemas.queries.catalogue.overview import one_at_a_time, require_frozen
from decortex_schemas.tables import (
    ClusteringMethod,
    ContinuedTraining,
    Dataset,
    DECFinetune,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    ModelSpec,
    Performance,
    Study,
    TrainingSchedule,
    members_of,
    partition_labels,
)
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    MAIN_TIER,
    ClusterPerformance,
    FinetunedNull,
    MethodAgreement,
    NullFit,
    RetainedPerformance,
    SeedAgreement,
    TableScore,
    TableScoreAssociation,
    asked_nulls,
    scores_after,
    scores_before,
)

# What a partition is called by in words; with it, people choose.
CHOICE = ("dataset", "model", "embedding", "method", "k", "finetune", "model_seed", "seed")


@one_at_a_time
def partitions(study: str) -> list[Row]:
    """Every partition of a frozen study: its key and, beside the ids, the names they stand for (see `CHOICE`).

    ``method`` is the method's name in the study; ``key`` holds the primary key.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [(row["method"], row["k"], row["finetune"]) for row in partitions("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    label = Names()
    rows = []
    for row in members_of(study).proj("env_id").to_dicts(order_by="KEY"):
        names = label.of(row)
        rows.append(
            {
                **names,
                "model_seed": int(row["model_seed"]),
                "seed": int(row["seed"]),
                "env_id": int(row["env_id"]),
                "key": {name: row[name] for name in PARTITION},
            }
        )
    return rows


@one_at_a_time
def score_names(dataset: str) -> list[str]:
    """Scores that a dataset's table brought, in the order of their names; none where its neurons are of networks.

    Examples
    --------
    >>> score_names("v4")    # doctest: +SKIP
    """
    return [str(one) for one in (TableScore & {"dataset": dataset}).to_arrays("table_score", order_by="KEY")]


@one_at_a_time
def figure_neurons(key: Row, score: str | None = None) -> list[Row]:
    """Neurons of one partition: ``cluster`` (-1: none), ``score`` (None where undefined), session, place and types.

    ``score`` is the test correlation of the partition's own network: after fine-tuning, where there was one. A table
    has no network: its neurons have the ``score`` of `score_names` that is named, by default the first, or none.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> figure_neurons(queries.partitions("v4-sweep")[0]["key"])[:3]    # doctest: +SKIP
    """
    partition = {name: key[name] for name in PARTITION}
    labels = partition_labels(partition)
    scores = _scores(partition, score, len(labels))
    columns = ("session", "animal", "area", "unit_id", "x", "y", "z", "true_type")
    rows = (Dataset.Neuron & {"dataset": key["dataset"]}).proj(*columns).to_dicts(order_by="neuron_idx")
    return [
        {
            "neuron_idx": int(row["neuron_idx"]),
            "cluster": int(labels[i]),
            "score": float(scores[i]) if np.isfinite(scores[i]) else None,
            **{name: row[name] for name in columns},
        }
        for i, row in enumerate(rows)
    ]


def _scores(partition: Row, score: str | None, n_neurons: int) -> NDArray[np.float64]:
    """Scores of the neurons by the partition's network, else of their table; NaN where there are none."""
    at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
    if len(DECFinetune.Score & partition & at):
        return scores_after(partition)
    if len(Performance.Score & partition & at):
        return scores_before(partition)
    names = score_names(partition["dataset"]) if score is None else [score]
    if not names:
        return np.full(n_neurons, np.nan)
    own = TableScore & {"dataset": partition["dataset"], "table_score": names[0]}
    return np.asarray(own.fetch1("score_values"), dtype=np.float64)


@one_at_a_time
def effect(key: Row, score: str | None = None) -> Row:
    """How far performance is tied to cluster in one partition; every value None where it is not computed.

    With ``score``, how far that score of a table is.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> key = queries.partitions("v4-sweep")[0]["key"]    # doctest: +SKIP
    >>> effect(key)    # doctest: +SKIP
    """
    names = ("epsilon2_corrected", "epsilon2_low", "epsilon2_high", "epsilon2_within", "p_permutation")
    partition = {name: key[name] for name in PARTITION}
    found = (
        ClusterPerformance & partition & {"metric": MAIN_METRIC}
        if score is None
        else TableScoreAssociation & partition & {"table_score": score}
    )
    rows = found.proj(*names).to_dicts()
    return {name: rows[0][name] if rows else None for name in names}


@one_at_a_time
def epochs(key: Row) -> tuple[list[Row], list[Row]]:
    """Epochs of one fine-tuning and of its equal-epoch control; either may be empty.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> tuned = [row for row in queries.partitions("v4-sweep") if row["finetune"] != "none"]    # doctest: +SKIP
    >>> fine_tuned, control = epochs(tuned[0]["key"])    # doctest: +SKIP
    """
    partition = {name: key[name] for name in PARTITION}
    own = (DECFinetune.Epoch & partition).to_dicts(order_by="epoch")
    retained = RetainedPerformance & partition
    if not len(retained):
        return own, []
    control = ContinuedTraining.Epoch & retained.proj("schedule_id", "control_seed").fetch1()
    return own, control.proj("train_loss", "validation_loss", "validation_correlation").to_dicts(
        order_by="epoch"
    )


@one_at_a_time
def agreement_pairs(study: str) -> list[Row]:
    """Every two partitions of a frozen study that were compared, one row per pair: names of both sides and the indices.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [row["ari"] for row in agreement_pairs("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    label = Names()
    methods = {int(row["method_id"]): row["method_name"] for row in ClusteringMethod.to_dicts()}
    indices = ("ari", "ami", "v_measure", "fowlkes_mallows")
    rows = []
    for row in (SeedAgreement.Pair & {"study": study}).proj(*indices).to_dicts(order_by="KEY"):
        sides = {
            f"{name}_{side}": int(row[f"{name}_{side}"]) for name in ("model_seed", "seed") for side in "ab"
        }
        names = label.of(row)
        rows.append(
            {**names, "method_a": names["method"], "method_b": names["method"], **sides, **_of(row, indices)}
        )
    for row in (MethodAgreement.Pair & {"study": study}).proj(*indices).to_dicts(order_by="KEY"):
        ids = {side: int(row[f"method_id_{side}"]) for side in "ab"}
        names = label.of({**row, "method_id": ids["a"]})
        sides = {f"{name}_{side}": int(row[name]) for name in ("model_seed", "seed") for side in "ab"}
        rows.append(
            {
                **names,
                "method_a": methods[ids["a"]],
                "method_b": methods[ids["b"]],
                **sides,
                **_of(row, indices),
            }
        )
    return rows


@one_at_a_time
def surrogates(selection: Row, criterion: str) -> list[Row]:
    """One criterion on every surrogate, one row per null model, surrogate and K: the mean over networks.

    Parameters
    ----------
    selection : dict
        A row of `queries.best_k`.
    criterion : str
        One that surrogates are judged by.
    """
    asked = {
        name: selection[name]
        for name in ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id")
    }
    counts = [{"k": int(one["k"])} for one in selection["counts"]]
    found: dict[tuple[Any, ...], list[float | None]] = {}
    values = NullFit.Value & asked & counts & {"criterion": criterion} & asked_nulls(selection["study"])
    for row in values.proj("value").to_dicts(order_by="KEY"):
        group = (row["null_kind"], int(row["null_seed"]), int(row["k"]))
        found.setdefault(group, []).append(row["value"])
    return [
        {"null_kind": kind, "null_seed": seed, "k": k, "value": average(of)}
        for (kind, seed, k), of in found.items()
    ]


@one_at_a_time
def finetuned_nulls(study: str) -> list[Row]:
    """Every surrogate's figure beside the recordings', before and after fine-tuning: one row per surrogate.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> finetuned_nulls("v4-sweep")    # doctest: +SKIP
    """
    require_frozen(study)
    label = Names()
    return [
        {
            **label.of(part),
            **{name: part[name] for name in ("measure", "state", "null_kind", "observed", "p")},
            "null_dataset": dataset,
            "null_value": value,
        }
        for part in (FinetunedNull.Measure & {"study": study}).to_dicts(order_by="KEY")
        for dataset, value in sorted(part["null_values"].items())
    ]


@one_at_a_time
def specifications(study: str) -> dict[str, list[Row]]:
    """Rows of the specifications that a study's partitions were computed with, parameters resolved.

    ``networks``, ``embeddings``, ``methods`` and ``finetunings``; the last with ``schedule``, the resolved training
    (None for 'none').

    Examples
    --------
    >>> sorted(specifications("v4-sweep"))    # doctest: +SKIP
    """
    asked = members_of(study).proj()
    schedules = {int(row["schedule_id"]): row["params"] for row in TrainingSchedule.to_dicts()}
    tuned = [
        {**row, "schedule": None if row["schedule_id"] is None else schedules[int(row["schedule_id"])]}
        for row in (FinetuneSpec & asked).to_dicts(order_by="KEY")
    ]
    return {
        "networks": (ModelSpec & asked).to_dicts(order_by="KEY"),
        "embeddings": (EmbeddingSpec & asked).to_dicts(order_by="KEY"),
        "methods": (ClusteringMethod & asked).to_dicts(order_by="KEY"),
        "finetunings": tuned,
    }


@one_at_a_time
def about_study(study: str) -> Row:
    """What a frozen study is: description, members, recordings, and what it asked for.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> about_study("v4-sweep")["description"]    # doctest: +SKIP
    """
    require_frozen(study)
    of = {"study": study}
    datasets = (
        (Dataset & (Study.Model & of)).proj("kind", "species", "n_neurons", "content_sha256").to_dicts()
    )
    for row in datasets:
        row["sessions"] = len(Dataset.Session & {"dataset": row["dataset"]})
    nulls = (Study.Null & of).to_dicts()

    def values(part: Any, name: str) -> list[int]:
        return sorted({int(value) for value in (part & of).to_arrays(name)})

    return {
        **(Study & of).fetch1(),
        **(FrozenStudy & of).fetch1(),
        "datasets": datasets,
        "asked": {
            "counts": values(Study.Count, "k"),
            "seeds": values(Study.ClusteringSeed, "seed"),
            "model_seeds": values(Study.Model, "model_seed"),
            "subsamples": len(Study.Subsample & of),
            "nulls": sorted({row["null_kind"] for row in nulls}),
            "n_surrogates": len({int(row["null_seed"]) for row in nulls}),
        },
    }


def _of(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}
