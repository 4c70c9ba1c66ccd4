"""Databases for commands that run in other processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from other_processes import Lab
from support.copies import Copies
from support.people import people_of
from support.servers import drop_database
from tiny_chain import declare_tiny, fill_tiny

pytest.register_assert_rewrite("support.faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End a run of the faults with a line per fault: name, runs, failures."""
    counts: dict[str, list[int]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            fault = dict(getattr(report, "user_properties", ())).get("fault")
            if fault is not None and (outcome != "passed" or report.when == "call"):
                count = counts.setdefault(str(fault), [0, 0])
                count[0] += 1
                count[1] += outcome != "passed"
    if counts:
        terminalreporter.section("faults")
        for name, (runs, failures) in counts.items():
            terminalreporter.write_line(f"{name}: {runs} runs, {failures} failures")


def _make(server: dict[str, str], folder: Path) -> Lab:
    environment = {
        **os.environ,
        **server,
        "DECORTEX_DATABASE": f"e2e_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).resolve().parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    folder.mkdir(exist_ok=True)
    return Lab(environment, folder)


def _drop(lab: Lab) -> None:
    with lab.link_without_database() as link:
        drop_database(link, lab.environment["DECORTEX_DATABASE"])


@pytest.fixture
def make_lab(server: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Make a lab on an empty database of its own, declared by the first command."""
    made: list[Lab] = []

    def make(name: str) -> Lab:
        made.append(_make(server, tmp_path / name))
        return made[-1]

    yield make
    for lab in made:
        _drop(lab)


def forked(lab: Lab, yard: Yard) -> ForkedLab:
    """The same lab, its commands forked."""
    return ForkedLab(lab.environment, lab.folder, yard)


@pytest.fixture
def make_forked_lab(make_lab: Callable[[str], Lab], yard: Yard) -> Callable[[str], ForkedLab]:
    """Make a lab whose commands are forked, on an empty database of its own."""
    return lambda name: forked(make_lab(name), yard)


def _init(lab: ForkedLab) -> None:
    lab.run("init")


def _compute_tiny(lab: ForkedLab) -> None:
    declare_tiny(lab)
    fill_tiny(lab)


@pytest.fixture
def make_declared_lab(
    make_forked_lab: Callable[[str], ForkedLab], copies: Copies
) -> Callable[[str], ForkedLab]:
    """Make a lab whose commands are forked, on a database of its own whose tables are declared, and empty."""

    def make(name: str) -> ForkedLab:
        lab = make_forked_lab(name)
        copies.load("declared", lab, _init)
        return lab

    return make


@pytest.fixture
def make_tiny_lab(make_forked_lab: Callable[[str], ForkedLab], copies: Copies) -> Callable[[str], ForkedLab]:
    """Make a lab whose commands are forked, on a database of its own that holds the tiny chain, computed."""

    def make(name: str) -> ForkedLab:
        lab = make_forked_lab(name)
        copies.load("tiny", lab, _compute_tiny)
        return lab

    return make


@pytest.fixture(scope="module")
def tiny(
    server: dict[str, str], yard: Yard, copies: Copies, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForkedLab]:
    """A lab whose tiny chain is computed, for all tests of a module; they leave it as they find it."""
    lab = forked(_make(server, tmp_path_factory.mktemp("tiny")), yard)
    copies.load("tiny", lab, _compute_tiny)
    yield lab
    _drop(lab)


@pytest.fixture(scope="module")
def declared(
    server: dict[str, str], yard: Yard, copies: Copies, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForkedLab]:
    """One declared, empty database for all tests of a module that only read or are refused."""
    lab = forked(_make(server, tmp_path_factory.mktemp("declared")), yard)
    copies.load("declared", lab, _init)
    yield lab
    _drop(lab)


@pytest.fixture(scope="module")
def backups(tiny: ForkedLab) -> Path:
    """A folder with one backup of the tiny lab."""
    folder = tiny.folder / "backups"
    folder.mkdir()
    tiny.run("db", "backup", str(folder / "first"))
    return folder


@pytest.fixture
def administrator(tiny: ForkedLab) -> Iterator[ForkedLab]:
    """The lab as the role admin sees it, which has no right on the server itself."""
    name = f"admin_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "admin", DECORTEX_NEW_PASSWORD="keep")
    yield replace(tiny, environment={**tiny.environment, "DJ_USER": name, "DJ_PASS": "keep"})
    tiny.query("DROP USER %s@%s", name, "%")


@pytest.fixture(scope="module")
def people(tiny: ForkedLab) -> Iterator[dict[str, ForkedLab]]:
    """The lab as a user of each role sees it."""
    with people_of(tiny) as accounts:
        yield accounts
