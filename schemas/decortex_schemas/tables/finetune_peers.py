"""Networks that a fine-tuning learns from: which keys wait for them, what they hold, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from decortex import finetune as finetuning
from decortex.errors import ConfigError
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.specs import FinetuneSpec

KIND = "mutual"


def agrees_by_construction(params: Mapping[str, Any]) -> bool:
    """Whether networks agree however good their partition is: one start for all, or each other's targets."""
    return str(params.get("start", "clustering")) != "clustering" or params.get("kind") == KIND


def round_before(params: Mapping[str, Any], schedule_id: int | None, control_seed: int | None) -> int | None:
    """``finetune_id`` of what networks had learnt a round before; of round 1 that of 'none', None where unknown."""
    if int(params["round"]) == 1:
        found = (FinetuneSpec & {"kind": "none"}).to_dicts()
    else:
        wanted = {**params, "round": int(params["round"]) - 1}
        found = [
            row
            for row in (FinetuneSpec & {"kind": KIND}).to_dicts()
            if row["params"] == wanted
            and (row["schedule_id"], row["control_seed"]) == (schedule_id, control_seed)
        ]
    return int(found[0]["finetune_id"]) if found else None


def without_waiting_for_peers(every: Any, finetunings: Any) -> Any:
    """Keys of partitions and fine-tunings less those whose networks to learn from are not there yet.

    Parameters
    ----------
    every : query
        Keys of partitions and fine-tunings.
    finetunings : table
        The fine-tuned partitions, `DECFinetune`.
    """
    for row in (FinetuneSpec & {"kind": KIND}).to_dicts():
        mine = Clustering.proj() * (FinetuneSpec & {"finetune_id": row["finetune_id"]}).proj()
        before = round_before(row["params"], row["schedule_id"], row["control_seed"])
        if before is None:
            every = every - mine
            continue
        for seed in row["params"]["peer_seeds"]:
            there = finetunings.proj() & {"finetune_id": before, "model_seed": seed}
            every = every - (mine - there.proj(peer_seed="model_seed", before="finetune_id"))
    return every


def peer_rows(key: Mapping[str, Any], params: Mapping[str, Any], finetunings: Any) -> list[dict[str, Any]]:
    """Rows that one fine-tuning learns from, by seed: key and digests; none for any other kind.

    Raises
    ------
    ConfigError
        If one is not there.
    """
    if params["kind"] != KIND:
        return []
    schedule_id, control_seed = (FinetuneSpec & {"finetune_id": key["finetune_id"]}).fetch1(
        "schedule_id", "control_seed"
    )
    before = round_before(params, schedule_id, control_seed)
    rows = []
    for seed in params["peer_seeds"]:
        own = {name: key[name] for name in finetunings.primary_key if name in key}
        there = finetunings & {**own, "model_seed": seed, "finetune_id": before}
        found = there.proj("labels_sha256", "embedding_sha256").to_dicts()
        if before is None or not found:
            raise ConfigError(
                f"fine-tuning {key['finetune_id']} of round {params['round']} learns from network {seed}, which "
                f"{'has no round before' if before is None else 'is not there yet'}: `decortex schedule` and "
                "`decortex work` compute it where a study asks for it."
            )
        rows.append(found[0])
    return rows


def peers_sha256(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Digest of what a fine-tuning learns from: seeds, labels and points; None where it learns from none."""
    if not rows:
        return None
    digest = hashlib.sha256()
    for row in rows:
        points = row["embedding_sha256"] or (Embedding & _key(row)).fetch1("embedding_sha256")
        digest.update(f"{row['model_seed']} {row['labels_sha256']} {points}\n".encode())
    return digest.hexdigest()


def load_peers(
    rows: Sequence[Mapping[str, Any]],
    *,
    moved_points: Callable[[dict[str, Any]], Any],
    labels_of: Callable[[dict[str, Any]], Any],
) -> list[finetuning.PeerPartition]:
    """Partitions of the networks that are learnt from, each in the points where it lies.

    Parameters
    ----------
    rows : sequence of mapping
        Of `peer_rows`.
    moved_points, labels_of : callable
        What reads the moved points, and the labels, of a fine-tuned partition's key.
    """
    return [
        finetuning.PeerPartition(
            points=load_embedding(_key(row)) if row["embedding_sha256"] is None else moved_points(_key(row)),
            labels=labels_of(_key(row)),
        )
        for row in rows
    ]


def _key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("labels_sha256", "embedding_sha256")}
