"""No file and no folder is too large to be read at once; benchmarks are where the documentation says."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def structure() -> Any:
    """`benchmarks/operations/structure.py`, which prints the table of docs/architecture.md."""
    spec = importlib.util.spec_from_file_location(
        "structure", REPOSITORY / "benchmarks" / "operations" / "structure.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_modules_import_each_other(structure: Any) -> None:
    assert structure.Tree(REPOSITORY).circles() == []


def test_a_circle_is_seen_through_a_face_and_in_a_function_but_not_where_only_types_are_checked(
    structure: Any, tmp_path: Path
) -> None:
    package = tmp_path / "pipeline" / "decortex"
    package.mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "__init__.pyi": "from .first import one\n",
        "first.py": "def one():\n    from decortex.second import two\n    return two\n",
        "second.py": "from decortex import one\n",
        "third.py": "from decortex.fourth import four\n",
        "fourth.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decortex.third import four\n",
    }.items():
        (package / name).write_text(text)
    assert structure.Tree(tmp_path).circles() == [["decortex.first", "decortex.second"]]


def test_a_list_of_tables_is_hand_kept_where_no_table_is_defined(structure: Any, tmp_path: Path) -> None:
    package = tmp_path / "schemas" / "decortex_schemas"
    package.mkdir(parents=True)
    tables = "\n".join(f"@schema\nclass {name}(dj.Manual):\n    pass\n" for name in ("Red", "Green", "Blue"))
    (package / "tables.py").write_text(tables + "COLOURS = (Red, Green, Blue)\n")
    (package / "others.py").write_text(
        "__all__ = ['Red', 'Green', 'Blue']\nRIGHTS = {'red': 1, 'green': 2, 'blue': 3}\nTWO = (Red, Green)\n"
    )
    assert structure.Tree(tmp_path).hand_kept_lists() == ["decortex_schemas.others:2 (Blue, Green, Red)"]


def test_the_minutes_are_those_of_the_record_that_make_test_leaves(structure: Any, tmp_path: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert f"--junitxml={structure.TEST_RECORD}" in makefile
    assert structure.minutes_of_tests(tmp_path) is None
    suite = '<testsuites><testsuite name="pytest" time="90.0" tests="2" /></testsuites>'
    (tmp_path / structure.TEST_RECORD).write_text(suite)
    assert structure.minutes_of_tests(tmp_path) == 1.5
