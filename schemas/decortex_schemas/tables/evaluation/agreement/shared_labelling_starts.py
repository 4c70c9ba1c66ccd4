"""Fine-tunings that start from a study's shared labelling: which keys must wait for it, and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.evaluation.agreement.shared_labelling import SharedLabelling
from decortex_schemas.tables.finetune_starts import START_SOURCES
from decortex_schemas.tables.specs import FinetuneSpec


def shared_start(key: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Row of the labelling that all networks start from: ``labels`` and ``labels_sha256``.

    Raises
    ------
    ConfigError
        If there is none.
    """
    names = ("dataset", "model_spec_id", "embedding_spec_id", "k")
    found = (_labellings(study) & {name: key[name] for name in names if name in key}).to_dicts()
    if not found:
        raise ConfigError(
            f'study {study!r} holds no shared labelling for {dict(key)}; ask for one ("shared_labelling": {{}} in its '
            "plan), then `decortex schedule` and `decortex work`, or take another study."
        )
    return {name: found[0][name] for name in ("labels", "labels_sha256")}


def _labellings(study: str) -> Any:
    return SharedLabelling & {"study": study, "labelling_status": "ok"}


class _Shared:
    """The shared labellings of a study as labels to start from."""

    def without_waiting(self, every: Any) -> Any:
        for row in FinetuneSpec.to_dicts():
            if row["params"].get("start") == "shared":
                mine = Clustering.proj() * (FinetuneSpec & {"finetune_id": row["finetune_id"]}).proj()
                there = _labellings(row["params"]["start_study"]).proj(start_of="study")
                every = every - (mine - there)
        return every

    def fetch(self, key: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        return shared_start(key, params["start_study"])


START_SOURCES["shared"] = _Shared()
