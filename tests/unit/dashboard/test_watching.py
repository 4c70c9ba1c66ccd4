"""What watches the dashboard, and what it refuses: /health, /metrics, callbacks that are none, unknown addresses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml
from dashboard_lab import QUEUE, Lab, text_of

from decortex_ops.dashboard import monitoring, router
from decortex_ops.dashboard.app import build_app
from decortex_ops.dashboard.theme import INK, figure, one_thing
from decortex_schemas import queries

DOCS = Path(__file__).resolve().parents[3] / "docs" / "operations" / "monitoring"
WATCHED = {
    "tables": [
        {
            "table": 'Clus"tering',
            "done": 5,
            "waiting": 3,
            "running": 1,
            "failed": 2,
            "rows_last_hour": 4,
            "oldest_waiting_seconds": 7,
        }
    ],
    "processes": 2,
    "heartbeat_age_seconds": 3.5,
    "database_bytes": 10**12,
    "data_folder": "/no/such/folder",
}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(queries, "ping", lambda: None)
    monkeypatch.setattr(queries, "watched", lambda: WATCHED)
    monkeypatch.setattr(queries, "store_path", lambda: str(tmp_path))
    made = build_app(lambda question, *words, **options: question(*words, **options)).server.test_client()
    made.get("/_dash-dependencies")  # dash sets its callbacks up at the first request
    return made


def away() -> None:
    raise pymysql.OperationalError(2003, "Can't connect to MySQL server on 'db.lab' (password in here?)")


def test_health_is_503_without_the_database(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (client.get("/health").status_code, client.get("/health").text) == (200, "ok\n")
    monkeypatch.setattr(queries, "ping", away)
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.text == "the database cannot be read (OperationalError 2003)\n"


def test_a_table_is_503_without_the_database_and_404_where_there_is_none(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "queue_state", lambda: QUEUE)
    for name, answer in (("workers", []), ("throughput", []), ("failures", [])):
        monkeypatch.setattr(queries, name, lambda *_, answer=answer, **__: answer)
    found = client.get("/csv/queue/progress?study=my%20sweep%2F1")
    assert found.status_code == 200
    named = r'attachment; filename="decortex-my-sweep-1-queue-progress-\d{4}-\d\d-\d\d\.csv"'
    assert re.fullmatch(named, found.headers["Content-Disposition"])
    every = client.get("/csv/queue/progress").headers["Content-Disposition"]
    assert 'filename="decortex-queue-progress-' in every
    assert client.get("/csv/queue/nothing").status_code == 404
    monkeypatch.setattr(queries, "queue_state", away)
    answer = client.get("/csv/queue/progress")
    assert answer.status_code == 503
    assert "the database did not answer" in answer.text
    assert "password" not in answer.text


def test_one_of_something_is_not_several() -> None:
    assert one_thing("n = 1 epochs; 1 networks, 21 networks, 0.1 rows, 1 criteria") == (
        "n = 1 epoch; 1 network, 21 networks, 0.1 rows, 1 criterion"
    )


def test_hover_text_is_dark_on_white() -> None:
    label = figure().layout.hoverlabel
    assert (label.bgcolor, label.font.color) == ("#ffffff", INK)


def samples(text: str) -> dict[str, float]:
    """Every sample of Prometheus' text, each line of which must be one or a comment."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP decortex_\w+ .+|TYPE decortex_\w+ gauge)", line), line
            continue
        name, value = re.fullmatch(
            r'(decortex_\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)', line
        ).groups()  # type: ignore[union-attr]
        found[name] = float(value)
    return found


def test_metrics_are_prometheus_text(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(answer.text)
    assert found["decortex_database_up"] == 1
    assert found[r'decortex_keys{table="Clus\"tering",state="failed"}'] == 2
    assert found[r'decortex_rows_last_hour{table="Clus\"tering"}'] == 4
    assert found["decortex_heartbeat_age_seconds"] == 3.5
    assert found["decortex_database_bytes"] == 10**12
    assert 0 < found['decortex_disk_free_bytes{of="store"}'] <= found['decortex_disk_bytes{of="store"}']
    assert 'decortex_disk_free_bytes{of="database"}' not in found  # another machine's folder
    monkeypatch.setattr(queries, "watched", away)
    without = samples(client.get("/metrics").text)
    assert without["decortex_database_up"] == 0
    assert not [name for name in without if name.startswith("decortex_keys")]


def test_rules_and_panels_ask_for_metrics_that_there_are(client: Any) -> None:
    rules = yaml.safe_load((DOCS / "decortex-alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((DOCS / "grafana.json").read_text())
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = set(re.findall(r"decortex_\w+", " ".join(asked)))
    given = {re.split(r"[{ ]", name)[0] for name in samples(client.get("/metrics").text)}
    assert used <= given
    assert given == set(monitoring.METRICS)
    documented = (DOCS.parent / "lab-server.md").read_text()
    assert [name for name in monitoring.METRICS if f"`{name}`" not in documented] == []


@pytest.mark.parametrize("path", ["/nothing", "/map/more", "/.env", "/wp-login.php"])
def test_unknown_addresses_are_404(client: Any, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/map", "/map/", "/runs", "/_dash-layout"])
def test_known_ones_are_not(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200


SHOW = {
    "output": "detail.children",
    "outputs": {"id": "detail", "property": "children"},
    "inputs": [
        {"id": "url", "property": "pathname", "value": "/nothing"},
        {"id": "url", "property": "search", "value": ""},
    ],
    "changedPropIds": ["url.pathname"],
}
BROKEN = [
    b"{",
    b"",
    b"[]",
    b"3",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b"{}",
    {**SHOW, "output": "nope"},
    {**SHOW, "output": ["a"]},
    {**SHOW, "inputs": {}},
    {**SHOW, "inputs": []},
    {**SHOW, "inputs": [1, 2]},
    {**SHOW, "inputs": [{**SHOW["inputs"][0], "value": 5}, SHOW["inputs"][1]]},  # type: ignore[dict-item]
    {**SHOW, "inputs": [{**SHOW["inputs"][0], "id": "page"}, SHOW["inputs"][1]]},  # type: ignore[dict-item]
    {**SHOW, "state": [{"id": "canonical", "property": "data"}]},
    {**SHOW, "changedPropIds": 7},
    {**SHOW, "outputs": 7},
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_wrong_callbacks_are_400(client: Any, body: Any) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/_dash-update-component", data=data, content_type="application/json")
    assert answer.status_code == 400, answer.text
    assert answer.text.strip()


def test_a_right_one_is_answered(client: Any) -> None:
    answer = client.post("/_dash-update-component", json=SHOW)
    assert answer.status_code == 200
    assert answer.json["response"]["detail"]["children"] == []


@pytest.mark.parametrize(
    ("code", "words"), [(1862, "has expired"), (3118, "account is locked"), (1045, "password is wrong")]
)
def test_a_refused_account_is_told_as_what_it_is(
    client: Any, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise pymysql.OperationalError(code, "what the server says")

    monkeypatch.setattr(queries, "ping", refused)
    answer = client.get("/health")
    assert answer.status_code == 503
    assert words in answer.text
    monkeypatch.setattr(queries, "queue_state", refused)
    body = {
        **SHOW,
        "output": next(
            name for name in client.get("/_dash-dependencies").text.split('"') if "page.children" in name
        ),
    }
    body["outputs"] = [
        dict(zip(("id", "property"), one.split("."), strict=True))
        for one in body["output"].strip(".").split("...")
    ]
    body["inputs"] = [
        {"id": "url", "property": "pathname", "value": "/queue"},
        {"id": "url", "property": "search", "value": ""},
        {"id": "clock", "property": "n_intervals", "value": None},
    ]
    body["state"] = [{"id": "canonical", "property": "data", "value": None}]
    shown = client.post("/_dash-update-component", json=body)
    assert shown.status_code == 200, shown.text
    assert words in shown.text


@pytest.mark.parametrize("path", ["/", "/types", "/map", "/performance", "/queue"])
def test_every_page_asks_again_until_the_database_is_back(path: str) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OSError("gone")

    gone = router.show(path, "", Lab(study_counts=away, queue_state=away))
    assert gone.refresh_seconds == router.LOST_SECONDS
    assert "tries again by itself" in text_of(gone.main)


def test_a_page_that_got_its_answer_asks_no_more() -> None:
    assert router.show("/map", "", Lab()).refresh_seconds == 0
