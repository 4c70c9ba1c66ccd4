"""Rows of the study of joint training that are kept beside the pages: they print what the pages say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "docs" / "results"
KEPT = sorted((RESULTS / "rows").glob("*.jsonl.gz"))
# Differences that the section of each file shows.
DIFFERENCES = {
    "joint-equivariant.jsonl.gz": 12,
    "joint-equivariant-null.jsonl.gz": 6,
    "joint-v4-null.jsonl.gz": 15,
}
NUMBER = re.compile(r"(?<![\d.])[01]?\.\d{3}(?!\d)")
INTERVAL = re.compile(r"[+−]?\.\d{3} \(−?\.\d{3} to −?\.\d{3}\) \[\.\d{3}\]")
PRINTED = re.compile(r"([+-]0\.\d{3}) \(([+-]0\.\d{3}) to ([+-]0\.\d{3}); 0(\.\d{3})\)")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "finetune"))
    return importlib.import_module("dec_joint")


def section_of(path: Path) -> str:
    """The section of a page that names a file of rows."""
    pages = [page.read_text(encoding="utf-8") for page in RESULTS.glob("*.md")]
    sections = [section for page in pages for section in re.split(r"^## ", page, flags=re.M)[1:]]
    (found,) = [section for section in sections if path.name in section]
    return found


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_every_number_of_the_section_is_printed_from_the_rows(study: ModuleType, path: Path) -> None:
    rows = study.read(path)
    printed = {float(number) for number in NUMBER.findall(study.brief(rows))}
    said = NUMBER.findall(section_of(path))
    assert len(said) > 20
    assert [number for number in said if float(number) not in printed] == []


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_differences_stand_with_their_signs_and_intervals(study: ModuleType, path: Path) -> None:
    printed = {as_in_pages(*found) for found in PRINTED.findall(study.brief(study.read(path)))}
    said = INTERVAL.findall(section_of(path))
    assert len(said) >= DIFFERENCES[path.name]
    assert [interval for interval in said if interval not in printed] == []


def as_in_pages(value: str, low: str, high: str, seen: str) -> str:
    """A difference, its interval and what would have been seen, as pages write them."""
    value, low, high = (text.replace("-0.", "−.").replace("+0.", "+.") for text in (value, low, high))
    ends = [end.lstrip("+") for end in (low, high)]
    return f"{'.000' if value[1:] == '.000' else value} ({ends[0]} to {ends[1]}) [{seen}]"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_rows_are_whole_populations_and_no_work_is_in_twice(study: ModuleType, path: Path) -> None:
    rows = study.read(path)
    names = [(study.name_of(row), row["state"], row["method"]) for row in rows]
    assert len(set(names)) == len(names)
    networks: dict[str, set[int]] = {}
    for row in rows:
        networks.setdefault(study.name_of({**row, "network": None}), set()).add(row["network"])
    assert all(found == {0, 1, 2} for found in networks.values())


def test_packed_rows_are_read_and_not_added_to(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert KEPT
    monkeypatch.setattr("sys.argv", ["dec_joint.py", "--out", str(KEPT[0])])
    with pytest.raises(SystemExit):
        study.main()
    assert "unpack it to add rows to it" in capsys.readouterr().err
