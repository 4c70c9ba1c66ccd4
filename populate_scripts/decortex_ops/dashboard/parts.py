"""What pages are made of: panels, tables, choices, empty states. Nothing is asked and nothing decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from decortex_ops.dashboard.theme import number, one_thing
from decortex_ops.dashboard.urls import State, changes
from decortex_schemas.queries.answering import MARKS

Rows = Sequence[Mapping[str, Any]]
_GRAPH: Any = {
    "displaylogo": False,
    "responsive": True,
    "displayModeBar": False,
    "doubleClick": "reset",
    "showTips": False,
}


@dataclass(frozen=True)
class Empty:
    """Why there is nothing to show, and the command that fills it."""

    why: str
    command: str = ""


@dataclass(frozen=True)
class Panel:
    """One card of a page: a figure or a table, with its data for download.

    Parameters
    ----------
    name : str
        Its name in links.
    title : str
        What is shown.
    measure : str
        n and units, shown beside the title.
    figure : Figure, optional
        A figure; it can be had as SVG.
    content : Component, optional
        Anything else.
    rows : sequence of rows or callable, optional
        What the CSV holds; called when it is asked for.
    empty : Empty, optional
        Shown in place of both.
    note : str
        How to read it.
    width : {'half', 'full', 'third'}
        Share of the page.
    """

    name: str
    title: str
    measure: str = ""
    figure: go.Figure | None = None
    content: Any = None
    rows: Rows | Callable[[], Rows] | None = None
    empty: Empty | None = None
    note: str = ""
    width: str = "full"
    graph: Mapping[str, Any] = field(default_factory=dict)
    graph_id: Any = None

    def data(self) -> list[Mapping[str, Any]]:
        """Rows of the CSV."""
        found = self.rows() if callable(self.rows) else self.rows
        return list(found or [])


@dataclass(frozen=True)
class Choice:
    """A control: options and the change of the URL that each makes."""

    name: str
    label: str
    options: Sequence[tuple[str, Mapping[str, Any]]]
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """A rendered page: its state with every default filled in, its controls and panels.

    ``heading`` stands in place of the page's title where it has one of its own; ``lost``: the database did not answer,
    so that it is worth asking again.
    """

    state: State
    choices: Sequence[Choice] = ()
    panels: Sequence[Any] = ()
    lead: str = ""
    heading: str = ""
    lost: bool = False


def aria(**values: str) -> dict[str, Any]:
    """Attributes that say what a component is to those who do not see it."""
    return {f"aria-{name}": value for name, value in values.items()}


def data(**values: str) -> dict[str, Any]:
    """Attributes that the browser's code looks for."""
    return {f"data-{name}": value for name, value in values.items()}


def show_panel(panel: Panel, state: State) -> html.Section:
    """One card."""
    heading = f"panel-{panel.name}"
    tools: list[Any] = []
    if panel.empty is None and panel.rows is not None:
        page = state.path.strip("/") or "study"
        tools.append(
            html.A(
                "CSV",
                href=f"/csv/{page}/{panel.name}{state.search()}",
                className="tool",
                title=f"Download the data of “{panel.title}”",
                **aria(label=f"CSV of {panel.title}"),
            )
        )
    if panel.empty is None and panel.figure is not None:
        tools.append(
            html.Button(
                "SVG",
                className="tool",
                type="button",
                **data(svg=panel.name),
                **aria(label=f"SVG of {panel.title}"),
            )
        )
    if panel.empty is not None:
        body: Any = show_empty(panel.empty)
    elif panel.figure is not None:
        settings: Any = {**_GRAPH, **panel.graph}
        body = html.Div(
            dcc.Graph(
                id=panel.graph_id or {"type": "graph", "name": panel.name},
                figure=panel.figure,
                config=settings,
                responsive=True,
                style={"height": f"{panel.figure.layout.height or 340}px"},
            ),
            role="group",
            **aria(labelledby=heading),
        )
        body = [body, panel.content] if panel.content is not None else body
    else:
        body = panel.content
    return html.Section(
        [
            html.Header(
                [
                    html.Div(
                        [
                            html.H2(panel.title, id=heading),
                            html.P(one_thing(panel.measure), className="measure") if panel.measure else None,
                        ]
                    ),
                    html.Div(tools, className="tools"),
                ]
            ),
            html.Div(body, className="body"),
            html.P(panel.note, className="note") if panel.note else None,
        ],
        className=f"panel {panel.width}",
        **aria(labelledby=heading),
        **data(panel=panel.name),
    )


def show_empty(empty: Empty) -> html.Div:
    """Why there is nothing, and what fills it."""
    return html.Div(
        [html.P(empty.why), html.Code(empty.command, className="command") if empty.command else None],
        className="empty",
    )


def show_choice(choice: Choice) -> html.Div:
    """One control; its value is the change of the URL."""
    names = {name for _, sets in choice.options for name in sets}
    chosen = changes(**{name: choice.chosen.get(name) for name in sorted(names)})
    options = [
        {"label": label, "value": changes(**{name: sets.get(name) for name in sorted(names)})}
        for label, sets in choice.options
    ]
    if chosen not in {option["value"] for option in options}:
        options.insert(0, {"label": "choose", "value": chosen})
    # The browser's own control: Dash's drop-down hides its focus from those who do not see it.
    return html.Div(
        [
            html.Label(choice.label, htmlFor=f"choice-{choice.name}"),
            html.Select(
                [
                    html.Option(one["label"], value=one["value"], selected=one["value"] == chosen)
                    for one in options
                ],
                id=f"choice-{choice.name}",
                **data(choice=choice.name),
            ),
        ],
        className="choice",
    )


def number_tiles(tiles: Sequence[tuple[str, str, str]]) -> html.Dl:
    """Some numbers side by side: label, value, and a class of its colour."""
    return html.Dl(
        [
            html.Div([html.Dt(label), html.Dd(value)], className=f"tile {kind}")
            for label, value, kind in tiles
        ],
        className="tiles",
    )


def verdict_mark(verdict: str) -> html.Span:
    """The mark of a verdict, so that verdicts differ in shape and not in colour alone."""
    return html.Span(MARKS[verdict], className="mark", **aria(hidden="true"))


def number_line(
    effect: float,
    low: float | None,
    high: float | None,
    *,
    span: tuple[float | None, float | None] = (None, None),
    against: float = 0.0,
) -> html.Div:
    """One number with its interval on a line that shows what it is compared with.

    Parameters
    ----------
    effect, low, high : float or None
        The number and its interval.
    span : tuple of float or None
        Values that the line reaches at least.
    against : float
        What a number is compared with: a tick.
    """
    values = [one for one in (effect, low, high, against, *span) if one is not None]
    left, right = min(values), max(values)
    pad = 0.04 * ((right - left) or 1.0)
    left, right = left - pad, right + pad

    def at(value: float) -> str:
        return f"{100 * (value - left) / (right - left):.2f}%"

    between = low is not None and high is not None
    ends = f"{number(low)} to {number(high)}" if between else "no interval"
    said = f"{number(effect)}, {ends}; tick at {number(against)}"
    bars = []
    if low is not None and high is not None:
        width = f"{100 * (high - low) / (right - left):.2f}%"
        bars = [html.Span(className="range", style={"left": at(low), "width": width})]
    return html.Div(
        [
            html.Span(className="against", style={"left": at(against)}),
            *bars,
            html.Span(className="dot", style={"left": at(effect)}),
        ],
        className="number-line",
        role="img",
        **aria(label=said),
    )
