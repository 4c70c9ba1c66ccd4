"""Every page of the dashboard opens by its link and reads well; what it shows follows from its address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from browser_visit import PAGES, SHOTS, WORDS, Visit, link_to

Sql = Callable[..., list[dict[str, Any]]]


@pytest.mark.parametrize("path", PAGES)
def test_a_deep_link_opens_its_page_and_reads_well(path: str, study: str, visit: Visit, axe: str) -> None:
    visit.open(link_to(path, study))
    assert visit.page.locator("h1").inner_text() == (WORDS if path == "/" else PAGES[path])
    assert visit.page.title() == f"{PAGES[path]} · decortex"
    assert visit.page.locator(".problems").count() == 0
    assert visit.page.locator("[data-panel]").count() > 0
    empty = {"/queue": 2, "/fine-tune": 1, "/tuning": 1, "/agreement": 1}
    assert visit.page.locator("main .empty").count() <= empty.get(path, 0)
    for figure in visit.page.locator("[data-panel]:has(.dash-graph)").all():
        assert re.search(r"n = [\d\u2009]+", figure.locator(".measure").inner_text())
        assert figure.locator("text=CSV").count() == 1
        assert figure.locator("text=SVG").count() == 1
    SHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SHOTS / f"{path.strip('/') or 'study'}.png", full_page=True)
    visit.page.evaluate(axe)
    found = visit.page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    said = [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"][:2]]
    assert not said, "\n".join(said)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone(path: str, study: str, visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.open(link_to(path, study))
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    for heading in visit.page.locator("h1, h2").all():
        box = heading.bounding_box()
        assert box["x"] + box["width"] <= 390, heading.inner_text()
    for table in visit.page.locator("main .table").all():
        first = table.locator("td:visible").first
        if first.count():
            assert first.bounding_box()["x"] < 60, "the column that names the rows is in sight"
    if path == "/agreement":
        cells = visit.panel("matrix").locator(".nsewdrag").first.bounding_box()
        assert cells["width"] / 18 >= 12, "a cell of the matrix can be touched"
    SHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SHOTS / f"{path.strip('/') or 'study'}-phone.png", full_page=True)


def test_the_first_page_answers_without_scrolling(visit: Visit, study: str, sql: Sql) -> None:
    visit.page.set_viewport_size({"width": 1400, "height": 900})
    visit.open(f"/?study={study}")
    assert visit.page.evaluate("document.documentElement.scrollHeight") <= 900
    cards = visit.page.locator(".answer")
    assert cards.count() == 5
    shown = cards.nth(1).locator(".effect strong").inner_text()
    stored = sql(
        "SELECT ari_seeds FROM __seed_agreement WHERE study = %s AND method = 'kmeans' AND k = 8 AND finetune_id = 1",
        study,
    )[0]["ari_seeds"]
    assert shown == f"{stored:.3f}"
    visit.page.set_viewport_size({"width": 390, "height": 844})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    widths = [card.bounding_box()["width"] for card in cards.all()]
    assert min(widths) > 300, "one card beneath the other"
    visit.page.set_viewport_size({"width": 1440, "height": 900})
    cards.nth(2).get_by_role("link").click()
    visit.page.wait_for_function("document.querySelector('h1').innerText === 'Association'")
    visit.at("k=8")
