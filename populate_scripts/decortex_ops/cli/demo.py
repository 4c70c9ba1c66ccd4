"""`decortex demo`: the whole chain in one command, with a bar a table."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from decortex_ops.cli.legends import AGREEMENT, print_legend, say
from decortex_ops.cli.output import EXIT_SOME_FAILED, JsonFlag, err, out, print_json, print_rows
from decortex_ops.cli.read.answers import print_answers
from decortex_ops.cli.session import open_tables

NEXT = (
    ("dashboard", "all of it in a browser, this study first"),
    ("answers {study}", "the five answers again; --json"),
    ("tree {study}", "how the types of every network split"),
    ("report {study} -o report.html", "one page to mail around; .pdf with Chromium"),
    ("demo --data FOLDER", "the same on your recordings (docs/how-to/data.md)"),
)


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder of FileTreeDataset sessions (default: the simulated cortex).")
    ] = None,
    video: Annotated[
        bool, typer.Option("--video", help="The simulated video retina: types that differ in time.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes (default: one per core).")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run the whole chain and print what it found; a second run computes nothing again.

    Example: decortex demo --data recordings/v4 --json
    """
    from decortex_ops.demo import run_demo
    from decortex_schemas.register import register_defaults

    open_tables(declare=True)
    register_defaults()
    with told_what_stays(), progress_bars() as bars:
        found = run_demo(data=data, video=video, workers=workers, on_round=Bars(bars))
    if json:
        print_json(found)
    else:
        _print(found)
    if found["failed"]:
        err.print(f"{len(found['failed'])} keys failed; `decortex errors` shows them", style="red")
        raise typer.Exit(EXIT_SOME_FAILED)


@contextmanager
def told_what_stays() -> Iterator[None]:
    """At Ctrl-C or SIGTERM say what stays, and end in order: workers hand back what they have in work.

    The exit status is that of a shell: 128 and the signal's number. A second signal ends the process at once.
    """
    from decortex_ops.workers import INTERRUPTIONS, whole_statements
    from decortex_schemas.database import schema

    before = {name: signal.getsignal(name) for name in INTERRUPTIONS}

    def leave(number: int, frame: FrameType | None) -> None:
        restore()
        err.print(
            "interrupted: workers hand back what they have in work. What is computed stays in the database, and the "
            "same command goes on from there.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise SystemExit(128 + number)

    def restore() -> None:
        for name, handler in before.items():
            signal.signal(name, handler)

    for name in before:
        signal.signal(name, leave)
    try:
        with whole_statements(schema.connection):
            yield
    finally:
        restore()


def progress_bars() -> Progress:
    """Bars for the tables of a chain, on the error stream; nothing moves where that is no terminal."""
    return Progress(
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )


class Bars:
    """One progress bar a table that has anything to do; plain lines where there is no terminal."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._last = ""

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        """Show one round."""
        for row in rows:
            total = row["done"] + row["pending"] + row["reserved"] + row["error"] + row["ignore"]
            if not total:
                continue
            if row["table"] not in self._tasks:
                self._tasks[row["table"]] = self._bars.add_task(row["table"])
            self._bars.update(self._tasks[row["table"]], completed=row["done"], total=total)
        if self._bars.disable:
            line = progress_line(rows)
            if line and line != self._last:
                err.print(line, highlight=False, markup=False, style="dim", soft_wrap=True)
            self._last = line


def progress_line(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is done of the tables that have something to do; empty where none has."""
    states = ("done", "pending", "reserved", "error", "ignore")
    parts = [
        f"{row['table']} {row['done']} of {sum(row[name] for name in states)}"
        for row in rows
        if row["pending"] or row["reserved"]
    ]
    return f"done: {', '.join(parts)}" if parts else ""


def _print(found: dict[str, Any]) -> None:
    from decortex_ops.demo import ROW_FIELDS

    study = found["study"]
    say(found["answers"][AGREEMENT]["sentence"])
    print_rows(found["rows"], ROW_FIELDS, title=f"study {study}: {found['n_neurons']} neurons")
    print_legend(ROW_FIELDS)
    correlation = found["test_correlation"]
    mean = "-" if correlation is None else f"{correlation:.3f}"
    out.print(f"\nmean test correlation of the networks: {mean}; {found['seconds']:.0f} s", highlight=False)
    out.print()
    print_answers(study, found["answers"])
    run = program()
    width = max(len(words) for words, _ in NEXT) + len(run) + len(study) + 1
    out.print("\nWhat to type next:")
    for words, what in NEXT:
        line = f"{run} {words.format(study=study)}"
        out.print(f"  {line:<{width}}  {what}", highlight=False, markup=False, soft_wrap=True)


def program() -> str:
    """How this command was called: its name, or its path where its name alone would not be found."""
    called = Path(sys.argv[0])
    on_path = shutil.which("decortex")
    if on_path is not None and called.name == "decortex" and Path(on_path).resolve() == called.resolve():
        return "decortex"
    if called.name != "decortex":
        return "decortex" if on_path is not None else f"{sys.executable} -m decortex_ops"
    here = Path.cwd()
    whole = called if called.is_absolute() else here / called
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
