"""Numbers of clusters on pages: they follow a cluster over K, networks and fine-tunings, as its colour does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex_ops.dashboard.choosing import Chosen
from decortex_ops.dashboard.parts import Panel
from decortex_ops.dashboard.source import Source
from decortex_schemas import queries

SAID = (
    "Numbers and colours follow a cluster over K, networks and fine-tunings (matched one to one). Downloads hold them "
    "as page_cluster, beside the cluster of tables and files."
)
# Columns of panels that hold a cluster's number.
_CLUSTERS = ("cluster", "first", "second", "stimulus_of")


def neuron_columns(neurons: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns of neurons that pages list: the ids of a table in place of units, which it does not have."""
    own = "id" if "id" in neurons else "unit_id"
    return tuple(own if name == "unit_id" else name for name in queries.NEURON)


@dataclass(frozen=True)
class Numbering:
    """Number of each stored label; a label that is not known keeps its own.

    Parameters
    ----------
    numbers : mapping of int to int
    """

    numbers: Mapping[int, int] = field(default_factory=dict)

    def of(self, label: int) -> int:
        """Number of a stored label."""
        return self.numbers.get(int(label), int(label))

    def stored(self, number: int) -> int:
        """Stored label of a number."""
        return next((label for label, own in self.numbers.items() if own == number), number)

    def labels(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Labels as numbers, (n_neurons,); -1 stays."""
        known = np.unique(labels)
        numbers = np.array([self.of(int(one)) for one in known], dtype=np.int64)
        return numbers[np.searchsorted(known, labels)] if len(known) else labels.astype(np.int64)

    def rows(self, rows: Sequence[Mapping[str, Any]], *names: str) -> list[dict[str, Any]]:
        """Rows with these columns as numbers, in their order."""
        found = [{**row, **{name: self.of(row[name]) for name in names}} for row in rows]
        return sorted(found, key=lambda row: tuple(row[name] for name in names))

    def told(self, side: str, number: int) -> dict[str, int]:
        """A cluster of one side of a comparison in a download: its number and its stored label."""
        return {f"page_cluster_{side}": number, f"cluster_{side}": self.stored(number)}

    def download(self, panel: Panel) -> Panel:
        """The panel whose download holds stored labels, and its numbers as ``page_cluster`` beside them."""
        if panel.rows is None:
            return panel
        return replace(panel, rows=lambda: [self._both(row) for row in panel.data()])

    def _both(self, row: Mapping[str, Any]) -> dict[str, Any]:
        names = [name for name in _CLUSTERS if name in row]
        numbers = {f"page_{name}": row[name] for name in names}
        return {**numbers, **row, **{name: self.stored(row[name]) for name in names}}


def with_numbers(found: Mapping[str, Any], own: Numbering) -> dict[str, Any]:
    """Answer of `queries.finetuning` with the numbers of its clusters."""
    price = found["price"]
    if price is None:
        return dict(found)
    return {**found, "price": {**price, "clusters": own.rows(price["clusters"], "cluster")}}


def numbered_stimuli(found: Mapping[str, Any], own: Numbering) -> dict[str, Any]:
    """Answer of `queries.cluster_stimuli` with the numbers of its clusters, in their order."""
    numbers = [own.of(label) for label in found["clusters"]]
    order = np.argsort(numbers)
    rows = {name: found[name][order] for name in ("stimuli", "exciting", "shown", "shown_responses")}
    square = {name: found[name][np.ix_(order, order)] for name in ("confusion", "exciting_responses")}
    return {**found, **rows, **square, "clusters": [numbers[i] for i in order]}


def numbering(source: Source, study: str, key: Mapping[str, Any]) -> Numbering:
    """Numbers of the clusters of one partition of a study."""
    return Numbering(source(queries.matched_clusters, study, dict(key)))


def numbered_pair(
    chosen: Chosen, source: Source, found: Sequence[Mapping[str, Any]], pair: Sequence[int]
) -> list[Mapping[str, Any]]:
    """The partitions, the two that are compared with numbers in place of labels, and their ``numbers``."""
    state, rows = chosen.state, list(found)
    methods = {row["method_id"]: row["method"] for row in chosen.options["methods"]}
    for i in pair:
        key = {
            "dataset": state["dataset"],
            "model_spec_id": state["model"],
            "embedding_spec_id": state["emb"],
            "k": state["k"],
            "finetune_id": state["ft"],
            "method": methods[rows[i]["method_id"]],
            **{name: rows[i][name] for name in ("method_id", "model_seed", "seed")},
        }
        own = numbering(source, state["study"], key)
        rows[i] = {**rows[i], "labels": own.labels(rows[i]["labels"]), "numbers": own}
    return rows
