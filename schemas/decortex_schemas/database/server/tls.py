"""Whether and how connections are encrypted, from the environment. Opens none."""

from __future__ import annotations

import functools
import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymysql.connections import Connection

from decortex.errors import DatabaseError

_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")
Tls = dict[str, Any] | bool | None
_driver_context = Connection._create_ssl_ctx


def read_tls(host: str = "", environ: Mapping[str, str] = os.environ) -> Tls:
    """Read the options of TLS.

    ``DJ_USE_TLS`` true or false: encrypted or refused, or never encrypted. ``DECORTEX_TLS_CA``: a file of
    certificates; the connection is encrypted and the server's certificate must be signed by one of them and name the
    host (``DECORTEX_TLS_CHECK_NAME`` false: any name, as in the certificates that MySQL makes for itself).
    ``DECORTEX_TLS_CERT`` and ``DECORTEX_TLS_KEY``: what this client shows.

    Parameters
    ----------
    host : str
        The server's, as ``DJ_HOST`` names it. To one on another machine the connection is encrypted or refused, unless
        ``DJ_USE_TLS`` is false; to one on this machine nothing that others could read leaves it.
    environ : mapping
        The environment.

    Returns
    -------
    dict, False or None
        What pymysql takes as ``ssl``; False for no TLS; None where nothing is set and the server is on this machine:
        encrypted where it offers that, without looking at its certificate.

    Raises
    ------
    DatabaseError
        If a value is not one of these, a file is missing, or two options contradict each other.
    """
    use = _switch(environ, "DJ_USE_TLS")
    ca, cert, key = (_file(environ, f"DECORTEX_TLS_{name}") for name in ("CA", "CERT", "KEY"))
    if use is False:
        if ca or cert or key:
            raise DatabaseError("DJ_USE_TLS is false, but DECORTEX_TLS_* are set: unset one or the other.")
        return False
    if (cert is None) != (key is None):
        raise DatabaseError(
            "DECORTEX_TLS_CERT and DECORTEX_TLS_KEY come together: only one of them is set; set both or neither."
        )
    if use is None and ca is None and cert is None and is_local(host):
        return None
    # Never empty: an empty dict means "if the server offers it" to the driver, and so does DataJoint's `True`.
    options: dict[str, Any] = {"verify_mode": "required" if ca else "none"}
    options["check_hostname"] = ca is not None and _switch(environ, "DECORTEX_TLS_CHECK_NAME") is not False
    if ca:
        options["ca"] = ca
    if cert:
        options.update(cert=cert, key=key)
    return options


def driver_arguments(tls: Tls) -> dict[str, Any]:
    """Arguments of ``pymysql.connect`` for these options."""
    if tls is False:
        return {"ssl_disabled": True}
    return {"ssl": dict(tls)} if isinstance(tls, dict) else {}


def read_no_authorities() -> None:
    """Let the driver read certificates where it looks at one; once per process, again without effect.

    For each connection it reads the system's hundred and more authorities, also where it takes any certificate.
    """
    Connection._create_ssl_ctx = _context


def _context(link: Any, options: Any) -> ssl.SSLContext:
    """What encrypts a connection: the one that takes any certificate, where nothing is to be looked at or shown."""
    if isinstance(options, dict) and _takes_any_certificate(options):
        return _unseeing()
    context: ssl.SSLContext = _driver_context(link, options)
    return context


def _takes_any_certificate(options: Mapping[str, Any]) -> bool:
    given = {name: value for name, value in options.items() if value is not None}
    return not given.pop("check_hostname", False) and given in ({}, {"verify_mode": "none"})


@functools.cache
def _unseeing() -> ssl.SSLContext:
    """As the driver's own, without authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_local(host: str) -> bool:
    """Whether a host's name or address is this machine's loopback; no name is looked up."""
    if host in ("", "localhost", "localhost.localdomain", "ip6-localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _switch(environ: Mapping[str, str], name: str) -> bool | None:
    value = environ.get(name, "").strip().lower()
    if not value:
        return None
    if value not in (*_YES, *_NO):
        raise DatabaseError(f"{name} is {environ[name]!r}: expected true or false.")
    return value in _YES


def _file(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name, "").strip()
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        raise DatabaseError(f"{name} names {value!r}, which is not a file.")
    return str(path)
