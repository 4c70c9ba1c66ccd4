"""The one schema object of all tables: how it is bound to a database and declared there. No table is defined here."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datajoint as dj

from decortex_schemas.database.digests import definition_digests
from decortex_schemas.database.server import (
    Settings,
    check_server,
    database_name,
    declared_by_one,
    declaring,
    install,
    object_store,
    open_lab_connection,
    refuse_foreign_settings,
)
from decortex_schemas.database.versions import declared_version, record_version, refuse_other_version

logging.getLogger("datajoint").setLevel(os.environ.get("DJ_LOG_LEVEL", "WARNING"))

install()
schema = dj.Schema()
_instances: dict[tuple[str, str], dj.Computed] = {}


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


def configure_store(folder: Path) -> None:
    """Tell DataJoint where arrays and checkpoints lie; the folder is not touched."""
    main = object_store() or {"protocol": "file", "location": str(folder)}
    dj.config["stores"] = {"default": "main", "main": main}


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
    return sorted(computed, key=_order)


def _order(table: type[dj.Computed]) -> tuple[bool, int]:
    """Place in the order of the chain: evaluation last, and what rests on a table behind it."""
    return stage_of(table) == "evaluation", _depth(table)


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
    return 1 + max(map(_depth, _parents(table)), default=0)


def _parents(table: type[dj.Table]) -> list[type[dj.Table]]:
    """Tables that a table's foreign keys name."""
    names = re.findall(
        r"^\s*->\s*(?:\[[^\]]*\]\s*)?(\w+)", str(getattr(table, "definition", "")), flags=re.MULTILINE
    )
    found = [getattr(sys.modules[table.__module__], name, None) for name in names]
    return [parent for parent in found if isinstance(parent, type)]


def chain_of(*tables: type[dj.Computed]) -> list[type[dj.Computed]]:
    """Computed tables that some rest on by their foreign keys, and these; what rests on a table comes behind it."""
    found: set[type[dj.Table]] = set()
    waiting: list[type[dj.Table]] = list(tables)
    while waiting:
        table = waiting.pop()
        if table not in found:
            found.add(table)
            waiting += _parents(table)
    computed = [
        table for table in sorted(found, key=lambda one: one.__name__) if issubclass(table, dj.Computed)
    ]
    return sorted(computed, key=_order)


def instance_of(table: type[dj.Computed]) -> dj.Computed:
    """The one instance of a computed table that this process populates.

    A new instance builds its jobs table anew, for which DataJoint reads the server's whole dependency graph.
    """
    known = (schema.database, table.__name__)
    if known not in _instances:
        instance = table()
        with _quiet():
            _ = instance.jobs  # declares the jobs table
        _instances[known] = instance  # not before: the server may go away meanwhile
    return _instances[known]


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
        with declared_by_one():
            activate(connection, create_tables=True, checked=upgraded)
            for table in computed_tables():
                _ = table().primary_key  # columns of all are read together, until another table is created
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


def author_rights() -> dict[str, tuple[str, ...]]:
    """What authors may do to the rows of a table beside reading, by the table's name in MySQL.

    They insert into tables that hold what people register; a table that says otherwise has ``author_rights``. Inserting
    what is not there yet is an update of the key by itself to MySQL.
    """
    return {str(cls.table_name): tuple(getattr(cls, "author_rights", ("INSERT",))) for cls in table_classes()}


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
