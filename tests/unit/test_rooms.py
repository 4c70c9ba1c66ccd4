"""No file and no folder of the package is too large to be read at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for root in ("pipeline/decortex", "schemas/decortex_schemas", "populate_scripts/decortex_ops")
    for path in (REPOSITORY / root).rglob("*.py")
]
MOST_LINES, MOST_MODULES = 400, 12


def test_no_file_is_longer_than_400_lines() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert len(lines) > 300
    assert {str(path): number for path, number in lines.items() if number > MOST_LINES} == {}


def test_no_folder_holds_more_than_a_dozen_modules() -> None:
    modules = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert {str(folder): number for folder, number in modules.items() if number > MOST_MODULES} == {}
