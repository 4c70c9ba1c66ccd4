"""What a study's fine-tunings would have shown: the smallest change detected, by spread and by planted types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from decortex.evaluation import agreement
from decortex_schemas.queries.basis import LABEL, Names, Row, pick
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.queries.evaluation.retained import changes_by_network, improvement
from decortex_schemas.tables import DECFinetune, FinetuneSpec, asked_members, partition_labels
from decortex_schemas.tables.datasets import true_types
from decortex_schemas.tables.evaluation import ConsensusPartition

SEED = 0  # of what is planted


@one_at_a_time
def detectable(study: str) -> list[Row]:
    """Say which change of the agreement between networks a frozen study would have detected.

    Two ways. From the spread that its networks showed: the change that a 95 % interval over networks leaves above zero
    with probability .8 (noncentral t). And by types planted at known strength into the fine-tuned partitions: a share
    of every network's neurons takes the cluster of its type (the known types; where nobody knows them, the partition
    that the untouched networks vote for), and the study's own test is asked whether it sees that.

    Parameters
    ----------
    study : str
        A frozen study.

    Returns
    -------
    list of dict
        One row per method, K and fine-tuning: ``n_networks``; ``change``, ``low``, ``high`` (what was found, 95 % over
        networks); ``sd_networks`` (of the jackknife's pseudo-values); ``detectable``; ``planted``: 'types', 'vote' or
        None where there is nothing to plant; ``planted_share``, ``planted_change``, ``planted_truth``: the weakest
        planting detected in 80 % of the draws, the change of the agreement that it makes, and that of the adjusted Rand
        index with what was planted (None where not even the strongest is); ``strongest_detected``: how often that is.
        Below three networks no change is detected: all None.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [row["detectable"] for row in detectable("v4-dec")]    # doctest: +SKIP
    """
    require_frozen(study)
    found, names = improvement(study), Names()
    changes = changes_by_network(found["pairs"])
    members: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    tuned = DECFinetune.proj() * FinetuneSpec.proj("kind") & asked_members(study) & "kind != 'none'"
    for row in tuned.to_dicts(order_by="KEY"):
        members.setdefault(tuple(names.of(row).values()), []).append(row)
    rows = []
    for row in found["summary"]:
        key = pick(row, LABEL)
        own = changes.get(key, {})
        rows.append(
            {
                **{name: row[name] for name in LABEL},
                "n_networks": len(own),
                "change": row["ari_networks_change"],
                "low": row["ari_networks_low"],
                "high": row["ari_networks_high"],
                **_from_spread(list(own.values())),
                **_from_planting(study, members.get(key, []), own),
            }
        )
    return rows


def _from_spread(changes: Sequence[float]) -> Row:
    if len(changes) < 3:
        return {"sd_networks": None, "detectable": None}
    sd = float(agreement.pseudo_values(np.array(changes)).std(ddof=1))
    return {"sd_networks": sd, "detectable": agreement.detectable_effect(sd, len(changes))}


def _from_planting(study: str, members: Sequence[dict[str, Any]], changes: dict[int, float]) -> Row:
    nothing = ("planted", "planted_share", "planted_change", "planted_truth", "strongest_detected")
    row: Row = dict.fromkeys(nothing)
    first: dict[int, dict[str, Any]] = {}
    for member in members:
        first.setdefault(int(member["model_seed"]), member)
    networks = [network for network in sorted(first) if network in changes]
    if len(networks) < 3:
        return row
    types, planted = true_types(members[0]["dataset"]), "types"
    if types is None:
        types, planted = _vote(study, members[0]), "vote"
    if types is None:
        return row
    effects = agreement.planted_effects(
        [partition_labels(_key(first[network])) for network in networks],
        np.array([changes[network] for network in networks]),
        types,
        seed=SEED,
    )
    row |= {"planted": planted, "strongest_detected": effects[-1].detected}
    weakest = agreement.smallest_detected(effects)
    if weakest is not None:
        row |= {
            "planted_share": weakest.share,
            "planted_change": weakest.change,
            "planted_truth": weakest.truth_change,
        }
    return row


def _vote(study: str, member: dict[str, Any]) -> Any:
    names = ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id", "k")
    none = (FinetuneSpec & {"kind": "none"}).proj()
    asked = ConsensusPartition & {"study": study, **{name: member[name] for name in names}} & none
    rows = (asked & {"consensus_status": "ok"}).to_dicts()
    return rows[0]["labels"] if rows else None


def _key(member: dict[str, Any]) -> dict[str, Any]:
    return {name: member[name] for name in DECFinetune.primary_key}
