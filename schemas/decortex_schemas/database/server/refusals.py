"""What a server that answers and refuses says, in its own words, and what to do then. No connection is opened here."""

from __future__ import annotations

import errno
import re

# Number of the server's error -> what to do. The server's own message stands before it.
_WHAT_TO_DO = {
    1040: "It has no connection left: wait until another program ends, start fewer workers, or let its administrator"
    " raise max_connections.",
    1203: "This user has no connection left: end another of its programs, start fewer workers, or let the server's"
    " administrator raise max_user_connections.",
    1226: "This user has reached a limit of its account: end another of its programs or wait an hour, or let the"
    " server's administrator raise the limit (ALTER USER ... WITH MAX_USER_CONNECTIONS 0, for example).",
    1820: "The password has expired: set a new one (`decortex db password`), then DJ_PASS.",
    1862: "The password has expired: set a new one (`decortex db password`), then DJ_PASS.",
    3118: "The account is locked: the server's administrator unlocks it (ALTER USER ... ACCOUNT UNLOCK), or take"
    " another by DJ_USER.",
    3955: "The account is blocked after failed logins: correct DJ_PASS and wait, or let the server's administrator"
    " unlock it (ALTER USER ... ACCOUNT UNLOCK).",
    1129: "The server has blocked this machine after failed connections: its administrator runs"
    " TRUNCATE performance_schema.host_cache.",
    1130: "The server takes no connections from this machine: its administrator makes a user for it (CREATE USER"
    " 'name'@'this machine').",
    1205: "Another session holds a row that this needs: try again; SELECT * FROM sys.innodb_lock_waits shows which"
    " session it is, and a transaction that was left open ends with its program.",
    1213: "Another session wanted the same rows in another order: try again.",
    3572: "Another session holds a row that this needs: try again.",
    1290: "The server runs read-only: ask its administrator, or set DJ_HOST to the one that takes writes.",
    1836: "The server runs read-only: ask its administrator, or set DJ_HOST to the one that takes writes.",
    3159: "The server takes encrypted connections alone: unset DJ_USE_TLS, or set it to true.",
    1053: "The server is shutting down: start it, or wait until it is back.",
    1146: "A table is missing that this decortex has: run `decortex init` as an administrator, which declares it.",
    1049: "Create it (`decortex init`), or set DECORTEX_DATABASE.",
}
# Nothing that was committed is lost when the server's disk is full.
_FULL = (1021, 1026, 1030, 1114, 3019, 14)
_MAKE_ROOM = (
    "Nothing is lost that was there: make room (`decortex study remove NAME` removes what only that study needs; old"
    " binary logs: PURGE BINARY LOGS), or give the server a larger disk; workers wait meanwhile."
)
_ERRNO_28 = re.compile(r"\b(?:errno:?|error:?|error number) ?28\b|No space left", re.IGNORECASE)
_ACCESS_DENIED = (1044, 1045, 1698)
# The system's numbers for a disk, a quota or a file that takes no more.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of the driver itself, and of connections that were lost: no server answered.
_CLIENT = range(2000, 3000)


def server_refusal(error: BaseException) -> str | None:
    """Say why a server refused, in its own words and with what to do.

    Parameters
    ----------
    error : BaseException
        What the driver raised: its arguments are a number and the server's message.

    Returns
    -------
    str or None
        None if it is no answer of a server (nothing listens, the connection was lost), or an ordinary refusal of one
        statement that nobody can do anything general about.

    Examples
    --------
    >>> import pymysql
    >>> server_refusal(pymysql.OperationalError(3118, "Access denied for user 'x'. Account is locked."))[:60]
    "Access denied for user 'x'. Account is locked (error 3118). "
    >>> server_refusal(pymysql.OperationalError(2003, "Can't connect")) is None
    True
    """
    code, words = _number_and_words(error)
    if server_disk_is_full(error):
        return f"the disk of the server is full: {words.rstrip('. ')} (error {code}). {_MAKE_ROOM}"
    if code not in _WHAT_TO_DO:
        return None
    return f"{words.rstrip('. ')} (error {code}). {_WHAT_TO_DO[code]}"


def server_disk_is_full(error: BaseException) -> bool:
    """Whether this is what a server says whose disk is full, or a table's file as large as it may be.

    Examples
    --------
    >>> import pymysql
    >>> server_disk_is_full(pymysql.OperationalError(1114, "The table '__clustering' is full"))
    True
    >>> server_disk_is_full(pymysql.OperationalError(1030, "Got error 168 from storage engine"))
    False
    """
    code, words = _number_and_words(error)
    if code in (1026, 1030, 14):  # any failure to read or write a file
        return bool(_ERRNO_28.search(words))
    return code in _FULL


def disk_is_full(error: BaseException) -> bool:
    """Whether this is what the system says of a disk of this machine, or a quota on it, that is full."""
    return isinstance(error, OSError) and error.errno in FULL_DISK


def connection_refusal(error: BaseException, where: str, user: str) -> str | None:
    """Say why a server that answers lets nobody in; None if no server answered.

    Parameters
    ----------
    error : BaseException
        What the driver raised when it connected.
    where : str
        Host and port.
    user : str
        Who wanted to connect.
    """
    code, words = _number_and_words(error)
    if code in _ACCESS_DENIED:
        return (
            f"the server at {where} refused user {user!r}: check DJ_USER and DJ_PASS (or the file named by"
            f" DJ_PASS_FILE). It says: {words.rstrip('. ')} (error {code})."
        )
    if code is None or code == 0 or code in _CLIENT:
        return None
    told = server_refusal(error) or f"{words.rstrip('. ')} (error {code}). Ask the server's administrator."
    return f"the server at {where} answers and refuses user {user!r}: {told}"


def refusal_of(error: BaseException) -> str | None:
    """Say why an account that runs already is refused, a wrong password too; None if that is not what an error says."""
    code, words = _number_and_words(error)
    if code in _ACCESS_DENIED:
        return f"{words.rstrip('. ')} (error {code}). The user name or the password is wrong, or it has no role here."
    return server_refusal(error)


def _number_and_words(error: BaseException) -> tuple[int | None, str]:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    words = " ".join(str(error.args[1]).split()) if len(error.args) > 1 else error.__class__.__name__
    return code, words
