"""The tutorials run from the first cell to the last, in order, on one database; each ends with its answer in words."""

from __future__ import annotations

import contextlib
import doctest
import functools
import inspect
import io
import re
from pathlib import Path

import pytest

from decortex_ops.cli import main
from decortex_schemas import queries

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


# What takes a label set, new neurons, a plan, or parts of an answer; and what only the dashboard asks.
WITHOUT = {
    "against_labels",
    "agreement_by_count",
    "assign_new",
    "before_and_after",
    "best_k",
    "connect_to_read",
    "describe",
    "differing_numerics",
    "forecast_plan",
    "lost_sample",
    "partitions_at",
    "ping",
    "profile_rows",
    "states",
    "statuses",
    "store_path",
    "study_counts",
    "surrogates",
    "whole_key",
}


def test_examples_of_the_questions_run(first: dict[str, object]) -> None:
    """Those of the docstrings, on the study of the tutorials in place of theirs."""
    functions = {
        name: getattr(queries, name) for name in queries.__all__ if inspect.isfunction(getattr(queries, name))
    }
    assert {name for name, function in functions.items() if ">>>" not in str(function.__doc__)} == WITHOUT
    key = queries.partitions("tutorial")[0]["key"]
    for name, function in functions.items():
        if name == "generators":  # compares several populations; test_network_states has them
            continue
        names = {"queries": queries, "key": key, **functions}
        for example in doctest.DocTestParser().get_examples(str(function.__doc__)):
            source = re.sub(r'"(v4-sweep|v4-dec|v4|demo)"', '"tutorial"', example.source)
            exec(compile(source, f"queries.{name}", "exec"), names)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_cells_are_percent_cells(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# %% [markdown]"
    assert lines[1].startswith("# # ")
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        page = path.parent / target
        assert page.exists() or page.with_suffix(".py").exists(), target
