"""Moving about: keys, Back, ticks, lassos and clicks; what is chosen is part of the link."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from browser_visit import PARTITION, SHOTS, Visit

Sql = Callable[..., list[dict[str, Any]]]


def test_ticked_variants_stand_side_by_side(visit: Visit, study: str) -> None:
    visit.open(f"/runs?study={study}&k=8")
    for i in range(6):
        visit.panel("runs").get_by_role("checkbox").nth(i).click()
        visit.page.wait_for_function(
            f"(new URLSearchParams(location.search).get('pick') || '').split(',').filter(Boolean).length == {i + 1}"
        )
        visit.settled()
    for name in ("compare", "compare-maps", "compare-k", "compare-performance"):
        visit.page.wait_for_selector(f'[data-panel="{name}"] .js-plotly-plot')
    visit.panel("compare").get_by_text("n = 6 partitions").wait_for(timeout=120_000)
    visit.settled()
    SHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SHOTS / "compare.png", full_page=True)


def test_groups_open_and_close_and_the_link_says_which(visit: Visit, study: str, sql: Sql) -> None:
    visit.open(f"/runs?study={study}")
    visit.page.get_by_label("Group by").select_option("Method")
    visit.at("group=method")
    panel = visit.panel("runs")
    assert panel.locator("tbody tr:not(.group)").count() == 0, "a closed group shows no row"
    panel.get_by_role("link", name="open kmeans").click()
    visit.at("open=1")
    held = sql(
        "SELECT COUNT(*) AS n FROM __d_e_c_finetune d JOIN study__finetuning f USING (method, method_id, k, seed, "
        "finetune_id) JOIN study__model m USING (dataset, model_spec_id, model_seed) WHERE f.study = %s "
        "AND m.study = f.study AND d.method_id = 1",
        study,
    )[0]["n"]
    heading = panel.locator("tr.group", has_text="kmeans")
    assert f"{held} partitions" in heading.inner_text()
    assert set(panel.locator("tbody tr:not(.group) td:nth-child(3)").all_inner_texts()) == {"kmeans"}
    visit.page.reload()
    visit.settled()
    assert panel.locator("tbody tr:not(.group)").count() == min(25, held)
    panel.get_by_role("link", name="close kmeans").click()
    visit.page.wait_for_function("!location.search.includes('open=')")
    visit.settled()
    assert panel.locator("tbody tr:not(.group)").count() == 0


def test_a_link_without_a_study_shows_the_last_one(visit: Visit, study: str) -> None:
    visit.open("/which-k?study=e2e-which-k")
    visit.page.wait_for_function("localStorage.getItem('decortex.study') === 'e2e-which-k'")
    visit.open("/runs")
    visit.at("study=e2e-which-k")
    visit.open(f"/?study={study}")
    visit.page.wait_for_function("name => localStorage.getItem('decortex.study') === name", arg=study)
    visit.page.evaluate("localStorage.setItem('decortex.study', 'removed since')")
    visit.open("/runs")
    visit.page.wait_for_function("!location.search.includes('removed') && location.search.includes('study=')")
    visit.settled()
    assert visit.page.locator('[data-panel="runs"]').count() == 1, "the latest study stands in its place"


def test_the_study_is_one_sheet_of_paper(visit: Visit, study: str) -> None:
    visit.open(f"/?study={study}")
    visit.page.evaluate("window.print = () => { window.proposed = document.title; }")
    visit.page.get_by_role("button", name="PDF of this page").click()
    visit.page.wait_for_function("window.proposed")
    assert visit.page.evaluate("window.proposed").startswith(f"decortex-{study}-study-20")
    paper = visit.page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    assert visit.page.evaluate("document.documentElement.className") == "", "the screen is as before"


def test_a_column_is_hidden_by_the_link(visit: Visit, study: str) -> None:
    visit.open(f"/runs?study={study}")
    visit.panel("runs").locator("summary").click()
    visit.panel("runs").get_by_role("link", name="hide silhouette").click()
    visit.at("hide=silhouette")
    headings = visit.panel("runs").locator("thead th").all_inner_texts()
    assert not any("silhouette" in text for text in headings)


def test_a_lasso_is_part_of_the_link(visit: Visit, visitor: Callable[[], Visit], study: str) -> None:
    visit.open(f"/map?study={study}{PARTITION}&ft=1")
    box = visit.panel("map").locator(".nsewdrag").first.bounding_box()
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    visit.page.mouse.move(x + 0.05 * w, y + 0.05 * h)
    visit.page.mouse.down()
    for fx, fy in ((0.55, 0.05), (0.55, 0.95), (0.05, 0.95), (0.05, 0.1)):
        visit.page.mouse.move(x + fx * w, y + fy * h, steps=8)
    visit.page.mouse.up()
    visit.at("lasso=")
    visit.page.wait_for_selector('[data-panel="selection"]')
    said = visit.panel("selection").locator(".measure").inner_text()
    assert int(re.search(r"\d+", said)[0]) > 0
    link = visit.page.url.removeprefix(visit.url)
    visit.page.close()
    other = visitor()
    other.open(link)
    other.page.wait_for_selector('[data-panel="selection"]')
    assert other.panel("selection").locator(".measure").inner_text() == said


def test_a_cell_of_the_matrix_opens_its_table(visit: Visit, study: str) -> None:
    visit.open(f"/agreement?study={study}&k=8&ft=1")
    box = visit.panel("matrix").locator(".nsewdrag").first.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] * 17.5 / 18, box["y"] + box["height"] * 0.5 / 18)
    visit.at("b=gmm · network 2 · start 2")
    assert "gmm · network 2 · start 2" in visit.panel("contingency").locator("h2").inner_text()


def test_everything_is_reached_with_the_keyboard(visit: Visit, study: str) -> None:
    visit.open(f"/runs?study={study}")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        seen.append(
            visit.page.evaluate(
                "(e => e.getAttribute('aria-label') || e.innerText || e.id || e.tagName)(document.activeElement)"
            )
        )
    said = "\n".join(seen)
    for name in ("Queue", "Provenance", "Copy link", "CSV of Variants", "silhouette", "Finished variants"):
        assert name in said, f"{name} in {said}"
    visit.page.get_by_role("link", name="Queue").focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("document.querySelector('h1').innerText === 'Queue'")
    visit.page.wait_for_function("document.activeElement.id === 'title'")
    visit.page.go_back()
    visit.page.wait_for_function("document.querySelector('h1').innerText === 'Runs'")
    visit.settled()
    visit.panel("runs").get_by_role("link", name="silhouette").focus()
    visit.page.keyboard.press("Enter")
    visit.at("sort=silhouette")
    visit.panel("runs").locator("th[aria-sort=descending]").wait_for(timeout=120_000)
    assert visit.panel("runs").locator("th[aria-sort=descending]").count() == 1


def test_a_bare_link_takes_one_back(visit: Visit) -> None:
    visit.open("/queue")
    visit.open("/performance")
    visit.at("study=")
    visit.page.go_back()
    visit.page.wait_for_function("location.pathname === '/queue'")


def test_the_arrow_keys_keep_the_focus(visit: Visit, study: str) -> None:
    visit.open(f"/performance?study={study}{PARTITION}")
    visit.page.locator("#choice-k").focus()
    for key, k in (("ArrowDown", 12), ("ArrowUp", 8), ("ArrowUp", 4)):
        visit.page.keyboard.press(key)
        visit.at(f"k={k}")
        visit.settled()
        visit.page.wait_for_function("document.activeElement.id === 'choice-k'")


def test_a_cluster_keeps_its_colour_over_networks(visit: Visit, study: str, sql: Sql) -> None:
    colours = []
    for net in (0, 1):
        visit.open(f"/cluster?study={study}&model=1&net={net}&method=1&k=8&seed=0&cluster=3")
        link = visit.panel("overview").locator("tr.chosen .chip")
        colours.append(link.get_attribute("style"))
    assert colours[0] == colours[1]
