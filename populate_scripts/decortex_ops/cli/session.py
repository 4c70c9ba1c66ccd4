"""Opening the database for a command: with progress while MySQL is fetched, and with the tables declared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from decortex_ops.cli.output import err
from decortex_ops.server import EmbeddedServer, Progress

if TYPE_CHECKING:
    from decortex_ops.workers import Log


def open_server() -> None:
    """Make sure that a server runs: the configured one is left alone, the embedded one is started."""
    if os.environ.get("DJ_HOST"):
        return
    EmbeddedServer(progress=_Say()).start()


@contextmanager
def server_opening() -> Iterator[None]:
    """Start the server as `open_server` does while the body loads what the command needs; then wait for it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        opened = pool.submit(open_server)
        yield
        opened.result()


_least: list[str] = []


def least_role() -> str | None:
    """The least role that the command which runs takes, where it has said so."""
    return _least[-1] if _least else None


def open_tables(*, threads: int = 1, declare: bool = False, role: str = "worker") -> None:
    """Connect; the server is started and, if asked, the tables are declared.

    Parameters
    ----------
    threads : int
        Threads of the numerical libraries.
    declare : bool
        Whether the tables are declared.
    role : str
        The least role that the command takes: a refusal names it.
    """
    _least[:] = ["admin" if declare else role]
    from decortex_schemas.database import connect, declare_everything, open_connection, read_settings

    open_server()
    if declare:
        declare_everything(open_connection(read_settings()))
    connect(threads=threads, must_write=True)


def open_tables_patiently(log: Log, *, threads: int = 1, patience: float = 3600.0) -> None:
    """Connect as `open_tables` does; a server that is away, or has no connection left, is waited for.

    Parameters
    ----------
    log : Log
        Takes what is waited for.
    threads : int
        Threads of the numerical libraries.
    patience : float
        Seconds to wait at most; then the error is raised.
    """
    from decortex_ops.workers import Patience, trouble_of

    open_server()
    waiting = Patience(patience)
    while True:
        try:
            open_tables(threads=threads)
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None or not waiting.wait():
                raise
            log("trouble", f"{trouble}: {error}; waiting", trouble=trouble, error=str(error))
        else:
            return


def why_server_is_down() -> str:
    """Why the embedded server runs no longer, and how it comes back; empty where it runs, or another one is used."""
    return "" if os.environ.get("DJ_HOST") else EmbeddedServer().why_down()


def open_to_read() -> None:
    """Connect to read: the server is started if it is the embedded one, and nothing is written."""
    from decortex_schemas.queries import connect_to_read

    open_server()
    connect_to_read()


class _Say:
    """Say each stage once; what is counted within it is not worth a line."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, step: Progress) -> None:
        if step.stage != self._stage:
            self._stage = step.stage
            err.print(f"{step.stage} ...", highlight=False, markup=False, style="dim")
