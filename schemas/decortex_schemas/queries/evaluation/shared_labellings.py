"""Labellings that all networks of a study support (TURTLE), beside the vote of every method. Read only."""

from __future__ import annotations

from typing import Any

import numpy as np

from decortex.evaluation import agreement
from decortex_schemas.queries.basis import Names, Row
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import FinetuneSpec, require_study
from decortex_schemas.tables.evaluation import ConsensusPartition, SeedAgreement, SharedLabelling

_WHERE = ("dataset", "model_spec_id", "embedding_spec_id", "k")
_COLUMNS = (
    "labelling_status",
    "n_networks",
    "n_neurons",
    "n_alive",
    "balance",
    "confidence_mean",
    "loss",
    "loss_worst",
    "ari_truth",
)


@one_at_a_time
def shared_labellings(study: str) -> list[Row]:
    """Read the labellings that all networks of a study support, each beside the vote over every method's partitions.

    Agreement between networks is no value of them: all networks share one labelling by construction. What judges them
    is known types, the cross-entropy of every network's linear classifier, and the votes.

    Parameters
    ----------
    study : str
        Its name.

    Returns
    -------
    list of dict
        One row per dataset, network specification, embedding, K and method of the votes (``method`` None where
        nothing is voted on yet): columns of `SharedLabelling`; ``cross_entropy`` and ``cross_entropy_worst`` (mean and
        largest over networks, nats per neuron); ``ari_vote``, of the labelling and the vote; ``ari_truth_members``,
        with the known types, mean over the partitions that were voted on.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["ari_vote"] for row in shared_labellings("v4-sweep")]    # doctest: +SKIP
    """
    require_study(study)
    of, names = {"study": study}, Names()
    crossed: dict[tuple[Any, ...], list[float]] = {}
    for part in (SharedLabelling.Network & of).to_dicts():
        crossed.setdefault(tuple(part[name] for name in _WHERE), []).append(float(part["cross_entropy"]))
    none = (FinetuneSpec & {"kind": "none"}).proj()
    votes: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    voted = ConsensusPartition & of & none & {"consensus_status": "ok"}
    for vote in (voted.proj("labels") * SeedAgreement.proj(members_truth="ari_truth")).to_dicts(
        order_by="KEY"
    ):
        votes.setdefault(tuple(vote[name] for name in _WHERE), []).append(vote)
    rows = []
    for found in (SharedLabelling & of).to_dicts(order_by="KEY"):
        key = tuple(found[name] for name in _WHERE)
        entropies = crossed.get(key, [])
        own = {
            **_whose(found, names),
            **{name: found[name] for name in _COLUMNS},
            "cross_entropy": float(np.mean(entropies)) if entropies else None,
            "cross_entropy_worst": max(entropies, default=None),
        }
        beside: list[dict[str, Any] | None] = [*votes.get(key, [])]
        for one in beside or [None]:
            rows.append(
                {
                    **own,
                    "method": None if one is None else names.method(int(one["method_id"])),
                    "ari_vote": None if one is None else _agreement(found["labels"], one["labels"]),
                    "ari_truth_members": None if one is None else one["members_truth"],
                }
            )
    return rows


def _whose(row: dict[str, Any], names: Names) -> Row:
    return {
        "dataset": row["dataset"],
        "model": names.model(int(row["model_spec_id"])),
        "embedding": names.embedding(int(row["embedding_spec_id"])),
        "k": int(row["k"]),
    }


def _agreement(labels: Any, vote: Any) -> float | None:
    if labels is None or vote is None:
        return None
    both = (labels >= 0) & (vote >= 0)
    return agreement.agreement(labels[both], vote[both]).ari if both.any() else None
