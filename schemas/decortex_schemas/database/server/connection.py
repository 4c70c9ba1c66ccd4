"""Connections as decortex needs them: encrypted as asked, aware of a peer that has gone; and locks held by one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import datajoint as dj
import pymysql

from decortex.errors import DatabaseError, InputError, OperationError
from decortex_schemas.database.server.headings import Catalogue

# A peer that answers nothing for so long is gone: the statement in flight ends as a lost connection.
SILENCE_SECONDS = 90
# A process that stops in the middle of an insert holds locks that others wait for; after so long the server ends it.
IDLE_IN_TRANSACTION_SECONDS = 600
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
_LOCKED = (3572, 1205)  # a row that another transaction holds, at once or after waiting
_REFUSED = (1142, 1143, 1044)
_HOURS_OF_A_BACKUP = 7 * 24
_DEFINING = ("ALTER", "CREATE", "DROP", "RENAME")


class LabConnection(dj.Connection):
    """A connection that never falls back from what was asked for, and ends when the network does.

    DataJoint's own takes ``use_tls=False`` for "if the server offers it" (the driver's default), and waits for two
    hours on a network that swallows packets, because nothing is sent while a statement runs.
    """

    _user: str | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # By full name of the table: columns as read from the server (`datajoint_guards`).
        self.headings: dict[str, Any] = {}
        self.catalogue = Catalogue()
        super().__init__(*arguments, **options)

    def _build_connect_kwargs(self, use_tls: Any = None) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_connect_kwargs(use_tls)
        if self.conn_info["ssl_input"] is False:
            arguments["use_tls"] = False
        return arguments

    def start_transaction(self) -> None:
        """Begin a transaction, which the server rolls back if nothing comes from us for too long."""
        self.query(f"SET SESSION wait_timeout = {IDLE_IN_TRANSACTION_SECONDS:d}")
        super().start_transaction()

    def commit_transaction(self) -> None:
        """Commit; from here on, silence is nothing special again."""
        super().commit_transaction()
        self.query("SET SESSION wait_timeout = DEFAULT")

    def cancel_transaction(self) -> None:
        """Roll back."""
        super().cancel_transaction()
        self.query("SET SESSION wait_timeout = DEFAULT")

    def get_user(self) -> str:
        """Who the server takes us for; asked once, though DataJoint asks for every key that it reserves."""
        if self._user is None:
            self._user = super().get_user()
        return self._user

    def query(self, query: str, args: Any = (), **options: Any) -> Any:
        """Run one statement; text that is no Unicode is refused before it is sent.

        Raises
        ------
        InputError
            If a value holds half a surrogate pair, as words of a command line that are not UTF-8 do.
        """
        if query.lstrip().upper().startswith(_DEFINING):
            self.headings.clear()
            self.catalogue.clear()
        try:
            return super().query(query, args, **options)
        except UnicodeEncodeError as error:
            raise InputError(
                f"a name or value is not Unicode text ({error.reason}); write it in UTF-8."
            ) from None

    def connect(self) -> None:
        """Connect, or connect again; what fails is said as it is.

        Where nothing is set, DataJoint takes every failure (a full server, a wrong password) for one of TLS and tries
        again without, with a warning. The driver itself encrypts where the server offers it.
        """
        if self.conn_info["ssl_input"] is None:
            self.conn_info["ssl_input"] = True
        super().connect()
        link = self._conn._sock
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):  # not on every system
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)


def open_lab_connection(host: str, port: int, user: str, password: str, tls: Any) -> LabConnection:
    """Open the connection that the whole process uses, in place of the one before."""
    connection = LabConnection(host, user, password, port, tls)
    vars(dj.conn)["connection"] = connection  # where DataJoint looks for it
    return connection


@contextmanager
def hold_store(info: dict[str, Any], database: str, *, to_read: bool) -> Iterator[None]:
    """Hold the files of one database's store: several backups at once, or one that deletes.

    The row of the schema's version is locked in a transaction of its own. To lock it against others takes a right to
    change it, which readers, workers and authors do not have; what only reads the files shares it, which every reader
    may, and keeps nobody but a deletion waiting. (Every account that can connect may hold a lock of the server's that
    goes by name, ``GET_LOCK``.)

    Parameters
    ----------
    info : dict
        Arguments of ``pymysql.connect``.
    database : str
        Whose store.
    to_read : bool
        Whether the files are read, and not deleted.

    Raises
    ------
    OperationError
        If others hold it; named, where this account may see them.
    DatabaseError
        If this account may not delete files.
    """
    without_limits = {name: value for name, value in info.items() if not name.endswith("_timeout")}
    with pymysql.connect(**without_limits) as link, link.cursor() as cursor:
        cursor.execute("SET SESSION wait_timeout = %s", (_HOURS_OF_A_BACKUP * 3600,))
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("START TRANSACTION")
        how = "SHARE" if to_read else "UPDATE"
        try:
            cursor.execute(f"SELECT version FROM `{database}`.`#schema_version` FOR {how} NOWAIT")
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in _LOCKED:
                raise OperationError(
                    "a backup or a `decortex gc --delete` of this database is under way; wait for its end."
                    + _holders(cursor)
                ) from None
            if code in _REFUSED:
                raise DatabaseError(
                    f"{info['user']!r} may not delete files of database {database!r}, which takes the role admin: ask"
                    " an administrator (`decortex db grant USER --role admin`)."
                ) from None
            raise
        yield
        link.rollback()


def _holders(cursor: Any) -> str:
    """Who holds rows of the server now, in words: one of them holds this. Accounts without PROCESS see none."""
    try:
        cursor.execute(
            "SELECT p.id, p.user, p.host FROM information_schema.innodb_trx AS t "
            "JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id "
            "WHERE t.trx_rows_locked > 0 AND p.id <> CONNECTION_ID()"
        )
    except pymysql.MySQLError:
        return " The server's root sees who (information_schema.innodb_trx)."
    found = [
        f"connection {number} of {user}@{host} (KILL {number})" for number, user, host in cursor.fetchall()
    ]
    return f" Rows are held by {', '.join(found)}." if found else ""


@contextmanager
def declaring(connection: Any, database: str, *, seconds: int = 60) -> Iterator[None]:
    """Hold the lock of `decortex init`, which there may be no table for yet; named and bounded.

    Raises
    ------
    DatabaseError
        If another connection holds it for longer; the message says which.
    """
    lock = f"decortex_init_{database}"
    if connection.query("SELECT GET_LOCK(%s, %s)", args=(lock, seconds)).fetchone()[0] != 1:
        holder = connection.query("SELECT IS_USED_LOCK(%s)", args=(lock,)).fetchone()[0]
        who = connection.query(
            "SELECT CONCAT(user, '@', host) FROM information_schema.processlist WHERE id = %s", args=(holder,)
        ).fetchone()
        raise DatabaseError(
            f"another process has held the lock of `decortex init` for {seconds} s: connection {holder} of "
            f"{who[0] if who else 'an account that this one may not see'}. If it declares no tables, the server's root "
            f"ends it (KILL {holder}); then try again."
        )
    try:
        yield
    finally:
        connection.query("SELECT RELEASE_LOCK(%s)", args=(lock,))
