"""From a URL to what is on the screen or in a CSV. Knows every page, and asks through the source it is given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import Any

import pymysql
from dash import dcc, html
from datajoint.errors import DataJointError

from decortex.errors import DatabaseError, DecortexError
from decortex_ops.dashboard.pages import PAGES
from decortex_ops.dashboard.parts import Empty, Panel, View, aria, show_choice, show_panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import as_csv
from decortex_ops.dashboard.urls import State, decode
from decortex_schemas import queries
from decortex_schemas.database import refusal_of

logger = logging.getLogger(__name__)
# What links between pages keep, so that one partition is chosen once.
CARRY = tuple({one.name: one for page in PAGES for one in getattr(page, "CARRIED", ())}.values())
BY_PATH: Mapping[str, ModuleType] = MappingProxyType({page.PATH: page for page in PAGES})
_LOST = (pymysql.MySQLError, DataJointError, OSError)
# How often a page that got no answer asks again.
LOST_SECONDS = 5.0


@dataclass(frozen=True)
class Screen:
    """What the browser is given.

    Attributes
    ----------
    url : str
        The link to exactly this view.
    title : str
        Of the document.
    main : list
        Heading, controls and panels.
    nav : list
        Links to all pages.
    refresh_seconds : float
        How often it is worth asking again; 0: never.
    study : str
        The study that is shown; '' where none is.
    no_such_study : bool
        Whether the link names a study that does not exist.
    """

    url: str
    title: str
    main: list[Any]
    nav: list[Any]
    refresh_seconds: float = 0.0
    study: str = ""
    no_such_study: bool = False


def show(path: str, search: str, source: Source) -> Screen:
    """What a URL shows."""
    page = BY_PATH.get(path.rstrip("/") or "/")
    if page is None:
        panel = Panel("nothing", "There is no such page", empty=Empty("The pages are listed on the left."))
        state = decode("/", (), "")
        return Screen(
            "/",
            "no such page · decortex",
            _main("No such page", View(state, panels=[panel])),
            _nav(state, ""),
        )
    view = view_of(page, search, source)
    study = str(view.state.values.get("study") or "")
    known = not study or view.lost or study in {row["study"] for row in source(queries.study_counts)}
    return Screen(
        view.state.link(),
        f"{page.TITLE} · decortex",
        _main(view.heading or page.TITLE, view),
        _nav(view.state, page.PATH),
        LOST_SECONDS if view.lost else float(getattr(page, "REFRESH_SECONDS", 0.0)),
        study=study if known and not view.lost else "",
        no_such_study=not known,
    )


def is_page(path: str) -> bool:
    """Whether there is a page at this path."""
    return (path.rstrip("/") or "/") in BY_PATH


def view_of(page: ModuleType, search: str, source: Source) -> View:
    """Render a page; what goes wrong below is said on it."""
    state = decode(page.PATH, page.FIELDS, search, carry=CARRY)
    try:
        found = _with_changes(page.render(state, source), source)
    except DecortexError as error:
        return View(state, panels=[Panel("nothing", "Not to be shown", empty=Empty(str(error)))])
    except _LOST as error:
        logger.exception("the database did not answer for %s%s", page.PATH, search)
        refusal = refusal_of(error)
        empty = Empty(
            f"The database refused the dashboard's account: {refusal}"
            if refusal
            else "The database did not answer; this page tries again by itself.",
            "decortex db status",
        )
        return View(state, panels=[Panel("nothing", "No answer", empty=empty)], lost=True)
    return found


def _with_changes(view: View, source: Source) -> View:
    """The same page, which says first where its study is no longer what was frozen."""
    study = view.state.values.get("study")
    if not isinstance(study, str) or not study:
        return view
    said = source(queries.frozen_changes, study)
    if not said:
        return view
    panel = Panel(
        "changed",
        "No longer what was frozen",
        empty=Empty(said, f"decortex recompute FrozenStudy study={study}"),
    )
    return replace(view, panels=[panel, *view.panels])


def detail(path: str, search: str, source: Source) -> list[Any]:
    """What a page shows below its panels for a selection made in them."""
    page = BY_PATH.get(path.rstrip("/") or "/")
    if page is None or not hasattr(page, "detail"):
        return []
    state = decode(page.PATH, page.FIELDS, search, carry=CARRY)
    try:
        panels: list[Panel] = page.detail(state, source)
    except (DecortexError, *_LOST):
        logger.exception("no detail for %s%s", path, search)
        return []
    return [show_panel(panel, state) for panel in panels]


def is_shown(path: str, search: str, known: Any) -> bool:
    """Whether the page on the screen is already that of a URL: defaults filled in, or a selection in it changed.

    Parameters
    ----------
    path, search : str
        The URL.
    known : object
        What the browser says it shows: a mapping with ``url``.
    """
    if not isinstance(known, dict) or not isinstance(known.get("url"), str):
        return False
    page = BY_PATH.get(path.rstrip("/") or "/")
    shown, _, asked = known["url"].partition("?")
    if page is None or shown != page.PATH:
        return False
    below = getattr(page, "DETAIL", ())
    fields = [one for one in page.FIELDS if one.name not in below]
    return (
        decode(shown, fields, search, carry=CARRY).link() == decode(shown, fields, asked, carry=CARRY).link()
    )


def csv_of(name: str, panel: str, search: str, source: Source) -> str | None:
    """The data of one panel of one page; None if there is no such panel.

    Raises
    ------
    DatabaseError
        If the database does not answer.
    """
    page = BY_PATH.get({"study": "/", "": ""}.get(name, f"/{name}"))
    if page is None:
        return None
    state = decode(page.PATH, page.FIELDS, search, carry=CARRY)
    try:
        panels = _panels(page, state, source)
    except _LOST as error:
        logger.exception("the database did not answer for the table %s of %s%s", panel, page.PATH, search)
        raise DatabaseError(
            "the database did not answer; ask again when it does (`decortex db status`)."
        ) from error
    except DecortexError:
        return None  # the page says what cannot be shown
    found = next((one for one in panels if one.name == panel and one.rows is not None), None)
    return None if found is None else as_csv(found.data())


def _panels(page: ModuleType, state: State, source: Source) -> list[Panel]:
    """Every panel of a page, those below a selection too."""
    own = [one for one in page.render(state, source).panels if isinstance(one, Panel)]
    return own + (page.detail(state, source) if hasattr(page, "detail") else [])


def _main(title: str, view: View) -> list[Any]:
    notes = [html.Li(text) for text in view.state.problems]
    return [
        html.Header(
            [
                html.H1(title, tabIndex=-1, id="title"),
                html.P(view.lead, className="lead") if view.lead else None,
            ],
            className="page",
        ),
        html.Ul(notes, className="problems", role="status") if notes else None,
        html.Div([show_choice(choice) for choice in view.choices], className="choices")
        if view.choices
        else None,
        html.Div(
            [show_panel(one, view.state) if isinstance(one, Panel) else one for one in view.panels],
            className="panels",
        ),
    ]


def _nav(state: State, here: str) -> list[Any]:
    kept = {one.name: state.values[one.name] for one in state.fields if one in CARRY}
    carried = {**state.carried, **{n: str(v) for n, v in kept.items() if v not in (None, ())}}
    links = []
    for page in PAGES:
        fields = {one.name for one in page.FIELDS}
        names = {one.name for one in CARRY}
        target = decode(page.PATH, page.FIELDS, "", carry=CARRY)
        own = {
            one.name: one.read(carried[one.name])
            for one in page.FIELDS
            if one.name in carried and one in CARRY
        }
        rest = {name: text for name, text in carried.items() if name not in fields and name in names}
        link = State(page.PATH, target.fields, {**target.values, **own}, (), rest).link()
        links.append(
            html.Li(
                dcc.Link(page.TITLE, href=link, className="here" if here == page.PATH else ""),
                **(aria(current="page") if here == page.PATH else {}),
            )
        )
    return links
