"""Which errors are the surroundings' and pass (server away, store full or refused), and how long to wait for them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import datajoint as dj
import pymysql

from decortex.errors import StoreError
from decortex_schemas.database import disk_is_full, server_disk_is_full, state_folder, store_folder

Trouble = Literal["database", "server full", "store", "store full", "busy"]

# The server is away, ends, has no connection left, or does not answer (MySQL's and the driver's numbers).
_AWAY = {
    0,
    1040,
    1053,
    1077,
    1129,
    1203,
    1226,
    1158,
    1159,
    1160,
    1161,
    1927,
    2002,
    2003,
    2005,
    2006,
    2013,
    2014,
    2055,
    3168,
    3169,
    4031,
}
_BUSY = {1205, 1213}  # a lock was not had in time; a deadlock was broken
# The store is not there, or refuses this worker: of the machine it runs on, not of the key.
_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
    errno.EIO,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
}

FIRST_WAIT = 0.2
LONGEST_WAIT = 30.0


def trouble_of(error: BaseException) -> Trouble | None:
    """Say which surroundings failed; None where the error is the key's own.

    Parameters
    ----------
    error : BaseException
        What was raised; what caused it is looked at too.
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        found = _trouble(one)
        if found is not None:
            return found
        one = one.__cause__ or one.__context__
    return None


def _trouble(error: BaseException) -> Trouble | None:
    if isinstance(error, dj.errors.LostConnectionError):
        return "database"
    if isinstance(error, pymysql.MySQLError):
        return _trouble_of_server(error)
    if disk_is_full(error):
        return "store full"
    if isinstance(error, StoreError) and _trouble(error.__cause__ or Exception()) is None:
        return "store"
    if isinstance(error, OSError) and error.errno in _REFUSED and _is_of_the_store(error.filename):
        return "store"
    return None


def _trouble_of_server(error: pymysql.MySQLError) -> Trouble | None:
    number = error.args[0] if error.args else 0
    if number in _AWAY and "[SSL" not in str(error):  # a certificate does not come right by waiting
        return "database"
    if number in _BUSY:
        return "busy"
    return "server full" if server_disk_is_full(error) else None


def _is_of_the_store(name: object) -> bool:
    """Whether a file that was refused lies in the store, or where runs keep their state."""
    if not isinstance(name, (str, bytes)):
        return False
    path = Path(os.fsdecode(name))
    return any(path.is_relative_to(folder) for folder in (store_folder(), state_folder()))


class Patience:
    """Waiting longer and longer, until it ends.

    Parameters
    ----------
    seconds : float
        How long one trouble may last.
    sleep : callable
        Waits for so many seconds.
    """

    def __init__(self, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._began: float | None = None
        self._wait = FIRST_WAIT

    def wait(self) -> bool:
        """Wait once; returns whether there is time left to try again."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        if now - self._began >= self._seconds:
            return False
        self._sleep(min(self._wait, max(self._seconds - (now - self._began), 0.0)))
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return True

    def calm(self) -> None:
        """The trouble is over: the next one has all the time again."""
        self._began, self._wait = None, FIRST_WAIT


def connect_again(connection: dj.Connection) -> bool:
    """Open a fresh connection in place of a lost one; returns whether the server answered.

    DataJoint connects again by itself, but keeps a transaction marked as open that the server has forgotten, and
    leaves the driver's errors as they are while the server is away.
    """
    try:
        connection.connect()
        connection.cancel_transaction()
    except (pymysql.MySQLError, dj.errors.LostConnectionError, OSError):
        return False
    return True
