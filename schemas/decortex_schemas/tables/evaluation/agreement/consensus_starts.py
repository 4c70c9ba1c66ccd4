"""Fine-tunings that start from a frozen study's consensus: which keys must wait for it, and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.evaluation.agreement.stability import ConsensusPartition
from decortex_schemas.tables.finetune_starts import START_SOURCES
from decortex_schemas.tables.specs import FinetuneSpec
from decortex_schemas.tables.studies import check_frozen


def consensus_studies() -> dict[int, str]:
    """Fine-tunings that start from a consensus, by their id: the study that holds it."""
    specs = FinetuneSpec.to_dicts()
    return {
        int(row["finetune_id"]): row["params"]["start_study"]
        for row in specs
        if row["params"].get("start") == "consensus"
    }


def without_waiting(every: Any) -> Any:
    """Keys of partitions and fine-tunings less those whose consensus is not there yet."""
    for finetune_id, study in consensus_studies().items():
        mine = Clustering.proj() * (FinetuneSpec & {"finetune_id": finetune_id}).proj()
        every = every - (mine - _consensus({"study": study}).proj(start_of="study", before="finetune_id"))
    return every


def consensus_start(key: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Row of the consensus that a fine-tuning starts from: ``labels`` and ``labels_sha256``.

    Raises
    ------
    ConfigError
        If there is none, or its study is not what was frozen.
    """
    names = ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id", "k")
    found = (_consensus({"study": study, **{name: key[name] for name in names if name in key}})).to_dicts()
    if not found:
        raise ConfigError(
            f"study {study!r} holds no consensus for {dict(key)}; freeze it, then `decortex schedule` and "
            "`decortex work`, or take another study."
        )
    group = {name: found[0][name] for name in (*names, "finetune_id")}
    check_frozen(study, group)
    return {name: found[0][name] for name in ("labels", "labels_sha256")}


def _consensus(condition: Mapping[str, Any]) -> Any:
    """Votes over partitions of untouched networks."""
    none = (FinetuneSpec & {"kind": "none"}).proj()
    return ConsensusPartition & dict(condition) & {"consensus_status": "ok"} & none


class _Consensus:
    """The votes of a frozen study as labels to start from."""

    def without_waiting(self, every: Any) -> Any:
        return without_waiting(every)

    def fetch(self, key: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        return consensus_start(key, params["start_study"])


START_SOURCES["consensus"] = _Consensus()
