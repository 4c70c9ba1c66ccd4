"""What the commands refuse, with which exit status and words; in this process, through the real entry point."""

from __future__ import annotations

import pytest

from decortex_ops.cli import main


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["register", "dataset", "/nowhere"], 1, "/nowhere"),
        (["register", "model", "/nowhere.pth"], 1, "/nowhere.pth"),
        (["register", "simulation", "x", "--params", '{"spread": 7.0}'], 1, "spread"),
        (["register", "simulation", "x", "--params", "spread"], 1, "--params is not JSON"),
        (["results", "unheard"], 1, "there is no study 'unheard'"),
        (["results", "small-study", "--k", "77"], 1, "--k 77: this study has no such k; it has 2, 3"),
        (["results", "small-studi"], 1, "Did you mean 'small-study'?"),
        (["delete", "Dataset", "dataset=none", "--yes"], 1, "a deletion needs a reason"),
        (["study", "freeze", "unheard"], 1, "there is no study 'unheard'"),
        (["provenance", "Clustering", "k=30000"], 1, "names 0 rows of Clustering"),
        (["provenance", "Clusterings", "k=3"], 1, "there is no computed table 'Clusterings'"),
        (["provenance", "Clustering", "colour=blue"], 1, "has no column"),
        (["provenance", "Clustering", "blue"], 1, "is not name=value"),
        (["work", "--tables", "Nonsense"], 1, "no computed table Nonsense"),
        (["work", "--max-calls", "0"], 2, "max-calls"),
        (
            ["study", "create", "x", "/nowhere.json"],
            1,
            "there is no file /nowhere.json. A plan is a JSON file",
        ),
        (["import", "cowley-v4", "/nowhere", "/tmp/never"], 1, "/nowhere"),
        (["nonsense"], 2, "nonsense"),
        (["db", "stop"], 2, "DJ_HOST is set"),
    ],
)
def test_what_cannot_work_is_refused(
    lab: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == status
    said = capsys.readouterr().err
    assert message in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said


def test_no_words_show_the_commands(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["decortex", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in (
        "demo",
        "db",
        "init",
        "register",
        "study",
        "work",
        "schedule",
        "status",
        "errors",
        "retry",
    ):
        assert command in shown
