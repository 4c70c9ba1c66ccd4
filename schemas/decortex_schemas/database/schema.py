"""The one schema object of all tables, and `connect()`. No table is defined here."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import pkgutil
import re
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datajoint as dj
import pymysql
from threadpoolctl import threadpool_limits

from decortex.errors import DatabaseError
from decortex_schemas.database.definitions import definition_digests
from decortex_schemas.database.server import (
    Settings,
    check_server,
    database_name,
    declaring,
    install,
    object_store,
    open_lab_connection,
    read_settings,
    refuse_foreign_settings,
    store_folder,
)
from decortex_schemas.database.versions import declared_version, record_version, refuse_other_version

logging.getLogger("datajoint").setLevel(os.environ.get("DJ_LOG_LEVEL", "WARNING"))

install()
schema = dj.Schema()
_instances: dict[tuple[str, str], dj.Computed] = {}

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
    from decortex_schemas.database.environment import provenance  # noqa: PLC0415  (they import this module's schema)
    from decortex_schemas.database.work import leases  # noqa: PLC0415  (they import this module's schema)

    if not _is_open():
        connection = open_connection(read_settings())
        if declared_version(connection, database_name()) is None:
            declare_everything(connection, anew=False)
        activate(connection)
    if not must_write and not _may_compute(schema.connection):
        _go_on_reading()
        return schema.connection
    prepare_store(store_folder())
    pin_threads(threads)
    provenance.register_environment(threads=threads)
    leases.start_heartbeat()
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


def open_connection(settings: Settings) -> dj.Connection:
    """Open DataJoint's connection and say where the store is; no table is touched, nothing is written.

    Raises
    ------
    DatabaseError
        If the server cannot be reached, refuses the credentials, or is not MySQL 8.0.13 or newer.
    """
    refuse_foreign_settings()
    check_server(settings)
    dj.config["database.host"] = settings.host
    dj.config["database.port"] = settings.port
    dj.config["database.user"] = settings.user
    dj.config["database.password"] = settings.password
    dj.config["jobs.version_method"] = "none"
    configure_store(settings.store)
    return open_lab_connection(settings.host, settings.port, settings.user, settings.password, settings.tls)


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


def configure_store(folder: Path) -> None:
    """Tell DataJoint where arrays and checkpoints lie; the folder is not touched."""
    main = object_store() or {"protocol": "file", "location": str(folder)}
    dj.config["stores"] = {"default": "main", "main": main}


def pin_threads(threads: int) -> None:
    """Fix how many threads numerical libraries use in this process."""
    import torch  # noqa: PLC0415  (a reader of results needs none)

    threadpool_limits(threads)
    torch.set_num_threads(threads)


def activate(connection: dj.Connection, *, create_tables: bool = False, checked: bool = False) -> None:
    """Bind every table class to the configured database.

    Parameters
    ----------
    connection : datajoint.Connection
        To the server.
    create_tables : bool
        Whether tables that are missing are declared.
    checked : bool
        Whether the version of the tables is known to be right.

    Raises
    ------
    DatabaseError
        If another version of decortex declared the tables there.
    """
    load_tables()
    name = database_name()
    if not checked:
        check_version(connection, name, to_declare=create_tables)
    try:
        with nullcontext() if create_tables else _seen_at_once(connection, name):
            schema.activate(name, connection=connection, create_schema=False, create_tables=create_tables)
    except BaseException:
        # DataJoint takes a schema whose activation was cut off for activated, with tables that are not bound.
        schema.database = None  # type: ignore[assignment]  # as DataJoint itself begins
        raise


_is_declared = dj.Table.is_declared


@contextmanager
def _seen_at_once(connection: dj.Connection, name: str) -> Iterator[None]:
    """Look once which tables the database holds; DataJoint asks the server of each, a hundred times a command."""
    rows = connection.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", args=(name,)
    ).fetchall()
    names = {row[0] for row in rows}
    dj.Table.is_declared = property(lambda table: table.table_name in names)
    try:
        yield
    finally:
        dj.Table.is_declared = _is_declared


def check_version(connection: dj.Connection, name: str, *, to_declare: bool = False) -> None:
    """Refuse tables that other definitions than this code's declared, before anything is read or declared.

    A database that holds no finished declaration (none, or one that was interrupted) passes.

    Parameters
    ----------
    connection : datajoint.Connection
        Of any user who may read.
    name : str
        Of the database.
    to_declare : bool
        Whether tables that are missing are about to be declared.

    Raises
    ------
    DatabaseError
        If the database's recorded version is not this one's, or its definitions are not.
    """
    refuse_other_version(connection, name, definition_digests(table_classes()), to_declare=to_declare)


def load_tables() -> None:
    """Import every module that may define a table, so that all are known."""
    for package in ("decortex_schemas.database", "decortex_schemas.tables"):
        folder = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(folder, prefix=f"{package}."):
            importlib.import_module(module.name)


def computed_tables() -> list[type[dj.Computed]]:
    """All computed tables in the order of the chain: what rests on a table comes behind it, evaluation last."""
    load_tables()
    computed = [cls for cls, _ in schema.declare_list if issubclass(cls, dj.Computed)]
    return sorted(computed, key=lambda table: (stage_of(table) == "evaluation", _depth(table)))


def stage_of(table: type[dj.Computed]) -> str:
    """Stage of the chain that a computed table belongs to: its module in `decortex_schemas.tables`, or its folder."""
    return table.__module__.removeprefix("decortex_schemas.tables.").partition(".")[0]


def table_classes() -> list[type[dj.Table]]:
    """All tables and their parts."""
    load_tables()
    masters = [cls for cls, _ in schema.declare_list]
    return masters + [
        part
        for cls in masters
        for part in vars(cls).values()
        if isinstance(part, type) and issubclass(part, dj.Part)
    ]


@functools.cache
def _depth(table: type[dj.Table]) -> int:
    """Length of the longest chain of foreign keys above a table."""
    names = re.findall(
        r"^\s*->\s*(?:\[[^\]]*\]\s*)?(\w+)", str(getattr(table, "definition", "")), flags=re.MULTILINE
    )
    parents = [getattr(sys.modules[table.__module__], name, None) for name in names]
    return 1 + max((_depth(parent) for parent in parents if isinstance(parent, type)), default=0)


def instance_of(table: type[dj.Computed]) -> dj.Computed:
    """The one instance of a computed table that this process populates.

    A new instance builds its jobs table anew, for which DataJoint reads the server's whole dependency graph.
    """
    known = (schema.database, table.__name__)
    if known not in _instances:
        instance = table()
        with _quiet():
            instance.jobs.error = functools.partial(_keep_error, instance.jobs)
        _instances[known] = instance  # not before: the server may go away meanwhile
    return _instances[known]


def _keep_error(jobs: Any, key: dict[str, Any], error_message: str, error_stack: str | None = None) -> None:
    """Keep a key's error if this process still holds the key; else another one has it, or has made it.

    DataJoint's own update ends the worker where the queue entry is gone, and would mark another process's
    reservation.
    """
    from decortex_schemas.database.work import holds  # noqa: PLC0415  (it imports this module's schema)

    if holds(jobs.target, key):
        type(jobs).error(jobs, key, error_message, error_stack)


def queue_of(table: type[dj.Computed]) -> Any:
    """The jobs table of a computed table."""
    return instance_of(table).jobs


def declare_everything(connection: dj.Connection, *, anew: bool = True, upgraded: bool = False) -> None:
    """Declare all tables and all jobs tables; one process at a time, under a lock of the server.

    Parameters
    ----------
    connection : datajoint.Connection
        Of a user who may create tables.
    anew : bool
        Whether to look at every table again where another process has declared them all.
    upgraded : bool
        Whether an upgrade has brought the tables that there are to this version, which is recorded at the end.

    Raises
    ------
    DatabaseError
        If another process holds the lock for more than a minute.
    """
    name = database_name()
    with declaring(connection, name):
        if not anew and declared_version(connection, name) is not None:
            return  # another process did while this one waited
        connection.query(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        activate(connection, create_tables=True, checked=upgraded)
        for table in computed_tables():
            queue_of(table)  # declared when it is first looked at
        _compress(connection, name)
        record_version(connection, name, definition_digests(table_classes()))


def _compress(connection: dj.Connection, name: str) -> None:
    """Give the large tables their row format; one that has it is left alone."""
    rows = connection.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND row_format = 'Compressed'",
        args=(name,),
    ).fetchall()
    done = {row[0] for row in rows}
    for table, kilobytes in sorted(compressed_tables().items()):
        if table not in done:
            connection.query(
                f"ALTER TABLE `{name}`.`{table}` ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={kilobytes}"
            )


def compressed_tables() -> dict[str, int]:
    """Names in MySQL of the tables that are kept compressed, with the kilobytes of their blocks."""
    sizes = {str(cls.table_name): getattr(cls, "row_format_kb", None) for cls in table_classes()}
    return {name: int(kilobytes) for name, kilobytes in sizes.items() if kilobytes is not None}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence DataJoint's advice about the column types of its own jobs tables."""
    logger = logging.getLogger("datajoint")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
