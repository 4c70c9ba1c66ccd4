"""How the demo ends: five answers, and what to type next, with the study's name and a command that can be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decortex_ops.cli import demo
from decortex_schemas.queries.answering import ANSWERS, QUESTIONS


def test_a_command_that_is_not_on_the_path_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv" / "bin" / "decortex"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for called in (".venv/bin/decortex", str(program)):
        monkeypatch.setattr("sys.argv", [called, "demo"])
        assert demo.program() == ".venv/bin/decortex"
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert demo.program() == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert demo.program() == "decortex"
    monkeypatch.setattr("sys.argv", ["/somewhere/decortex_ops/__main__.py", "demo"])
    assert demo.program() == "decortex"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert demo.program().endswith("-m decortex_ops")


def test_it_ends_with_the_answers_and_with_what_to_type(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/x/decortex", "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    told = [
        {
            "question": question,
            "answer": verdict,
            "sentence": f"About {question}",
            "missing": None,
            **dict.fromkeys(("n_networks", "n_sessions", "n_animals"), 1),
        }
        for question, verdict in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    demo._print(
        {
            "study": "demo-12345678",
            "n_neurons": 360,
            "rows": [],
            "answers": told,
            "seconds": 118.0,
            "test_correlation": 0.9,
        }
    )
    text = capsys.readouterr().out
    places = [
        text.rindex(question) for question in QUESTIONS
    ]  # the sentence of agreement stands before the table, too
    assert places == sorted(places)
    assert "1 network, 1 session, 1 animal" in text
    after = text[places[-1] :]
    for words in ("dashboard", "answers demo-12345678", "report demo-12345678 -o report.html"):
        assert f"/opt/x/decortex {words}" in after


def test_the_line_of_progress_says_what_is_done_and_of_how_many() -> None:
    rest = {"reserved": 1, "error": 0, "ignore": 0}
    rows = [{"table": "Clustering", "done": 23, "pending": 4, **rest},
            {"table": "Embedding", "done": 3, "pending": 0, **rest, "reserved": 0}]  # fmt: skip
    assert demo.progress_line(rows) == "done: Clustering 23 of 28"
    assert demo.progress_line(rows[1:]) == ""
