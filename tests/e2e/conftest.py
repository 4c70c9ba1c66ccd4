"""Commands run as a user runs them: other processes, on a database of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest


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
            timeout=280,
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
        """Run a few lines of Python in a process of their own; returns what they print."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself; table names may be written as {name}."""
        link = pymysql.connect(
            host=self.environment["DJ_HOST"],
            port=int(self.environment["DJ_PORT"]),
            user=self.environment["DJ_USER"],
            password=self.environment["DJ_PASS"],
            database=self.environment["DECORTEX_DATABASE"],
            autocommit=True,
        )
        with link, link.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())


def _make(server: dict[str, str], folder: Path) -> Lab:
    environment = {
        **os.environ,
        **server,
        "DECORTEX_DATABASE": f"e2e_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    lab = Lab(environment, folder)
    folder.mkdir(exist_ok=True)
    lab.run("init")
    return lab


def _drop(lab: Lab) -> None:
    lab.query(f"DROP DATABASE `{lab.environment['DECORTEX_DATABASE']}`")


@pytest.fixture
def make_lab(server: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Make a lab on a declared database of its own; dropped at the end."""
    made: list[Lab] = []

    def make(name: str) -> Lab:
        made.append(_make(server, tmp_path / name))
        return made[-1]

    yield make
    for lab in made:
        _drop(lab)


@pytest.fixture(scope="module")
def declared(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One declared, empty database for all tests of a module that only read or are refused."""
    lab = _make(server, tmp_path_factory.mktemp("declared"))
    yield lab
    _drop(lab)
