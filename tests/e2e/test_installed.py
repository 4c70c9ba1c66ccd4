"""The wheel, installed where nothing of the checkout is: commands, provenance, example plans, the dashboard's page."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from other_processes import CONNECT, Lab
from tiny_chain import DECLARE, ROWS
from wheel_building import build_wheel, install_wheel

from decortex_schemas.database import build_facts

ROOT = Path(__file__).resolve().parents[2]
FILL = """
from decortex_ops.workers import queues_empty, sweep, work
from decortex_schemas.database import computed_tables, queue_missing
for table in computed_tables():
    if queue_missing(table, priority=5):
        assert not work([table], stop_when_idle=0.0).failed
assert sweep().added == 0
assert queues_empty()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    return install_wheel(build_wheel(folder), folder / "venv")


def ask(python: Path, code: str, lab: Lab | None = None) -> str:
    """What a line of Python prints there."""
    environment = {} if lab is None else lab.environment
    own = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code], cwd="/", env=own or None, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_that_differs_is_another_environment(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    look = (
        "import json, decortex.clustering.kmeans as module;"
        "from decortex_schemas.database import describe_environment;"
        "print(json.dumps([module.__file__, describe_environment()]))"
    )
    file, before = json.loads(ask(python, look))
    assert str(python.parent.parent) in file
    built = build_facts(ROOT)
    assert before["git_commit"] == built["git_commit"]
    assert before["source_sha256"] == built["source_sha256"]
    assert before["diff_sha256"] == built["diff_sha256"]
    content = Path(file).read_text()
    Path(file).write_text(content + "# other code\n")
    try:
        after = json.loads(ask(python, look))[1]
    finally:
        Path(file).write_text(content)
    assert after["source_sha256"] != before["source_sha256"]
    assert (after["dirty"], after["diff_sha256"]) == (True, after["source_sha256"])


def test_a_study_is_computed_and_shown(
    python: Path, make_lab: Callable[[str], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab("installed")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    environment = {name: value for name, value in lab.environment.items() if name != "PYTHONPATH"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [python.parent / "decortex", *words]
        return subprocess.run(
            command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    initialised = run("init")
    assert initialised.returncode == 0, initialised.stderr
    ask(python, CONNECT + DECLARE.format(folder=str(lab.folder)) + FILL, lab)
    done = {row["table"]: row["done"] for row in json.loads(run("status", "--json").stdout)}
    assert {name: done[name] for name in ROWS} == ROWS
    unknown = run("study", "create", "mine", "example:nothing")
    assert unknown.returncode == 1
    assert "there are dec-joint, dec-study-" in unknown.stderr
    known = run("study", "create", "mine", "example:v4-k")
    assert "there is no example" not in known.stderr
    assert "v4" in known.stderr  # its recordings are not registered here
    show = subprocess.Popen(
        [python.parent / "decortex", "dashboard", "--port", "0"],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert show.stdout is not None
        url = show.stdout.readline().split()[-1]
        assert urllib.request.urlopen(f"{url}health", timeout=120).status == 200
        page = urllib.request.urlopen(url, timeout=120).read().decode()
        assert "decortex" in page
        script = page.split('src="')[1].split('"')[0]
        assert urllib.request.urlopen(url.rstrip("/") + script, timeout=120).status == 200
    finally:
        show.terminate()
        show.wait(120)
