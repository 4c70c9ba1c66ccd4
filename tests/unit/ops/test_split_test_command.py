"""`decortex test-split` on files: what it says of given groups, and what it refuses. No database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decortex.errors import InputError
from decortex.evaluation.splits import split_test
from decortex_ops.cli import main
from decortex_ops.cli.labels_file import match, read_labels

N = 60


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Three groups, two of which are halves of one cloud, of three animals; the last two neurons have no group."""
    rng = np.random.default_rng(0)
    group = np.arange(3 * N) % 3
    x = rng.standard_normal((3 * N, 4))
    x[group == 0, 0] += 12
    names = np.array(["pv", "sst-a", "sst-b"])[group]
    names[-2:] = ""
    np.save(tmp_path / "x.npy", x)
    table = pd.DataFrame({"subclass": names, "animal": [f"m{i}" for i in rng.integers(0, 3, 3 * N)]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "x.npy", tmp_path / "labels.csv"


def said(capsys: Any, monkeypatch: Any, *words: object) -> str:
    monkeypatch.setattr("sys.argv", ["decortex", "test-split", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    text: str = captured.out
    return text


def refused(capsys: Any, monkeypatch: Any, *words: object) -> str:
    monkeypatch.setattr("sys.argv", ["decortex", "test-split", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code != 0
    return " ".join(capsys.readouterr().err.split())


def test_the_answer_is_that_of_the_function_with_animals_held_out(files, capsys, monkeypatch):
    found = json.loads(said(capsys, monkeypatch, *files, "--json"))
    table = pd.read_csv(files[1], keep_default_na=False)
    used = (table["subclass"] != "").to_numpy()
    again = split_test(
        np.load(files[0])[used], table["subclass"][used].to_numpy(), donors=table["animal"][used].to_numpy()
    )
    assert [(p["first"], p["second"], p["status"], p["p"], p["p_holm"]) for p in found["pairs"]] == [
        (p.first, p.second, p.status, p.p, p.p_holm) for p in again.pairs
    ]
    assert (found["held_out"], found["n_animals"], found["n_without_group"]) == ("animals", 3, 2)
    assert (found["n_groups"], found["n_apart"]) == (3, 2)
    assert {(p["first"], p["second"]) for p in found["pairs"] if p["status"] == "none"} == {
        ("sst-a", "sst-b")
    }
    assert [p["n_first"] for p in found["pairs"]] == [N, N, N - 1]


def test_the_sentence_comes_first(files, capsys, monkeypatch):
    text = said(capsys, monkeypatch, *files)
    head = "labels.csv on x.npy: 2 of 3 groups stand apart, once those without a valley between them are joined: "
    assert text.startswith(
        f"{head}2 of 3 pairs have a valley (p at most 0.05; 2 after correction over all pairs), 0"
    )
    assert f"({3 * N - 2} neurons of 3 animals, whole animals held out)" in text.splitlines()[0]
    assert "optimistic for a clustering of these features" in text


def test_neurons_are_held_out_where_no_animal_is_named_or_only_one(files, capsys, monkeypatch):
    table = pd.read_csv(files[1], keep_default_na=False)
    table.assign(animal="m0").to_csv(files[1], index=False)
    one = json.loads(said(capsys, monkeypatch, *files, "--json"))
    table.drop(columns="animal").to_csv(files[1], index=False)
    none = json.loads(said(capsys, monkeypatch, *files, "--json"))
    assert one["pairs"] == none["pairs"]
    assert (one["held_out"], one["n_animals"]) == ("neurons", 1)
    assert (none["held_out"], none["n_animals"]) == ("neurons", None)


def test_the_same_features_as_npz_and_as_text(files, tmp_path, capsys, monkeypatch):
    x = np.load(files[0])
    np.savez(tmp_path / "x.npz", X=x)
    pd.DataFrame(x).to_csv(tmp_path / "x.csv", index=False)
    answers = [
        json.loads(said(capsys, monkeypatch, path, files[1], "--json"))
        for path in (files[0], tmp_path / "x.npz", tmp_path / "x.csv")
    ]
    for answer in answers:
        del answer["tested"]
    assert answers[0] == answers[1] == answers[2]
    other = json.loads(said(capsys, monkeypatch, *files, "--kind", "zscore", "--json"))
    assert other["pairs"] != answers[0]["pairs"]


def test_rows_that_do_not_fit_are_counted(files, capsys, monkeypatch):
    pd.read_csv(files[1]).head(10).to_csv(files[1], index=False)
    message = refused(capsys, monkeypatch, *files)
    assert "one row per neuron" in message
    assert f"{3 * N}, but has 10" in message


def test_a_column_that_is_not_there_is_named(files, capsys, monkeypatch):
    assert "'nucleus'" in refused(capsys, monkeypatch, *files, "--label", "nucleus")
    assert "it has subclass, animal" in refused(capsys, monkeypatch, *files, "--animal", "mouse")


def test_which_column_is_meant_must_be_clear(files, capsys, monkeypatch):
    pd.read_csv(files[1], keep_default_na=False).assign(cluster=1).to_csv(files[1], index=False)
    assert "name the one that is meant with --label" in refused(capsys, monkeypatch, *files)
    assert said(capsys, monkeypatch, *files, "--label", "subclass")


def test_a_neuron_without_an_animal_is_told(files, capsys, monkeypatch):
    table = pd.read_csv(files[1], keep_default_na=False)
    table.loc[4, "animal"] = ""
    table.to_csv(files[1], index=False)
    assert "1 neurons have no animal (first in line 6)" in refused(capsys, monkeypatch, *files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "has none"),
        ("a,b\n1,2\n3,4,5\n", "is no table of text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / "labels.csv", None)


def test_features_that_are_words_are_refused(files, tmp_path, capsys, monkeypatch):
    (tmp_path / "x.csv").write_text("a,b\n" + "1,pv\n" * (3 * N))
    assert "should hold numbers only" in refused(capsys, monkeypatch, tmp_path / "x.csv", files[1])


def test_features_under_another_name_are_refused(files, tmp_path, capsys, monkeypatch):
    np.savez(tmp_path / "x.npz", features=np.load(files[0]))
    assert "as X, but holds features" in refused(capsys, monkeypatch, tmp_path / "x.npz", files[1])


def test_one_file_alone_is_no_question(files, capsys, monkeypatch):
    assert "two files, FEATURES and LABELS.csv" in refused(capsys, monkeypatch, files[0])
    assert "neither --kind nor --animal" in refused(
        capsys, monkeypatch, files[1], "--study", "lab", "--kind", "l2"
    )


NEURONS = {
    "neuron_idx": np.arange(4),
    "session": np.array(["a", "a", "b", "b"]),
    "animal": np.array(["m", "m", "m", "m"]),
    "scan": np.array([0, 0, 0, 0]),
    "unit_id": np.array([1, 2, 1, 2]),
}


def table(tmp_path: Path, text: str) -> Any:
    (tmp_path / "labels.csv").write_text(text)
    return read_labels(tmp_path / "labels.csv", None)


def test_labels_are_matched_to_neurons_by_name(tmp_path):
    found, notes = match(table(tmp_path, "session,unit_id,type\nb,2,pv\na,1,sst\na,2,NA\n"), NEURONS)
    assert found.tolist() == ["sst", "", "", "pv"]
    assert "1 neurons with NA" in notes[0]
    assert match(table(tmp_path, "neuron_idx,type\n2,pv\n0,sst\n"), NEURONS)[0].tolist() == [
        "sst",
        "",
        "pv",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("session,type\na,pv\n", "whose label a row is"),
        ("unit_id,type\n1,pv\n", "occur in several sessions of this dataset"),
        ("session,unit_id,type\na,1,pv\na,1,sst\n", "several rows: a 1"),
        ("session,unit_id,type\na,1,pv\nc,1,sst\n", "1 of 2 identities are no neurons of this dataset: c 1"),
    ],
)
def test_labels_of_other_neurons_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        match(table(tmp_path, text), NEURONS)


def test_what_says_that_a_label_is_missing_is_no_group(files, capsys, monkeypatch):
    labels = pd.read_csv(files[1], keep_default_na=False)
    labels["subclass"] = labels["subclass"].replace("", "NA")
    before = json.loads(said(capsys, monkeypatch, *files, "--json"))
    labels.to_csv(files[1], index=False)
    after = json.loads(said(capsys, monkeypatch, *files, "--json"))
    assert after["pairs"] == before["pairs"]
    assert (before["notes"], after["n_without_group"]) == ([], 2)
    assert "2 neurons with NA in 'label' are taken to have no label" in after["notes"][0]
