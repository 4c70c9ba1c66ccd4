"""Provenance: the chain that a partition rests on, versions, hashes, and the commands that compute it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from decortex_ops.dashboard.choosing import PARTITION, choose_partition, partition_key
from decortex_ops.dashboard.parts import Empty, Panel, View
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/provenance"
TITLE = "Provenance"
LEAD = (
    "Everything that one partition rests on, down to the bytes of its inputs and the code that computed it."
)
FIELDS = PARTITION
CARRIED = PARTITION
_FIRST = ("git_commit", "dirty", "decortex_version", "python", "platform", "cpu", "threads", "blas", "gpu")
_LONG = ("packages",)


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_partition(state, source)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    key = partition_key(chosen)
    if not source(queries.exists, key):
        empty = Empty("This partition is not computed yet.", "decortex schedule    # then: decortex work")
        return View(chosen.state, chosen.choices, [Panel("chain", "Chain", empty=empty)], LEAD)
    found = source(queries.provenance, "DECFinetune", key)
    panels = [chain_panel(found), environment_panel(found["environment"]), recompute_panel(found)]
    return View(chosen.state, chosen.choices, panels, LEAD)


def recompute_panel(found: Mapping[str, Any]) -> Panel:
    """The commands that compute the row again, and that replace it."""
    return Panel(
        "recompute",
        "To compute it again",
        "the first compares and changes nothing; the second takes the row away, what rests on it too",
        content=html.Pre("\n".join(found["recompute"]), tabIndex=0, className="wrapped"),
        rows=[{"line": line} for line in found["recompute"]],
        note="A deletion is recorded with its reason, and refused where a frozen study would lose members.",
    )


def chain_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per table and column of the chain."""
    above = [step for step in found["chain"] if step["table"] != "Environment"]
    steps = [*above, {"table": found["table"], **found["key"], **found["row"]}]
    return [
        {"table": step["table"], "column": name, "value": str(value)}
        for step in steps
        for name, value in step.items()
        if name != "table" and value is not None
    ]


def chain_panel(found: Mapping[str, Any]) -> Panel:
    """From recordings to the partition."""
    rows = chain_rows(found)
    tables = list(dict.fromkeys(row["table"] for row in rows))
    items = [
        html.Li([html.Strong(name), _facts([row for row in rows if row["table"] == name])]) for name in tables
    ]
    return Panel(
        "chain",
        "Chain",
        f"n = {len(tables)} rows, each on those above it; hashes are SHA-256",
        content=html.Ol(items, className="chain"),
        rows=rows,
        width="wide",
    )


def _facts(rows: Sequence[Mapping[str, Any]]) -> Any:
    shown: list[Any] = []
    for row in rows:
        value = row["value"]
        content: Any = html.Code(value) if len(value) > 40 or "sha256" in row["column"] else value
        if len(value) > 160:
            content = html.Details([html.Summary(f"{value[:80]} …"), html.Pre(value)])
        shown += [html.Dt(row["column"]), html.Dd(content)]
    return html.Dl(shown, className="facts")


def environment_panel(environment: Mapping[str, Any]) -> Panel:
    """Software and machine."""
    packages = environment.get("packages") or {}
    names = [*_FIRST, *(n for n in environment if n not in (*_FIRST, *_LONG))]
    rows = [
        {"name": name, "value": str(environment[name])}
        for name in names
        if name in environment and environment[name] is not None
    ]
    listed = [
        {"name": f"package {name}", "value": str(version)} for name, version in sorted(packages.items())
    ]
    shown = [{"column": row["name"], "value": row["value"]} for row in rows]
    return Panel(
        "environment",
        "Software and machine",
        f"n = {len(packages)} packages",
        content=[
            _facts(shown),
            html.Details(
                [
                    html.Summary("all packages"),
                    _facts(
                        [
                            {"column": row["name"].removeprefix("package "), "value": row["value"]}
                            for row in listed
                        ]
                    ),
                ]
            ),
        ],
        rows=[*rows, *listed],
        width="third",
    )
