"""`make calibrate-k` prints what it promises; its figures are in the docs, not here."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "selection" / "calibrate_k.py"


@pytest.fixture
def calibrate(monkeypatch):
    spec = importlib.util.spec_from_file_location("calibrate_k", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "calibrate_k", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "N_NEURONS", 160)
    monkeypatch.setattr(module, "COUNTS", (3, 4, 5))
    monkeypatch.setattr(
        module,
        "CONFIG",
        module.SelectionConfig.from_params({**module.CONFIG.resolved(), "n_surrogates": 2}),
    )
    return module


def test_one_object_a_line(calibrate, monkeypatch, capsys):
    words = ["calibrate_k", "--seeds", "1", "--first-seed", "0", "--scenarios", "types 4", "gaussian"]
    monkeypatch.setattr("sys.argv", words)
    calibrate.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    decisions = {line["scenario"]: line for line in lines if line["criterion"] == "decision"}
    assert {"scenario", "true_k", "seed", "criterion", "decision"} <= set(lines[0])
    assert (decisions["types 4"]["true_k"], decisions["types 4"]["decision"]) == (4, 4)
    assert (decisions["gaussian"]["true_k"], decisions["gaussian"]["decision"]) == (None, None)
    assert {line["criterion"] for line in lines} == {"decision", *calibrate.CRITERIA_HERE}
    head, _, first, *_ = calibrate.table(lines).splitlines()
    assert head == "| criterion | types 4 | gaussian |"
    assert first == "| decision | 1/1 | 1/1 |"


def test_types_come_apart_with_distance(calibrate, monkeypatch, capsys):
    words = ["calibrate_k", "--distances", "3", "6", "--seeds", "1", "--first-seed", "0"]
    monkeypatch.setattr("sys.argv", words)
    calibrate.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["separated_groups"] > 6 for line in lines] == [False, False, True, True]


def test_every_scenario_that_is_promised_is_there(calibrate):
    true = {one.name: one.true_k for one in calibrate.SCENARIOS}
    assert {4, 8, 12} <= set(true.values())
    for words in ("unbalanced", "heavy tails"):
        assert any(words in name and k is not None for name, k in true.items())
    for words in ("gaussian", "t", "ring", "simplex", "sparse independent", "sparse correlated"):
        assert true[words] is None
