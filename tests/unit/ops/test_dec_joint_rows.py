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
# Differences that each section shows, by page and heading.
DIFFERENCES = {
    "simulated-cortex-joint-choice: Five generators": 60,
    "simulated-cortex-joint-choice: Other variants on the equivariant core": 0,
    "simulated-cortex-joint-equivariant: Six further generators": 12,
    "simulated-cortex-joint-equivariant: Without types": 6,
    "simulated-cortex-joint-equivariant: With types less without": 5,
    "simulated-cortex-joint-equivariant-conditions: Two spreads, two epochs": 40,
    "simulated-cortex-joint-equivariant-spread-one: Types that blend wholly, and more clusters than types": 40,
    "simulated-cortex-joint-every-condition: Twenty-four conditions": 60,
    "simulated-cortex-joint-without-loss: Own labels beside what needs no loss": 24,
    "simulated-cortex-joint-without-loss: With types less without": 16,
    "simulated-cortex-joint-without-loss: On an equivariant core": 6,
    "macaque-v4-joint: Without types": 15,
    "macaque-v4-joint-equivariant: Joined at epoch 8": 18,
    "macaque-v4-joint-equivariant: Without types": 12,
}
# Commands that print from rows that are kept: the file, and those beside it.
COMMAND = re.compile(
    r"dec_joint\.py --out docs/results/rows/(\S+)(?: --beside((?: docs/results/rows/\S+)+))? --brief"
)
PRINTS: dict[str, str] = {}
NUMBER = re.compile(r"(?<![\d.])[01]?\.\d{3}(?!\d)")
INTERVAL = re.compile(r"[+−]?\.\d{3} \(−?\.\d{3} to −?\.\d{3}\)(?: \[\.\d{3}\])?")
PRINTED = re.compile(r"([+-]0\.\d{3}) \(([+-]0\.\d{3}) to ([+-]0\.\d{3})(?:; 0(\.\d{3}))?\)")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "finetune"))
    return importlib.import_module("dec_joint")


def sections() -> dict[str, str]:
    """Sections that print from rows that are kept, by page and heading."""
    found = {}
    for page in sorted(RESULTS.glob("*.md")):
        for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if COMMAND.search(section):
                found[f"{page.stem}: {section.splitlines()[0]}"] = section
    return found


def files_of(section: str) -> list[list[str]]:
    """Files of rows that each command of a section reads."""
    return [
        [first, *(Path(one).name for one in beside.split())] for first, beside in COMMAND.findall(section)
    ]


@pytest.fixture(params=sections().items(), ids=lambda item: item[0])
def told(request: pytest.FixtureRequest, study: ModuleType) -> tuple[str, str, str]:
    """Name of a section, its text, and what its commands print."""
    name, text = request.param
    if name not in PRINTS:  # some seconds each, and two tests read it
        printed = []
        for first, beside in COMMAND.findall(text):
            files = [first, *(Path(one).name for one in beside.split())]
            printed.append(
                study.brief([row for file in files for row in study.read(RESULTS / "rows" / file)])
            )
        PRINTS[name] = "\n".join(printed)
    return name, text, PRINTS[name]


def test_all_rows_that_are_kept_are_read_by_a_page() -> None:
    named = {file for text in sections().values() for files in files_of(text) for file in files}
    assert named == {path.name for path in KEPT}
    assert set(DIFFERENCES) == set(sections())


def test_every_number_of_the_section_is_printed_from_the_rows(told: tuple[str, str, str]) -> None:
    _, text, printed = told
    numbers = {float(number) for number in NUMBER.findall(printed)}
    said = NUMBER.findall(text)
    assert len(said) > 10
    assert [number for number in said if float(number) not in numbers] == []


def test_differences_stand_with_their_signs_and_intervals(told: tuple[str, str, str]) -> None:
    name, text, printed = told
    found = {as_in_pages(*one) for one in PRINTED.findall(printed)}
    found |= {one.partition(" [")[0] for one in found}  # sentences leave out what would have been seen
    said = [signed(one) for one in INTERVAL.findall(text)]
    assert len(said) >= DIFFERENCES[name]
    assert [one for one in said if one not in found] == []


def as_in_pages(value: str, low: str, high: str, seen: str) -> str:
    """A difference, its interval and what would have been seen where it is told, as pages write them."""
    value, low, high = (text.replace("-0.", "−.").replace("+0.", "+.") for text in (value, low, high))
    ends = [end.lstrip("+") if end[1:] != ".000" else ".000" for end in (low, high)]
    told = f" [{seen}]" if seen else ""
    return f"{'.000' if value[1:] == '.000' else value} ({ends[0]} to {ends[1]}){told}"


def signed(said: str) -> str:
    """A difference as tables write it, whose sign sentences leave out."""
    return said if said[0] in "+−" or said.startswith(".000") else f"+{said}"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_rows_are_whole_populations_and_no_work_is_in_twice(study: ModuleType, path: Path) -> None:
    rows = study.read(path)
    names = [(study.name_of(row), row["state"], row["method"]) for row in rows]
    assert len(set(names)) == len(names)
    networks: dict[str, set[int]] = {}
    for row in rows:
        networks.setdefault(study.name_of({**row, "network": None}), set()).add(row["network"])
    assert {tuple(sorted(found)) for found in networks.values()} in ({(0, 1, 2)}, {(4, 5, 6)})


def test_packed_rows_are_read_and_not_added_to(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert KEPT
    monkeypatch.setattr("sys.argv", ["dec_joint.py", "--out", str(KEPT[0])])
    with pytest.raises(SystemExit):
        study.main()
    assert "unpack it to add rows to it" in capsys.readouterr().err
