"""The tutorials run from the first cell to the last, in order, on one database; each ends with its answer in words."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from pathlib import Path

import pytest

from decortex_ops.cli import main

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
SCRIPTS = sorted(FOLDER.glob("*.py"))
QUESTIONS = SCRIPTS[:5]


def test_there_is_one_for_each_question_and_one_for_the_database() -> None:
    assert [path.stem for path in SCRIPTS] == [
        "01_how_many_types",
        "02_do_networks_agree",
        "03_is_predictability_tied",
        "04_does_dec_help",
        "05_what_is_a_cluster",
        "06_reading_the_database",
    ]


@pytest.fixture(scope="module")
def first(database: dict[str, str]) -> dict[str, object]:
    """The names that the first tutorial leaves; the others read its study."""
    return run(SCRIPTS[0])


def run(path: Path) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "tutorial"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names


@functools.cache
def printed(study: str) -> list[str]:
    """The sentences that `decortex answers STUDY` prints."""
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.setattr("sys.argv", ["decortex", "answers", study])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None)
    return [line.strip() for line in told.getvalue().splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("number", range(5), ids=[path.stem for path in QUESTIONS])
def test_a_question_ends_with_the_sentence_that_answers_prints(first: dict[str, object], number: int) -> None:
    path = QUESTIONS[number]
    names = first if number == 0 else run(path)
    study, row = re.search(
        r'queries\.answers\("(\w+)"\)\[(\d)\]\nprint\(answer\["sentence"\]\)\n$',
        path.read_text(encoding="utf-8"),
    ).groups()
    assert int(row) == number
    assert len(names["answer"]["sentence"]) > 20
    assert names["answer"]["sentence"].strip() in printed(study)


def test_reading_the_database(first: dict[str, object]) -> None:
    run(SCRIPTS[5])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_cells_are_percent_cells(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# %% [markdown]"
    assert lines[1].startswith("# # ")
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        page = path.parent / target
        assert page.exists() or page.with_suffix(".py").exists(), target
