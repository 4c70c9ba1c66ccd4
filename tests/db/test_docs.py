"""What README and docs promise: Python that runs, a plan that is one, the tables' diagram, links that lead."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import typer
from forked_commands import Yard

from decortex_ops.cli import app, main
from decortex_schemas.register import MethodPlan, PlanFile

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def test_the_python_of_the_readme_runs(lab: str) -> None:
    found = blocks(ROOT / "README.md", "python")
    assert len(found) == 2
    rng = np.random.default_rng(0)
    names = {
        "features": rng.normal(size=(40, 4)),
        "scores": rng.uniform(size=40),
        "sessions": np.repeat(["a", "b"], 20),
    }
    for block in found:
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["results"]) == 29 * 3


def test_the_python_of_the_figures_page_runs() -> None:
    names: dict[str, object] = {}
    for block in blocks(ROOT / "docs" / "how-to" / "figures.md", "python"):
        exec(compile(block, "figures.md", "exec"), names)
    assert bytes(names["content"])[:4] == b"%PDF"


def test_the_plan_of_the_docs_is_a_plan() -> None:
    text, method = blocks(ROOT / "docs" / "how-to" / "studies.md", "json")
    plan = PlanFile.from_params(json.loads(text))
    assert [one.name for one in plan.finetunings] == ["dec_joint"]
    assert len(MethodPlan.from_params(json.loads(method)).variants()) == 6


@functools.cache
def commands() -> Any:
    """All commands, which typer builds anew, and slowly, at every call."""
    return typer.main.get_command(app)


def test_every_command_in_the_docs_exists() -> None:
    group = commands()
    found = 0
    for page in PAGES:
        for words in re.findall(
            r"(?:^    |`)decortex ((?:[a-z0-9-]+ ?)+)", page.read_text(encoding="utf-8"), flags=re.M
        ):
            command = group
            for word in words.split():
                below = getattr(command, "commands", None)
                if below is None or word.startswith("-"):
                    break
                assert word in below, f"{page.name}: decortex {words}"
                command = below[word]
                found += 1
    assert found > 20


def documented() -> list[list[str]]:
    """Words of every command line of README and docs, shell around them left out."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
        shell = [line for block in blocks(page, "bash") for line in block.splitlines()]
        indented = re.findall(r"^    (.*)$", text, flags=re.M)
        for line in shell + indented:
            if not re.match(r"(?:[A-Z_]+=\S+ )*decortex ", line):
                continue
            for part in re.split(r";|&&|\s&|\s>|\s2>|\|", re.sub(r"\s(#\s|\s\s).*", "", line)):
                words = shlex.split(part.strip())
                while words and "=" in words[0]:
                    words = words[1:]
                if words[:1] == ["decortex"]:
                    found.append(words[1:])
    return found


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and its own words."""
    command = commands()
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_every_command_line_of_the_docs_parses() -> None:
    lines = documented()
    assert len(lines) > 60
    for words in lines:
        command, own = leaf(words)
        try:
            command.make_context("decortex", list(own))
        except click.ClickException as error:
            pytest.fail(f"decortex {shlex.join(words)}: {error.format_message()}")


READING = (
    "status",
    "results",
    "agreement",
    "stats",
    "price",
    "best-k",
    "errors",
    "verify",
    "gc",
    "report",
    "figure",
)


def test_what_the_docs_read_with_is_read_here(
    lab: str, selection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reading command of the docs, on the small lab's studies in place of theirs; each once."""
    monkeypatch.chdir(tmp_path)
    run: set[tuple[str, ...]] = set()
    for words in documented():
        if words[0] not in READING or "--delete" in words or words[:2] == ["figure", "map"]:
            continue
        study = selection if words[0] == "best-k" else lab
        own = list(words)
        if words[0] in ("results", "agreement", "stats", "price", "best-k", "report"):
            own[1] = study
        elif words[0] == "figure" and "--list" not in words:
            of_partition = ["method=kmeans", "k=3", "model_seed=0", "seed=0", "finetune=none"]
            chosen = ["model_seed=0"] if words[1] == "tree" else of_partition
            where = [word for one in chosen for word in ("--where", one)]
            own = ["figure", words[1], study, *where, "-o", "drawn.pdf"]
        if tuple(own) in run:
            continue
        run.add(tuple(own))
        monkeypatch.setattr("sys.argv", ["decortex", *own])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None), own
    assert len(run) > 15


@functools.cache
def anchors(page: Path) -> set[str]:
    """What a link to a page may name behind '#': its headings, as GitHub and mkdocs write them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    words = (
        re.sub(r"[^\w\s-]", "", heading.lower()).strip()
        for heading in re.findall(r"^#+ (.*)$", text, flags=re.M)
    )
    return {re.sub(r"\s", "-", heading) for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        if target.startswith("http"):
            continue
        goal = page.parent / target if target else page
        assert goal.exists(), f"{page.name}: {target}"
        if anchor and goal.suffix == ".md":
            assert anchor in anchors(goal.resolve()), f"{page.name}: {target}#{anchor}"


def test_messages_and_comments_name_pages_that_exist() -> None:
    """`docs/...md` in code, commands and configuration, as a reader of a message would look for it."""
    named = {}
    for folder in ("pipeline", "schemas", "populate_scripts", "benchmarks", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"\bdocs/[a-z0-9_/-]+\.(?:md|json)", path.read_text(encoding="utf-8")):
                named[name] = path
    assert len(named) > 20
    assert {name: path for name, path in named.items() if not (ROOT / name).exists()} == {}


TOP = ("glossary.md", "architecture.md", "table-diagram.md")
LONG = {"glossary.md", "table-diagram.md"}  # a list of words, and a picture in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_lie_by_kind_and_are_short_enough_to_read(page: Path) -> None:
    if page.parent == ROOT:
        return
    folder = page.relative_to(ROOT / "docs").parts[0]
    assert folder in ("how-to", "science", "operations", "results", *TOP)
    assert page.name in LONG or len(page.read_text(encoding="utf-8").split()) <= 1600


def test_the_diagram_is_that_of_the_tables(database: dict[str, str], yard: Yard) -> None:
    script = str(ROOT / "docs" / "make_diagram.py")
    code = f"import runpy, sys; sys.argv[1:] = ['--check']; runpy.run_path({script!r}, run_name='__main__')"
    checked = yard.start((), dict(os.environ), code=code)
    assert checked.wait() == 0, f"docs/table-diagram.md is out of date: run `make diagram`\n{checked.stderr}"
    page = (ROOT / "docs" / "table-diagram.md").read_text(encoding="utf-8")
    assert "`decortex`_" not in page  # every table has its name, none that of the server
