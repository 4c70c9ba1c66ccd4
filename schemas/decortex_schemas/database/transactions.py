"""All of several insertions, or none of them; also tried only, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_transaction(connection: Any) -> Iterator[None]:
    """Do everything within, or nothing; within another transaction, as a part of that.

    Rows that others commit meanwhile are seen, so that what they registered under the same name is used.

    Parameters
    ----------
    connection : datajoint.Connection
        Which holds the transaction.
    """
    if connection.in_transaction:
        yield
        return
    connection.query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    with connection.transaction:
        yield


class _TakenBackError(Exception):
    """Ends a transaction that was only tried."""


@contextmanager
def tried_only(connection: Any) -> Iterator[None]:
    """Do everything within and take it back at the end; an error within is raised.

    Parameters
    ----------
    connection : datajoint.Connection
        Which holds the transaction; must be in none.
    """
    try:
        with one_transaction(connection):
            yield
            raise _TakenBackError
    except _TakenBackError:
        return
