"""The five answers about a study, from stored rows: the numbers are those of other questions and of SQL."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from small_lab import CHOICE, fill, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.agreement import means_interval
from decortex_ops.cli import main
from decortex_ops.reports import report
from decortex_ops.workers import queues_empty
from decortex_schemas import queries
from decortex_schemas.queries.answering import ANSWERS, QUESTIONS
from decortex_schemas.queries.answering.study_answers import _simultaneous
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study, no_such_study

KEYS = [
    "question",
    "answer",
    "sentence",
    "effect",
    "low",
    "high",
    "measure",
    "compared_with",
    "n_networks",
    "n_sessions",
    "n_animals",
    "missing",
]


@pytest.fixture(scope="module")
def told(lab: str) -> list[dict[str, Any]]:
    return queries.answers(lab)


def test_five_answers_with_these_keys(told: list[dict[str, Any]]) -> None:
    assert [row["question"] for row in told] == list(QUESTIONS)
    assert [list(row) for row in told] == [KEYS] * 5
    assert {row["answer"] for row in told} <= set(ANSWERS)
    for row in told:
        assert (row["n_networks"], row["n_sessions"], row["n_animals"]) == (2, 2, 2)
        assert (row["effect"] is None) == (row["compared_with"] is None) == (row["measure"] is None)


def test_its_numbers_are_those_of_the_tables(lab: str, told: list[dict[str, Any]]) -> None:
    types, agreement, association, finetuning, cluster = told
    # The plan fine-tunes k-means at K = 3, so that K speaks.
    where = {"study": lab, "method": "kmeans", "k": 3}
    row = (schemas.SeedAgreement & where & (schemas.FinetuneSpec & {"kind": "none"})).fetch1()
    assert agreement["effect"] == row["ari_seeds"]
    assert "at K = 3 of kmeans" in agreement["sentence"]
    assert cluster["effect"] == row["ari_truth"]
    tied = [
        one
        for one in queries.predictability(lab)
        if (one["method"], one["k"], one["finetune"], one["covariates"]) == ("kmeans", 3, "none", "all known")
    ]
    assert association["effect"] == tied[0]["omega2"]
    assert "all known held fixed" in association["sentence"]
    changes = [one["ari_networks_change"] for one in queries.improvement(lab)["summary"]]
    assert finetuning["effect"] == max(changes)
    assert "the most of two fine-tunings" in finetuning["sentence"]
    counted = schemas.TypeCount & (schemas.Study.Model & {"study": lab}).proj()
    assert set(counted.to_arrays("types_status")) == {"undecided"}  # 36 neurons make no two subclusters
    assert types["answer"] == "undecided"
    assert "too few neurons to say whether types stand apart in two networks" in types["sentence"]


def test_two_networks_have_one_change_and_no_interval(told: list[dict[str, Any]]) -> None:
    assert told[3]["effect"] is not None
    assert (told[3]["low"], told[3]["high"]) == (None, None)


def test_the_interval_of_several_fine_tunings_holds_for_all_at_once() -> None:
    changes = np.array([0.02, 0.05, 0.03])
    rows = [{"model_seed": seed, "ari_networks_change": value} for seed, value in enumerate(changes)]
    assert _simultaneous(rows, 2) == means_interval(changes, level=0.975)
    assert _simultaneous(rows, 2)[0] < _simultaneous(rows, 1)[0]


def test_without_a_null_agreement_is_undecided_and_the_cost_of_one_is_said(
    told: list[dict[str, Any]],
) -> None:
    # One family of networks, two methods, 19 surrogates.
    jobs = 2 * 19
    assert told[1]["answer"] == "undecided"
    assert f"(about {jobs} jobs, " in told[1]["missing"]


def test_a_choice_of_k_brings_nulls_and_asks_for_the_fine_tuning(selection: str) -> None:
    types, agreement, _, finetuning, _ = queries.answers(selection)
    assert (
        "The rule for K, against two surrogates per null model, supports none for kmeans" in types["sentence"]
    )
    null = schemas.KSelection.Excess & {"study": selection, "criterion": "seed_agreement", "at_k": 3}
    assert agreement["compared_with"] == "surrogates without types (gaussian and permuted), and chance (0)"
    assert max(null.to_arrays("p")) > 0.05
    assert agreement["answer"] in ("undecided", "not established")
    assert finetuning["answer"] == "not asked"
    assert finetuning["sentence"].startswith("Not asked (about ")


def until_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command queues and computes all that rests on a frozen study, without a scheduler."""
    monkeypatch.setattr("sys.argv", ["decortex", "work", "--until-done", "--quiet"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0


def test_a_choice_of_k_that_is_a_study_of_its_own_is_read(
    selection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same networks, method and K as the study with a choice of its own: what it says is the same.
    limited = {**CHOICE, "methods": ["kmeans"], "counts": [2, 3]}
    found = {selection: queries.answers(selection)}
    declare_plan("whole", plan_for("small", finetunings=[], selection=limited))
    for name in ("whole", "whole-selection"):
        fill()
        freeze_study(name)
        until_done(monkeypatch)
        assert queues_empty()
        found["whole"] = queries.answers("whole")
        if name == "whole":
            assert "The rule for K" not in found["whole"][0]["sentence"]  # its study is not frozen yet
    assert found["whole"][0]["sentence"] == found[selection][0]["sentence"]
    assert found["whole"][1]["compared_with"] == found[selection][1]["compared_with"]
    own = [{name: one[name] for name in ("study", "decision", "counts")} for one in queries.best_k("whole")]
    (other,) = queries.best_k("whole-selection")
    assert own == [{name: other[name] for name in ("study", "decision", "counts")}]
    assert queries.choosing_study(selection) == selection
    report("whole")  # draws the criteria of that choice
    for name in ("whole", "whole-selection"):
        (schemas.Study & {"study": name}).delete(prompt=False, part_integrity="cascade")


def test_a_study_that_is_not_frozen_says_how_it_gets_there(lab: str) -> None:
    declare_plan("unfrozen", plan_for("small", counts=[2], finetunings=[]))
    told = queries.answers("unfrozen")
    assert [row["answer"] for row in told[1:3]] == ["undecided", "undecided"]
    assert "`decortex study freeze unfrozen`" in told[1]["missing"]
    with pytest.raises(ConfigError, match="there is no study 'unheard'"):
        queries.answers("unheard")
    names = ["demo-1b-states", "demo-1b", "other"]
    assert "Did you mean 'demo-1b'?" in str(no_such_study("demo", names))
    assert "Several begin so: demo-1b, demo-2c, demo-1b-states." in str(
        no_such_study("demo", [*names, "demo-2c"])
    )
    for asked in ("unfro", "unfrosen"):  # how its name begins, as of the demo's; nearly its name
        for ask in (queries.answers, queries.study_rows, queries.study_facts):
            with pytest.raises(ConfigError, match=f"no study '{asked}'.*Did you mean 'unfrozen'"):
                ask(asked)


def test_the_command(lab: str, told: list[dict[str, Any]], monkeypatch: Any, capsys: Any) -> None:
    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["decortex", "answers", lab, *words])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        return str(capsys.readouterr().out)

    assert json.loads(run("--json")) == told
    assert run("--csv").splitlines()[0] == ",".join(KEYS)
    text = run()
    for row in told:
        assert row["question"] in text
        assert row["sentence"] in text
        assert row["answer"].upper() in text
