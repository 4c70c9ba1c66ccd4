"""Which mysqld is run: the named one, the installed one, a cached one or a fetched one. Starts no server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from decortex.errors import DatabaseError
from decortex_ops.server.debian import fetch as fetching
from decortex_ops.server.program import Mysqld, probe
from decortex_ops.server.progress import ProgressCallback, silent

THREE_WAYS = (
    "Three ways lead to a database: install MySQL 8.0.13 or newer (its `mysqld` on PATH, or named by "
    "DECORTEX_MYSQLD); or `docker compose up -d`; or set DJ_HOST, DJ_USER and DJ_PASS to a server that runs."
)
# Distributions put mysqld where the PATH of an ordinary user does not lead.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what can be fetched again: ``DECORTEX_CACHE``, else the user's cache."""
    named = environ.get("DECORTEX_CACHE", "").strip()
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("decortex"))


def find_mysqld(
    environ: Mapping[str, str] | None = None, *, progress: ProgressCallback = silent, fetch: bool = True
) -> Mysqld:
    """Find a MySQL server program, fetching one where the machine has none.

    In this order: ``DECORTEX_MYSQLD``; ``mysqld`` on ``PATH``; an earlier fetch in the cache; the
    distribution's own packages, fetched without root.

    Parameters
    ----------
    environ : mapping, optional
        The environment, by default the process's own.
    progress : callable
        Called with a :class:`Progress` while packages are fetched.
    fetch : bool
        Whether packages may be fetched.

    Returns
    -------
    Mysqld
        MySQL 8.0.13 or newer.

    Raises
    ------
    DatabaseError
        None is found, or the one that is named is MariaDB or too old.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("DECORTEX_MYSQLD", "").strip()
    if named:
        return _named(named, environ)
    refusals = []
    installed = shutil.which("mysqld", path=_search_path(environ))
    if installed is not None:
        try:
            return probe((installed,), origin="installed", path=Path(installed))
        except DatabaseError as error:
            refusals.append(str(error))
    cached = fetching.cached(cache_folder(environ))
    if cached is not None:
        return cached
    if fetch:
        try:
            return fetching.fetch(cache_folder(environ), progress=progress)
        except DatabaseError as error:
            refusals.append(str(error))
    raise DatabaseError(
        " ".join(["No MySQL server program could be found or fetched.", *refusals, THREE_WAYS])
    )


def _search_path(environ: Mapping[str, str]) -> str:
    return os.pathsep.join([environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])


def _named(named: str, environ: Mapping[str, str]) -> Mysqld:
    found = shutil.which(str(Path(named).expanduser()), path=environ.get("PATH", os.defpath))
    if found is None:
        msg = f"DECORTEX_MYSQLD names {named!r}, which cannot be run; name MySQL's `mysqld`, or unset it."
        raise DatabaseError(msg)
    try:
        return probe((found,), origin="DECORTEX_MYSQLD", path=Path(found))
    except DatabaseError as error:
        msg = f"DECORTEX_MYSQLD cannot be used: {error}"
        raise DatabaseError(msg) from error
