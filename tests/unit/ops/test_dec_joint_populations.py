"""Populations that the study of joint training asks for: simulated ones, and those without types drawn from them."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "finetune"))
    return importlib.import_module("dec_joint")


@pytest.mark.parametrize(
    ("surrogates", "only", "expected"),
    [(0, False, [None]), (2, False, [None, 0, 1]), (2, True, [0, 1])],
)
def test_surrogates_come_with_the_population_or_alone(
    study: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    surrogates: int,
    only: bool,
    expected: list[int | None],
) -> None:
    monkeypatch.setattr(study, "population", lambda *names, surrogate, **_: (*names, surrogate))
    asked = argparse.Namespace(
        data=None, cores=["plain"], spreads=[0.5], generators=[100, 101], neurons=240, animals=1, epochs=30
    )
    asked.surrogates, asked.only_surrogates = surrogates, only
    found = list(study.cases(asked))
    assert found == [("plain", 0.5, generator, one) for generator in (100, 101) for one in expected]


def test_only_surrogates_of_none_is_refused(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["dec_joint.py", "--out", str(tmp_path / "rows.jsonl"), "--only-surrogates"]
    )
    with pytest.raises(SystemExit):
        study.main()
    assert "--surrogates 1 or more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
