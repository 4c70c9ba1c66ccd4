"""Do networks, starts, subsamples and methods find the same partition? Read only, as `queries` is."""

from __future__ import annotations

from typing import Any

from decortex_schemas.queries.basis import Names, agreeing_by_construction, grouped, smallest_p
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.queries.evaluation.agreement_nulls import GROUP, agreement_nulls
from decortex_schemas.queries.evaluation.geometry import communities, geometries
from decortex_schemas.queries.evaluation.shared_labellings import shared_labellings
from decortex_schemas.tables import (
    Clustering,
    ClusteringMethod,
    Embedding,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
    NullRecordings,
    Study,
    SubsampleClustering,
    asked_members,
)
from decortex_schemas.tables.evaluation import (
    ConsensusPartition,
    FinetunedNull,
    MethodAgreement,
    ModelAgreement,
    SeedAgreement,
    SubsampleStability,
)

_INDICES = ("ari", "ami", "v_measure", "fowlkes_mallows", "matched")


@one_at_a_time
def agreement(study: str) -> dict[str, Any]:
    """What a frozen study says about agreement, as lists of plain rows.

    Returns
    -------
    dict
        ``partitions``: one row per method, K and fine-tuning, with the mean indices over pairs of model seeds
        (``_seeds``) and of clustering seeds (``_clustering_seeds``), the consensus over all of them (``support``: mean
        share of the partitions behind a neuron's cluster; ``ari_consensus``: mean against the consensus;
        ``worst_cluster``: the smallest mean Jaccard of a consensus cluster), the share of the neurons in the largest
        cluster (``largest_share``; None after fine-tuning), and the agreement of surrogates without types
        (``ari_null``, ``p_null``: the largest of the null models; ``p_null_smallest``: below which no p can fall;
        ``n_null``: their surrogates; None where nobody asked).
        ``subsamples``: one row per network, method and K; ``n_fits_not_ok``: clusterings that did not end well.
        ``methods``: one row per pair of methods, K and fine-tuning, of the ``_same`` and of ``_other`` networks.
        ``models``: one row per pair of network specifications on one dataset.
        ``geometry``: one row per embedding and setting of the geo-topological transform, see `geometries`.
        ``communities``: one row per method (and over all), K and fine-tuning, where somebody asked, see `communities`.
        ``shared``: one row per labelling that all networks support (TURTLE) and a method, see `shared_labellings`.
        ``nulls``: one row per fine-tuning, null model and value, with what was observed ``before`` and ``after``
        fine-tuning and the ``change``, and for each the mean of the fine-tuned null, the excess over it, z and p.
        A number that is not defined is None.

    Raises
    ------
    ConfigError
        If there is no such study, or it is not frozen.

    Examples
    --------
    >>> found = agreement("v4-sweep")    # doctest: +SKIP
    >>> [(row["method"], row["k"], row["ari_seeds"]) for row in found["partitions"]]    # doctest: +SKIP
    """
    require_frozen(study)
    names, order = _Names(), Names()
    return {
        "study": study,
        "partitions": order.in_order(_partitions(study, names)),
        "subsamples": order.in_order(_subsamples(study, names)),
        "methods": order.in_order(_methods(study, names)),
        "models": order.in_order(_models(study, names)),
        "geometry": geometries(study),
        "communities": communities(study),
        "shared": order.in_order(shared_labellings(study)),
        "nulls": order.in_order(_nulls(study, names)),
    }


class _Names:
    """Names of specifications by their ids."""

    def __init__(self) -> None:
        self.models = {int(r["model_spec_id"]): r["model_name"] for r in ModelSpec.to_dicts()}
        self.embeddings = {int(r["embedding_spec_id"]): r["embedding_name"] for r in EmbeddingSpec.to_dicts()}
        self.methods = {int(r["method_id"]): r["method_name"] for r in ClusteringMethod.to_dicts()}
        specs = FinetuneSpec.to_dicts()
        self.finetunings = {int(r["finetune_id"]): r["finetune"] for r in specs}
        self.shared = agreeing_by_construction()

    def of(self, row: dict[str, Any]) -> dict[str, Any]:
        """Whose row it is, without a method."""
        model = {"model": self.models[int(row["model_spec_id"])]} if "model_spec_id" in row else {}
        return {
            "dataset": row["dataset"],
            **model,
            "embedding": self.embeddings[int(row["embedding_spec_id"])],
            "k": int(row["k"]),
        }


def _partitions(study: str, names: _Names) -> list[dict[str, Any]]:
    key_names = SeedAgreement().primary_key
    consensus = {tuple(r[n] for n in key_names): r for r in _light(ConsensusPartition, study)}
    worst: dict[tuple[Any, ...], float] = {}
    for cluster in (ConsensusPartition.Cluster & {"study": study}).to_dicts():
        key = tuple(cluster[n] for n in key_names)
        if cluster["jaccard"] is not None:
            worst[key] = min(worst.get(key, 1.0), cluster["jaccard"])
    nulls: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for null in agreement_nulls(study):
        nulls.setdefault(tuple(null[name] for name in GROUP), []).append(null)
    untouched = {int(r["finetune_id"]) for r in (FinetuneSpec & "kind = 'none'").proj().to_dicts()}
    largest = _largest_shares(study)
    rows = []
    for row in (SeedAgreement & {"study": study}).to_dicts(order_by="KEY"):
        key = tuple(row[n] for n in key_names)
        joined = consensus.get(key, {})
        own = tuple(row[name] for name in GROUP)
        as_found = int(row["finetune_id"]) in untouched
        rows.append(
            {
                **names.of(row),
                "method": names.methods[int(row["method_id"])],
                "finetune": names.finetunings[int(row["finetune_id"])],
                "by_construction": int(row["finetune_id"]) in names.shared,
                "n_partitions": row["n_partitions"],
                **{
                    f"{i}_{kind}": row[f"{i}_{kind}"]
                    for kind in ("seeds", "clustering_seeds")
                    for i in _INDICES
                },
                "n_pairs_seeds": row["n_pairs_seeds"],
                "n_pairs_clustering_seeds": row["n_pairs_clustering_seeds"],
                "largest_share": largest.get(own) if as_found else None,
                **_against(nulls.get(own, []) if as_found else []),
                "ari_truth": row["ari_truth"],
                "ari_consensus": joined.get("ari_members"),
                "support": joined.get("support_mean"),
                "worst_cluster": worst.get(key),
            }
        )
    return rows


def _largest_shares(study: str) -> dict[tuple[Any, ...], float]:
    """Share of the neurons in the largest cluster, mean over partitions as found, by `GROUP`."""
    asked = (Clustering & asked_members(study)).proj("largest_share")
    found = grouped(asked, GROUP, share="AVG(own.largest_share)")
    return {key: float(row["share"]) for key, row in found.items()}


def _against(nulls: list[dict[str, Any]]) -> dict[str, Any]:
    """The null model that speaks most against an agreement."""
    judged = [one for one in nulls if one["p"] is not None]
    worst = max(judged, key=lambda one: (one["p"], one["null_mean"]), default=None)
    return {
        "ari_null": None if worst is None else worst["null_mean"],
        "p_null": None if worst is None else worst["p"],
        "p_null_smallest": None if worst is None else smallest_p(worst["n_null"]),
        "n_null": None if worst is None else worst["n_null"],
    }


def _subsamples(study: str, names: _Names) -> list[dict[str, Any]]:
    key_names = SubsampleStability().primary_key
    clusters: dict[tuple[Any, ...], list[float]] = {}
    for cluster in (SubsampleStability.Cluster & {"study": study}).to_dicts():
        if cluster["jaccard"] is not None:
            clusters.setdefault(tuple(cluster[n] for n in key_names), []).append(cluster["jaccard"])
    own = (*Embedding().primary_key, "method_id", "k")
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Subsample.proj() & {"study": study}
    failed = "CAST(SUM(fit_status != 'ok') AS SIGNED)"
    fits = grouped(SubsampleClustering & asked.proj(), own, n_not_ok=failed)
    rows = []
    for row in _light(SubsampleStability, study):
        jaccard = clusters.get(tuple(row[n] for n in key_names), [])
        rows.append(
            {
                **names.of(row),
                "method": names.methods[int(row["method_id"])],
                "model_seed": int(row["model_seed"]),
                **{f"{i}_subsamples": row[f"{i}_subsamples"] for i in _INDICES},
                "n_pairs_subsamples": row["n_pairs_subsamples"],
                "n_fits_not_ok": int(fits.get(tuple(row[name] for name in own), {}).get("n_not_ok") or 0),
                "ari_whole": row["ari_whole"],
                "neuron_stability": row["neuron_stability_mean"],
                "worst_cluster": min(jaccard, default=None),
                "n_clusters_recovered": sum(value >= 0.75 for value in jaccard),
            }
        )
    return rows


def _methods(study: str, names: _Names) -> list[dict[str, Any]]:
    rows = []
    for row in (MethodAgreement.Between & {"study": study}).to_dicts(order_by="KEY"):
        rows.append(
            {
                **names.of(row),
                "finetune": names.finetunings[int(row["finetune_id"])],
                "method_a": names.methods[int(row["method_id_a"])],
                "method_b": names.methods[int(row["method_id_b"])],
                **{f"{i}_{kind}": row[f"{i}_{kind}"] for kind in ("same", "other") for i in _INDICES},
                "n_pairs_same": row["n_pairs_same"],
                "n_pairs_other": row["n_pairs_other"],
            }
        )
    return rows


def _models(study: str, names: _Names) -> list[dict[str, Any]]:
    rows = []
    for row in (ModelAgreement & {"study": study}).to_dicts(order_by="KEY"):
        rows.append(
            {
                **names.of(row),
                "method": names.methods[int(row["method_id"])],
                "finetune": names.finetunings[int(row["finetune_id"])],
                "model_a": names.models[int(row["model_spec_a"])],
                "model_b": names.models[int(row["model_spec_b"])],
                **{f"{i}_models": row[f"{i}_models"] for i in _INDICES},
                "n_pairs_models": row["n_pairs_models"],
            }
        )
    return rows


def _nulls(study: str, names: _Names) -> list[dict[str, Any]]:
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    key_names = [*FinetunedNull().primary_key, "null_kind", "measure"]
    for part in (FinetunedNull.Measure & {"study": study}).to_dicts(order_by="KEY"):
        row = rows.setdefault(
            tuple(part[n] for n in key_names),
            {
                **names.of(part),
                "method": names.methods[int(part["method_id"])],
                "finetune": names.finetunings[int(part["finetune_id"])],
                "null_study": part["null_study"],
                "null": part["null_kind"],
                "measure": part["measure"],
                "n_null": int(part["n_null"]),
            },
        )
        row["n_null"] = min(row["n_null"], int(part["n_null"]))
        row |= {
            part["state"]: part["observed"],
            f"{part['state']}_null": part["null_mean"],
            f"{part['state']}_excess": part["excess"],
            f"{part['state']}_z": part["z"],
            f"{part['state']}_p": part["p"],
            f"{part['state']}_p_smallest": smallest_p(part["n_null"]),
            f"{part['state']}_status": part["excess_status"],
        }
    return list(rows.values())


@one_at_a_time
def null_recordings(study: str) -> list[dict[str, Any]]:
    """The recordings that were drawn for a study's fine-tuned null, one row a null dataset.

    Returns
    -------
    list of dict
        ``dataset``, ``null_study``, ``noise_drawn``, ``dispersion`` (variance over mean of a drawn response) beside
        ``recorded_dispersion`` (of the recordings around their network), ``mean_response``.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> null_recordings("v4-sweep")    # doctest: +SKIP
    """
    require_frozen(study)
    columns = ("noise_drawn", "dispersion", "recorded_dispersion", "mean_response")
    rows = []
    for null_study in sorted(set((FinetunedNull & {"study": study}).to_arrays("null_study").tolist())):
        drawn = NullRecordings & (Study.Model & {"study": null_study}).proj()
        for row in drawn.proj(*columns).to_dicts(order_by="dataset"):
            rows.append(
                {"dataset": row["dataset"], "null_study": null_study, **{name: row[name] for name in columns}}
            )
    return rows


def _light(table: Any, study: str) -> list[dict[str, Any]]:
    """Rows of a study without their arrays."""
    blobs = table().heading.blobs
    kept = [name for name in table().heading.secondary_attributes if name not in blobs]
    found: list[dict[str, Any]] = (table & {"study": study}).proj(*kept).to_dicts(order_by="KEY")
    return found
