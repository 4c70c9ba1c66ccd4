"""Who connects where: the credentials of a database, from the environment or from the embedded server."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from decortex.errors import DatabaseError

DEFAULT_PORT = 3306


@dataclass(frozen=True)
class Credentials:
    """What a client needs to connect by TCP. The password is not part of the repr.

    Attributes
    ----------
    host, port, user, password
        As MySQL takes them.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)


def credentials_from_environment(environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """Read the lab's own server from ``DJ_HOST``, ``DJ_PORT``, ``DJ_USER`` and ``DJ_PASS``.

    Parameters
    ----------
    environ : mapping
        The environment. ``DJ_PASS_FILE`` may name a file that holds the password, for secrets that are
        mounted.

    Returns
    -------
    Credentials or None
        None where ``DJ_HOST`` is not set or empty: the embedded server is meant.

    Raises
    ------
    DatabaseError
        ``DJ_HOST`` is set and the rest is missing or cannot be read.
    """
    host = environ.get("DJ_HOST", "").strip()
    if not host:
        return None
    host, port = _host_and_port(host, environ.get("DJ_PORT", "").strip())
    user = environ.get("DJ_USER", "").strip()
    if not user:
        msg = f"DJ_HOST is set to {host!r}, but DJ_USER is not; set DJ_USER and DJ_PASS (or DJ_PASS_FILE)."
        raise DatabaseError(msg)
    return Credentials(host=host, port=port, user=user, password=_password(environ))


@cache
def _asked(user: str) -> str:
    """Ask for the password, once per process."""
    return getpass.getpass(f"Password of {user}: ")


def _host_and_port(host: str, port: str) -> tuple[str, int]:
    name, colon, inline = host.rpartition(":")
    if colon and ":" not in name and not port:
        host, port = name, inline
    if not port:
        return host, DEFAULT_PORT
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        msg = f"DJ_PORT must be a port number from 1 to 65535, got {port!r}."
        raise DatabaseError(msg)
    return host, int(port)


def _password(environ: Mapping[str, str]) -> str:
    if "DJ_PASS" in environ:
        return environ["DJ_PASS"]
    file = environ.get("DJ_PASS_FILE", "").strip()
    if not file:
        if sys.stdin is not None and sys.stdin.isatty():
            return _asked(environ.get("DJ_USER", "").strip())
        msg = (
            "DJ_HOST is set, but no password: set DJ_PASS, or DJ_PASS_FILE to a file that holds it, or run this on a "
            "terminal, which asks for it."
        )
        raise DatabaseError(msg)
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"DJ_PASS_FILE cannot be read: {error}. Set it to a readable text file, or set DJ_PASS."
        raise DatabaseError(msg) from error
