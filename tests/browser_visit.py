"""One viewer's window for the browser tests, and the names that try to do harm there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOTS = Path(__file__).parent / "browser" / "screenshots"
HOSTILE = """<img src=x onerror="window.hacked=1">'&"""
METHOD = "<b onmouseover=alert(1)>'k\"means"

PAGES = {
    "/": "Study",
    "/types": "Types",
    "/which-k": "Which K",
    "/agreement": "Agreement",
    "/association": "Association",
    "/fine-tune": "Fine-tune",
    "/cluster": "Cluster",
    "/tuning": "Tuning",
    "/map": "Map",
    "/performance": "Performance",
    "/runs": "Runs",
    "/provenance": "Provenance",
    "/queue": "Queue",
}
WORDS = "The whole chain on a simulated cortex with eight known functional types"
PARTITION = "&model=1&net=1&method=1&k=8&seed=0"


def link_to(path: str, study: str) -> str:
    """A deep link to a page of the demo's study."""
    if path == "/queue":
        return "/queue?hours=168"
    if path == "/which-k":
        return "/which-k?study=e2e-which-k"
    more = {"/runs": "&k=8&sort=silhouette&down=1", "/fine-tune": PARTITION + "&ft=2"}
    return f"{path}?study={study}{more.get(path, PARTITION)}"


@dataclass
class Visit:
    """One viewer's window, and what must not happen in it.

    Attributes
    ----------
    page : Page
        The window.
    wrong : list of str
        Errors on the console, requests that failed or left the machine.
    """

    page: Any
    url: str
    wrong: list[str] = field(default_factory=list)

    def open(self, link: str) -> None:
        """Follow a deep link, as a first visit."""
        self.page.goto(self.url + link)
        self.settled()

    def settled(self) -> None:
        """Wait until figures are drawn and the address names every default."""
        self.page.wait_for_selector("h1", timeout=180_000)
        self.page.wait_for_function(
            "[...document.querySelectorAll('.dash-graph')].every(g => g.querySelector('.main-svg'))",
            timeout=180_000,
        )
        self.page.wait_for_function("!document.querySelector('[data-dash-is-loading]')", timeout=180_000)
        self.page.wait_for_timeout(250)

    def at(self, text: str) -> None:
        """Wait until the address holds a text, and the page that it asks for is there."""
        self.page.wait_for_function(
            "text => decodeURIComponent(location.href).includes(text)", arg=text, timeout=180_000
        )
        self.settled()

    def panel(self, name: str) -> Any:
        """One panel."""
        return self.page.locator(f'[data-panel="{name}"]')

    def tile(self, label: str) -> str:
        """Value of a tile."""
        return str(self.page.locator(".tile", has_text=label).locator("dd").first.inner_text())


def watch(visit: Visit) -> None:
    """Note what must not happen."""
    page, wrong = visit.page, visit.wrong
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("response", lambda r: wrong.append(f"{r.status}: {r.url}") if r.status >= 400 else None)

    def look(request: Any) -> None:
        if not request.url.startswith((visit.url, "data:", "blob:")):
            wrong.append(f"left the machine: {request.url}")

    page.on("request", look)


@contextmanager
def downloading(visit: Visit) -> Iterator[Any]:
    """What a click downloads."""
    with visit.page.expect_download(timeout=30_000) as caught:
        yield caught
