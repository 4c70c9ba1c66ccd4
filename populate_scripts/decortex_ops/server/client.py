"""Questions to the private server over its own socket: is it ours, and shut down. Knows nothing of processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pymysql

_TIMEOUT_S = 10


@dataclass(frozen=True)
class Answer:
    """What a living server says of itself."""

    port: int
    version: str
    data: Path


def ask(socket: Path, password: str) -> Answer | None:
    """Ask the server behind a socket who it is.

    The socket lies in a folder of the owner's alone, so that no other account's server can answer there and no
    password reaches one, as could happen on a TCP port that was taken over.

    Returns
    -------
    Answer or None
        None where no server accepts the password there (yet).
    """
    try:
        with _connect(socket, password) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@port, @@version, @@datadir")
            port, version, data = cursor.fetchone()
    except (pymysql.err.Error, OSError):
        return None
    return Answer(port=int(port), version=str(version), data=Path(data))


def shut_down(socket: Path, password: str) -> bool:
    """Ask the server behind a socket to shut down cleanly; return whether it took the order."""
    try:
        with _connect(socket, password) as connection, connection.cursor() as cursor:
            cursor.execute("SHUTDOWN")
    except (pymysql.err.Error, OSError):
        return False
    return True


def _connect(socket: Path, password: str) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        unix_socket=str(socket),
        user="root",
        password=password,
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
    )
