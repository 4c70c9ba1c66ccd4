"""Which mysqld is run: the named one, the installed one, a cached one or a fetched one. Starts no server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from decortex.errors import DatabaseError
from decortex_ops.server.progress import ProgressCallback, silent

OLDEST = (8, 0, 13)
THREE_WAYS = (
    "Three ways lead to a database: install MySQL 8.0.13 or newer (its `mysqld` on PATH, or named by "
    "DECORTEX_MYSQLD); or `docker compose up -d`; or set DJ_HOST, DJ_USER and DJ_PASS to a server that runs."
)
# Distributions put mysqld where the PATH of an ordinary user does not lead.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin")
_VERSION = re.compile(r"\bVer\s+(\d+)\.(\d+)\.(\d+)")
# Variables with which a shell or a conda environment would bend the binary's libraries.
_BENDING = ("LD_PRELOAD", "LD_LIBRARY_PATH", "OPENSSL_MODULES")


@dataclass(frozen=True)
class Mysqld:
    """A MySQL server program that can be run.

    Attributes
    ----------
    command : tuple of str
        What to execute; more than one word where the program runs under a dynamic linker of its own.
    version : str
        For example ``"8.4.3"``.
    origin : str
        Where it comes from, for a person.
    path : Path
        The program itself.
    root : Path or None
        The folder that an unpacked distribution's paths are relative to; None for an installed one.
    """

    command: tuple[str, ...]
    version: str
    origin: str
    path: Path
    root: Path | None = None

    def options(self) -> list[str]:
        """Options that this program needs wherever it runs."""
        found = ["--user=root"] if os.geteuid() == 0 else []
        if self.root is not None:
            usr = self.root / "usr"
            found += [
                f"--basedir={usr}",
                f"--lc-messages-dir={usr / 'share' / 'mysql'}",
                f"--character-sets-dir={usr / 'share' / 'mysql' / 'charsets'}",
                f"--plugin-dir={usr / 'lib' / 'mysql' / 'plugin'}",
            ]
        return found

    def environment(self) -> dict[str, str]:
        """Return the environment to run it in."""
        env = dict(os.environ)
        env.pop("NOTIFY_SOCKET", None)  # a service manager that started us is not to hear from it
        if self.root is not None:
            for name in _BENDING:
                env.pop(name, None)
            # The machine's OpenSSL configuration may load providers built for another OpenSSL.
            env["OPENSSL_CONF"] = "/dev/null"
        return env


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
    from decortex_ops.server import fetch as fetching  # noqa: PLC0415  (fetch builds on this module)

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


def probe(command: tuple[str, ...], *, origin: str, path: Path, root: Path | None = None) -> Mysqld:
    """Ask a program for its version and refuse what cannot serve.

    Raises
    ------
    DatabaseError
        It does not run, is MariaDB, or is older than 8.0.13.
    """
    candidate = Mysqld(command=command, version="", origin=origin, path=path, root=root)
    try:
        answer = subprocess.run(
            [*command, "--no-defaults", "--version"],
            capture_output=True, text=True, timeout=60, check=False, env=candidate.environment(),
            errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{path} does not answer `--version`: {error}."
        raise DatabaseError(msg) from error
    text = f"{answer.stdout}\n{answer.stderr}".strip()
    if "mariadb" in text.lower():
        msg = (
            f"{path} is MariaDB ({text.splitlines()[0]}), which DataJoint 2 does not support; "
            "MySQL 8.0.13 or newer is needed."
        )
        raise DatabaseError(msg)
    match = _VERSION.search(text)
    if answer.returncode != 0 or match is None:
        msg = (
            f"{path} does not answer `--version` as MySQL's server does; it exits with {answer.returncode}: "
            f"{text[-300:]!r}."
        )
        raise DatabaseError(msg)
    numbers = tuple(int(part) for part in match.groups())
    version = ".".join(match.groups())
    if numbers < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        msg = f"{path} is MySQL {version}, but DataJoint 2 needs {oldest} or newer."
        raise DatabaseError(msg)
    return Mysqld(command=command, version=version, origin=origin, path=path, root=root)
