"""Viewers, and who means harm: none sees another, work that ends is seen, hostile names and requests do nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from browser_visit import HOSTILE, METHOD, PARTITION, Visit
from other_processes import Lab

Sql = Callable[..., list[dict[str, Any]]]


def test_a_job_that_finishes_is_seen_without_reloading(
    visit: Visit, visitor: Callable[[], Visit], demo: Lab, study: str, sql: Sql
) -> None:
    visit.open("/queue?hours=1")
    other = visitor()
    other.open(f"/map?study={study}{PARTITION}&ft=1")
    seed = sql("SELECT COALESCE(MAX(view_seed), 0) + 1 AS s FROM view_request")[0]["s"]
    done, waiting = (int(visit.tile(name).replace("\u2009", "")) for name in ("rows done", "waiting"))
    # Other tables may have keys that wait; the worker below takes views alone.
    views = sql("SELECT COUNT(*) AS n FROM `~~embedding_view` WHERE status = 'pending'")[0]["n"]
    shows = (
        "([name, n]) => [...document.querySelectorAll('.tile')].some(t => t.querySelector('dt').innerText === name"
        " && t.querySelector('dd').innerText.replace(/\\D/g, '') == n)"
    )
    demo.run("view", "add", study, "pca", "--seed", str(seed))
    demo.run("schedule")
    visit.page.wait_for_function(shows, arg=["waiting", str(waiting + 3)], timeout=120_000)
    demo.run("work", "--tables", "EmbeddingView", "--stop-when-idle", "1", "--quiet")
    visit.page.wait_for_function(shows, arg=["rows done", str(done + views + 3)], timeout=120_000)
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
        assert visit.page.evaluate("Object.entries(localStorage)") == [["decortex.study", study]]
    link = one.page.url.removeprefix(one.url)
    two.open(link)
    assert two.page.locator("main").inner_text() == one.page.locator("main").inner_text()


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
