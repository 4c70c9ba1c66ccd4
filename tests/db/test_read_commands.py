"""What read commands print, in this process, through the real entry point."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pandas as pd
import pytest

import decortex_schemas as schemas
from decortex_ops.cli import main
from decortex_ops.cli.legends import MIN, meaning
from decortex_ops.cli.partition_picker import selection_rows
from decortex_schemas import queries


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def told(lab: str) -> list[dict[str, Any]]:
    """The five answers."""
    return queries.answers(lab)


def test_results_are_chosen_by_method_and_count(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = queries.results(lab)
    text = printed(monkeypatch, capsys, "results", lab, "--method", "kmeans", "--k", "3", "--json")
    expected = [row for row in everything if row["method"] == "kmeans" and row["k"] == 3]
    assert [row["finetune"] for row in json.loads(text)] == [row["finetune"] for row in expected]
    assert len(expected) == 3


def test_results_as_csv_are_what_pandas_reads(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(io.StringIO(printed(monkeypatch, capsys, "results", lab, "--csv")))
    expected = pd.DataFrame(queries.results(lab))
    assert list(table) == list(expected)
    for column in ("k", "ari_seeds", "correlation_after", "largest_share"):
        pd.testing.assert_series_equal(
            table[column].astype(float), expected[column].astype(float), check_dtype=False
        )


def test_the_largest_share_is_that_of_the_partitions(lab: str) -> None:
    row = next(r for r in queries.results(lab) if (r["method"], r["k"], r["finetune"]) == ("gmm", 2, "none"))
    assert 0.5 <= row["largest_share"] < 1
    assert row["n_components"] is None
    tuned = next(r for r in queries.results(lab) if r["finetune"] == "dec")
    assert tuned["largest_share"] is None


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (("status",), {"table", "done", "pending"}),
        (("agreement", "{lab}"), {"method", "k", "ari_seeds"}),
        (("agreement", "{lab}", "--part", "methods"), {"method_a", "method_b", "ari_same"}),
        (("stats", "{lab}", "--part", "confounds"), {"method", "ami_session"}),
        (("price", "{lab}"), {"method", "difference", "equivalent"}),
        (("price", "{lab}", "--part", "front"), {"beta", "on_front"}),
        (("study", "show"), {"study", "members", "frozen_at"}),
        (("study", "cost", "{lab}"), {"table", "rows", "own_rows"}),
        (("provenance", "TrainedModel", "dataset=small,model_seed=1,{spec}"), {"table", "column", "value"}),
    ],
)
def test_answers_as_csv_are_those_as_json(
    lab: str,
    words: tuple[str, ...],
    columns: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (spec,) = set((schemas.Study.Model & {"study": lab}).to_arrays("model_spec_id"))
    asked = [word.format(lab=lab, spec=f"model_spec_id={spec}") for word in words]
    table = pd.read_csv(io.StringIO(printed(monkeypatch, capsys, *asked, "--csv")))
    assert columns <= set(table)
    answer = json.loads(printed(monkeypatch, capsys, *asked, "--json"))
    if words[0] == "provenance":
        commit = table[(table["table"] == "TrainedModel") & (table["column"] == "checkpoint_sha256")]["value"]
        assert list(commit) == [answer["row"]["checkpoint_sha256"]]
        return
    if words[:2] == ("study", "cost"):
        answer = answer["tables"]
    parts = {"agreement": "partitions", "stats": "predictability", "price": "price"}
    if words[0] in parts:
        answer = answer[words[words.index("--part") + 1] if "--part" in words else parts[words[0]]]
    rows = answer if isinstance(answer, list) else [answer]
    assert len(table) == len(rows) > 0
    for name in columns:
        if rows[0][name] is not None and not isinstance(rows[0][name], (dict, bool)):
            assert str(table[name].iloc[0]) == str(rows[0][name])


def test_failed_keys_as_csv_and_the_choice_of_k_as_rows(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(monkeypatch, capsys, "errors", "--csv") == ""
    curve = {"value": 0.5, "low": None, "high": None, "n_used": 36, "status": "ok"}
    band = {"observed": 0.5, "null_mean": 0.1, "null_low": 0.0, "null_high": 0.2, "z": 4.0, "p": 0.05}
    excess = {"stability": {"t": {**band, "n_surrogates": 19, "n_used": 36, "status": "ok"}}}
    count = {"k": 2, "supported": True, "values": {"stability": curve}, "excess": excess}
    one = {
        "dataset": "d",
        "model": "m",
        "embedding": "e",
        "method_name": "n",
        "decision": 2,
        "reason": "agreed",
    }
    rows = selection_rows([{**one, "counts": [count]}])
    assert [(row["criterion"], row["null_kind"], row["value"], row["p"]) for row in rows] == [
        ("stability", None, 0.5, None),
        ("stability", "t", 0.5, 0.05),
    ]
    assert set(rows[0]) == set(rows[1])


def test_variants_stand_side_by_side(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ("--run", "method=kmeans,k=3,finetune=none", "--run", "method=kmeans,k=3,finetune=dec")
    rows = json.loads(printed(monkeypatch, capsys, "compare", lab, *runs, "--json"))
    expected = {
        row["finetune"]: row for row in queries.results(lab) if (row["method"], row["k"]) == ("kmeans", 3)
    }
    assert [row["finetune"] for row in rows] == ["none", "dec"]
    assert [row["ari_seeds"] for row in rows] == [expected[name]["ari_seeds"] for name in ("none", "dec")]
    table = pd.read_csv(io.StringIO(printed(monkeypatch, capsys, "compare", lab, *runs, "--csv")))
    assert list(table["finetune"]) == ["none", "dec"]
    shown = printed(monkeypatch, capsys, "compare", lab, *runs)
    line = next(line for line in shown.splitlines() if line.startswith("finetune"))
    assert line.split() == ["finetune", "none", "dec"]
    for wrong, message in (
        (("--run", "k=3"), "takes 2 to 6 variants"),
        (("--run", "k=3", "--run", "k=2"), "--where finetune=dec | dec_joint | none"),
        (("--run", "k=9", "--run", "k=2"), "no variant with"),
        (("--run", "seed=3", "--run", "k=2"), "is not chosen by 'seed'"),
    ):
        monkeypatch.setattr("sys.argv", ["decortex", "compare", lab, *wrong])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "question", "last"),
    [
        (("results",), 1, "p_max"),
        (("agreement",), 1, "of the null models"),
        (("stats",), 2, "nearest to their own cluster"),
        (("price",), 3, "in agreement and performance at once"),
    ],
)
def test_a_table_begins_with_its_sentence_and_ends_with_its_legend(
    lab: str,
    told: list[dict[str, Any]],
    words: tuple[str, ...],
    question: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [line for line in printed(monkeypatch, capsys, *words, lab).splitlines() if line.strip()]
    assert told[question]["sentence"] in lines[0]
    explained = [line.split()[0] for line in lines if line.endswith(meaning(line.split()[0]) or "no column")]
    assert len(explained) > 5, "columns are explained"
    assert last in " ".join(lines[-len(explained) - 1 :])
    assert lines[-1].endswith(MIN)
    for flag in ("--json", "--csv"):
        plainly = printed(monkeypatch, capsys, *words, lab, flag)
        assert told[question]["question"] not in plainly


@pytest.mark.parametrize(
    ("words", "first", "row", "last"),
    [
        (
            ("price", "--part", "detectable"),
            "No change of the agreement would have been",
            "sd_networks",
            "strongest",
        ),
        (("price", "--part", "front"), "", "on_front", "on_front"),
        (("price", "--part", "pairs"), "", "epsilon2_change", "epsilon2_change"),
        (("price", "--part", "generators"), "generators are compared where a study has states of", "", ""),
        (("agreement", "--part", "shared"), "no shared labelling: a plan asks for it with", "", ""),
        (("agreement", "--part", "methods"), "", "method_a", "ami_other"),
        (("stats", "--part", "confounds"), "", "ami_session", "transfer_score_correlation"),
    ],
)
def test_a_part_is_a_table_of_its_own(
    lab: str,
    told: list[dict[str, Any]],
    words: tuple[str, ...],
    first: str,
    row: str,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    question = {"agreement": 1, "stats": 2, "price": 3}[words[0]]
    lines = [
        line for line in printed(monkeypatch, capsys, words[0], lab, *words[1:]).splitlines() if line.strip()
    ]
    if not row:
        assert len(lines) == 1
        assert lines[0].startswith(first)
        return
    assert lines[0].startswith(first) if first else told[question]["sentence"] in lines[0]
    assert any(row in line.split() for line in lines), "a heading"
    shown = [line for line in lines if line.startswith("study ")]
    assert len(shown) == 1, "one table, and no other"
    assert lines[-1].startswith(last)


def test_status_says_first_what_the_queues_hold(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(monkeypatch, capsys, "status").splitlines()
    assert re.match(r"[\d,]+ rows are computed, [\d,]+ wait, [\d,]+ are in work and [\d,]+ failed", lines[0])
    assert lines[-1].startswith("ignore ")
