"""The number of types in the tables: what is counted, what stands in the rows, what the command says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.splits import SplitConfig, count_types, split_test
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.queries.evaluation.types import sentence
from decortex_schemas.tables import load_embedding
from decortex_schemas.tables.evaluation.scored import animals_of


def test_every_embedding_of_a_study_is_counted_once(lab: str) -> None:
    found = queries.types(lab)
    of_study = (schemas.Study.Model * schemas.Study.Embedding & {"study": lab}).proj()
    assert len(found) == len(schemas.TypeCount & of_study) > 1
    assert {row["status"] for row in found} <= {"types", "none", "undecided"}
    table = schemas.TypeCount()
    assert not len((table.key_source & of_study) - table.proj())


def test_the_row_is_what_the_function_says_with_animals_held_out(lab: str) -> None:
    key = (schemas.TypeCount & {"dataset": "small", "model_seed": 0}).keys(order_by="KEY")[0]
    x = load_embedding(key)
    animals = animals_of(key["dataset"])
    donors = animals if len(set(animals)) > 1 else None
    again = count_types(x, donors=donors, seed=0, config=SplitConfig())
    row = (schemas.TypeCount & key).fetch1()
    assert (row["types_status"], row["n_types"]) == (again.status, again.n_types)
    assert np.array_equal(row["labels"], again.labels)
    levels = (schemas.TypeCount.Level & key).to_dicts(order_by="n_groups")
    assert [level["p"] for level in levels] == [level.p for level in again.levels]
    assert row["n_animals"] == len(set(animals))


def test_the_command_says_the_sentence_first(lab: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["decortex", "tree", lab, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"sentence", "status", "levels", "splits"} <= set(rows[0])
    monkeypatch.setattr("sys.argv", ["decortex", "tree", lab])
    with pytest.raises(SystemExit):
        main()
    assert rows[0]["sentence"] in " ".join(capsys.readouterr().out.split())


def test_what_the_count_costs_is_told(lab: str, monkeypatch: Any, capsys: Any) -> None:
    counted = len(queries.types(lab))
    cost = queries.selection_cost(lab)
    assert cost["types"] == {"jobs": counted, "done": counted, "seconds_left": 0.0}
    assert cost["jobs"] == 0
    monkeypatch.setattr("sys.argv", ["decortex", "study", "cost", lab])
    with pytest.raises(SystemExit):
        main()
    line = f"number of types: {counted} of {counted} jobs done; time left: 0 s on one core"
    assert capsys.readouterr().out.strip().splitlines()[-1] == line


def said(capsys: Any, monkeypatch: Any, *words: str) -> Any:
    monkeypatch.setattr("sys.argv", ["decortex", "test-split", *words, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    return json.loads(captured.out)


def test_a_stored_partition_is_tested_as_the_function_does(lab: str, monkeypatch: Any, capsys: Any) -> None:
    chosen = {"method": "kmeans", "k": 3, "finetune": "none", "model_seed": 0, "seed": 0}
    words = [word for name, value in chosen.items() for word in ("--where", f"{name}={value}")]
    found = said(capsys, monkeypatch, "--study", lab, *words)
    row = next(r for r in queries.partitions(lab) if all(r[name] == value for name, value in chosen.items()))
    labels, animals = queries.labels(row["key"]), animals_of(row["key"]["dataset"])
    again = split_test(
        load_embedding({name: row["key"][name] for name in schemas.Embedding().primary_key}),
        labels,
        donors=animals if len(set(animals)) > 1 else None,
    )
    assert [(p["first"], p["second"], p["status"], p["p"]) for p in found["pairs"]] == [
        (str(p.first), str(p.second), p.status, p.p) for p in again.pairs
    ]
    assert found["n_animals"] == len(set(animals))


def test_labels_of_a_colleague_are_tested_on_a_network_of_the_study(
    lab: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    network = queries.embeddings(lab)[0]
    neurons = queries.neurons(network["dataset"])
    table = pd.DataFrame({name: neurons[name] for name in ("session", "unit_id", "scan")})
    table["nucleus"] = np.array(["core", "shell"])[np.arange(len(table)) % 2]
    table[1:].sample(frac=1, random_state=0).to_csv(tmp_path / "labels.csv", index=False)
    words = [w for name in queries.EMBEDDED for w in ("--where", f"{name}={network[name]}")]
    found = said(
        capsys, monkeypatch, str(tmp_path / "labels.csv"), "--study", lab, *words, "--label", "nucleus"
    )
    groups = np.where(np.arange(len(table)) == 0, "", table["nucleus"])
    animals = animals_of(network["dataset"])
    again = split_test(
        load_embedding(network["key"])[1:],
        groups[1:],
        donors=animals[1:] if len(set(animals[1:])) > 1 else None,
    )
    assert [p["p"] for p in found["pairs"]] == [p.p for p in again.pairs]
    assert found["n_without_group"] == 1
    assert f"({len(table) - 1} neurons of {len(set(animals[1:]))} animals" in found["sentence"]


def test_a_network_of_several_is_asked_for(lab: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    (tmp_path / "labels.csv").write_text("session,unit_id,type\na,1,pv\n")
    monkeypatch.setattr("sys.argv", ["decortex", "test-split", str(tmp_path / "labels.csv"), "--study", lab])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code != 0
    assert "--where model_seed=" in capsys.readouterr().err


def test_a_study_that_is_not_there_is_named(database: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no study 'nobody'"):
        queries.types("nobody")
    with pytest.raises(ConfigError, match="no study 'nobody'"):
        queries.embeddings("nobody")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"status": "waiting"}, "not counted yet"),
        ({"status": "undecided"}, "Too few neurons"),
        (
            {"status": "none", "p_smallest": 0.2},
            "stand apart (200 neurons of 1 animal; smallest p .2000)",
        ),
        (
            {"status": "types", "n_types": 8, "p_two": 0.00001, "p_smallest": 0.00001},
            "8 types stand apart (200 neurons of 1 animal; p of the split in two < .0001",
        ),
        (
            {"status": "types", "n_types": 3, "at_least": True, "p_two": 0.5, "p_smallest": 0.004},
            "At least 3 types",
        ),
    ],
)
def test_sentences(row: dict[str, Any], words: str) -> None:
    whole = {"n_neurons": 200, "n_animals": 1, "at_least": False, "p_two": None, "p_smallest": None, **row}
    assert words in sentence(whole)
