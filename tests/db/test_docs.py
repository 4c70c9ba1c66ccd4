"""What README and docs promise: Python that runs, a plan that is one, the tables' diagram, links that lead."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from decortex_ops.cli import app
from decortex_ops.plans import MethodPlan, PlanFile

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def test_the_python_of_the_readme_runs(lab: str) -> None:
    found = blocks(ROOT / "README.md", "python")
    assert len(found) == 2
    names = {"x": np.random.default_rng(0).normal(size=(60, 4))}
    for block in found:
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["results"]) == 29 * 3


def test_the_python_of_the_figures_page_runs() -> None:
    names: dict[str, object] = {}
    for block in blocks(ROOT / "docs" / "figures.md", "python"):
        exec(compile(block, "figures.md", "exec"), names)
    assert bytes(names["content"])[:4] == b"%PDF"


def test_the_plan_of_the_docs_is_a_plan() -> None:
    text, method = blocks(ROOT / "docs" / "studies.md", "json")
    plan = PlanFile.from_params(json.loads(text))
    assert [one.name for one in plan.finetunings] == ["dec_joint"]
    assert len(MethodPlan.from_params(json.loads(method)).variants()) == 6


def test_every_command_in_the_docs_exists() -> None:
    group = typer.main.get_command(app)
    found = 0
    for page in PAGES:
        for words in re.findall(
            r"(?:^    |`)decortex ((?:[a-z0-9-]+ ?)+)", page.read_text(encoding="utf-8"), flags=re.M
        ):
            command = group
            for word in words.split():
                commands = getattr(command, "commands", None)
                if commands is None:
                    break
                assert word in commands, f"{page.name}: decortex {words}"
                command = commands[word]
                found += 1
    assert found > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_diagram_is_that_of_the_tables(database: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_diagram.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
