"""A MySQL server program: how it is run, and whether it can serve. Where it comes from is binaries.py."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from decortex.errors import DatabaseError

OLDEST = (8, 0, 13)
_VERSION = re.compile(r"\bVer\s+(\d+)\.(\d+)\.(\d+)")
# Variables with which a shell or a conda environment would bend the program's libraries.
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
