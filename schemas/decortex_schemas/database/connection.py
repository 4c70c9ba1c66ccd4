"""DataJoint's connection as decortex needs it: encrypted as asked, and aware of a peer that has gone."""

from __future__ import annotations

import socket
from typing import Any

import datajoint as dj

from decortex.errors import InputError

# A peer that answers nothing for so long is gone: the statement in flight ends as a lost connection.
SILENCE_SECONDS = 90
# A process that stops in the middle of an insert holds locks that others wait for; after so long the server ends it.
IDLE_IN_TRANSACTION_SECONDS = 600
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


class LabConnection(dj.Connection):
    """A connection that never falls back from what was asked for, and ends when the network does.

    DataJoint's own takes ``use_tls=False`` for "if the server offers it" (the driver's default), and waits for two
    hours on a network that swallows packets, because nothing is sent while a statement runs.
    """

    _user: str | None = None

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
        try:
            return super().query(query, args, **options)
        except UnicodeEncodeError as error:
            raise InputError(
                f"a name or value is not Unicode text ({error.reason}); write it in UTF-8."
            ) from None

    def connect(self) -> None:
        """Connect, or connect again."""
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
