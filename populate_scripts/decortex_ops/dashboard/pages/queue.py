"""Queue: what is done, in work, waiting and failed; who works, how fast, and how to retry what failed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
from dash import html

from decortex_ops.dashboard.parts import Choice, Empty, Panel, View, aria, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import STATES, category_colour, duration, figure, number, plain
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries
from decortex_schemas.queries import Row

PATH = "/queue"
TITLE = "Queue"
REFRESH_SECONDS = 5
HOURS = (1, 6, 24, 168)
FIELDS = (Field("hours", "int", default=24, choices=HOURS), Field("table"))
LEAD = "What the workers have done, do, and still have to do."
_LONGEST_MATCH = 60
_COLOURED = 6


def render(state: State, source: Source) -> View:
    """The page."""
    tables = source(queries.queue_state)
    alive = source(queries.workers)
    finished = source(queries.throughput, hours=state["hours"])
    failed = [row for row in source(queries.failures) if state["table"] in (None, "", row["table"])]
    with_failures = [row["table"] for row in tables if row["failed"]]
    choices = [
        Choice(
            "hours",
            "Throughput of",
            [(f"the last {h} h" if h < 168 else "the last week", {"hours": h}) for h in HOURS],
            {"hours": state["hours"]},
        ),
        Choice(
            "table",
            "Failed keys of",
            [("every table", {"table": None}), *((name, {"table": name}) for name in with_failures)],
            {"table": state["table"]},
        ),
    ]
    panels = [
        tiles(tables, alive, finished, state["hours"]),
        progress_panel(tables),
        throughput_panel(finished, state["hours"]),
        workers_panel(alive),
        failures_panel(failed),
    ]
    return View(state, choices, panels, LEAD)


def tiles(tables: Sequence[Row], alive: Sequence[Row], finished: Sequence[Row], hours: int) -> html.Dl:
    """The values that answer most visits."""
    total = {name: sum(row[name] for row in tables) for name in ("done", "running", "failed", "waiting")}
    left = [row["seconds_left"] for row in tables]
    processes = max(1, sum(bool(row["holds"]) for row in alive))
    known = None if any(value is None for value in left) else sum(left) / processes
    return number_tiles(
        [
            ("rows done", number(total["done"]), "done"),
            ("running", number(total["running"]), "running"),
            ("waiting", number(total["waiting"]), "waiting"),
            ("failed", number(total["failed"]), "failed" if total["failed"] else ""),
            ("processes alive", number(len(alive)), ""),
            ("rows per hour, while any was finished", number(rows_per_hour(finished, hours), 1), ""),
            (
                "time left, as fast as now",
                duration(known) if total["running"] + total["waiting"] else "nothing left",
                "text",
            ),
        ]
    )


def rows_per_hour(finished: Sequence[Row], hours: int) -> float:
    """Rows finished per hour of the time bins in which any was: hours without a worker do not count."""
    bins = {row["start"] for row in finished}
    total = sum(int(row["n"]) for row in finished)
    return total * 3600.0 / (max(1, len(bins)) * queries.bin_seconds(hours))


def progress_panel(tables: Sequence[Row]) -> Panel:
    """One bar a table: shares of its keys by state."""
    rows = [row for row in tables if any(row[name] for name in STATES)]
    columns = [
        ("table", "table"),
        ("bar", "keys"),
        *((name, name) for name in STATES),
        ("seconds_mean", "mean time of a row"),
    ]
    total = sum(row[name] for row in tables for name in STATES)
    return Panel(
        "progress",
        "Keys by table and state",
        f"n = {number(total)} keys in {len(rows)} tables",
        content=table(
            rows,
            columns,
            caption="Keys of every computed table by state",
            cells={
                "bar": _bar,
                **{name: _count(name) for name in STATES},
                "seconds_mean": lambda row: html.Span(duration(row["seconds_mean"]), className="numeric"),
            },
        ),
        rows=list(tables),
        empty=None
        if rows
        else Empty("Nothing is queued and nothing is done.", "decortex schedule    # then: decortex work"),
    )


def _bar(row: Row) -> html.Div:
    total = sum(row[name] for name in STATES) or 1
    parts = [
        html.Span(
            style={"width": f"{100 * row[name] / total:.3f}%", "background": colour},
            title=f"{name}: {row[name]}",
        )
        for name, colour in STATES.items()
        if row[name]
    ]
    said = ", ".join(f"{row[name]} {name}" for name in STATES if row[name])
    return html.Div(parts, className="bar", role="img", **aria(label=said))


def _count(name: str) -> Any:
    def show(row: Row) -> html.Span:
        kind = f"numeric strong {name}" if row[name] and name == "failed" else "numeric"
        return html.Span(number(row[name]) if row[name] else "·", className=kind)

    return show


def throughput_panel(finished: Sequence[Row], hours: int) -> Panel:
    """Rows finished over time, stacked by table."""
    total = sum(row["n"] for row in finished)
    return Panel(
        "throughput",
        f"Rows finished in the last {hours} h",
        f"n = {number(total)} rows; time in UTC",
        figure=throughput_figure(finished, hours) if finished else None,
        rows=list(finished),
        empty=None if finished else Empty("No row was finished in this time.", "decortex work"),
        width="half",
    )


def throughput_figure(finished: Sequence[Row], hours: int) -> go.Figure:
    """Stacked bars, one colour a table; the tables with the fewest rows share one."""
    totals = Counter[str]()
    for row in finished:
        totals[row["table"]] += row["n"]
    largest = [name for name, _ in totals.most_common(_COLOURED)]
    bins: dict[str, Counter[Any]] = {}
    for row in finished:
        bins.setdefault(row["table"] if row["table"] in largest else "others", Counter())[row["start"]] += (
            row["n"]
        )
    width = queries.bin_seconds(hours)
    traces = [
        go.Bar(
            x=[start + timedelta(seconds=width / 2) for start in bins[name]],
            y=list(bins[name].values()),
            width=width * 1000,
            name=plain(name),
            marker_color=category_colour(index),
            hovertemplate="%{y} rows at %{x}<extra>%{fullData.name}</extra>",
        )
        for index, name in enumerate([*largest, "others"])
        if name in bins
    ]
    made = figure(*traces, x="end of the computation (UTC)", y="rows", barmode="stack", height=300)
    last = max(row["start"] for row in finished) + timedelta(seconds=width)
    made.update_xaxes(range=[last - timedelta(hours=hours), last])
    made.update_layout(legend={"traceorder": "normal"})
    return made


def workers_panel(alive: Sequence[Row]) -> Panel:
    """Processes that beat, and what each holds."""
    rows = [
        {
            "user": ", ".join(sorted({held["user"] for held in row["holds"]})) or "·",
            "host": row["host_name"],
            "process": row["process_id"],
            "up": duration(row["up_seconds"]),
            "silent": duration(row["silent_seconds"]),
            "holds": "; ".join(f"{held['table']} for {duration(held['seconds'])}" for held in row["holds"])
            or "nothing",
        }
        for row in alive
    ]
    return Panel(
        "workers",
        "Processes",
        f"n = {len(alive)} alive: heard of within a minute",
        content=table(
            rows,
            [
                ("user", "user"),
                ("host", "host"),
                ("process", "process"),
                ("up", "up for"),
                ("silent", "last heard"),
                ("holds", "in work"),
            ],
            caption="Processes that are alive, and the keys they hold",
        ),
        rows=rows,
        empty=None
        if alive
        else Empty(
            "No worker, scheduler or notebook is connected.",
            "decortex work    # and: decortex schedule --every 5",
        ),
        width="half",
    )


def retry_command(row: Row) -> str:
    """The command that queues a failed key and its like again."""
    message = str(row["message"]).splitlines()[0][:_LONGEST_MATCH].strip()
    return f"decortex retry --tables {row['table']} --match {shlex.quote(message)}"


def failures_panel(failed: Sequence[Row]) -> Panel:
    """Failed keys, their messages and what retries them."""
    cells = {
        "key": lambda row: html.Code(", ".join(f"{name}={value}" for name, value in row["key"].items())),
        "message": lambda row: html.Details(
            [html.Summary(str(row["message"])[:200]), html.Pre(str(row["traceback"]))]
        ),
        "where": lambda row: f"{row['user']} on {row['host_name']}, process {row['process_id']}",
        "retry": lambda row: html.Code(retry_command(row), className="command"),
    }
    return Panel(
        "failures",
        "Failed keys",
        f"n = {len(failed)}, the latest first",
        content=table(
            failed,
            [
                ("table", "table"),
                ("key", "key"),
                ("message", "message"),
                ("when", "when"),
                ("where", "by"),
                ("retry", "to retry"),
            ],
            caption="Keys that ended in an error, and the command that queues them again",
            cells=cells,
        ),
        rows=[{**row, "retry": retry_command(row)} for row in failed],
        empty=None if failed else Empty("No key has failed.", "decortex errors    # the same in a terminal"),
    )
