"""`decortex dashboard`: results in a browser, read only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import out
from decortex_ops.cli.session import open_server


def dashboard(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 shows it to whoever reaches this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8050,
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="Threads, each with its own connection to the database.")
    ] = 8,
) -> None:
    """Show queue and results in a browser; nothing can be changed there. Example: decortex dashboard --port 8050."""
    missing = [name for name in ("dash", "plotly", "waitress") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the dashboard needs {', '.join(missing)}: pip install 'decortex[dash]' brings them (in a clone: "
            "pip install -c constraints.txt -e '.[dash]')."
        )
    from decortex_ops.dashboard import serve

    open_server()
    serve(
        host=host, port=port, threads=threads, say=lambda url: out.print(f"dashboard: {url}", highlight=False)
    )
