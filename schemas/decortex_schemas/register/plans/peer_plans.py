"""Mutual learning in a plan: whose networks learn from each other, and that every round has the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.tables import FinetunePlan, FinetuneSpec, round_before


def with_peer_seeds(
    name: str, params: Mapping[str, Any], models: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Parameters of a fine-tuning with the seeds that learn from each other: where it names none, all of the plan's.

    Parameters
    ----------
    name : str
        The fine-tuning, for messages.
    params : mapping
        As the plan has them.
    models : sequence of mapping
        Keys of the plan's networks: ``dataset``, ``model_spec_id``, ``model_seed``.

    Raises
    ------
    ConfigError
        If some networks of the plan lack such seeds, so that the others would wait for ever.
    """
    if params.get("kind") != "mutual":
        return dict(params)
    families: dict[tuple[str, int], set[int]] = {}
    for key in models:
        families.setdefault((str(key["dataset"]), int(key["model_spec_id"])), set()).add(
            int(key["model_seed"])
        )
    shared = sorted(set.intersection(*families.values()))
    wanted = [int(seed) for seed in params.get("peer_seeds") or shared]
    for (dataset, _), seeds in families.items():
        missing = sorted(set(wanted) - seeds)
        if missing:
            raise ConfigError(
                f"fine-tuning {name!r} learns from networks of seeds {wanted}, but the plan's networks of dataset "
                f"{dataset!r} have {sorted(seeds)}: add {missing} to their seeds, or take them out of peer_seeds."
            )
    if len(wanted) < 2:
        raise ConfigError(
            f"fine-tuning {name!r} learns from networks of other seeds, and the plan's networks share {wanted} alone; "
            "give every network two seeds or more."
        )
    return {**params, "peer_seeds": wanted}


def check_rounds(finetunings: Sequence[FinetunePlan]) -> None:
    """Refuse a round of mutual learning whose round before the plan does not ask for at the same starts.

    Raises
    ------
    ConfigError
        If there is one.
    """
    asked = {one.finetune_id: one for one in finetunings}
    for row in (FinetuneSpec & [{"finetune_id": i} for i in asked] & {"kind": "mutual"}).to_dicts():
        if int(row["params"]["round"]) == 1:
            continue
        own = asked[int(row["finetune_id"])]
        before = asked.get(round_before(row["params"], row["schedule_id"], row["control_seed"]) or -1)
        if before is None or before.model_copy(update={"finetune_id": own.finetune_id}) != own:
            raise ConfigError(
                f"fine-tuning {row['finetune']!r} is round {row['params']['round']} of mutual learning: the plan needs "
                f"round {row['params']['round'] - 1} too, with the same parameters, schedule, methods, counts and "
                "seeds."
            )
