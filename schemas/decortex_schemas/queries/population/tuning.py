"""What a cluster is: in-silico tuning of its neurons, averaged over networks whose clusters are matched. Read only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import ConfigError
from decortex.evaluation import agreement
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import (
    Clustering,
    ClusteringMethod,
    ClusterStimuli,
    EmbeddingSpec,
    InSilicoTuning,
    ModelSpec,
    Study,
    TuningRequest,
    require_study,
)
from decortex_schemas.tables.networks import require_network

Row = dict[str, Any]

# Angles are left out: the mean orientation of a cluster says nothing where orientation is no part of a type.
PROFILE = (
    "orientation_selectivity",
    "direction_selectivity",
    "period",
    "modulation",
    "radius",
    "suppression",
    "sign",
)
_GROUP = ("dataset", "model_spec_id", "embedding_spec_id")


@one_at_a_time
def cluster_profiles(study: str, *, method: str, k: int) -> list[Row]:
    """What the neurons of every cluster answer to, over the networks of a study.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.
    method : str
        Name of one of its methods.
    k : int
        Number of clusters.

    Returns
    -------
    list of dict
        A row for each dataset, model, embedding and cluster of the first network's partition (first clustering seed):
        ``dataset``, ``model``, ``embedding``, ``cluster``, ``n_neurons`` (mean over networks), ``n_networks``,
        ``matched`` (mean share of neurons whose cluster is the matched one; None with one network); for every index
        of `PROFILE` the mean over networks of the median over the cluster's neurons, and ``_sd`` behind its name:
        the standard deviation over networks (None with one); ``n_discriminated``: networks in which the cluster's own
        stimulus drives it more than any other cluster, of ``n_stimuli`` with stimuli.

    Raises
    ------
    ConfigError
        If there is no such study, it is of tables alone, or nobody asked for the tuning of its networks.

    Examples
    --------
    >>> cluster_profiles("v4-sweep", method="kmeans", k=3)    # doctest: +SKIP
    """
    of_study = {"study": study}
    require_study(study)
    require_network((Study.Model & of_study).proj(), "The tuning of neurons")
    if not len(TuningRequest & of_study):
        raise ConfigError(
            f'the tuning of study {study!r} was not asked for: `decortex clusters {study} --ask`, or "tuning": {{}}'
            " in its plan."
        )
    seed = min(int(one) for one in (Study.ClusteringSeed & of_study).to_arrays("seed"))
    asked = ((Study.Model & of_study) * (Study.Embedding & of_study)).to_dicts()
    named = (ClusteringMethod & {"method_name": method}).proj()
    partitions = (Clustering & asked & named & {"k": k, "seed": seed}) & (Study.Method & of_study).proj()
    spec = (TuningRequest & of_study).to_arrays("tuning_spec_id")[0]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for key in sorted(partitions.keys(), key=lambda one: int(one["model_seed"])):
        at = {name: key[name] for name in ("dataset", "model_spec_id", "model_seed")}
        tuning = InSilicoTuning & at & {"tuning_spec_id": int(spec)}
        if not len(tuning):
            continue
        measured = tuning.proj(*PROFILE).fetch1()
        stimuli = (ClusterStimuli & key).to_dicts()
        groups.setdefault(tuple(key[name] for name in _GROUP), []).append(
            {
                "labels": np.asarray((Clustering & key).fetch1("labels"), dtype=np.int64),
                "indices": {name: np.asarray(measured[name], dtype=np.float64) for name in PROFILE},
                "confusion": np.asarray(stimuli[0]["confusion"]) if stimuli else None,
            }
        )
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    embeddings = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    found = []
    for group, networks in groups.items():
        names = {
            "dataset": group[0],
            "model": models[int(group[1])],
            "embedding": embeddings[int(group[2])],
        }
        found += [{**names, **row} for row in profile_rows(networks)]
    return found


def profile_rows(networks: list[Row]) -> list[Row]:
    """Profiles of the first network's clusters over all networks; see `cluster_profiles`.

    Parameters
    ----------
    networks : list of dict
        ``labels``, int64 (n_neurons,); ``indices``: float64 (n_neurons,) by name; ``confusion``: float64
        (n_clusters, n_clusters) over the clusters that hold a neuron, or None. All of the same neurons.
    """
    first = networks[0]["labels"]
    partners = [_partners(first, one["labels"]) for one in networks]
    rows = []
    for cluster in np.unique(first[first >= 0]).tolist():
        medians: dict[str, list[float]] = {name: [] for name in PROFILE}
        sizes, wins = [], []
        for one, (partner, _) in zip(networks, partners, strict=True):
            label = partner.get(cluster)
            if label is None:
                continue
            members = one["labels"] == label
            sizes.append(int(members.sum()))
            for name in PROFILE:
                values = one["indices"][name][members]
                values = values[np.isfinite(values)]
                if len(values):
                    medians[name].append(float(np.median(values)))
            if one["confusion"] is not None:
                kinds = np.unique(one["labels"][one["labels"] >= 0]).tolist()
                place = kinds.index(label)
                wins.append(int(one["confusion"][place].argmax()) == place)
        shares = [share for _, share in partners[1:]]
        row: Row = {
            "cluster": cluster,
            "n_neurons": float(np.mean(sizes)),
            "n_networks": len(sizes),
            "matched": float(np.mean(shares)) if shares else None,
        }
        for name in PROFILE:
            row[name] = float(np.mean(medians[name])) if medians[name] else None
            row[f"{name}_sd"] = float(np.std(medians[name], ddof=1)) if len(medians[name]) > 1 else None
        rows.append({**row, "n_discriminated": sum(wins), "n_stimuli": len(wins)})
    return rows


def _partners(first: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[dict[int, int], float]:
    """The cluster of another network that matches each of the first's, and the share of neurons that agree."""
    matched = agreement.matched_confusion(first, other)
    pairs = dict(zip(matched.first.tolist(), matched.second.tolist(), strict=True))
    held = set(np.unique(other[other >= 0]).tolist())
    return {a: b for a, b in pairs.items() if b in held}, float(matched.share)


@one_at_a_time
def first_partition(study: str, *, method: str | None = None, k: int | None = None) -> tuple[str, int]:
    """Name a partition of a study where nobody did: its first method, the middle one of its K.

    Raises
    ------
    ConfigError
        If there is no such study, method or K.

    Examples
    --------
    >>> first_partition("v4-sweep")    # doctest: +SKIP
    """
    of_study = {"study": study}
    require_study(study)
    named = (Study.Method.proj() * ClusteringMethod.proj("method_name") & of_study).to_dicts()
    names = [str(row["method_name"]) for row in sorted(named, key=lambda row: int(row["method_id"]))]
    counts = sorted(int(one) for one in (Study.Count & of_study).to_arrays("k"))
    if method is not None and method not in names:
        raise ConfigError(f"study {study!r} has no method {method!r}; its methods are {', '.join(names)}.")
    if k is not None and k not in counts:
        raise ConfigError(f"study {study!r} has no K = {k}; it has K = {', '.join(map(str, counts))}.")
    return method or names[0], counts[len(counts) // 2] if k is None else k


@one_at_a_time
def cluster_stimuli(key: Row) -> Row | None:
    """Discriminative stimuli of one partition; None where they are not optimised.

    Parameters
    ----------
    key : dict
        Key of `Clustering`; other entries are left out.

    Returns
    -------
    dict or None
        ``stimuli``, the discriminative ones, and ``exciting``, float32 (n_clusters, n_frames, height, width);
        ``confusion`` and ``exciting_responses``, float64 (n_clusters, n_clusters); ``shown``, float32 (n_clusters,
        n_shown, n_frames, height, width), and ``shown_responses``, float64 (n_clusters, n_shown): of the test stimuli,
        the best first; ``n_discriminated``; ``clusters``: the labels behind rows and columns.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> cluster_stimuli(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    at = {name: key[name] for name in Clustering().primary_key}
    rows = (ClusterStimuli & at).to_dicts()
    if not rows:
        return None
    labels = np.asarray((Clustering & at).fetch1("labels"))
    return {
        **{name: np.asarray(rows[0][name]) for name in ("stimuli", "exciting", "shown")},
        **{name: np.asarray(rows[0][name]) for name in ("exciting_responses", "shown_responses")},
        "confusion": np.asarray(rows[0]["confusion"]),
        "n_discriminated": int(rows[0]["n_discriminated"]),
        "clusters": np.unique(labels[labels >= 0]).tolist(),
    }


@one_at_a_time
def cluster_fields(key: Row) -> list[Row] | None:
    """Linear fields of one partition's clusters; None where nobody measured the network's.

    Parameters
    ----------
    key : dict
        Key of `Clustering`; other entries are left out.

    Returns
    -------
    list of dict or None
        One per cluster: ``cluster``; ``temporal``, float64 (n_lags,), the mean over its neurons, each of unit length;
        ``separable``, their median; ``neuron``: index of the neuron with the largest field among them, and ``spatial``,
        float32 (height, width), that neuron's. ``neuron`` is None where no field differs from zero.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> cluster_fields(queries.partitions("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    at = {name: key[name] for name in Clustering().primary_key}
    network = {name: key[name] for name in ("dataset", "model_spec_id", "model_seed")}
    rows = (InSilicoTuning & network).proj("temporal_fields", "spatial_fields", "separable").to_dicts()
    if not rows:
        return None
    temporal = np.asarray(rows[0]["temporal_fields"], dtype=np.float64)
    spatial = np.asarray(rows[0]["spatial_fields"])
    separable = np.asarray(rows[0]["separable"])
    lengths = np.linalg.norm(temporal, axis=1)
    labels = np.asarray((Clustering & at).fetch1("labels"))
    found = []
    for cluster in np.unique(labels[labels >= 0]).tolist():
        members = np.flatnonzero((labels == cluster) & (lengths > 0))
        largest = int(members[lengths[members].argmax()]) if len(members) else None
        found.append(
            {
                "cluster": cluster,
                "temporal": (temporal[members] / lengths[members, None]).mean(axis=0)
                if len(members)
                else None,
                "separable": float(np.median(separable[members])) if len(members) else None,
                "neuron": largest,
                "spatial": None if largest is None else np.asarray(spatial[largest]),
            }
        )
    return found
