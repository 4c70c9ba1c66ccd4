"""The base class of computed tables: reservation, stamp, insertion, and what a key needs, as attributes of the class.

Adding a computed table means writing one class: its definition, `key_source`, `make_fetch` and `compute`. Nothing
else lists tables; what others must know of a table stands on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import datajoint as dj

from decortex.errors import OperationError
from decortex_schemas.database.environment import run_stamp
from decortex_schemas.database.work import confirm_reservation

Memory = Literal["clustering", "recordings"]


class RunState(Protocol):
    """State of a long computation on disk, kept until its row is inserted."""

    def discard(self) -> None:
        """Remove it."""
        ...


@dataclass(frozen=True)
class Made:
    """What one computation returns.

    Parameters
    ----------
    row : mapping
        Columns of the row beside its key and its stamp.
    parts : mapping of str to iterable of mapping, optional
        Rows of each part table, by the name of its class, without the key.
    state : RunState, optional
        State on disk that is removed when everything is inserted.
    """

    row: Mapping[str, Any]
    parts: Mapping[str, Iterable[Mapping[str, Any]]] = field(default_factory=dict)
    state: RunState | None = None


class Computation(dj.Computed):
    """A computed table. A subclass defines ``definition``, ``key_source``, ``make_fetch`` and ``compute``.

    Attributes
    ----------
    version : int
        Version of the computation, stored with every row; raised when equal inputs give other results.
    runs_network : bool
        Whether a key runs a network: a GPU is worth having for it, and wasted on the others.
    memory : {'clustering', 'recordings'}, optional
        What decides how much memory a key needs: its clustering method, or the recordings that lie in memory.
    row_format_kb : int, optional
        Tables of very many short rows under long keys are kept compressed in blocks of so many kilobytes: a third
        of the disk, measured in benchmarks/operations/queries.py. The size of a block bounds what a key may take
        (768 bytes at 4). Part tables have the same attribute.
    chunk_sizes : mapping of str to int
        Rows per statement of parts whose rows do not fit one statement, by the name of the part's class.
    """

    version: ClassVar[int] = 1
    runs_network: ClassVar[bool] = False
    memory: ClassVar[Memory | None] = None
    row_format_kb: ClassVar[int | None] = None
    chunk_sizes: ClassVar[Mapping[str, int]] = {}
    _studies: tuple[str, ...] | None = None
    _is_narrowed = False

    def compute(self, key: dict[str, Any], *fetched: Any) -> Made:
        """Compute one key from what `make_fetch` returned; no transaction is open meanwhile."""
        raise OperationError(f"{type(self).__name__} does not say how it is computed")

    def asked_keys(self, asked: Any) -> Any:
        """Distinct keys of this table in a question, which is read off what studies list.

        Not the product of all specifications, of which those asked for are kept: of that MySQL tries every member.

        Parameters
        ----------
        asked : QueryExpression
            With all columns of the key, and others.
        """
        if self._studies is not None:
            asked, self._is_narrowed = asked & [{"study": name} for name in self._studies], True
        return dj.U(*self.primary_key) & asked

    def key_source_of(self, studies: Sequence[str]) -> Any:
        """Keys that these studies ask for; None of a table whose ``key_source`` is not read off studies.

        Parameters
        ----------
        studies : sequence of str
            Their names.
        """
        table: Any = self  # the subclass has the key source
        self._studies, self._is_narrowed = tuple(studies), False
        try:
            source = table.key_source
        finally:
            self._studies = None
        return source if self._is_narrowed else None

    def before_insert(self, key: dict[str, Any], made: Made) -> None:
        """Check what must hold when the row is inserted; an error leaves nothing behind."""

    def specification_fault(self, key: Mapping[str, Any]) -> str | None:
        """Why this code may not compute a key, in words: its specification is of another version; None where it may."""
        return None

    def make_compute(self, key: dict[str, Any], *fetched: Any) -> tuple[Any, ...]:
        """Compute one key, and note when it began.

        Raises
        ------
        OperationError
            If the key's specification is of another version than this code computes.
        """
        fault = self.specification_fault(key)
        if fault is not None:
            raise OperationError(f"{type(self).__name__}: {fault}")
        started = time.time()
        return self.compute(key, *fetched), started

    def make_insert(self, key: dict[str, Any], made: Made, started: float) -> None:
        """Insert the row and its parts, if this process still holds the key."""
        confirm_reservation(self, key)
        self.before_insert(key, made)
        self.insert1({**key, **made.row, **run_stamp(started), "computation_version": self.version})
        for name, rows in made.parts.items():
            part = getattr(self, name)
            part.insert(({**key, **row} for row in rows), chunk_size=self.chunk_sizes.get(name))
        if made.state is not None:
            made.state.discard()
