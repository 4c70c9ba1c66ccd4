"""`decortex work`, `decortex schedule`, `decortex retry`: what fills the tables."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from decortex_ops.cli.output import EXIT_SOME_FAILED, err, out
from decortex_ops.cli.session import open_tables


def work(
    tables: Annotated[
        list[str] | None, typer.Option("--tables", help="Only these tables; repeat the option for several.")
    ] = None,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Stop after this many keys.")] = None,
    stop_when_idle: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds without a pending key.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the numerical libraries.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Work on queued keys until interrupted; start any number, on any machine.

    SIGTERM and Ctrl-C hand the key in work back. Example: decortex work --tables Clustering --max-calls 100
    """
    from decortex_ops import worker

    open_tables(threads=threads)

    def report(line: str) -> None:
        if not quiet:
            err.print(line, highlight=False, markup=False)

    summary = worker.work(
        worker.choose_tables(tables), max_calls=max_calls, stop_when_idle=stop_when_idle, report=report
    )
    for line in summary.failed:
        err.print(f"failed: {line}", style="red", highlight=False, markup=False, soft_wrap=True)
    if not quiet:
        back = f", {summary.handed_back} handed back" if summary.handed_back else ""
        out.print(f"{summary.done} done, {len(summary.failed)} failed{back}", highlight=False)
    if summary.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def schedule(
    every: Annotated[
        float | None, typer.Option(min=0.2, help="Go on, one round every so many seconds.")
    ] = None,
) -> None:
    """Queue what studies ask for, and free the keys of dead workers. Example: decortex schedule --every 5."""
    from decortex_ops.scheduler import sweep

    open_tables()
    while True:
        found = sweep()
        if every is None or found.added or found.removed or found.freed:
            out.print(f"{found.added} queued, {found.removed} removed, {found.freed} freed", highlight=False)
        if every is None:
            return
        time.sleep(every)


def retry(
    tables: Annotated[list[str] | None, typer.Option("--tables", help="Only these tables.")] = None,
    match: Annotated[str, typer.Option(help="Only errors whose message holds this text.")] = "",
) -> None:
    """Queue failed keys again. Example: decortex retry --match 'No space left'."""
    from decortex_ops.scheduler import retry_failed
    from decortex_ops.worker import choose_tables

    open_tables()
    out.print(f"{retry_failed(choose_tables(tables), match=match)} queued again", highlight=False)
