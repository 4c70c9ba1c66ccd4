"""No file and no folder is too large to be read at once; benchmarks are where the documentation says."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for root in (
        "pipeline/decortex",
        "schemas/decortex_schemas",
        "populate_scripts/decortex_ops",
        "benchmarks",
    )
    for path in (REPOSITORY / root).rglob("*.py")
]
BENCHMARKS = sorted((REPOSITORY / "benchmarks").rglob("*.py"))
MOST_LINES, MOST_MODULES = 400, 12


def test_no_file_is_longer_than_400_lines() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert len(lines) > 300
    assert {str(path): number for path, number in lines.items() if number > MOST_LINES} == {}


def test_no_folder_holds_more_than_a_dozen_modules() -> None:
    modules = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert {str(folder): number for folder, number in modules.items() if number > MOST_MODULES} == {}


def test_every_benchmark_that_is_named_anywhere_exists() -> None:
    texts = [
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")),
        *(REPOSITORY / "docs").rglob("*.md"),
        *SOURCES,
        *(REPOSITORY / "tests").rglob("*.py"),
    ]
    named = {
        (found, path.name)
        for path in texts
        for found in re.findall(r"\bbenchmarks/[\w/]+\.py", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 50
    assert sorted(pair for pair in named if not (REPOSITORY / pair[0]).is_file()) == []


def test_a_benchmark_imports_only_what_lies_in_its_own_folder() -> None:
    folders = {path.stem: path.parent for path in BENCHMARKS}
    assert len(folders) == len(BENCHMARKS) > 40
    strange = [
        (path.name, name)
        for path in BENCHMARKS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name in folders and folders[name] != path.parent
    ]
    assert strange == []
