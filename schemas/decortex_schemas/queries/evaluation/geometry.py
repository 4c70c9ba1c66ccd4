"""Do networks arrange neurons alike, and which neurons share clusters over all partitions? Read only."""

from __future__ import annotations

from typing import Any

from decortex.evaluation.agreement import CORRELATION_BOUNDS, cut_interval
from decortex_schemas.queries.basis import Names, Row, smallest_p
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import FinetuneSpec, require_study
from decortex_schemas.tables.evaluation import CoAssociation, GeometryAgreement, PooledCoAssociation

# What a row of communities over all methods has for a method.
ALL_METHODS = "all methods"
_RDM = ("rdm_correlation", "rdm_rank_correlation", "rdm_null", "rdm_null_sd", "z_rdm", "p_rdm")
_COMMUNITIES = (
    "community_status",
    "n_partitions",
    "n_networks",
    "n_communities",
    "n_communities_null",
    "ari_communities",
    "ari_communities_min",
    "ari_communities_null",
    "firm_share",
    "firm_share_null",
    "modularity",
    "modularity_null",
    "z_modularity",
    "p_modularity",
    "n_null",
    "n_landmarks",
    "chance",
    "ari_truth",
)


@one_at_a_time
def geometries(study: str) -> list[Row]:
    """Correlation of networks' geo-topological dissimilarities of the same neurons, before anything is clustered.

    Parameters
    ----------
    study : str
        A frozen study.

    Returns
    -------
    list of dict
        One row per dataset, network specification, embedding and setting of the transform (``lower_quantile``,
        ``upper_quantile``), see `decortex.evaluation.agreement.geometry_agreement`: ``rdm_correlation`` (mean over
        pairs of networks) with its interval over networks (``_low``, ``_high``; None below three, cut at what a
        correlation can be), its mean with
        neurons permuted within sessions (``rdm_null``), ``z_rdm``, ``p_rdm`` and ``p_rdm_smallest``;
        ``rdm_correlation_min``, of the pair of networks that agree least; ``rdm_rank_correlation``. An embedding with
        too few networks or shared neurons has one row without numbers, and its ``status``.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["rdm_correlation"] for row in geometries("v4-sweep")]    # doctest: +SKIP
    """
    require_study(study)
    of, names = {"study": study}, Names()
    key_names = GeometryAgreement().primary_key
    settings: dict[tuple[Any, ...], list[Row]] = {}
    for part in (GeometryAgreement.Setting & of).to_dicts(order_by="KEY"):
        settings.setdefault(tuple(part[name] for name in key_names), []).append(part)
    least: dict[tuple[Any, ...], float] = {}
    for pair in (GeometryAgreement.Pair & of).proj("rdm_correlation").to_dicts():
        if pair["rdm_correlation"] is not None:
            at = (*(pair[name] for name in key_names), pair["setting"])
            least[at] = min(least.get(at, 1.0), pair["rdm_correlation"])
    rows = []
    for row in (GeometryAgreement & of).to_dicts(order_by="KEY"):
        key = tuple(row[name] for name in key_names)
        whose = {
            "dataset": row["dataset"],
            "model": names.model(int(row["model_spec_id"])),
            "embedding": names.embedding(int(row["embedding_spec_id"])),
            "status": row["geometry_status"],
            **{name: row[name] for name in ("n_networks", "n_neurons", "n_neuron_pairs", "n_null")},
        }
        nothing: Row = dict.fromkeys(
            (
                "setting",
                "lower_quantile",
                "upper_quantile",
                "rdm_correlation_low",
                "rdm_correlation_high",
                *_RDM,
            )
        )
        for part in settings.get(key, [nothing]):
            low, high = cut_interval(
                part["rdm_correlation_low"], part["rdm_correlation_high"], CORRELATION_BOUNDS
            )
            rows.append(
                {
                    **whose,
                    **{name: part[name] for name in nothing if name != "setting"},
                    "rdm_correlation_low": low,
                    "rdm_correlation_high": high,
                    "rdm_correlation_min": least.get((*key, part["setting"])),
                    "p_rdm_smallest": smallest_p(row["n_null"]),
                }
            )
    return rows


@one_at_a_time
def communities(study: str) -> list[Row]:
    """Communities of the co-association of a study's partitions, by method and over all methods.

    No second consensus: the vote (`ConsensusPartition`) matches clusters of partitions of one K and keeps that K;
    communities match nothing, and their number is an outcome.

    Parameters
    ----------
    study : str
        A frozen study.

    Returns
    -------
    list of dict
        One row per dataset, network specification, embedding, method (`ALL_METHODS` for all of them), K and
        fine-tuning, with the columns of `CoAssociation` but for the labels, and ``p_modularity_smallest``. Empty where
        nobody asked for communities.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["n_communities"] for row in communities("v4-sweep")]    # doctest: +SKIP
    """
    require_study(study)
    of, names = {"study": study}, Names()
    finetunings = {int(row["finetune_id"]): row["finetune"] for row in FinetuneSpec.to_dicts()}
    rows: list[Row] = []
    for table in (CoAssociation, PooledCoAssociation):
        found = [
            {
                "dataset": row["dataset"],
                "model": names.model(int(row["model_spec_id"])),
                "embedding": names.embedding(int(row["embedding_spec_id"])),
                "method": names.method(int(row["method_id"])) if "method_id" in row else ALL_METHODS,
                "k": int(row["k"]),
                "finetune": finetunings[int(row["finetune_id"])],
                **{name: row[name] for name in _COMMUNITIES},
                "p_modularity_smallest": smallest_p(row["n_null"]),
            }
            for row in (table & of).proj(*_COMMUNITIES).to_dicts(order_by="KEY")
        ]
        rows += names.in_order(found)
    return rows
