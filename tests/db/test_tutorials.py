"""The tutorials run from the first cell to the last, in order, on one database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def test_there_are_four() -> None:
    assert [path.stem[:2] for path in SCRIPTS] == ["01", "02", "03", "04"]


@pytest.fixture(scope="module")
def first(database: dict[str, str]) -> dict[str, object]:
    """The names that the first tutorial leaves; the others read its study."""
    return run(SCRIPTS[0])


def run(path: Path) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "tutorial"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names


def test_first_results(first: dict[str, object]) -> None:
    table = first["table"]
    assert sorted(table["finetune"]) == ["dec_joint", "none", "none"]
    assert table["ari_seeds"].notna().all()


@pytest.mark.parametrize("path", SCRIPTS[1:], ids=lambda path: path.stem)
def test_the_others(first: dict[str, object], path: Path) -> None:
    run(path)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_cells_are_percent_cells(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# %% [markdown]"
    assert lines[1].startswith("# # ")
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        page = path.parent / target
        assert page.exists() or page.with_suffix(".py").exists(), target
