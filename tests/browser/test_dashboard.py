"""The dashboard in a browser, on the database of a demo: deep links, numbers, files, keyboards, viewers."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from browser_visit import HOSTILE, METHOD, SHOTS, Visit, downloading
from other_processes import Lab

Sql = Callable[..., list[dict[str, Any]]]
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


@pytest.fixture(scope="session")
def study(sql: Sql) -> str:
    """Name of the demo's study."""
    return str(sql("SELECT study FROM study WHERE study LIKE 'demo-%'")[0]["study"])


def link_to(path: str, study: str) -> str:
    """A deep link to a page of the demo's study."""
    if path == "/queue":
        return "/queue?hours=168"
    if path == "/which-k":
        return "/which-k?study=e2e-which-k"
    more = {"/runs": "&k=8&sort=silhouette&down=1", "/fine-tune": PARTITION + "&ft=2"}
    return f"{path}?study={study}{more.get(path, PARTITION)}"


@pytest.mark.parametrize("path", PAGES)
def test_a_deep_link_opens_its_page_and_reads_well(path: str, study: str, visit: Visit, axe: str) -> None:
    visit.open(link_to(path, study))
    assert visit.page.locator("h1").inner_text() == (WORDS if path == "/" else PAGES[path])
    assert visit.page.title() == f"{PAGES[path]} · decortex"
    assert visit.page.locator(".problems").count() == 0
    assert visit.page.locator("[data-panel]").count() > 0
    empty = {"/queue": 2, "/fine-tune": 1, "/tuning": 1}
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


def test_association_shows_what_the_tables_hold(visit: Visit, study: str, sql: Sql) -> None:
    visit.open(f"/association?study={study}&k=8")
    stored = sql(
        "SELECT AVG(a.omega2_partial) AS omega2 FROM __cluster_association a JOIN `#covariate_set` c USING "
        "(covariate_set_id) WHERE a.model_spec_id = 1 AND method_id = 1 AND k = 8 AND finetune_id = 1 "
        "AND covariate_set = 'all known'"
    )[0]["omega2"]
    assert visit.tile("omega², all known held fixed").startswith(f"{stored:.3f} [")
    assert "at least five animals or sessions are needed" in visit.tile("population, animals as units")


def test_the_queue_counts_the_rows(visit: Visit, sql: Sql) -> None:
    visit.open("/queue")
    tables = sql("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = DATABASE()")
    computed = [row["t"] for row in tables if row["t"].startswith("__") and row["t"].count("__") == 1]
    total = sum(sql(f"SELECT COUNT(*) AS n FROM `{name}`")[0]["n"] for name in computed)
    assert visit.tile("rows done").replace("\u2009", "") == str(total)


def test_ticked_variants_stand_side_by_side(visit: Visit, study: str) -> None:
    visit.open(f"/runs?study={study}&k=8")
    for i in range(2):
        visit.panel("runs").get_by_role("checkbox").nth(i).click()
        visit.page.wait_for_function(
            f"(new URLSearchParams(location.search).get('pick') || '').split(',').filter(Boolean).length == {i + 1}"
        )
        visit.settled()
    for name in ("compare", "compare-maps", "compare-k", "compare-performance"):
        visit.page.wait_for_selector(f'[data-panel="{name}"] .js-plotly-plot')
    SHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SHOTS / "compare.png", full_page=True)


def test_a_column_is_hidden_by_the_link(visit: Visit, study: str) -> None:
    visit.open(f"/runs?study={study}")
    visit.panel("runs").locator("summary").click()
    visit.panel("runs").get_by_role("link", name="hide silhouette").click()
    visit.at("hide=silhouette")
    headings = visit.panel("runs").locator("thead th").all_inner_texts()
    assert not any("silhouette" in text for text in headings)


def test_runs_filter_sort_and_compare(visit: Visit, study: str, sql: Sql) -> None:
    visit.open(f"/runs?study={study}")
    panel = visit.panel("runs")
    total = sql("SELECT COUNT(*) AS n FROM __d_e_c_finetune d JOIN study__finetuning f USING "
                "(method, method_id, k, seed, finetune_id) JOIN study__model m "
                "USING (dataset, model_spec_id, model_seed) "
                "WHERE f.study = %s AND m.study = f.study", study)[0]["n"]  # fmt: skip
    assert f"n = {total} partitions" in panel.inner_text()
    visit.page.get_by_label("K", exact=True).select_option("8")
    visit.at("k=8")
    assert set(panel.locator("tbody tr td:nth-child(3)").all_inner_texts()) == {"8"}
    panel.get_by_role("link", name="silhouette").click()
    visit.at("sort=silhouette")
    shown = [float(text) for text in column(panel, "silhouette")]
    best = sql(
        "SELECT MAX(q.silhouette) AS s FROM __cluster_quality__space q JOIN study__finetuning f USING "
        "(method, method_id, k, seed, finetune_id) WHERE q.k = 8 AND q.space = 'untouched' AND f.study = %s",
        study,
    )[0]["s"]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(best, abs=5e-4)
    for i in range(2):
        panel.get_by_role("checkbox").nth(i).click()
        visit.page.wait_for_function(f"(location.search.match(/pick=[^&]*/) || [''])[0].split(',').length == {i + 1}"
                                     " && location.search.includes('pick')")  # fmt: skip
    visit.page.wait_for_selector('[data-panel="compare"]')
    visit.settled()
    assert "n = 2 partitions" in visit.panel("compare").inner_text()


def column(panel: Any, heading: str) -> list[str]:
    """Texts of a column."""
    headings = [text.strip(" ↓↑") for text in panel.locator("thead th").all_inner_texts()]
    return list(panel.locator(f"tbody tr td:nth-child({headings.index(heading) + 1})").all_inner_texts())


def test_what_is_downloaded_is_what_the_database_holds(
    visit: Visit, study: str, sql: Sql, tmp_path: Any
) -> None:
    visit.open(f"/runs?study={study}&k=8")
    with downloading(visit) as caught:
        visit.panel("runs").get_by_role("link", name="CSV of").click()
    caught.value.save_as(tmp_path / "runs.csv")
    table = pd.read_csv(tmp_path / "runs.csv")
    key = ["dataset", "model_spec_id", "model_seed", "embedding_spec_id", "method", "method_id", "k", "seed"]
    stored = pd.DataFrame(sql("SELECT * FROM __cluster_performance WHERE k = 8"))
    both = table.merge(stored, on=[*key, "finetune_id"], suffixes=("", "_stored"))
    assert len(both) == len(table) > 20
    pd.testing.assert_series_equal(both["epsilon2"], both["epsilon2_corrected"], check_names=False)
    visit.open(f"/agreement?study={study}&k=8&ft=1")
    with downloading(visit) as caught:
        visit.panel("matrix").get_by_role("link", name="CSV of").click()
    caught.value.save_as(tmp_path / "matrix.csv")
    matrix = pd.read_csv(tmp_path / "matrix.csv").set_index(["a", "b"])["ari"]
    pair = sql("SELECT * FROM __seed_agreement__pair WHERE study = %s AND k = 8 AND method = 'kmeans' AND "
               "finetune_id = 1 AND pair_kind = 'model_seeds' AND model_seed_a = 0 AND model_seed_b = 1 "
               "AND seed_a = 0 AND seed_b = 0", study)[0]  # fmt: skip
    assert matrix["kmeans · network 0 · start 0", "kmeans · network 1 · start 0"] == pytest.approx(
        pair["ari"]
    )


def test_a_figure_is_saved_with_its_title(visit: Visit, study: str, tmp_path: Any) -> None:
    visit.open(f"/performance?study={study}{PARTITION}")
    with downloading(visit) as caught:
        visit.panel("violins").get_by_role("button", name="SVG of").click()
    caught.value.save_as(tmp_path / "violins.svg")
    text = (tmp_path / "violins.svg").read_text()
    assert text.startswith("<svg")
    assert "Test correlation by cluster" in text
    assert "n = 360 neurons with a score" in text


def test_numbers_of_one_partition(visit: Visit, study: str, sql: Sql) -> None:
    where = "model_seed = 1 AND method_id = 1 AND k = 8 AND seed = 0"
    visit.open(f"/cluster?study={study}{PARTITION}&ft=1&cluster=2")
    label = int(visit.tile("label in the tables, its rank by size"))
    stored = sql(f"SELECT * FROM __clustering__cluster WHERE {where} AND cluster = {label}")[0]
    assert visit.tile("neurons") == str(stored["size"])
    assert visit.tile("spread") == f"{stored['spread']:.3f}"
    visit.open(f"/performance?study={study}{PARTITION}&ft=1")
    effect = sql(f"SELECT * FROM __cluster_performance WHERE {where} AND finetune_id = 1")[0]
    low, high = effect["epsilon2_low"], effect["epsilon2_high"]
    assert visit.tile("ε², rank variance") == f"{effect['epsilon2_corrected']:.3f} [{low:.3f}, {high:.3f}]"
    visit.open(f"/fine-tune?study={study}{PARTITION}&ft=2")
    price = sql(f"SELECT * FROM __retained_performance WHERE {where} AND finetune_id = 2")[0]
    assert visit.tile("Δ test correlation") == f"{price['difference']:.4f}"
    visit.open("/which-k?study=e2e-which-k")
    decision = sql("SELECT * FROM __k_selection WHERE study = 'e2e-which-k'")[0]["decision_k"]
    assert visit.tile("decision") == ("no K is supported" if decision is None else f"K = {decision}")
    visit.open(f"/provenance?study={study}{PARTITION}&ft=1")
    chain = visit.panel("chain").inner_text()
    for table, name in (("__embedding", "embedding_sha256"), ("__trained_model", "checkpoint_sha256")):
        assert sql(f"SELECT {name} AS h FROM {table} WHERE model_seed = 1")[0]["h"] in chain


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


def test_a_job_that_finishes_is_seen_without_reloading(
    visit: Visit, visitor: Callable[[], Visit], demo: Lab, study: str, sql: Sql
) -> None:
    visit.open("/queue?hours=1")
    other = visitor()
    other.open(f"/map?study={study}{PARTITION}&ft=1")
    seed = sql("SELECT COALESCE(MAX(view_seed), 0) + 1 AS s FROM view_request")[0]["s"]
    done, waiting = (int(visit.tile(name).replace("\u2009", "")) for name in ("rows done", "waiting"))
    shows = (
        "([name, n]) => [...document.querySelectorAll('.tile')].some(t => t.querySelector('dt').innerText === name"
        " && t.querySelector('dd').innerText.replace(/\\D/g, '') == n)"
    )
    demo.run("view", "add", study, "pca", "--seed", str(seed))
    demo.run("schedule")
    visit.page.wait_for_function(shows, arg=["waiting", str(waiting + 3)], timeout=120_000)
    demo.run("work", "--tables", "EmbeddingView", "--stop-when-idle", "1", "--quiet")
    visit.page.wait_for_function(shows, arg=["rows done", str(done + waiting + 3)], timeout=120_000)
    assert visit.page.locator("h1").inner_text() == "Queue"
    other.page.reload()
    other.settled()
    assert other.page.locator("h1").inner_text() == "Map"


def test_two_viewers_do_not_see_each_other(visitor: Callable[[], Visit], study: str) -> None:
    one, two = visitor(), visitor()
    two.open(f"/runs?study={study}")
    before = two.page.locator("main").inner_text()
    one.open(f"/runs?study={study}&k=4&method=2&sort=seed&page=1")
    two.page.reload()
    two.settled()
    assert two.page.locator("main").inner_text() == before
    for visit in (one, two):
        assert visit.page.context.cookies() == []
        assert visit.page.evaluate("Object.keys(localStorage).length") == 0
    link = one.page.url.removeprefix(one.url)
    two.open(link)
    assert two.page.locator("main").inner_text() == one.page.locator("main").inner_text()


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


def test_hostile_names_are_text(visit: Visit) -> None:
    for path in (
        "/runs",
        "/map",
        "/cluster",
        "/performance",
        "/agreement",
        "/provenance",
        "/fine-tune",
        "/which-k",
    ):
        visit.open(f"{path}?study={quote(HOSTILE)}")
        assert visit.page.evaluate("window.hacked") is None
        assert visit.page.locator("main img, main b[onmouseover]").count() == 0
        assert visit.page.get_by_label("Study").locator("option:checked").inner_text() == HOSTILE, path
    visit.open(f"/agreement?study={quote(HOSTILE)}&k=8")
    assert METHOD in visit.panel("matrix").inner_text()
    visit.open(f"/runs?study={quote('<script>window.hacked=2</script>')}")
    assert visit.page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/assets/../../../../etc/passwd", "GET"),
        ("/assets/..%2f..%2f..%2f..%2fetc%2fpasswd", "GET"),
        ("/_dash-component-suites/dash/..%2f..%2f..%2fsetup.py", "GET"),
        ("/csv/..%2f..%2fetc/passwd", "GET"),
        ("/csv/runs/drop", "GET"),
        ("/csv/runs/runs", "POST"),
        ("/runs", "DELETE"),
    ],
)
def test_an_address_reaches_no_other_path(url: str, path: str, method: str) -> None:
    request = urllib.request.Request(url + path, method=method)
    status, body = answer_of(request)
    assert b"root:" not in body
    if status == 200:
        assert b"_dash-config" in body  # the application's own page, which knows no such path
    else:
        assert status in (400, 404, 405)


def answer_of(request: urllib.request.Request) -> tuple[int, bytes]:
    """Status and body of an answer, refusals included."""
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_forged_callback_writes_nothing(url: str, sql: Sql, study: str) -> None:
    tables = ("study", "study__finetuning", "__clustering", "#seed", "view_request")
    before = [sql(f"CHECKSUM TABLE `{name}`") for name in tables]
    injected = f"?study={quote(study)}&sort=" + quote("k; DELETE FROM study; --") + "&k=8&page=1"
    body = {
        "output": "..page.children...nav.children...canonical.data...clock.disabled...clock.interval..",
        "outputs": [
            {"id": i, "property": p}
            for i, p in (
                ("page", "children"),
                ("nav", "children"),
                ("canonical", "data"),
                ("clock", "disabled"),
                ("clock", "interval"),
            )
        ],
        "inputs": [
            {"id": "url", "property": "pathname", "value": "/runs"},
            {"id": "url", "property": "search", "value": injected},
            {"id": "clock", "property": "n_intervals", "value": 1},
        ],
        "state": [{"id": "canonical", "property": "data", "value": {"url": {"$ne": 1}}}],
        "changedPropIds": ["url.search"],
    }
    request = urllib.request.Request(
        url + "/_dash-update-component",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        assert "left out" in response.read().decode()
    assert [sql(f"CHECKSUM TABLE `{name}`") for name in tables] == before


def test_another_host_name_is_refused(url: str) -> None:
    request = urllib.request.Request(url + "/", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
