"""Commands run as a user runs them: in other processes, on a database of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

CONNECT = """
import decortex_schemas as schemas
schemas.connect()
"""


# Which process runs where: written by whoever connects to compute.
CONNECTED = ("environment", "worker_lease")


@dataclass(frozen=True)
class Lab:
    """A database and a store of one test, and the commands that work on it."""

    environment: dict[str, str]
    folder: Path

    def run(self, *words: str, check: bool = True, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run `decortex` with these words to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "decortex_ops", *words],
            env={**self.environment, **changed},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `decortex` with these words."""
        return subprocess.Popen(
            [sys.executable, "-m", "decortex_ops", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def python(self, code: str) -> str:
        """Run lines of Python in a connected process of their own; returns what they print.

        Where the database is empty, connecting declares the tables, jobs tables too, as `decortex init` does.
        """
        done = subprocess.run(
            [sys.executable, "-c", CONNECT + code],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself; table names may be written as {name}."""
        with self.link() as link, link.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())

    def checksums(self) -> dict[str, int]:
        """The server's checksum of the rows of every table, but those that a process fills by connecting."""
        names = [name for (name,) in self.query("SHOW TABLES") if not name.startswith(CONNECTED)]
        return dict(self.query("CHECKSUM TABLE " + ", ".join(f"`{name}`" for name in names)))

    def link(self) -> Any:
        """Open a connection to the database."""
        link = self.link_without_database()
        link.select_db(self.environment["DECORTEX_DATABASE"])
        return link

    def link_without_database(self) -> Any:
        """Open a connection to the server."""
        return pymysql.connect(
            host=self.environment["DJ_HOST"],
            port=int(self.environment["DJ_PORT"]),
            user=self.environment["DJ_USER"],
            password=self.environment["DJ_PASS"],
            autocommit=True,
        )
