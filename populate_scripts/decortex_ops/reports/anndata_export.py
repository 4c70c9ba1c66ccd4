"""A study as an AnnData file: one embedding's neurons with clusters, scores, label sets, views and provenance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decortex.data import write_anndata
from decortex.errors import ConfigError, InputError
from decortex_ops.reports.export import plain_json
from decortex_schemas import queries
from decortex_schemas.database import Environment
from decortex_schemas.tables import (
    Clustering,
    ClusteringMethod,
    Dataset,
    DECFinetune,
    Embedding,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    LabelSet,
    ModelSpec,
    Performance,
    Study,
    TrainedModel,
    array_sha256,
    load_embedding,
    partition_labels,
    require_study,
)
from decortex_schemas.tables.evaluation import MAIN_METRIC, MAIN_TIER, TypeCount

FORMAT = 1
_NEURON = ("neuron_idx", "session", "unit_id", "animal", "scan", "area", "x", "y", "z", "true_type")
# What a file holds one of; a study with several takes an option.
CHOICES = ("dataset", "network", "network_seed", "embedding")


@dataclass(frozen=True)
class AnnDataSummary:
    """What was written.

    Parameters
    ----------
    key : dict
        Of the embedding, with the names of network and embedding.
    others : tuple of int
        Network seeds that the study has beside the one that was taken.
    n_neurons, n_features, n_partitions, n_waiting : int
        ``n_waiting``: partitions that the study asks for and nobody has computed.
    views, label_sets : tuple of str
    """

    key: dict[str, Any]
    others: tuple[int, ...]
    n_neurons: int
    n_features: int
    n_partitions: int
    n_waiting: int
    views: tuple[str, ...]
    label_sets: tuple[str, ...]


def export_anndata(study: str, path: Path, **chosen: Any) -> AnnDataSummary:
    """Write one embedding of a study and all that was made of it as an AnnData file.

    ``X`` is the embedding; ``obs`` identities, scores, clusters (a column per method, K, seed and fine-tuning) and
    label sets; ``obsm`` views; ``uns['decortex']`` provenance, nested parts as JSON.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.
    path : Path
        A new ``.h5ad`` file.
    **chosen
        ``dataset``, ``network``, ``network_seed``, ``embedding``: needed where the study has several; of several
        network seeds the smallest is taken by default.

    Returns
    -------
    AnnDataSummary

    Raises
    ------
    ConfigError
        If there is no such study, what is chosen is not in it or not one, or its embedding is not computed yet.
    InputError
        If the file exists, or stored labels are not those of their digest.
    """
    key, others = _choose(study, {name: value for name, value in chosen.items() if value is not None})
    own = {name: key[name] for name in Embedding().primary_key}
    x, neurons = load_embedding(own), queries.neurons(own["dataset"])
    columns = pd.DataFrame({name: neurons[name] for name in _NEURON if not _empty(name, neurons[name])})
    columns.index = pd.Index(_identities(neurons), dtype=object)
    embedding = (Embedding & own).fetch1()
    columns["excluded"] = [str(embedding["excluded"].get(str(i), "")) for i in range(len(x))]
    scores = (Performance.Score & own & {"tier": MAIN_TIER, "metric": MAIN_METRIC}).to_arrays("score_values")
    added = {"test_correlation": scores[0]} if len(scores) else {}
    partitions, n_asked = _partitions(study, own, added)
    sets = _label_sets(own["dataset"], added)
    views, drawn = _views(study, own)
    types = (TypeCount & own).to_dicts(order_by="KEY")
    if types:
        added["types"] = _categories(types[0]["labels"])
    columns = pd.concat([columns, pd.DataFrame(added, index=columns.index)], axis=1)
    notes = _provenance(study, key, embedding)
    notes |= {
        "partitions": plain_json(partitions),
        "label_sets": plain_json(sets),
        "views": plain_json(drawn),
    }
    write_anndata(
        path,
        x,
        columns,
        feature_names=[f"feature {i}" for i in range(x.shape[1])],
        views=views,
        notes={"decortex": notes},
    )
    return AnnDataSummary(
        key=key,
        others=others,
        n_neurons=x.shape[0],
        n_features=x.shape[1],
        n_partitions=len(partitions),
        n_waiting=n_asked - len(partitions),
        views=tuple(views),
        label_sets=tuple(str(one["label_set"]) for one in sets),
    )


def _choose(study: str, chosen: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Key of the embedding that is meant, with names; and the other network seeds."""
    require_study(study)
    asked = Study.Model.proj() * Study.Embedding.proj() & {"study": study}
    named = asked * ModelSpec.proj(network="model_name") * EmbeddingSpec.proj(embedding="embedding_name")
    rows = [{**row, "network_seed": int(row["model_seed"])} for row in named.to_dicts(order_by="KEY")]
    for name, value in chosen.items():
        known = sorted({row[name] for row in rows})
        rows = [row for row in rows if row[name] == value]
        if not rows:
            raise ConfigError(
                f"study {study!r} has no {name.replace('_', ' ')} {value!r} with what else was chosen; it has "
                f"{', '.join(map(str, known))}."
            )
    for name in ("dataset", "network", "embedding"):
        several = sorted({str(row[name]) for row in rows})
        if len(several) > 1:
            raise ConfigError(
                f"study {study!r} has several: an AnnData file holds the neurons of one {name} (--{name}), out "
                f"of {', '.join(several)}."
            )
    if len({row["model_spec_id"] for row in rows}) > 1:
        raise ConfigError(
            f"study {study!r} has several networks of the name {rows[0]['network']!r}: plans that give each a name of "
            "its own can be told apart."
        )
    rows.sort(key=lambda row: row["network_seed"])
    found = rows[0]
    if not len(Embedding & {name: found[name] for name in Embedding().primary_key}):
        raise ConfigError(
            f"the embedding {found['embedding']!r} of network {found['network']!r} seed {found['network_seed']} is not "
            "computed yet: `decortex schedule` and `decortex work` do."
        )
    return found, tuple(row["network_seed"] for row in rows[1:])


def _identities(neurons: Mapping[str, Any]) -> list[str]:
    """Names of the neurons: session and unit where these are unique, else their position."""
    names = [f"{s}:{u}" for s, u in zip(neurons["session"], neurons["unit_id"], strict=True)]
    if len(set(names)) == len(names):
        return names
    return [f"neuron {i}" for i in neurons["neuron_idx"]]


def _empty(name: str, values: np.ndarray[Any, Any]) -> bool:
    """Whether nobody knows a column of any neuron."""
    if values.dtype.kind == "f":
        return bool(np.isnan(values).all())
    return (
        bool((values == "").all())
        if values.dtype.kind == "U"
        else name == "true_type" and bool((values < 0).all())
    )


def _categories(labels: np.ndarray[Any, Any]) -> Any:
    """Whole numbers as categories of text, which tools for AnnData colour by; -1 is missing."""
    n = int(labels.max(initial=-1)) + 1
    codes: list[int] = labels.astype(np.int64).tolist()
    return pd.Categorical.from_codes(codes, categories=pd.Index([str(i) for i in range(n)]))


def _column(text: str) -> str:
    return text.replace("/", "_")


def _partitions(
    study: str, own: Mapping[str, Any], added: dict[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Clusters as columns; one row per column that says what it is, and how many the study asks for."""
    asked = (
        Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study} & dict(own)
    )
    names = ClusteringMethod.proj("method_name", method_params="params")
    kinds = FinetuneSpec.proj("finetune", "kind", finetune_params="params")
    fits = Clustering.proj("objective", "converged", "fit_status", "largest_share")
    light = DECFinetune.proj(
        "labels_sha256", "finetune_status", "share_changed", "env_id", "computation_version"
    )
    found = (light * names * kinds * fits & asked.proj()).to_dicts(order_by="KEY")
    rows = []
    for row in found:
        key = {name: row[name] for name in DECFinetune().primary_key}
        tuned = row["kind"] != "none"
        column = (
            f"{row['method_name']} K={row['k']} seed={row['seed']}{' ' + row['finetune'] if tuned else ''}"
        )
        column = _column(column)
        if column in added:  # two methods or fine-tunings of one name
            column = f"{column} ({row['method_id']}, {row['finetune_id']})"
        labels = np.asarray(partition_labels(key))
        if array_sha256(labels) != row["labels_sha256"]:
            raise InputError(f"the labels of {key} are not those of their digest; nothing was exported.")
        added[column] = _categories(labels)
        if tuned:
            at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
            scores = (DECFinetune.Score & key & at).to_arrays("score_values")
            if len(scores):
                added[f"test_correlation {column}"] = scores[0]
        rows.append({"column": column, **row})
    return rows, len(asked.proj())


def _label_sets(dataset: str, added: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for row in (LabelSet & {"dataset": dataset}).to_dicts(order_by="KEY"):
        column = _column(f"label {row['label_set']}")
        added[column] = pd.Categorical.from_codes(
            np.asarray(row.pop("label_values"), dtype=np.int64).tolist(), categories=row["classes"]
        )
        confidence = row.pop("confidence")
        if confidence is not None:
            added[f"{column} confidence"] = confidence
        rows.append({"column": column, **row})
    return rows


def _views(study: str, own: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Views that are drawn, named as tools for AnnData look for them: X_pca, X_tsne, X_umap."""
    points: dict[str, Any] = {}
    rows = []
    for row in queries.views(study):
        if not row["done"] or any(row[name] != value for name, value in own.items()):
            continue
        name = "X_" + re.sub(r"[^\w.-]+", "_", str(row["view"]))
        if name in points:
            name = f"{name}_seed{row['view_seed']}"
        points[name] = queries.view_points(row)
        rows.append({"name": name, **{k: v for k, v in row.items() if k not in own}})
    return points, rows


def _provenance(study: str, key: Mapping[str, Any], embedding: Mapping[str, Any]) -> dict[str, Any]:
    dataset = (Dataset & {"dataset": key["dataset"]}).fetch1()
    network = {name: key[name] for name in TrainedModel().primary_key}
    environment = (Environment & {"env_id": embedding["env_id"]}).fetch1()
    frozen = (FrozenStudy & {"study": study}).to_arrays("members_sha256")
    names = ("model_spec_id", "embedding_spec_id")
    spec = {**(ModelSpec & network).fetch1(), **(EmbeddingSpec & {names[1]: key[names[1]]}).fetch1()}
    return {
        "format": FORMAT,
        "study": study,
        "plan_sha256": str((Study & {"study": study}).fetch1("plan_sha256")),
        "frozen_members_sha256": str(frozen[0]) if len(frozen) else "",
        **{name: key[name] for name in CHOICES},
        "content_sha256": str(dataset["content_sha256"]),
        "neuron_order_sha256": str(dataset["neuron_order_sha256"]),
        "checkpoint_sha256": str((TrainedModel & network).fetch1("checkpoint_sha256")),
        "embedding_sha256": str(embedding["embedding_sha256"]),
        "decortex_version": str(environment["decortex_version"]),
        "environment": plain_json(environment),
        "dataset_row": plain_json(dataset),
        "specifications": plain_json(spec),
    }
