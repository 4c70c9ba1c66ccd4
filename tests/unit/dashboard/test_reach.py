"""No computed table is stored for nobody: each is read by a question that a page, a report or a command asks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from decortex_schemas.database import computed_tables, load_tables

ROOT = Path(__file__).resolve().parents[3]
QUERIES = ROOT / "schemas" / "decortex_schemas" / "queries"
ASKING = [
    ROOT / "populate_scripts" / "decortex_ops" / name for name in ("dashboard", "cli", "reports", "demo.py")
]


def definitions() -> dict[str, set[str]]:
    """Of every function, class and constant of the read layer, the names that it uses; of equal names together."""
    found: dict[str, set[str]] = {}
    for path in QUERIES.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [one.id for one in node.targets if isinstance(one, ast.Name)]
            else:
                continue
            for name in names:
                found.setdefault(name, set()).update(used(node))
    return found


def used(node: ast.AST) -> set[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def asked() -> Iterator[str]:
    """Questions of the read layer that somebody asks."""
    for place in ASKING:
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "queries"
                ):
                    yield node.attr


def reached() -> set[str]:
    known = definitions()
    waiting, seen = list(asked()), set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += known.get(name, ())
    return seen


def test_every_computed_table_is_read_by_a_page_or_a_command() -> None:
    load_tables()
    tables = {table.__name__ for table in computed_tables()}
    assert len(tables) > 25
    assert tables - reached() == set()


def test_a_table_that_no_question_reads_would_be_told() -> None:
    assert "KSelection" in reached()
    assert "computed_tables" in reached()  # questions about all tables name none, and do not count
    assert "Unheard" not in reached()


def test_an_empty_panel_names_no_table_to_fill() -> None:
    """What is missing may wait for tables above it; a worker that is held to one table would never fill it."""
    pages = ROOT / "populate_scripts" / "decortex_ops" / "dashboard"
    named = [path.name for path in pages.rglob("*.py") if "work --tables" in path.read_text(encoding="utf-8")]
    assert named == []
