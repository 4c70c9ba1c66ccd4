"""Reading from many threads: a connection a thread, sessions that the server lets write nothing. No question here.

DataJoint's one connection is not safe under threads; what a web server asks runs on connections of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import datajoint as dj
import pymysql
from datajoint.blob import unpack
from pymysql.cursors import DictCursor

from decortex.errors import DatabaseError
from decortex_schemas.database import (
    LabConnection,
    Settings,
    activate,
    check_server,
    computed_tables,
    configure_store,
    database_name,
    driver_arguments,
    read_settings,
    refuse_foreign_settings,
    schema,
)

READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
# A question that takes longer is a mistake; it must not hold a thread of the server for ever.
QUERY_SECONDS = 30
_GONE = (2006, 2013, 2014, 2055, 4031, 1927, 0)
_local = threading.local()
_info: dict[str, Any] = {}


class ReadOnlyConnection(LabConnection):
    """DataJoint's connection in a session that cannot write, after every reconnect too."""

    def connect(self) -> None:
        """Connect, and forbid writing before anything else is said."""
        super().connect()
        with self._conn.cursor() as cursor:
            cursor.execute(READ_ONLY)


def connect_to_read() -> None:
    """Connect this process for reading: nothing is declared, registered or beaten, and nothing can be written.

    It needs no right but SELECT on the database, and the store's folder readable.

    Raises
    ------
    DatabaseError
        If the server cannot be reached or refuses, or the database holds no tables of this version.
    """
    settings = read_settings()
    refuse_foreign_settings()
    check_server(settings)
    _remember(settings)
    dj.config["jobs.version_method"] = "none"
    configure_store(settings.store)
    connection = ReadOnlyConnection(
        settings.host, settings.user, settings.password, settings.port, settings.tls
    )
    found = connection.query(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = '#schema_version'",
        args=(settings.database,),
    ).fetchone()
    if not found[0]:
        raise DatabaseError(
            f"database {settings.database!r} holds no decortex tables that user {settings.user!r} may read: "
            "`decortex init` declares them, `decortex db grant USER --role viewer` lets a user read them."
        )
    activate(connection)


def _remember(settings: Settings) -> None:
    _info.clear()
    _info.update(
        **settings.driver(),
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
        read_timeout=QUERY_SECONDS + 5,
        write_timeout=10,
        cursorclass=DictCursor,
    )


def rows(sql: str, args: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """Rows of one SELECT, on this thread's own connection; a lost connection is opened again once.

    Parameters
    ----------
    sql : str
        A statement with ``%s`` or ``%(name)s`` where values go; values never are part of it.
    args : sequence or mapping
        The values.

    Raises
    ------
    DatabaseError
        If no connection was set up by `connect_to_read`.
    """
    try:
        return _ask(_connection(), sql, args)
    except (pymysql.OperationalError, pymysql.InterfaceError) as error:
        if not error.args or error.args[0] not in _GONE:
            raise
        close_own()
        return _ask(_connection(), sql, args)


def _ask(link: Any, sql: str, args: Sequence[Any] | Mapping[str, Any]) -> list[dict[str, Any]]:
    with link.cursor() as cursor:
        cursor.execute(sql, args or None)
        return list(cursor.fetchall())


def close_own() -> None:
    """Close this thread's connection, if it has one."""
    link = getattr(_local, "link", None)
    _local.link = None
    if link is not None and link.open:
        link.close()


def _connection() -> Any:
    if getattr(_local, "link", None) is None or _local.info != _info:
        close_own()
        info = dict(_info) or _of_schema()
        link: Any = pymysql.connect(**info)
        with link.cursor() as cursor:
            cursor.execute(READ_ONLY)
            cursor.execute("SET SESSION MAX_EXECUTION_TIME = %s", (QUERY_SECONDS * 1000,))
        _local.link, _local.info = link, dict(_info)
    return _local.link


def _of_schema() -> dict[str, Any]:
    """Where an ordinary `connect()` went: notebooks and tests ask the same questions."""
    if not schema.is_activated():
        raise DatabaseError("not connected: call decortex_schemas.queries.connect_to_read() first.")
    info = schema.connection.conn_info
    return {
        "host": info["host"],
        "port": info["port"],
        "user": info["user"],
        "password": info["passwd"],
        "charset": "utf8mb4",
        "autocommit": True,
        "cursorclass": DictCursor,
        **driver_arguments(info["ssl_input"]),
    }


def name_of(table: Any) -> str:
    """Name of a table in SQL, quoted."""
    return f"`{database_name()}`.`{table().table_name}`"


def queue_names() -> dict[str, tuple[str, str]]:
    """For every computed table in chain order: its name in SQL and that of its queue."""
    names = {}
    for table in computed_tables():
        own = name_of(table)
        head, _, tail = own.rpartition(".`")
        names[table.__name__] = (own, f"{head}.`~~{tail.strip('`').lstrip('_')}`")
    return names


def array(value: bytes | None) -> Any:
    """What a blob column holds."""
    return None if value is None else unpack(value)
