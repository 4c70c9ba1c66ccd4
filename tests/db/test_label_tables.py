"""External labels through the tables: registered, compared with partitions, decoded, answered by one query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lab import NETWORK, SCHEDULE, SMALL, TESTS, TRAINING, fill, plan_for

import decortex_schemas as schemas
from decortex.data import SimulationConfig, read_anndata
from decortex.errors import ConfigError, InputError
from decortex.evaluation.labels import (
    LabelColumns,
    decode_clusters,
    decode_labels,
    held_out_groups,
    label_agreement,
)
from decortex_ops.cli import main
from decortex_ops.reports import export_anndata
from decortex_schemas import queries
from decortex_schemas.register import declare_plan, register_labels
from decortex_schemas.tables import (
    freeze_study,
    labels_of,
    load_embedding,
    partition_labels,
    register_simulation,
    register_true_types,
)

DATASET, STUDY = "labelled", "labelled-study"
COLUMNS = LabelColumns("unit", "line", session="session", confidence="sure")


def write_lines(path: Path) -> np.ndarray[Any, Any]:
    """A file of Cre lines: half of the neurons, one of them doubtful. Returns the classes' numbers."""
    neurons = queries.neurons(DATASET)
    lines = np.where(neurons["true_type"] % 2, "Sst", "Pvalb")
    chosen = np.arange(0, len(lines), 2)
    rows = [
        f"{neurons['session'][i]},{neurons['unit_id'][i]},{lines[i]},{0.2 if i == 0 else 0.9}"
        for i in chosen[::-1]
    ]
    path.write_text("\n".join(["session,unit,line,sure", *rows]) + "\n", encoding="utf-8")
    expected = np.full(len(lines), -1)
    expected[chosen] = lines[chosen] == "Sst"
    expected[0] = -1
    return expected


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def study(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study whose controls are clustered, with two label sets; computed and frozen."""
    register_simulation(DATASET, SimulationConfig.from_params(SMALL), seed=5)
    path = tmp_path_factory.mktemp("labels") / "lines.csv"
    write_lines(path)
    register_true_types(DATASET)
    register_labels(DATASET, "cre", path, COLUMNS, min_confidence=0.5)
    start = {
        "schedule": SCHEDULE,
        "counts": [3],
        "seeds": [0],
        "methods": ["kmeans"],
        "control_seed": "model",
    }
    plan = plan_for(
        DATASET,
        networks=[{"dataset": DATASET, "network": NETWORK, "training": TRAINING, "seeds": [0, 1]}],
        methods=[{"method": "kmeans"}],
        counts=[3],
        seeds=[0],
        finetunings=[{"name": "dec", "params": {"kind": "dec"}, **start}],
        states="all",
        views=[],
    )
    declare_plan(STUDY, plan)
    fill(few=TESTS)
    for name in (STUDY, f"{STUDY}-states"):
        freeze_study(name)
    fill(few=TESTS)
    return STUDY


def test_a_label_set_holds_what_the_file_says_and_who_read_it(study: str, tmp_path: Path) -> None:
    expected = write_lines(tmp_path / "again.csv")
    key = {"dataset": DATASET, "label_set": "cre"}
    np.testing.assert_array_equal(labels_of(key), expected)
    row = next(one for one in queries.label_sets(DATASET) if one["label_set"] == "cre")
    assert (row["classes"], row["n_labelled"], row["n_neurons"]) == (["Pvalb", "Sst"], 17, 36)
    assert row["counts"] == {"Pvalb": int((expected == 0).sum()), "Sst": int((expected == 1).sum())}
    assert row["label_columns"] == {
        "id": "unit",
        "label": "line",
        "session": "session",
        "confidence": "sure",
        "by": "unit_id",
    }
    assert (row["min_confidence"], row["has_confidence"]) == (0.5, True)
    assert len(row["source_sha256"]) == 64
    assert row["registered_by"]
    assert row["source"].endswith("lines.csv")
    truth = labels_of({"dataset": DATASET, "label_set": "true_type"})
    np.testing.assert_array_equal(truth, queries.neurons(DATASET)["true_type"])


def test_the_same_again_changes_nothing_and_another_of_the_name_is_refused(
    study: str, tmp_path: Path
) -> None:
    path = tmp_path / "lines.csv"
    write_lines(path)
    register_labels(DATASET, "cre", path, COLUMNS, min_confidence=0.5)
    assert len(schemas.LabelSet & {"dataset": DATASET}) == 2
    with pytest.raises(ConfigError, match="another label set 'cre'"):
        register_labels(DATASET, "cre", path, COLUMNS)
    with pytest.raises(ConfigError, match="no dataset 'nobody'"):
        register_labels("nobody", "cre", path, COLUMNS)
    with pytest.raises(ConfigError, match="compared with unit_id or neuron_idx"):
        register_labels(DATASET, "other", path, COLUMNS, by="name")
    with pytest.raises(ConfigError, match="0 to 1"):
        register_labels(DATASET, "other", path, COLUMNS, min_confidence=80)
    path.write_text("session,unit,line,sure\nsomewhere,1,a,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 of 1 identities are no neurons"):
        register_labels(DATASET, "other", path, COLUMNS)
    assert len(schemas.LabelSet & {"dataset": DATASET}) == 2


def test_every_partition_and_embedding_is_compared_with_every_label_set(study: str) -> None:
    at = {"dataset": DATASET}
    assert len(schemas.LabelAgreement & at) == 2 * len(schemas.DECFinetune & at) > 8
    assert len(schemas.LabelDecoding & at) == 2 * len(schemas.Embedding & at) > 4


@pytest.mark.parametrize("label_set", ["cre", "true_type"])
def test_rows_are_what_the_functions_say(study: str, label_set: str) -> None:
    kinds = schemas.FinetuneSpec & {"kind": "dec"}
    key = (schemas.LabelAgreement & {"dataset": DATASET, "label_set": label_set} & kinds.proj()).keys(
        order_by="KEY"
    )[0]
    row = (schemas.LabelAgreement & key).fetch1()
    neurons, clusters, types = queries.neurons(DATASET), partition_labels(key), labels_of(key)
    again = label_agreement(clusters, types, neurons["animal"], seed=0)
    for name in ("ari", "ami", "purity", "ari_null", "p_ari", "p_purity", "n_neurons", "n_blocks"):
        assert row[name] == getattr(again, name), name
    assert row["shuffled_within"] == "animal"
    used = types >= 0
    folds = held_out_groups(neurons["animal"][used], neurons["session"][used], seed=0)
    decoded = decode_clusters(clusters[used].astype(int), types[used], folds)
    assert (row["left_out"], row["n_groups"], row["p_decoding"]) == ("animal", 2, decoded.p)
    assert decoded.balanced_accuracy is not None
    assert row["balanced_accuracy"] == decoded.balanced_accuracy.value
    whole = (schemas.LabelDecoding & {"dataset": DATASET, "label_set": label_set}).keys(order_by="KEY")[0]
    x = load_embedding(whole)
    parts = {one["decoder"]: one for one in (schemas.LabelDecoding.Decoder & whole).to_dicts()}
    assert set(parts) == {"logistic", "neighbours"}
    for decoder, part in parts.items():
        found = decode_labels(x[used], types[used], folds, decoder=decoder)
        assert found.macro_f1 is not None
        assert (part["macro_f1"], part["macro_f1_low"]) == (found.macro_f1.value, found.macro_f1.low)
        assert part["p_decoding"] == found.p
        np.testing.assert_array_equal(part["confusion"], found.confusion)


def test_one_query_says_whether_fine_tuning_brought_clusters_nearer(study: str) -> None:
    found = queries.against_labels(study)
    assert found["n_waiting"] == 0
    assert [(row["finetune"], row["label_set"]) for row in found["answers"]] == [
        ("dec", "cre"),
        ("dec", "true_type"),
    ]
    own = schemas.Study.Finetuning.proj() & {"study": study}
    tuned = int((schemas.FinetuneSpec & {"kind": "dec"} & own).fetch1("finetune_id"))
    truth = {"dataset": DATASET, "label_set": "true_type"}
    states = schemas.NetworkState & (schemas.Study.Model & {"study": f"{study}-states"}).proj()
    specs = {row["state"]: int(row["model_spec_id"]) for row in states.to_dicts()}
    parent = int((states & {"state": "control"}).fetch1("parent_spec_id"))
    answer = found["answers"][1]
    for state, where in {
        "before": {"model_spec_id": parent},
        "control": {"model_spec_id": specs["control"]},
        "fine_tuned": {"finetune_id": tuned},
        "fine_tuned_afresh": {"model_spec_id": specs["fine_tuned"]},
    }.items():
        chosen = schemas.LabelAgreement & truth
        chosen = chosen & where & (f"finetune_id != {tuned}" if state != "fine_tuned" else {})
        values = chosen.to_arrays("ari")
        assert len(values) == 2
        assert answer[f"ari_{state}"] == pytest.approx(values.mean()), state
    assert answer["ari_gain"] == pytest.approx(answer["ari_fine_tuned"] - answer["ari_control"])
    assert answer["verdict"] in ("nearer", "farther", "no_difference")
    assert answer["ari_gain_low"] <= answer["ari_gain"] <= answer["ari_gain_high"]
    assert len(found["pairs"]) == 4
    agreement = (schemas.SeedAgreement & {"study": study} & f"finetune_id != {tuned}").fetch1("ari_truth")
    whole = next(row for row in found["partitions"] if row["label_set"] == "true_type")
    assert whole["ari"] == pytest.approx(agreement)
    models = {row["model"] for row in found["decoding"]}
    assert len(models) == 3  # start, control, fine-tuned
    alone = queries.against_labels(study, "cre")
    assert {row["label_set"] for part in queries.PARTS for row in alone[part]} == {"cre"}


def test_the_command_says_the_answer_first(study: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(["labels", study], monkeypatch) == 0
    text = capsys.readouterr().out
    found = queries.against_labels(study)
    assert text.startswith(found["sentence"])
    assert "verdict" in text
    assert run(["labels", study, "--json"], monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["sentence"] == found["sentence"]
    assert run(["labels", study, "--csv", "--part", "decoding"], monkeypatch) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(found["decoding"])
    assert run(["labels", study, "--label-set", "layer"], monkeypatch) == 1
    assert "it has cre, true_type" in " ".join(capsys.readouterr().err.split())


def test_labels_are_registered_by_a_command(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "layers.csv"
    path.write_text("i,layer\n0,2/3\n1,4\n2,NA\n3,4\n", encoding="utf-8")
    words = ["register", "labels", DATASET, "layer", str(path), "--id", "i", "--label", "layer"]
    assert run([*words, "--by", "neuron_idx"], monkeypatch) == 0
    said = capsys.readouterr()
    assert "3 of 36 neurons, 2 classes (4 2, 2/3 1)" in said.out
    assert "1 neurons with NA" in said.err
    found = queries.against_labels(study)
    assert found["n_waiting"] == 2 * 2 + 2 * 2  # partitions of the study and of its states
    assert next(row for row in found["answers"] if row["label_set"] == "layer")["verdict"] == "waiting"
    (schemas.LabelSet & {"label_set": "layer"}).delete(prompt=False)
    assert run(words[:5], monkeypatch) == 1
    assert "--id COLUMN --label COLUMN" in " ".join(capsys.readouterr().err.split())
    assert run([*words, "--true-types"], monkeypatch) == 1
    assert run(["register", "labels", DATASET, "true_type", "--true-types"], monkeypatch) == 0
    assert "36 of 36 neurons" in capsys.readouterr().out


def test_without_label_sets_the_query_says_what_to_do(database: dict[str, str], lab: str) -> None:
    with pytest.raises(ConfigError, match="no label set of small is registered"):
        queries.against_labels(lab)
    with pytest.raises(ConfigError, match="no study 'nobody'"):
        queries.against_labels("nobody")


def test_label_sets_stand_in_an_anndata_file(study: str, tmp_path: Path) -> None:
    pytest.importorskip("anndata", reason="anndata is not installed: pip install -e '.[anndata]'")
    path = tmp_path / "labelled.h5ad"
    assert export_anndata(study, path).label_sets == ("cre", "true_type")
    found = read_anndata(path)
    classes = np.array(["Pvalb", "Sst", ""])
    expected = classes[labels_of({"dataset": DATASET, "label_set": "cre"})]
    np.testing.assert_array_equal(found.columns["label cre"].fillna("").to_numpy(), expected)
    assert found.columns["label cre confidence"].notna().sum() == 18
    sets = json.loads(found.notes["decortex"]["label_sets"])
    assert [one["label_set"] for one in sets] == ["cre", "true_type"]
    assert sets[0]["source"].endswith("lines.csv")
