"""The rule of `benchmarks/finetune/dec_cortex.py` that fixes a variant, and the paired comparison; no study is run."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "finetune" / "dec_cortex.py"


@pytest.fixture
def study(monkeypatch):
    spec = importlib.util.spec_from_file_location("dec_cortex", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dec_cortex", module)
    spec.loader.exec_module(module)
    return module


def rule(variant, agreement, retained=1.0, status=("ok", "ok")):
    return {"variant": variant, "agreement": agreement, "retained": retained, "status": list(status)}


def test_the_best_agreement_is_chosen_among_those_that_keep_their_performance(study):
    rows = [
        rule("start", 0.9, None),
        rule("dec scaled", 0.95, 0.97),
        rule("december 3", 0.94, status=("ok", "collapsed")),
        rule("december 1", 0.7),
        rule("december 1", 0.9, 0.99),
        rule("dec_joint pca10 1", 0.7),
    ]
    assert study.choose(rows) == {"variant": "december 1", "agreement": 0.8, "retained": 0.995}


def test_equal_agreement_is_settled_by_the_smaller_beta(study):
    assert study.choose([rule("december 3", 0.5), rule("december 0.3", 0.5)])["variant"] == "december 0.3"


def test_no_variant_may_qualify(study):
    assert study.choose([rule("start", 0.9, None), rule("december 1", 0.9, 0.98)]) is None


def test_differences_are_paired_over_generators(study):
    rng = np.random.default_rng(0)
    tuned, start = rng.uniform(size=(2, 6))
    rows = [
        {"partition": name, "generator": seed, "ari": float(value), "correlation": kept}
        for name, values, kept in (
            ("fine-tuned", tuned, 0.9),
            ("start", start, 1.0),
            ("control clustered afresh", start, 1.0),
        )
        for seed, value in enumerate(values)
    ]
    rng.shuffle(rows)
    found = {row["against"]: row for row in study.differences(rows)}
    against_start, against_control = found["start"], found["control clustered afresh"]
    interval = stats.ttest_rel(tuned, start).confidence_interval()
    assert (against_start["low"], against_start["high"]) == pytest.approx((interval.low, interval.high))
    assert against_start["better"] == int((tuned > start).sum())
    assert "retained" not in against_start
    assert against_control["retained"] == pytest.approx(0.9)


def test_finished_generators_are_not_computed_again(study, monkeypatch, tmp_path, capsys):
    asked = []

    def rows(core, generator, spread):
        asked.append(generator)
        return [{**rule("december 1", 0.5), "part": "rule", "core": core, "generator": generator}]

    def judged(core, generator, spread, variant):
        base = {
            "part": "judged",
            "core": core,
            "generator": generator,
            "variant": variant,
            "correlation": 1.0,
        }
        return [{**base, "partition": name, "ari": 0.5} for name in ("fine-tuned", "start")]

    monkeypatch.setattr(study, "rule_rows", rows)
    monkeypatch.setattr(study, "judged_rows", judged)
    monkeypatch.setattr("sys.argv", ["dec_cortex", "--out", str(tmp_path / "rows"), "--cores", "plain"])
    study.main()
    first = capsys.readouterr().out.splitlines()
    assert json.loads(first[-1])["part"] == "difference"
    study.main()
    assert asked == [0, 1, 2, 3, 4]
    assert [json.loads(line)["part"] for line in capsys.readouterr().out.splitlines()] == [
        "choice",
        "difference",
    ]
