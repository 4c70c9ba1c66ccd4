"""A demo's database, a dashboard that reads it as a viewer, and a browser that may reach nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from browser_visit import Visit, watch
from other_processes import Lab

HERE = Path(__file__).parent
HOW = "`make e2e` fills a database, fetches what is needed and runs these (Chromium: apt install chromium)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where `make e2e` has not prepared the ground."""
    if not os.environ.get("DECORTEX_E2E"):
        for item in items:
            if item.path.parent == HERE:
                item.add_marker(pytest.mark.skip(reason=HOW))
        return
    for item in items:
        # The first of them fills the database: minutes where nothing else runs, an hour on a busy machine.
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(7200))


@pytest.fixture(scope="session")
def demo() -> Lab:
    """The lab of a demo that has run in the home of these tests, with a second, hostile study."""
    from decortex_ops.server import EmbeddedServer

    home = Path(os.environ["DECORTEX_E2E"]).resolve()
    home.mkdir(parents=True, exist_ok=True)
    server = EmbeddedServer(home=home).start()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DJ_")},
        "DJ_HOST": server.host,
        "DJ_PORT": str(server.port),
        "DJ_USER": server.user,
        "DJ_PASS": server.password,
        "DECORTEX_DATABASE": "decortex",
        "DECORTEX_STORE": os.environ.get("DECORTEX_STORE") or str(home / "store"),
        "OMP_NUM_THREADS": "1",
        "DECORTEX_ALLOW_DIRTY": "1",  # rows of a test are nobody's results
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    lab = Lab(environment, home)
    done = subprocess.run(
        [sys.executable, str(HERE / "fill.py")], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lab


@pytest.fixture(scope="session")
def sql(demo: Lab) -> Callable[..., list[dict[str, Any]]]:
    """Ask the database itself, not through decortex."""

    def ask(statement: str, *values: Any) -> list[dict[str, Any]]:
        env = demo.environment
        with (
            pymysql.connect(
                host=env["DJ_HOST"],
                port=int(env["DJ_PORT"]),
                user=env["DJ_USER"],
                password=env["DJ_PASS"],
                database=env["DECORTEX_DATABASE"],
                cursorclass=pymysql.cursors.DictCursor,
            ) as link,
            link.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    return ask


@pytest.fixture(scope="session")
def study(sql: Callable[..., list[dict[str, Any]]]) -> str:
    """Name of the demo's study."""
    return str(sql("SELECT study FROM study WHERE study LIKE 'demo-%'")[0]["study"])


@pytest.fixture(scope="session")
def url(demo: Lab) -> Iterator[str]:
    """Address of a dashboard that runs as a user who may only read."""
    password = demo.folder / "viewer.txt"
    demo.run("db", "grant", "e2e_viewer", "--role", "viewer", "--password-file", str(password))
    viewer = {"DJ_USER": "e2e_viewer", "DJ_PASS": password.read_text().strip()}
    process = subprocess.Popen(
        [sys.executable, "-m", "decortex_ops", "dashboard", "--port", "0"],
        env={**demo.environment, **viewer},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert "http://" in line, line + process.stdout.read()
        yield line.split()[-1].rstrip("/")
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason=HOW)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium; apt install chromium, or set CHROMIUM to its path")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(browser: Any, url: str) -> Iterator[Callable[[], Visit]]:
    """Make viewers, each with a profile of their own; nothing may go wrong in any window."""
    visits: list[Visit] = []
    contexts = []

    def make() -> Visit:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        contexts.append(context)
        visit = Visit(context.new_page(), url)
        visits.append(visit)
        watch(visit)
        return visit

    yield make
    for context in contexts:
        context.close()
    assert [text for visit in visits for text in visit.wrong] == []


@pytest.fixture
def visit(visitor: Callable[[], Visit]) -> Visit:
    """One viewer."""
    return visitor()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which `make e2e` fetches from npm."""
    path = Path(os.environ.get("AXE", ""))
    if not path.is_file():
        pytest.skip("axe-core is not there; `make e2e` fetches it from npm")
    return path.read_text()
