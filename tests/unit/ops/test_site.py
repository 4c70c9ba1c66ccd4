"""The documentation site: what is made from the code is complete, and mkdocs builds it strictly."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

import decortex_schemas as schemas
from decortex.figures import performance_by_cluster
from decortex_ops.cli import app

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site: ModuleType) -> dict[str, str]:
    return site.generated_pages()


def test_the_reference_holds_every_command_table_and_parameter(pages: dict[str, str]) -> None:
    for name in typer.main.get_command(app).commands:
        assert f"## decortex {name}" in pages["reference/commands.md"]
    assert "decortex figure performance demo --where" in pages["reference/commands.md"]
    for name in schemas.__all__:
        if inspect.isclass(getattr(schemas, name)) and hasattr(getattr(schemas, name), "definition"):
            assert f"## {name}\n" in pages["reference/tables.md"]
    assert "### Clustering.Cluster\n" in pages["reference/tables.md"]
    assert "labels : <blob>" in pages["reference/tables.md"]
    assert (
        "| `perplexity` | `30.0` | tsne: effective number of neighbours" in pages["reference/parameters.md"]
    )
    assert "## Clustering: sec" in pages["reference/parameters.md"]
    assert (inspect.getdoc(performance_by_cluster) or "") in pages["reference/python.md"]


def test_the_first_page_is_the_readme(pages: dict[str, str]) -> None:
    assert "What types of neurons does visual cortex have?" in pages["index.md"]
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", pages["index.md"]):
        if not target.startswith("http"):
            assert (ROOT / "docs" / target).exists() or target in pages, target


def test_a_percent_script_becomes_a_page(site: ModuleType) -> None:
    script = "# %% [markdown]\n# # Title\n#\n# Text with `code`.\n\n# %%\nx = 1\n# a comment\n\n# %%\ny = 2\n"
    expected = "# Title\n\nText with `code`.\n\n```python\nx = 1\n# a comment\n```\n\n```python\ny = 2\n```\n"
    assert site.tutorial_page(script) == expected


def test_links_out_of_the_docs_become_text(site: ModuleType) -> None:
    text = (
        "[code](../../pipeline/x.py), [plan](../plans/v4.json), [folder](operations/monitoring), "
        "[page](../science/views.md), "
        "[data](data.md#a), ![picture](../images/map.png), [web](https://example.org/x.py), [first](../../README.md)"
    )
    assert site.on_page_markdown(text) == (
        "code, plan, folder, [page](../science/views.md), [data](data.md#a), ![picture](../images/map.png), "
        "[web](https://example.org/x.py), first"
    )


def test_the_navigation_names_pages_that_exist(site: ModuleType, pages: dict[str, str]) -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = set(re.findall(r": ([a-z0-9_/-]+\.md)$", text, flags=re.M))
    written = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert nav <= written | set(pages)
    assert set(pages) <= nav
    assert nav | set(site.pages_left_out(text)) == written | set(pages)


def test_the_glossary_names_tables_and_columns_that_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    named = re.findall(r"`([A-Z]\w+(?:\.\w+)*)`", text)
    assert len(named) > 40
    for name in named:
        *path, last = name.split(".")
        table = schemas
        for part in [*path, last] if last[0].isupper() else path:
            table = getattr(table, part)
        if last[0].islower():
            assert re.search(rf"^\s*{last}\b[^\n]*:", table.definition, flags=re.M), name


def test_mkdocs_builds_it_strictly(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install -c constraints.txt -e '.[docs]', or `make docs`")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "What types of neurons" in first
    hosts = set(re.findall(r'(?:src|href)="(https?://[^/"]+)', first))
    assert hosts <= {"https://docs.datajoint.com", "https://squidfunk.github.io"}, hosts
