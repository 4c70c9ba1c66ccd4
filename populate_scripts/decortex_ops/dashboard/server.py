"""Serving the dashboard to a lab: threads of one process, each with a connection of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from decortex.errors import ConfigError
from decortex_ops.dashboard.app import build_app
from decortex_ops.dashboard.limits import bounded_server
from decortex_schemas.database import database_name
from decortex_schemas.queries import connect_to_read

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(*, host: str, port: int, threads: int = 8, say: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    host : str
        Address to listen on; the loopback keeps it to this machine.
    port : int
        Port; 0 takes a free one.
    threads : int
        Threads, each with a connection of its own to the database.
    say : callable
        Told where it listens.

    Raises
    ------
    ConfigError
        If the address cannot be listened on.
    DatabaseError
        If the database cannot be read.
    """
    connect_to_read()
    log_with_time()
    logging.getLogger("waitress").setLevel(logging.ERROR)
    # On the loopback, a page of another site that has our address for its name is refused.
    app = build_app(label=database_name(), hosts=list(LOOPBACK) if host in LOOPBACK else None)
    try:
        server: Any = bounded_server(app.server, host=host, port=port, threads=threads)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another --port, or 0 for a free one."
        ) from None
    say(f"http://{host}:{server.effective_port}/")
    server.run()


def log_with_time() -> None:
    """Write what goes wrong to standard error, each line with its time (UTC)."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
