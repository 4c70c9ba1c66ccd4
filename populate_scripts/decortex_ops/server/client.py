"""Questions to the private server over its own socket: is it ours; shut down. Knows nothing of processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pymysql

from decortex.errors import DatabaseError

_TIMEOUT_S = 10
_ACCESS_DENIED = 1045
_TOO_MANY_CONNECTIONS = 1040


@dataclass(frozen=True)
class Answer:
    """What a living server says of itself.

    Attributes
    ----------
    port : int
        Its TCP port.
    version : str
        Its version.
    data : Path
        Its data folder.
    """

    port: int
    version: str
    data: Path


class RefusalError(DatabaseError):
    """The private server lives and turns its owner away."""


def ask(socket: Path, password: str) -> Answer | None:
    """Ask the server behind a socket who it is.

    The socket lies in a folder of its owner's alone: no other account's server can answer there and be told
    the password, as could happen on a TCP port that somebody else has taken over.

    Returns
    -------
    Answer or None
        None where no server answers there (yet).

    Raises
    ------
    RefusalError
        A server answers and refuses the password, or has no connection left.
    """
    try:
        with _connect(socket, password) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@port, @@version, @@datadir")
            port, version, data = cursor.fetchone()
    except (pymysql.err.Error, OSError) as error:
        code = error.args[0] if error.args else None
        if code == _ACCESS_DENIED:
            msg = (
                "The embedded MySQL runs, but refuses the password that is kept beside it: the file was "
                "changed or lost. `decortex db stop` and `decortex db start` set it anew; the data are kept."
            )
            raise RefusalError(msg) from error
        if code == _TOO_MANY_CONNECTIONS:
            msg = (
                "The embedded MySQL runs, but all of its connections are in use. End some of its clients, or "
                "run a larger MySQL server and set DJ_HOST, DJ_USER and DJ_PASS."
            )
            raise RefusalError(msg) from error
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
