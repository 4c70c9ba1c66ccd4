"""Study: the first page. What a study is of, and five answers, each number beside what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from decortex_ops.dashboard.choosing import STUDY, choose_study
from decortex_ops.dashboard.parts import Panel, View, aria, number_line, verdict_mark
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import number
from decortex_ops.dashboard.urls import State, encode
from decortex_schemas import queries

PATH = "/"
TITLE = "Study"
FIELDS = (STUDY,)
CARRIED = FIELDS
LEGEND = (
    ("established", "beyond these animals"),
    ("in these sessions", "of these neurons"),
    ("not established", "compared, not shown"),
    ("undecided", "not comparable"),
    ("not asked", "not in the plan"),
)
# Where each answer's rows are shown, in the order of the answers.
PAGES = ("/types", "/agreement", "/association", "/fine-tune", "/cluster")
# Where the tuning of clusters is asked for, their answer is of that; a table has none.
TUNED = "/tuning"
# What a whole number line spans; the change of an agreement is centred on none.
_SPANS = ((1.0, None), (0.0, 1.0), (0.0, None), (None, None), (None, 1.0))


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem])
    state = chosen.state
    study = state["study"]
    about = source(queries.study_facts, study)
    told = source(queries.answers, study)
    where = source(queries.reference, study)
    of_table = bool(source(queries.study_tables, study))
    cards = [card(i, row, study, where) for i, row in enumerate(told)]
    return View(
        state,
        chosen.choices,
        [
            html.Div(cards, className="answers"),
            Panel(
                "answers",
                "What the verdicts mean",
                content=html.Div(
                    [
                        legend(),
                        html.Details([html.Summary("The five answers as a table"), answers_table(told)]),
                    ]
                ),
                rows=told,
            ),
        ],
        subtitle(about, of_table=of_table),
        heading=about["description"] or study,
    )


def subtitle(about: Mapping[str, Any], *, of_table: bool = False) -> str:
    """Species, area, neurons, animals, networks, who, when, and whether it is frozen, in one line."""
    of = ", ".join([*about["species"], *about["areas"]])
    parts = [
        about["study"] if about["description"] else "",
        of,
        counted(about["n_neurons"], "neuron"),
        counted(about["n_animals"], "animal") if about["n_animals"] else "",
        counted(about["n_sessions"], "session"),
        "a table, no network" if of_table else counted(about["n_networks"], "network"),
        f"by {about['created_by']}, {about['created_at']:%d %b %Y}",
        "not frozen" if about["frozen_at"] is None else f"frozen {about['frozen_at']:%d %b %Y}",
    ]
    return " · ".join(part for part in parts if part)


def counted(n: int, noun: str) -> str:
    """How many of something: '1 network', '3 networks'."""
    return f"{number(n)} {noun if n == 1 else noun + 's'}"


def link(path: str, study: str, where: Mapping[str, Any] | None) -> str:
    """Link to a page with the choices that the answer is of."""
    names = (
        ("dataset", "dataset"),
        ("model_spec_id", "model"),
        ("embedding_spec_id", "emb"),
        ("method_id", "method"),
        ("k", "k"),
    )
    values = {"study": study, **({} if where is None else {own: str(where[name]) for name, own in names})}
    return path + encode((), {}, values)


def card(i: int, row: Mapping[str, Any], study: str, where: Mapping[str, Any] | None) -> html.Section:
    """One answer: verdict as text and mark, number with its comparison, sentence, what is missing."""
    tuned = PAGES[i] == "/cluster" and row["answer"] != "not asked" and row["n_networks"]
    path = TUNED if tuned else PAGES[i]
    href = link(path, study, where)
    low, high = _SPANS[i]
    heading = f"answer-{i}"
    figure: list[Any] = []
    if row["effect"] is not None:
        figure = [
            html.P(
                [
                    html.Strong(number(row["effect"], 0 if i == 0 else 3)),
                    html.Span(f" {row['measure']}; compared with {row['compared_with']}"),
                ],
                className="effect",
            ),
            number_line(
                row["effect"], row["low"], row["high"], span=(low, high), against=1.0 if i == 0 else 0.0
            ),
        ]
    return html.Section(
        [
            html.H2(row["question"], id=heading),
            html.P([verdict_mark(row["answer"]), row["answer"]], className=f"verdict {slug(row['answer'])}"),
            *figure,
            html.P(with_code(row["sentence"]), className="sentence"),
            html.P(with_code(f"To say more: {row['missing']}."), className="missing")
            if row["missing"]
            else None,
            dcc.Link(
                ["Show the rows", html.Span(f" of: {row['question']}", className="unseen")],
                href=href,
                className="more",
            ),
        ],
        className="panel answer",
        **aria(labelledby=heading),
    )


def slug(verdict: str) -> str:
    """A verdict as a class."""
    return verdict.replace(" ", "-")


def legend() -> html.Ul:
    """What the verdicts mean."""
    return html.Ul(
        [
            html.Li([html.Span([verdict_mark(name), name], className=f"verdict {slug(name)}"), f" {meaning}"])
            for name, meaning in LEGEND
        ],
        className="legend",
    )


def with_code(text: str) -> list[Any]:
    """A text whose commands stand in backticks, with the commands as code."""
    return [html.Code(part) if i % 2 else part for i, part in enumerate(text.split("`")) if part]


def answers_table(told: Sequence[Mapping[str, Any]]) -> html.Div:
    """All five as rows."""
    return table(
        told,
        [
            "question",
            "answer",
            "effect",
            "low",
            "high",
            "compared_with",
            "n_networks",
            "n_sessions",
            "n_animals",
        ],
        caption="The five answers with their numbers",
    )
