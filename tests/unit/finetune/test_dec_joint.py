"""`benchmarks/finetune/dec_joint.py` on a tiny cortex: its rows, going on where it stopped, its label-free choice."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from decortex.data import SimulationConfig

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "finetune" / "dec_joint.py"
TINY = {"n_train": 64, "n_validation": 32, "n_test": 8, "n_repeats": 2}


@pytest.fixture
def study(monkeypatch):
    spec = importlib.util.spec_from_file_location("dec_joint", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    monkeypatch.setitem(sys.modules, "dec_joint", module)
    spec.loader.exec_module(module)
    cases = sys.modules["dec_joint_cases"]
    monkeypatch.setattr(cases, "SimulationConfig", partial(SimulationConfig, **TINY))
    monkeypatch.setattr(module, "METHODS", {"kmeans": ("kmeans", {"n_init": 2})})
    return module


def run(module, monkeypatch, out, *words, networks=("0", "1")):
    asked = ["dec_joint", "--out", str(out), "--cores", "plain", "--spreads", "0", "--generators", "0"]
    asked += [
        "--networks",
        *networks,
        "--start-epochs",
        "1",
        "2",
        "--counts",
        "3",
        "--neurons",
        "24",
        "--animals",
        "1",
        "--epochs",
        "3",
    ]
    monkeypatch.setattr("sys.argv", [*asked, *words])
    module.main()


def test_the_study_goes_on_where_it_stopped_and_shares_one_training(study, monkeypatch, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    chosen = ["--variants", "december 1", "consensus start"]
    run(study, monkeypatch, out, "--variants", "december 1", networks=["0"])
    first = study.read(out)
    assert len(first) == 2 * (2 + 2)  # start and control, own labels and afresh, of two start epochs
    made = []
    monkeypatch.setattr(study, "Trained", lambda *a, whole=study.Trained: made.append(a[1]) or whole(*a))
    run(study, monkeypatch, out, *chosen)
    rows = study.read(out)
    assert rows[: len(first)] == first
    assert len(rows) == 2 * 2 * (2 + 2 + 2)
    assert made == [0, 1]
    made.clear()
    run(study, monkeypatch, out, *chosen)
    assert study.read(out) == rows
    assert made == []
    # One training serves every start epoch: the control is the same network.
    controls = [row for row in rows if row["state"] == "control" and row["network"] == 0]
    assert len({json.dumps([row["labels"], row["test"]]) for row in controls}) == 1
    for row in rows:
        assert len(row["labels"]) == 24
        assert -1 <= row["truth"] <= 1
    capsys.readouterr()
    run(study, monkeypatch, out, "--summary")
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    summary = [row for row in said if row["part"] == "summary"]
    assert {row["state"] for row in summary} == {"start", "control", "fine_tuned", "fine_tuned_afresh"}
    assert all(row["n_networks"] == 2 for row in summary)
    assert [row["retained"] for row in summary if row["state"] == "control"] == [1.0, 1.0]


def test_trainings_of_other_lengths_are_never_averaged(study):
    rows = [*rows_of("good", 0.9), *({**row, "epochs": 15} for row in rows_of("good", 0.4))]
    own = [row for row in study.summarise(rows) if row["state"] == "fine_tuned"]
    assert {row["epochs"] for row in own} == {15, study.EPOCHS}  # rows of before the column are of 30
    assert own[0]["agreement"] != own[1]["agreement"]
    assert len(study.choose(study.summarise(rows))) == 2


def test_a_population_without_types_is_drawn_and_has_no_truth(study, monkeypatch, tmp_path):
    out = tmp_path / "rows.jsonl"
    run(study, monkeypatch, out, "--variants", "tell 1", "--surrogates", "1", networks=["0"])
    rows = study.read(out)
    assert {row["surrogate"] for row in rows} == {None, 0}
    assert all(row["truth"] is None for row in rows if row["surrogate"] == 0)
    assert len({json.dumps(row["labels"]) for row in rows}) > 2


def rows_of(variant, agreement, *, retained=1.0, generator=0, status="ok"):
    """Two networks whose own labels agree or not, beside a control."""
    rng = np.random.default_rng(generator)
    labels = rng.integers(0, 4, 200)
    other = np.where(rng.random(200) < agreement, labels, rng.integers(0, 4, 200))
    names = {"core": "plain", "spread": 0.0, "generator": generator, "surrogate": None, "m": 5, "k": 4}
    rows = []
    for network, own in enumerate((labels, other)):
        common = {**names, "network": network, "truth": 0.5}
        score = {"validation": 0.8, "test": 0.9}
        rows.append(
            {**common, **score, "variant": "none", "state": "control", "method": "kmeans", "labels": own}
        )
        kept = {name: value * retained for name, value in score.items()}
        found = {"variant": variant, "state": "fine_tuned", "method": "own", "status": status, "moved": 0.1}
        rows.append({**common, **kept, **found, "labels": own})
    return rows


def test_the_choice_reads_agreement_and_retained_performance_on_its_own_generators_alone(study):
    rows = [
        *rows_of("good", 0.6),
        *rows_of("costly", 0.9, retained=0.98),
        *rows_of("collapsed", 0.9, status="collapsed"),
        *rows_of("judged", 0.95, generator=100),
        *rows_of("consensus start", 0.99),
        *rows_of("worse", 0.3),
    ]
    (choice,) = study.choose(study.summarise(rows))
    assert choice["variant"] == "good"
    changed = [{**row, "truth": None} for row in rows]
    assert study.choose(study.summarise(changed)) == [choice]
    (none,) = study.choose(study.summarise(rows_of("costly", 0.9, retained=0.98)))
    assert none["variant"] is None
