"""Variants in groups that open and close: by method, K, fine-tuning, network or start. The link says which are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html

from decortex.columns import COLUMNS
from decortex_ops.dashboard.parts import Choice, aria
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.theme import number
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries

# Word of the link -> (column, what the control and a heading call it).
BY = {
    "method": ("method_id", "Method"),
    "k": ("k", "K"),
    "finetuning": ("finetune_id", "Fine-tuning"),
    "network": ("model_seed", "Network seed"),
    "start": ("seed", "Start"),
}
GROUP = Field("group", "text", choices=tuple(BY))
OPEN = Field("open", "texts", default=())
# Rows of an open group; a link leads to all of them.
MOST_SHOWN = 25
# Every open group is a question of its own.
MOST_OPEN = 12
# What narrows the page to one group.
_FILTERS = {"method": "method", "k": "k", "finetuning": "ft", "network": "net", "start": "seed"}


@dataclass(frozen=True)
class Gathered:
    """Groups of variants.

    Attributes
    ----------
    groups : list of (heading, rows)
        A group that is closed has no rows.
    n : int
        Variants in all groups.
    """

    groups: list[tuple[Any, Sequence[Mapping[str, Any]]]]
    n: int

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """Rows of the open groups."""
        return [row for _, members in self.groups for row in members]


def group_choice(state: State) -> Choice:
    """The control that gathers the table."""
    return Choice(
        "group",
        "Group by",
        [
            ("nothing", {"group": None, "open": None, "page": None}),
            *((label, {"group": word, "open": None, "page": None}) for word, (_, label) in BY.items()),
        ],
        {"group": state["group"]},
    )


def gathered(
    state: State, source: Source, options: Mapping[str, Sequence[Mapping[str, Any]]], how: Mapping[str, Any]
) -> Gathered:
    """Groups of the study's variants, with the rows of those that the link opens.

    Parameters
    ----------
    state : State
        Of a page with `GROUP` and `OPEN`, and ``sort``.
    source : Source
    options : mapping
        As `queries.choices`: names of methods and fine-tunings.
    how : mapping
        ``where``, ``statuses``, ``order_by`` and ``descending`` of `queries.runs`.
    """
    study, column = state["study"], BY[state["group"]][0]
    narrowed = {name: how[name] for name in ("where", "statuses")}
    found = source(queries.run_groups, study, by=column, measure=how["order_by"], **narrowed)
    opened = [row for row in found if str(row["value"]) in state["open"]][:MOST_OPEN]
    named = _names(state["group"], options)
    groups: list[tuple[Any, Sequence[Mapping[str, Any]]]] = []
    for row in found:
        members: Sequence[Mapping[str, Any]] = []
        if row in opened:
            where = {**how["where"], column: row["value"]}
            members = source(queries.runs, study, **{**how, "where": where}, limit=MOST_SHOWN, offset=0)[
                "rows"
            ]
        name = named.get(row["value"], f"{BY[state['group']][1]} {row['value']}")
        groups.append((_heading(state, row, name, members), members))
    return Gathered(groups, sum(int(row["n"]) for row in found))


def open_and_close(state: State, done: Gathered) -> html.Nav:
    """Links that open every group and close them."""
    values = [heading.key for heading, _ in done.groups][:MOST_OPEN]
    every = "Open every group" if len(values) == len(done.groups) else f"Open the first {MOST_OPEN} groups"
    pick = state["pick"]
    return html.Nav(
        [
            dcc.Link(every, href=state.link(open=tuple(values), pick=pick)),
            dcc.Link("Close every group", href=state.link(open=(), pick=pick)),
        ],
        className="pages",
        **aria(label="groups of the table"),
    )


def _names(word: str, options: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[int, str]:
    if word == "method":
        return {row["method_id"]: str(row["method_name"]) for row in options["methods"]}
    if word == "finetuning":
        return {row["finetune_id"]: str(row["finetune"]) for row in options["finetunings"]}
    return {}


def _heading(
    state: State, row: Mapping[str, Any], name: str, members: Sequence[Mapping[str, Any]]
) -> html.Div:
    """Name, number of variants, range of the column that sorts, and the link that opens or closes."""
    value, n, measure = str(row["value"]), int(row["n"]), state["sort"]
    is_open = bool(members)
    others = tuple(one for one in state["open"] if one != value)
    target = state.link(open=others if is_open else (*others, value), pick=state["pick"])
    said = f"{number(n)} {'partition' if n == 1 else 'partitions'}"
    if measure not in queries.PARTITION and isinstance(row["low"], (int, float)):
        called = COLUMNS[measure].heading if measure in COLUMNS else measure
        said += f"; {called} {number(row['low'])} to {number(row['high'])}"
    parts: list[Any] = [
        dcc.Link(
            [
                html.Span("▾ " if is_open else "▸ ", **aria(hidden="true")),
                html.Span("close " if is_open else "open ", className="unseen"),
                name,
            ],
            href=target,
        ),
        html.Span(said, className="of-group"),
    ]
    if is_open and n > len(members):
        alone = {_FILTERS[state["group"]]: row["value"], "group": None, "open": ()}
        parts.append(dcc.Link(f"first {len(members)}; show all {number(n)}", href=state.link(**alone)))
    return html.Div(parts, key=value, className="group-heading")
