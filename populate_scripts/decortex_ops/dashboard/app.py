"""The application: one layout, one router, links for CSV, and headers that keep the browser to this machine."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, dcc, html
from dash.exceptions import DependencyException
from flask import Response, request

from decortex.errors import DatabaseError
from decortex_ops.dashboard import monitoring, router
from decortex_ops.dashboard.limits import callback_problem
from decortex_ops.dashboard.parts import aria
from decortex_ops.dashboard.source import CachedSource, Source

CALLBACKS = "/_dash-update-component"
_ANY_PAGE = "/<path:path>"
ASSETS = Path(__file__).parent / "assets"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def build_app(source: Source | None = None, *, label: str = "", hosts: list[str] | None = None) -> dash.Dash:
    """Make the application; nothing is asked before a viewer comes.

    Parameters
    ----------
    source : Source, optional
        Where rows come from; default: the read layer, each answer kept for some seconds.
    label : str
        Which database this is, shown beside the name.
    hosts : list of str, optional
        Names under which it may be asked; default: any.

    Returns
    -------
    dash.Dash
        The application; ``.server`` is its WSGI application.
    """
    ask: Source = source or CachedSource()
    app = dash.Dash(
        "decortex",
        assets_folder=str(ASSETS),
        title="decortex",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        compress=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    app.layout = layout(label)
    _add_callbacks(app, ask)
    _add_routes(app, ask)
    if hosts:
        app.server.config["TRUSTED_HOSTS"] = hosts
    return app


def layout(label: str) -> html.Div:
    """What every page has."""
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="canonical"),
            dcc.Interval(id="clock", interval=5000, disabled=True),
            html.A("To the content", href="#title", className="skip"),
            html.Aside(
                [
                    html.Div([html.Strong("decortex"), html.Span(label)], className="brand"),
                    html.Nav(html.Ul(id="nav"), **aria(label="pages")),
                    html.Div(
                        [
                            html.Button("Copy link to this view", id="copy", type="button"),
                            html.Button(
                                "PDF of this page",
                                id="print",
                                type="button",
                                title="Opens the browser's print dialog, A4 landscape; Study is one page",
                            ),
                        ],
                        className="copy",
                    ),
                ],
                className="side",
            ),
            html.Main([html.Div(id="page"), html.Div(id="detail", className="panels")], id="main"),
        ],
        className="shell",
    )


def _add_callbacks(app: dash.Dash, source: Source) -> None:
    in_browser: Any = app.clientside_callback

    @app.callback(
        Output("page", "children"),
        Output("nav", "children"),
        Output("canonical", "data"),
        Output("clock", "disabled"),
        Output("clock", "interval"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("clock", "n_intervals"),
        State("canonical", "data"),
    )
    def show(path: str | None, search: str | None, _: int | None, known: Any) -> Any:
        triggered = {one["prop_id"] for one in dash.callback_context.triggered}
        if triggered == {"url.search"} and router.is_shown(path or "/", search or "", known):
            return (dash.no_update,) * 5
        screen = router.show(path or "/", search or "", source)
        every = screen.refresh_seconds
        data = {
            "url": screen.url,
            "title": screen.title,
            "from": path or "/",
            "study": screen.study,
            "no_such_study": screen.no_such_study,
        }
        return screen.main, screen.nav, data, not every, int((every or 5) * 1000)

    @app.callback(Output("detail", "children"), Input("url", "pathname"), Input("url", "search"))
    def detail(path: str | None, search: str | None) -> Any:
        return router.detail(path or "/", search or "", source)

    in_browser(
        ClientsideFunction("decortex", "settle"),
        Output("url", "search", allow_duplicate=True),
        Output("url", "href", allow_duplicate=True),
        Input("canonical", "data"),
        prevent_initial_call=True,
    )
    in_browser(
        ClientsideFunction("decortex", "lasso"),
        Output("url", "search", allow_duplicate=True),
        Input({"type": "lasso", "name": ALL}, "selectedData"),
        prevent_initial_call=True,
    )
    in_browser(
        ClientsideFunction("decortex", "click"),
        Output("url", "href", allow_duplicate=True),
        Input({"type": "clickable", "name": ALL}, "clickData"),
        prevent_initial_call=True,
    )


def _add_routes(app: dash.Dash, source: Source) -> None:
    server: Any = app.server

    def csv(page: str, panel: str) -> Response:
        try:
            text = router.csv_of(page, panel, request.query_string.decode("utf-8", "replace"), source)
        except DatabaseError as error:
            return Response(f"{error}\n", status=503, mimetype="text/plain")
        if text is None:
            return Response("there is no such table\n", status=404, mimetype="text/plain")
        study = re.sub(r"[^A-Za-z0-9._-]+", "-", request.args.get("study", "")).strip("-.")
        today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        name = "-".join(one for one in ("decortex", study, page, panel, today) if one) + ".csv"
        return Response(
            text, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    def health() -> Response:
        text, status = monitoring.health()
        return Response(text, status=status, mimetype="text/plain")

    def metrics() -> Response:
        return Response(source(monitoring.metrics), content_type=monitoring.CONTENT_TYPE)

    def refuse_misunderstood() -> Response | None:
        if request.path != CALLBACKS or request.method != "POST":
            return None
        problem = callback_problem(request.get_data(cache=True), app.callback_map)
        return None if problem is None else Response(f"{problem}\n", status=400, mimetype="text/plain")

    def unknown(_: Exception) -> Response:
        return Response("there is no such file\n", status=404, mimetype="text/plain")

    policy: list[str] = []

    def headers(response: Response) -> Response:
        if request.endpoint == _ANY_PAGE and not router.is_page(request.path):
            response.status_code = 404  # dash answers every address with the page, which then says so
        if not policy:
            # plotly's WebGL compiles functions; inline scripts are dash's own, by their digests.
            hashes = " ".join(f"'{one}'" if not one.startswith("'") else one for one in app.csp_hashes())
            policy.append(
                f"default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
                "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
                "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
            )
        response.headers["Content-Security-Policy"] = policy[0]
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    server.add_url_rule("/csv/<page>/<panel>", view_func=csv)
    server.add_url_rule("/health", view_func=health)
    server.add_url_rule("/metrics", view_func=metrics)
    server.before_request(refuse_misunderstood)
    server.after_request(headers)
    # Dash answers a file that none of its packages has as if it had failed itself.
    server.register_error_handler(DependencyException, unknown)
