"""Labels that fine-tunings start from: their clustering's, or those of a source that a later table adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decortex_schemas.tables.clustering import Clustering


class StartSource(Protocol):
    """Where labels to start from lie that are not the clustering's own."""

    def without_waiting(self, every: Any) -> Any:
        """Keys of partitions and fine-tunings less those whose labels are not there yet."""

    def fetch(self, key: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """``labels`` and ``labels_sha256`` for one fine-tuning of these parameters."""


# By the fine-tuning's ``start``. What holds such labels rests on fine-tunings, and adds itself.
START_SOURCES: dict[str, StartSource] = {}


def without_waiting(every: Any) -> Any:
    """Keys of partitions and fine-tunings less those whose labels to start from are not there yet."""
    for source in START_SOURCES.values():
        every = source.without_waiting(every)
    return every


def start_digest(key: Mapping[str, Any], params: Mapping[str, Any]) -> str | None:
    """Sha256 of the labels to start from; None where they are the clustering's, which the key names."""
    source = START_SOURCES.get(params.get("start", ""))
    return None if source is None else str(source.fetch(key, params)["labels_sha256"])


def start_labels(key: Mapping[str, Any], params: Mapping[str, Any]) -> NDArray[np.int16]:
    """Labels that a fine-tuning starts from."""
    source = START_SOURCES.get(params.get("start", ""))
    row = (
        {"labels": (Clustering & dict(key)).fetch1("labels")} if source is None else source.fetch(key, params)
    )
    labels: NDArray[np.int16] = row["labels"]
    return labels
