"""One reserved key: fetch, compute once, insert, however often the surroundings fail meanwhile."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import datajoint as dj

from decortex.errors import OperationError
from decortex_ops.workers.transient_errors import Patience, Trouble, connect_again, trouble_of
from decortex_schemas.database import complete, holds

OnTrouble = Callable[[Trouble, BaseException], None]


@dataclass(frozen=True)
class Outcome:
    """How a key ended.

    Parameters
    ----------
    kind : {'made', 'there', 'gone', 'dropped', 'failed'}
        Inserted; already in the table; no longer asked for, or without its parents; another process had taken the key
        meanwhile; or an error of its own.
    message : str
        Of the error.
    """

    kind: Literal["made", "there", "gone", "dropped", "failed"]
    message: str = ""


@dataclass
class _Kept:
    """What was computed, kept while it cannot be inserted."""

    fetched: tuple[Any, ...] | None = None
    result: Any = None


def make_key(
    table: dj.Computed, key: dict[str, Any], *, patience: Patience, on_trouble: OnTrouble = lambda t, e: None
) -> Outcome:
    """Make a key that this process has reserved, and take it from the queue.

    A result that was computed is kept while the server is away or the store is full, and inserted afterwards,
    unless what was fetched has changed.

    Parameters
    ----------
    table : Computed
        With a three-part make.
    key : dict
        Primary key.
    patience : Patience
        How long one trouble may last.
    on_trouble : callable
        Takes what failed and the error, every time.

    Raises
    ------
    OperationError
        If the surroundings did not recover in time. The reservation is left to the caller.
    """
    kept = _Kept()
    while True:
        error: BaseException
        try:
            answer = _attempt(table, key, kept)
            if not isinstance(answer, tuple):
                complete(table, key)
                patience.calm()
                return Outcome("made" if answer else "there")
            error = answer[1]
            if isinstance(error, KeyboardInterrupt):
                raise error
            trouble = trouble_of(error)
            if trouble is None:
                return _ended(table, key, error)
        except Exception as raised:
            # The server may go away between any two statements, also while an error is being dealt with.
            error, trouble = raised, trouble_of(raised)
            if trouble is None:
                raise
        on_trouble(trouble, error)
        recover(table.connection, trouble, error, patience)


def recover(connection: dj.Connection, trouble: Trouble, error: BaseException, patience: Patience) -> None:
    """Wait until it is worth trying again.

    Raises
    ------
    OperationError
        If it does not become so in time.
    """
    while patience.wait():
        if trouble != "database" or connect_again(connection):
            return
    raise OperationError(
        f"the surroundings did not recover in time ({trouble}: {error.__class__.__name__}: {error}); the key goes back "
        "to the queue."
    ) from error


def _attempt(table: dj.Computed, key: dict[str, Any], kept: _Kept) -> Any:
    """DataJoint's own make of one key, in which nothing is computed twice."""
    compute = type(table).make_compute

    def once(own: dict[str, Any], *fetched: Any) -> Any:
        if kept.fetched is None or kept.fetched != fetched:
            kept.result = compute(table, own, *fetched)
            kept.fetched = fetched
        return kept.result

    table.make_compute = once
    try:
        return table._populate1(key, None, suppress_errors=True, return_exception_objects=True)
    finally:
        del table.make_compute


def _ended(table: dj.Computed, key: dict[str, Any], error: BaseException) -> Outcome:
    """Keep an error of the key's own in the queue; what came too late is dropped."""
    message = f"{error.__class__.__name__}: {error}" if str(error) else error.__class__.__name__
    if not holds(table, key):
        if isinstance(error, dj.errors.DuplicateError):
            message = "another process made it meanwhile; the late result is dropped"
        return Outcome("dropped", message)
    source: Any = table.key_source  # type: ignore[attr-defined]  # of DataJoint's AutoPopulate
    if not len(source & key):
        complete(table, key)
        return Outcome("gone", "no study asks for it any more, or a row that it rests on was deleted")
    table.jobs.error(key, message, "".join(traceback.format_exception(error)))
    return Outcome("failed", message)
