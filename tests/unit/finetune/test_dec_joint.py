"""`benchmarks/finetune/dec_joint.py` on a tiny cortex: its rows, going on where it stopped, its label-free choice."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.data import SimulationConfig, simulate_cortex, write_filetree

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
    # start, control, and what begins from the start without a loss; own labels and afresh; of two start epochs
    assert len(first) == 2 * (4 + 2)
    made = []
    monkeypatch.setattr(study, "Trained", lambda *a, whole=study.Trained: made.append(a[1]) or whole(*a))
    run(study, monkeypatch, out, *chosen)
    rows = study.read(out)
    assert rows[: len(first)] == first
    assert len(rows) == 2 * 2 * (4 + 2 + 2)
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
    plain = {"start", "control", "control_carried", "start_mixture"}
    assert {row["state"] for row in summary} == {*plain, "fine_tuned", "fine_tuned_afresh"}
    assert all(row["n_networks"] == 2 for row in summary)
    assert [row["retained"] for row in summary if row["state"] == "control"] == [1.0, 1.0]


def test_what_takes_all_networks_is_computed_for_one_that_lacks_it(study, monkeypatch, tmp_path):
    out = tmp_path / "rows.jsonl"
    run(study, monkeypatch, out, "--variants", "consensus start")
    rows = study.read(out)
    left = [row for row in rows if (row["network"], row["variant"]) != (1, "consensus start")]
    assert len(left) < len(rows)
    out.write_text("".join(json.dumps(row) + "\n" for row in left))
    made = []
    monkeypatch.setattr(study, "Trained", lambda *a, whole=study.Trained: made.append(a[1]) or whole(*a))
    run(study, monkeypatch, out, "--variants", "consensus start")
    assert made == [0, 1]
    assert without_seconds(study.read(out)) == without_seconds(rows)


def without_seconds(rows):
    """Rows as sorted text, less what the clock says."""
    return sorted(
        json.dumps({name: row[name] for name in sorted(row) if not name.endswith("seconds")}) for row in rows
    )


def test_recordings_stand_in_the_place_of_the_cortex(study, monkeypatch, tmp_path):
    recordings = simulate_cortex(SimulationConfig(n_neurons=24, n_animals=1, **TINY), 0).recordings
    write_filetree(recordings, tmp_path / "recorded")
    monkeypatch.setitem(study.RECORDED, "v4", "simulated_cortex")
    out = tmp_path / "rows.jsonl"
    asked = ["dec_joint", "--out", str(out), "--data", str(tmp_path / "recorded"), "--networks", "0", "1"]
    asked += ["--start-epochs", "1", "--counts", "3", "--epochs", "2", "--variants", "december 1"]
    monkeypatch.setattr("sys.argv", asked)
    study.main()
    rows = study.read(out)
    assert len(rows) == 2 * 6
    assert {(row["core"], row["spread"], row["generator"]) for row in rows} == {("v4", None, None)}
    assert all(np.isfinite(row["test"]) for row in rows)
    (gain, *_) = study.gains(rows)
    assert gain["n_generators"] == 1
    assert gain["agreement_low"] is None  # one population: no interval


def test_gains_are_differences_within_generators(study):
    """Own labels of two networks agree wholly; those of the control in two generators, and hardly in one."""
    rows = []
    for generator, agreement in ((100, 0.2), (101, 1.0), (102, 1.0)):
        for row in rows_of("december 1", agreement, generator=generator):
            if row["state"] == "control":
                rows.append(row)
            else:
                rows.append({**row, "labels": np.arange(200) % 4, "truth": 0.8, "moved": 0.25, "test": 0.8})
    (gain,) = [row for row in study.gains(rows) if row["against"] == "control kmeans"]
    named = {name: gain[name] for name in ("of", "variant", "role", "n_generators")}
    assert named == {"of": "own labels", "variant": "december 1", "role": "judge", "n_generators": 3}
    first, second = (row["labels"] for row in rows if (row["generator"], row["state"]) == (100, "control"))
    rise = 1 - adjusted_rand_score(first, second)
    assert rise > 0.8
    assert gain["agreement"] == pytest.approx(rise / 3)
    half_width = 4.30265 * rise / 3  # t of two degrees of freedom times the standard error of (rise, 0, 0)
    assert gain["agreement_low"] == pytest.approx(rise / 3 - half_width, abs=1e-4)
    assert gain["agreement_detectable"] > half_width
    assert (gain["truth"], gain["truth_low"]) == (pytest.approx(0.3), pytest.approx(0.3))
    assert gain["retained"] == pytest.approx(0.8 / 0.9 - 1)
    line = next(line for line in study.brief(rows).splitlines() if "| december 1 |" in line)
    against = f"{rise / 3:+.3f} ({rise / 3 - half_width:+.3f} to {rise / 3 + half_width:+.3f}; "
    assert f"| december 1 | 3 | 1.000 | {against}" in line
    assert line.endswith("| – | 1.000 | 0.889 | 0.250 |")  # no partition of the start to compare with
    text = study.tables(rows)
    assert "| december 1 | fine_tuned | own | 3 | 1.000 | 0.800 | 0.889 | 0.250 | ok |" in text
    assert f"{rise / 3:+.3f} ({rise / 3 - half_width:+.3f} to {rise / 3 + half_width:+.3f}; " in text


def test_what_is_clustered_afresh_is_compared_with_the_control_by_the_same_method(study):
    rows = []
    for generator, rise in ((100, 0.0), (101, 0.1), (102, 0.2)):
        for row in rows_of("december 1", 0.5, generator=generator):
            rows.append(row)
            if row["state"] == "control":
                afresh = {"variant": "december 1", "state": "fine_tuned_afresh", "truth": 0.5 + rise}
                rows.append({**row, **afresh, "moved": 0.1})
    found = [row for row in study.gains(rows) if row["of"].startswith("afresh")]
    (gain,) = found
    assert (gain["of"], gain["against"], gain["variant"]) == ("afresh kmeans", "control kmeans", "december 1")
    assert (gain["agreement"], gain["truth"]) == (0, pytest.approx(0.1))
    half_width = 4.30265 * 0.1 / 3**0.5  # t of two degrees of freedom, standard error of (0, .1, .2)
    assert gain["truth_high"] == pytest.approx(0.1 + half_width, abs=1e-4)
    text = study.brief(rows)
    assert f"| december 1 | control kmeans | 3 | +0.000 (+0.000 to +0.000; 0.000) | {0.1:+.3f} (" in text
    # At another m the same with +0, +1, +1: .667 in the mean. Populations without types stand apart.
    same_at_3 = [{**row, "m": 3, "truth": 0.5 + (row["truth"] > 0.5)} for row in rows]
    without_types = [{**row, "surrogate": 0, "truth": None} for row in rows]
    text = study.brief([*rows, *same_at_3, *without_types]).split("intervals above 0, below 0")[1]
    over, null = text.split("Means over conditions")[0].strip().splitlines()[2:]
    # Within generators that is 0, .55 and .6: t of two degrees of freedom, standard error of these.
    half_width = 4.30265 * np.std([0, 0.55, 0.6], ddof=1) / 3**0.5
    mean = f"{1.15 / 3:+.3f} ({1.15 / 3 - half_width:+.3f} to {1.15 / 3 + half_width:+.3f}; "
    compared, same = "afresh kmeans | control kmeans |", "+0.000 (+0.000 to +0.000; 0.000) |"
    assert f"| {compared} all | 2 | 3 | {same} {mean}" in text
    # Those without types are of one condition, and so is every m: no mean over several is told of them.
    assert text.count(f"{compared} all |") == 1
    assert "m 3" not in text
    # With a second K at every m, which is the same, each level of m and K has two conditions.
    twice = [*rows, *same_at_3, *({**row, "k": 5} for row in (*rows, *same_at_3))]
    found = {
        row["over"]: row
        for row in sys.modules["dec_joint_summary"].over_conditions(twice)
        if row["of"] == "afresh kmeans"
    }
    assert {over: row["n_conditions"] for over, row in found.items()} == {
        "all": 4, "m 3": 2, "m 5": 2, "k 4": 2, "k 5": 2,
    }  # fmt: skip
    assert found["m 3"]["truth"] == pytest.approx(2 / 3)
    assert found["m 5"]["truth"] == pytest.approx(0.1)
    assert [found[one]["truth"] for one in ("k 4", "all")] == pytest.approx([1.15 / 3] * 2)
    assert found["all"]["truth_detectable"] > 0
    nothing = "| +0.000 (+0.000, +0.000) | 0, 0 |"
    assert (
        over
        == f"| 30 | 3 | plain | False | judge | control kmeans | 2 {nothing} +0.383 (+0.100, +0.667) | 0, 0 |"
    )
    assert null == f"| 30 | 3 | plain | True | judge | control kmeans | 1 {nothing} – | 0, 0 |"


def test_own_labels_are_compared_with_what_begins_from_their_start_and_needs_no_loss(study):
    rows = []
    for generator, rise in ((100, 0.0), (101, 0.1), (102, 0.2)):
        for row in rows_of("sec start 1", 0.5, generator=generator):
            rows.append(row)
            if row["state"] == "control":
                others = (("control_carried", "sec"), ("control_carried", "kmeans"), ("start_mixture", "sec"))
                for state, method in others:
                    below = rise if method == "sec" else 0.4
                    rows.append({**row, "state": state, "method": method, "truth": 0.5 - below})
            else:
                followed = {"variant": "december 1e-09", "truth": 0.5 - 2 * rise}
                rows[-1]["beta"] = 10.0 ** (generator - 100)
                rows.append({**row, **followed})
    gained = {
        (row["variant"], row["against"]): row["truth"]
        for row in study.gains(rows)
        if row["of"].startswith("own labels")
    }
    assert gained["sec start 1", "control_carried sec"] == pytest.approx(0.1)
    assert gained["sec start 1", "start_mixture sec"] == pytest.approx(0.1)
    assert (
        "sec start 1",
        "own labels of december 1e-09",
    ) not in gained  # that begins from k-means' partition
    other = [{**row, "variant": "december 1"} if row["variant"] == "sec start 1" else row for row in rows]
    (gain,) = [row for row in study.gains(other) if row["against"] == "own labels of december 1e-09"]
    assert (gain["variant"], gain["truth"]) == ("december 1", pytest.approx(0.2))
    text = study.brief(rows).split("Own labels against partitions that need no loss")[1]
    line = next(line for line in text.splitlines() if "| sec start 1 |" in line)
    half_width = 4.30265 * 0.1 / 3**0.5
    interval = f"+0.100 ({0.1 - half_width:+.3f} to {0.1 + half_width:+.3f}; "
    assert (
        line.count(interval) == 2
    )  # with the types: carried and the start's mixture; k-means' start does not count
    assert line.endswith("| 10 (1 to 100) |")
    assert "| control_carried sec | control kmeans |" not in text  # each against the same method alone
    assert (
        "| control_carried kmeans | control kmeans | 3 | +0.000 (+0.000 to +0.000; 0.000) | -0.400 (" in text
    )


def test_an_early_partition_is_carried_to_other_points(study):
    carried = sys.modules["dec_joint_carried"]
    rng = np.random.default_rng(0)
    types = np.repeat([0, 1, 2], 40)
    points = np.array([[0, 0, 3], [0, 3, 0], [3, 0, 0]])[types] + rng.normal(0, 0.3, (120, 3))
    wrong = np.where(rng.random(120) < 0.2, (types + 1) % 3, types)
    assert (carried.mixture(points, wrong) == types).all()
    found = carried.without_loss(points, points[::-1], {"kmeans": wrong})
    assert list(found) == [("control_carried", "kmeans"), ("start_mixture", "kmeans")]
    assert (found["start_mixture", "kmeans"] == types).all()
    assert (found["control_carried", "kmeans"] == types).all()


def test_gains_with_types_are_compared_with_those_without_by_generator(study, monkeypatch, tmp_path, capsys):
    rows = []
    for generator, agreement in ((100, 0.1), (101, 0.2), (102, 0.3)):
        with_types = rows_of("december 1", agreement, generator=generator)
        own = [{**row, "labels": np.arange(200) % 4} for row in with_types if row["state"] == "fine_tuned"]
        controls = [row for row in with_types if row["state"] == "control"]
        rows += [*controls, *own, *({**row, "surrogate": 0, "truth": None} for row in with_types)]
    (contrast,) = study_contrasts(rows)
    assert (contrast["of"], contrast["against"], contrast["n_generators"]) == (
        "own labels",
        "control kmeans",
        3,
    )
    gain = next(
        row for row in study.gains(rows) if row["surrogate"] is False and row["against"] == "control kmeans"
    )
    assert contrast["agreement"] == pytest.approx(gain["agreement"])  # without types nothing is gained
    assert contrast["agreement_low"] == pytest.approx(gain["agreement_low"])
    assert study_contrasts([row for row in rows if row["network"] == 0]) == []  # one network agrees with none
    files = [tmp_path / "with.jsonl", tmp_path / "without.jsonl"]
    for path, drawn in zip(files, (False, True), strict=True):
        kept = [row for row in rows if (row["surrogate"] is not None) == drawn]
        path.write_text(
            "".join(json.dumps({**row, "labels": list(map(int, row["labels"]))}) + "\n" for row in kept)
        )
    words = ["dec_joint", "--out", str(files[0]), "--beside", str(files[1])]
    monkeypatch.setattr("sys.argv", [*words, "--brief"])
    study.main()
    assert f"own labels | control kmeans | 3 | {contrast['agreement']:+.3f} (" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        study.main()
    assert "--beside is for reading" in capsys.readouterr().err


def study_contrasts(rows):
    return sys.modules["dec_joint_summary"].contrasts(rows)


def test_of_one_population_the_interval_is_over_neurons(study):
    """It covers what the same networks show of very many neurons; a difference of nothing is not seen."""

    def partitions(n_neurons, kept, rng):
        types = rng.integers(0, 4, n_neurons)
        others = rng.integers(0, 4, (2, n_neurons))
        return {network: np.where(rng.random(n_neurons) < kept, types, others[network]) for network in (0, 1)}

    summary = sys.modules["dec_joint_summary"]
    many = [partitions(200_000, kept, np.random.default_rng(0)) for kept in (0.9, 0.7)]
    truth = adjusted_rand_score(*many[0].values()) - adjusted_rand_score(*many[1].values())
    covered, seen_of_nothing = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        good, poor, same = (partitions(200, kept, rng) for kept in (0.9, 0.7, 0.9))
        low, high, _ = summary.over_neurons(good, poor)
        covered.append(low <= truth <= high)
        assert low > 0
        low, high, _ = summary.over_neurons(good, same)
        seen_of_nothing.append(low > 0 or high < 0)
    assert sum(covered) >= 8
    assert sum(seen_of_nothing) <= 2


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
        *rows_of("shared start", 0.99),
        *rows_of("mutual 1", 0.99),
        *rows_of("worse", 0.3),
    ]
    (choice,) = study.choose(study.summarise(rows))
    assert choice["variant"] == "good"
    changed = [{**row, "truth": None} for row in rows]
    assert study.choose(study.summarise(changed)) == [choice]
    (none,) = study.choose(study.summarise(rows_of("costly", 0.9, retained=0.98)))
    assert none["variant"] is None
