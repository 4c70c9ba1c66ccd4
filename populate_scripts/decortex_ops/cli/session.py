"""Opening the database for a command: with progress while MySQL is fetched, and with the tables declared."""

from __future__ import annotations

import os

from decortex_ops.cli.output import err
from decortex_ops.server import EmbeddedServer, Progress


def open_server() -> None:
    """Make sure that a server runs: the configured one is left alone, the embedded one is started."""
    if os.environ.get("DJ_HOST"):
        return
    EmbeddedServer(progress=_Say()).start()


def open_tables(*, threads: int = 1, declare: bool = False) -> None:
    """Connect; the server is started and, if asked, the tables are declared."""
    from decortex_schemas.database import connect, declare_everything, open_connection, read_settings

    open_server()
    if declare:
        declare_everything(open_connection(read_settings()))
    connect(threads=threads)


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
