"""`decortex work`, `decortex schedule`, `decortex retry`: what fills the tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from decortex_ops.cli.output import EXIT_SOME_FAILED, err, out
from decortex_ops.cli.session import open_tables, open_tables_patiently, why_server_is_down

if TYPE_CHECKING:
    from decortex_ops.workers import WorkSummary

_SHOWN = 5  # studies that a line names

LogOption = Annotated[
    str, typer.Option(help="text: lines for people; json: one JSON object per line for a log collector.")
]


def work(
    tables: Annotated[
        list[str] | None,
        typer.Option("--tables", help="Only these tables, commas between them; or repeat it."),
    ] = None,
    *,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Stop after this many keys.")] = None,
    stop_when_idle: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds without a key to compute.")
    ] = None,
    until_done: Annotated[
        bool,
        typer.Option(
            "--until-done",
            help="Queue what studies ask for whenever nothing waits, until nothing is left: no scheduler is needed.",
        ),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the numerical libraries.")] = 1,
    device: Annotated[
        str,
        typer.Option(help="auto, cpu, cuda or cuda:N; with cuda, only keys that run a network are taken."),
    ] = "auto",
    max_memory: Annotated[
        str | None, typer.Option(help="Leave keys that need more to other workers, for example 8G.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a server that is away or a store that is full.")
    ] = 3600.0,
    log: LogOption = "text",
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input ends.")
    ] = False,
) -> None:
    """Work on queued keys until interrupted; start any number, on any machine.

    SIGTERM and Ctrl-C hand the key in work back. Example: decortex work --tables Clustering --max-memory 8G
    """
    if until_done and (max_calls is not None or stop_when_idle is not None):
        raise typer.BadParameter(
            "--until-done ends by itself: it takes neither --max-calls nor --stop-when-idle."
        )
    form = _form(log)
    if with_parent:
        from decortex_ops.workers import end_with_parent

        end_with_parent()  # before all that takes long
    memory_and_device = _limits(device, max_memory)
    from decortex_ops.workers import Log, worker

    tell = Log(_nothing if quiet and form == "text" else _say, form)
    open_tables_patiently(tell, threads=threads, patience=patience)

    def work_on(idle: float | None) -> WorkSummary:
        return worker.work(
            worker.choose_tables(tables),
            max_calls=max_calls,
            stop_when_idle=idle,
            limits=memory_and_device,
            patience=patience,
            log=tell,
            why_down=why_server_is_down,
        )

    summary = _until_done(lambda: work_on(0.0)) if until_done else work_on(stop_when_idle)
    if form == "text":
        for line in summary.failed:
            err.print(f"failed: {line}", style="red", highlight=False, markup=False, soft_wrap=True)
    if not quiet and form == "text":
        back = f", {summary.handed_back} handed back" if summary.handed_back else ""
        gone = f", {summary.gone} no longer asked for" if summary.gone else ""
        left = f", {summary.left} left to others" if summary.left else ""
        out.print(f"{summary.done} done, {len(summary.failed)} failed{gone}{back}{left}", highlight=False)
        if until_done or (stop_when_idle is not None and max_calls is None):
            whole = until_done and not summary.interrupted
            out.print(what_waits(until_done=whole), highlight=False, markup=False, soft_wrap=True)
    if summary.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _until_done(work_once: Callable[[], WorkSummary]) -> WorkSummary:
    """Queue and work in turns until a round changes nothing and leaves nothing in others' hands."""
    from decortex_ops.workers import WorkSummary, sweep
    from decortex_schemas import queries

    total = WorkSummary()
    while True:
        before = queries.progress()
        swept = sweep()
        one = work_once()
        total.done += one.done
        total.failed += one.failed
        total.gone += one.gone
        total.left = one.left
        total.handed_back += one.handed_back
        total.interrupted = one.interrupted
        after = queries.progress()
        held = any(row["reserved"] for row in after)
        # What others queued or computed meanwhile shows in the rows; what rests on it comes in another round.
        if one.interrupted or not (swept.added or swept.locked or held or after != before):
            return total
        if not (swept.added or one.done):
            time.sleep(2.0)


def what_waits(*, until_done: bool = False) -> str:
    """What the queues still hold, and what somebody has to do next.

    Parameters
    ----------
    until_done : bool
        Whether all that rests on these rows was queued and computed too.
    """
    from decortex_schemas import queries

    waiting = [row for row in queries.progress() if row["pending"] or row["reserved"]]
    held = ", ".join(f"{row['table']} {row['pending'] + row['reserved']}" for row in waiting)
    said = f"waiting: {held}" if held else "nothing is queued"
    if not until_done:
        return (
            f"{said}; what rests on these rows is queued by `decortex schedule` (once, or --every 5 beside the workers)"
            " or by `decortex work --until-done`, and `decortex study list` says which studies are done"
        )
    if held:
        return f"{said}; left to workers with more memory, another device or other --tables"
    open_ones = [str(row["study"]) for row in queries.studies() if row["frozen_at"] is None]
    if not open_ones:
        return "nothing is left to compute; `decortex answers STUDY` says what each study found"
    shown = ", ".join(open_ones[:_SHOWN]) + (
        f" and {len(open_ones) - _SHOWN} more" if open_ones[_SHOWN:] else ""
    )
    return (
        f"nothing is left to compute until a study is frozen. Not frozen: {shown}. `decortex study freeze NAME`, then"
        " `decortex work --until-done` computes what compares across its members"
    )


def _form(log: str) -> Any:
    if log not in ("text", "json"):
        raise typer.BadParameter(f"{log!r} is neither text nor json.", param_hint="--log")
    return log


def _limits(device: str, max_memory: str | None) -> Any:
    """What the worker has; chooses the device for all libraries, before they look for one."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdigit())):
        raise typer.BadParameter(f"{device!r} is none of auto, cpu, cuda, cuda:N.", param_hint="--device")
    if kind == "cpu" or number:
        os.environ["CUDA_VISIBLE_DEVICES"] = number
    import torch

    from decortex.errors import ConfigError
    from decortex_ops.workers import Device, Limits, parse_bytes

    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"--device {device}: this machine shows torch {torch.__version__} no such GPU; take cpu."
        )
    memory = None if max_memory is None else parse_bytes(max_memory)
    return Limits(memory, cast(Device, kind))


def _say(line: str) -> None:
    err.print(line, highlight=False, markup=False, soft_wrap=True)


def _nothing(line: str) -> None:
    """Say nothing."""


def schedule(
    every: Annotated[
        float | None, typer.Option(min=0.2, help="Go on, one round every so many seconds.")
    ] = None,
    log: LogOption = "text",
) -> None:
    """Queue what studies ask for, and free the keys of dead workers. Example: decortex schedule --every 5."""
    form = _form(log)
    from decortex_ops.workers import Log, keep_sweeping

    tell = Log(
        lambda line: out.print(line, highlight=False, markup=False, soft_wrap=True),
        form,
        with_time=every is not None,
    )
    if every is None:
        open_tables()
    else:
        open_tables_patiently(tell)
    keep_sweeping(every, tell)


def retry(
    tables: Annotated[
        list[str] | None,
        typer.Option("--tables", help="Only these tables, commas between them; or repeat it."),
    ] = None,
    match: Annotated[str, typer.Option(help="Only errors whose message holds this text.")] = "",
) -> None:
    """Queue failed keys again. Example: decortex retry --match 'No space left'."""
    from decortex_ops.workers import choose_tables, retry_failed

    open_tables()
    out.print(f"{retry_failed(choose_tables(tables), match=match)} queued again", highlight=False)
