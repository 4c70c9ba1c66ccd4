"""The wheel, installed where nothing of the checkout is: commands, provenance, example plans, the dashboard's page."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from other_processes import Lab
from tiny_chain import DECLARE, ROWS
from wheel_building import build_wheel, install_wheel, without_checkout

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


@pytest.fixture(scope="module")
def installed(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The process that forks commands of the installed decortex."""
    made = Yard(tmp_path_factory.mktemp("installed_yard"), python)
    yield made
    made.close()


LOOK = """
import json, decortex.clustering.kmeans as module
from decortex_schemas.database import describe_environment
print(json.dumps([module.__file__, describe_environment()]))
"""


def test_code_that_differs_is_another_environment(python: Path, installed: Yard) -> None:
    looking = installed.start((), dict(os.environ), code=LOOK)
    assert looking.wait() == 0, looking.stderr
    file, before = json.loads(looking.stdout)
    assert str(python.parent.parent) in file
    built = build_facts(ROOT)
    assert before["git_commit"] == built["git_commit"]
    assert before["source_sha256"] == built["source_sha256"]
    assert before["diff_sha256"] == built["diff_sha256"]
    content = Path(file).read_text()
    Path(file).write_text(content + "# other code\n")
    try:
        done = subprocess.run(
            [python, "-c", LOOK], cwd="/", env=without_checkout(), stdout=subprocess.PIPE, check=True
        )
    finally:
        Path(file).write_text(content)
    after = json.loads(done.stdout)[1]
    assert after["source_sha256"] != before["source_sha256"]
    assert (after["dirty"], after["diff_sha256"]) == (True, after["source_sha256"])


def test_a_study_is_computed_and_shown(python: Path, installed: Yard, make_lab: Callable[[str], Lab]) -> None:
    """The first command and the dashboard start as installed programs; the other commands are forked."""
    made = make_lab("installed")
    environment = {name: value for name, value in made.environment.items() if name != "PYTHONPATH"}
    lab = ForkedLab(environment, made.folder, installed)
    initialised = subprocess.run(
        [python.parent / "decortex", "init"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert initialised.returncode == 0, initialised.stderr
    lab.python(DECLARE.format(folder=str(lab.folder)) + FILL)
    done = {row["table"]: row["done"] for row in json.loads(lab.run("status", "--json").stdout)}
    assert {name: done[name] for name in ROWS} == ROWS
    unknown = lab.run("study", "create", "mine", "example:nothing", check=False)
    assert unknown.returncode == 1
    assert "there are dec-joint, dec-study-" in unknown.stderr
    known = lab.run("study", "create", "mine", "example:v4-k", check=False)
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
