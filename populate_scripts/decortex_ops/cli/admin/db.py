"""`decortex db ...` and `decortex init`: the embedded server, and the tables in whatever server is used."""

from __future__ import annotations

import os
from dataclasses import asdict

import typer

from decortex_ops.cli.output import JsonFlag, out, print_json, print_rows
from decortex_ops.cli.session import open_server, open_tables
from decortex_ops.server import EmbeddedServer

app = typer.Typer(help="The private MySQL server that serves where DJ_HOST is not set.", no_args_is_help=True)


def _refuse_foreign() -> None:
    if os.environ.get("DJ_HOST"):
        raise typer.BadParameter(
            f"DJ_HOST is set ({os.environ['DJ_HOST']}): that server is used and the embedded one is left alone. "
            "Unset DJ_HOST to manage the embedded server."
        )


@app.command()
def start() -> None:
    """Start the embedded server, fetching MySQL first where the machine has none. Example: decortex db start."""
    _refuse_foreign()
    open_server()
    _print_status()


@app.command()
def stop() -> None:
    """Stop the embedded server; its data stay. Example: decortex db stop."""
    _refuse_foreign()
    EmbeddedServer().stop()
    _print_status()


@app.command()
def status(json: JsonFlag = False) -> None:
    """Show where the embedded server is and whether it runs. Example: decortex db status --json."""
    _refuse_foreign()
    if json:
        print_json(asdict(EmbeddedServer().status()))
    else:
        _print_status()


def _print_status() -> None:
    found = asdict(EmbeddedServer().status())
    print_rows([{"what": name, "value": value} for name, value in found.items()], ["what", "value"])


def init() -> None:
    """Declare all tables and job queues, and insert the default specifications. Safe to repeat.

    Example: decortex init
    """
    from decortex_schemas.database import read_settings
    from decortex_schemas.register import register_defaults

    open_tables(declare=True)
    register_defaults()
    settings = read_settings()
    out.print(
        f"tables are in database {settings.database!r} at {settings.host}:{settings.port}, arrays in {settings.store}",
        highlight=False,
        soft_wrap=True,
    )
