"""Connect this process to the database: to compute, or where the account may not, to read."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

import datajoint as dj
import pymysql
from threadpoolctl import threadpool_limits

from decortex.errors import DatabaseError
from decortex_schemas.database.codecs import AFTER_FIRST_WRITE
from decortex_schemas.database.environment import register_environment
from decortex_schemas.database.schema import activate, declare_everything, open_connection, schema
from decortex_schemas.database.server import database_name, read_settings, store_folder
from decortex_schemas.database.store import claim
from decortex_schemas.database.versions import declared_version
from decortex_schemas.database.work import start_heartbeat

# The server's number for "this session or transaction is read only".
_READ_ONLY = 1792


def connect(*, threads: int = 1, must_write: bool = False) -> dj.Connection:
    """Connect this process to the database and make every table usable.

    After it, a plain ``Clustering.populate(reserve_jobs=True)`` works: the software environment is
    registered, the store is configured, the number of threads is pinned (equal threads give equal bits),
    and a heartbeat keeps this process's reservations alive. Calling it again is free.

    Parameters
    ----------
    threads : int
        Threads that numpy, scikit-learn and torch may use in this process.
    must_write : bool
        Whether an account that may only read is refused. By default it is connected for reading, with a warning:
        queries and `fetch` work, `populate` does not.

    Notes
    -----
    An empty database is declared first, jobs tables included, as `decortex init` does.

    Returns
    -------
    datajoint.Connection
        The open connection.

    Raises
    ------
    DatabaseError
        If the server cannot be reached, refuses the credentials, or is not MySQL 8.0.13 or newer.

    Examples
    --------
    >>> import decortex_schemas as schemas
    >>> schemas.connect()                                   # doctest: +SKIP
    """
    if not _is_open():
        connection = open_connection(read_settings())
        if declared_version(connection, database_name()) is None:
            declare_everything(connection, anew=False)
        activate(connection)
    if not must_write and not _may_compute(schema.connection):
        _go_on_reading()
        return schema.connection
    prepare_store(store_folder())
    if claim not in AFTER_FIRST_WRITE:
        AFTER_FIRST_WRITE.append(claim)
    pin_threads(threads)
    register_environment(threads=threads)
    start_heartbeat()
    return schema.connection


def _may_compute(connection: dj.Connection) -> bool:
    """Whether this account may register an environment, as all who compute must; nothing is written."""
    name = f"`{database_name()}`.`environment`"
    try:
        connection.query(f"INSERT INTO {name} SELECT * FROM {name} WHERE FALSE")
    except dj.errors.AccessError:
        return False
    except pymysql.MySQLError as error:
        if error.args[:1] != (_READ_ONLY,):
            raise
        return False  # connected for reading before
    return True


def _go_on_reading() -> None:
    """Go on as a reader: nothing is registered, no lease is held, and the session writes nothing."""
    settings = read_settings()
    schema.connection.query("SET SESSION TRANSACTION READ ONLY")
    warnings.warn(
        f"connected for reading only: user {settings.user!r} may not compute in database {settings.database!r}. That "
        f"takes the role worker; an administrator gives it (decortex db grant {settings.user} --role worker).",
        stacklevel=3,
    )


def _is_open() -> bool:
    return bool(schema.is_activated() and schema.connection is not None and schema.connection.is_connected)


def prepare_store(folder: Path) -> None:
    """Create the store's folder where it is missing, private to its owner; needed to write, not to read.

    Raises
    ------
    DatabaseError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    except OSError as error:
        raise DatabaseError(
            f"the store folder {folder} cannot be made ({error}); set DECORTEX_STORE."
        ) from error
    if not os.access(folder, os.W_OK):
        raise DatabaseError(f"the store folder {folder} is not writable; set DECORTEX_STORE to one that is.")


def pin_threads(threads: int) -> None:
    """Fix how many threads numerical libraries use in this process."""
    import torch  # noqa: PLC0415  (a reader of results needs none)

    threadpool_limits(threads)
    torch.set_num_threads(threads)
