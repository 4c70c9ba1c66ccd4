"""Every command: help with an example that could be typed, machine-readable answers, completion. No database."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from decortex.errors import ConfigError
from decortex_ops.cli import app, narrowed
from decortex_ops.cli.output import choose_part, print_csv, said_plainly

# Questions whose answer is rows of results: for pandas and spreadsheets they are CSV too.
ROWS = {
    "status", "results", "agreement", "best-k", "stats", "price", "compare", "errors", "provenance", "study show",
    "study cost", "view show", "test-split", "answers", "tree",
}  # fmt: skip


def commands(group: Any, head: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*head, name))
        else:
            yield " ".join((*head, name)), command


GROUP = typer.main.get_command(app)
ALL = dict(commands(GROUP))


@pytest.mark.parametrize("name", ALL)
def test_help_shows_an_example_that_parses(name: str) -> None:
    text = " ".join((ALL[name].help or "").split())
    found = re.search(r"Example: (decortex .*?)\.?$", text)
    assert found, f"the help of `decortex {name}` has no example"
    words = shlex.split(found[1])[1:]
    assert " ".join(words[: len(name.split())]) == name
    with ALL[name].make_context(name, words[len(name.split()) :], resilient_parsing=False):
        pass


def described(command: Any) -> list[dict[str, str]]:
    """What is said of each parameter, but what parsing it leaves there and where in memory its parts are."""
    return [
        {name: re.sub(r" at 0x\w+", "", repr(value)) for name, value in vars(one).items() if name[0] != "_"}
        for one in command.params
    ]


@pytest.mark.parametrize("name", ALL)
def test_a_command_that_is_built_alone_is_as_among_all(name: str) -> None:
    alone = typer.main.get_command(narrowed(app, [*name.split(), "--help"]))
    assert (alone.help, alone.name) == (GROUP.help, GROUP.name)
    ((found, command),) = commands(alone)
    assert (found, command.help, described(command)) == (name, ALL[name].help, described(ALL[name]))


def test_words_that_name_no_command_meet_all() -> None:
    assert narrowed(app, []) is narrowed(app, ["--help"]) is narrowed(app, ["statsu"]) is app
    of_studies = {name for name in ALL if name.startswith("study ")}
    for words in (["study"], ["study", "--help"], ["study", "lsit"]):
        assert set(dict(commands(typer.main.get_command(narrowed(app, words))))) == of_studies


def options(name: str) -> set[str]:
    return {option for parameter in ALL[name].params for option in parameter.opts}


@pytest.mark.parametrize(
    "name", [name for name in ALL if (ALL[name].help or "").startswith(("Show", "List"))]
)
def test_what_shows_or_lists_does_so_for_machines_too(name: str) -> None:
    assert name == "dashboard" or "--json" in options(name)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_rows_are_csv_too(name: str) -> None:
    assert {"--json", "--csv"} <= options(name)


def test_shells_complete() -> None:
    runner = CliRunner()
    asked = {"_DECORTEX_COMPLETE": "complete_bash", "COMP_WORDS": "decortex be", "COMP_CWORD": "1"}
    said = runner.invoke(app, [], env=asked, prog_name="decortex")
    assert said.output.split() == ["best-k"]
    assert "--install-completion" in runner.invoke(app, ["--help"]).output


def test_csv_holds_every_column_and_nested_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([{"a": 1, "b": {"x": None}}, {"a": float("nan"), "c": "1,2"}])
    assert capsys.readouterr().out == 'a,b,c\n1,"{""x"": null}",\n,,"1,2"\n'
    with pytest.raises(ConfigError, match="ask for one"):
        said_plainly([], [], json=True, csv=True)
    assert not said_plainly([], [], json=False, csv=False)
    with pytest.raises(ConfigError, match="this answer has one, two"):
        choose_part({"one": []}, ("one", "two"), "three")
