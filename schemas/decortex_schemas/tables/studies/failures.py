"""Members that can never come: a step of theirs, or of what their network comes from, ended in an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from decortex_schemas.database import INTERRUPTED, chain_of, queue_of
from decortex_schemas.tables.finetuning import ContinuedTraining
from decortex_schemas.tables.networks import (
    NetworkState,
    NullDataset,
    NullRecordings,
    donor_of,
    generator_of,
    parent_key,
)

Key = dict[str, Any]


def failures(missing: Sequence[Mapping[str, Any]], members: Sequence[Any]) -> list[dict[str, Any]]:
    """Say which of the missing members cannot come, and at which step that was decided.

    A network that is the state of another (`NetworkState`) rests on the control or the fine-tuning that it is taken
    from, and one of a null dataset on the draw and on the networks that the draw and the core come from: their
    errors are its own, though they have other keys.

    Parameters
    ----------
    missing : sequence of mapping
        Keys of members that are not there.
    members : sequence of Computed
        Tables that members are rows of; a network's control and the draw of a null dataset are looked at beside them.

    Returns
    -------
    list of dict
        ``key`` without the study, and ``failed_at``, the table of the error; in the order of ``missing``.
    """
    if not missing:
        return []
    known = _Known(members)
    found = []
    for key in missing:
        step = known.failed_at(key)
        if step is not None:
            own = {name: _plain(value) for name, value in key.items() if name != "study"}
            found.append({"key": own, "failed_at": step})
    return found


class _Known:
    """Errors of every step, and where networks come from, each read once."""

    def __init__(self, members: Sequence[Any]) -> None:
        steps: list[Any] = [NullRecordings, *chain_of(*members, ContinuedTraining)]
        self.errors: list[tuple[str, Any, list[Key]]] = [
            (
                table.__name__,
                queue_of(table).primary_key,
                (queue_of(table).errors - INTERRUPTED).proj().to_dicts(),
            )
            # In the order of the chain: the first that failed is named.
            for table in steps
        ]
        self.states = {int(row["model_spec_id"]): row for row in NetworkState.to_dicts()}
        self.nulls = {str(row["dataset"]): row for row in NullDataset.to_dicts()}

    def failed_at(self, key: Mapping[str, Any]) -> str | None:
        """Table of the error that keeps a row from coming; None where there is none."""
        for name, columns, rows in self.errors:
            if set(columns) <= set(key) and any(all(row[c] == key[c] for c in columns) for row in rows):
                return name
        for source in self._sources(key):
            step = self.failed_at(source)
            if step is not None:
                return step
        return None

    def _sources(self, key: Mapping[str, Any]) -> Iterator[Key]:
        """Keys of the rows that a row's network comes from."""
        if not {"dataset", "model_spec_id", "model_seed"} <= set(key):
            return
        state = self.states.get(int(key["model_spec_id"]))
        if state is not None and state["state"] != "epoch":
            yield parent_key(key, state)
        null = self.nulls.get(str(key["dataset"]))
        if null is not None:
            yield generator_of(null)
            if null["cores"] == "kept" and (state is None or state["state"] == "epoch"):
                yield donor_of(null, key)


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)
