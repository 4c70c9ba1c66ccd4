"""What stands before a table that `--part` names: what would have been detected, generators, shared labellings."""

from __future__ import annotations

from typing import Any

import pytest

from decortex_ops.cli.read.one_part import (
    detectable_sentence,
    generators_sentence,
    print_part,
    shared_sentence,
)


def test_what_would_have_been_detected_is_a_range() -> None:
    row: dict[str, Any] = {"n_networks": 3, "detectable": 0.1234, "planted_share": 0.05}
    said = detectable_sentence([row, {**row, "detectable": 0.3, "planted_share": None}])
    assert "of 0.123 to 0.300 would have been detected in 80 %" in said
    assert "are seen in 1 of 2 rows" in said
    none = {"n_networks": 2, "detectable": None, "planted_share": None}
    assert "of 0.123 would" in detectable_sentence([row, none])
    assert detectable_sentence([none]).startswith("No change of the agreement would have been detected")


def test_generators_count_what_lies_above_zero() -> None:
    row: dict[str, Any] = {
        "state": "fine_tuned", "n_generators": 3, "ari_networks_gain_low": 0.01, "ari_truth_gain_low": -0.01,
        "ari_networks_over_carried": 0.1, "ari_networks_over_carried_low": 0.02,
    }  # fmt: skip
    rows = [
        row,
        {**row, "state": "fine_tuned_afresh", "ari_networks_gain_low": None},
        {**row, "state": "control", "ari_truth_gain_low": 0.2},  # no fine-tuned state
    ]
    said = generators_sentence(rows)
    assert said.startswith("Over 3 generators, 1 of 2 fine-tuned states agree more between networks")
    assert "and 0 more with the known types" in said
    assert "Own labels of 1 of 1 fine-tuning agree more than the start's partition carried" in said
    assert "carried" not in generators_sentence([{**one, "ari_networks_over_carried": None} for one in rows])


def test_a_shared_labelling_counts_once_for_all_votes() -> None:
    row: dict[str, Any] = {"dataset": "a", "model": "m", "embedding": "e", "k": 3, "ari_vote": 0.4}
    said = shared_sentence([row, {**row, "ari_vote": 0.6}, {**row, "k": 4, "ari_vote": None}])
    assert said.startswith("2 labellings that all networks share by construction")
    assert said.endswith("Their ARI with the votes is 0.400 to 0.600.")
    assert "votes is" not in shared_sentence([{**row, "ari_vote": None}])


def test_names_that_tell_rows_apart_stand_first(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"dataset": name, "model": "cnn", "k": 3} for name in ("first", "second")]
    print_part("A sentence.", rows, ["k"], title="title", empty="nothing")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "A sentence."
    assert lines[2].split() == ["dataset", "k"]
    assert [line.split() for line in lines[3:5]] == [["first", "3"], ["second", "3"]]
    print_part("A sentence.", rows[:1], ["k"], title="title", empty="nothing")
    assert "dataset" not in capsys.readouterr().out
    print_part("A sentence.", [], ["k"], title="title", empty="nothing to compare")
    assert capsys.readouterr().out.strip() == "nothing to compare"
