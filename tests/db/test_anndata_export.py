"""A study as an AnnData file: every array is the table's to the bit, and what it is stands in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import decortex_schemas as schemas
from decortex.data import read_anndata
from decortex.errors import ConfigError, InputError
from decortex_ops.cli import main
from decortex_ops.reports import export_anndata
from decortex_schemas import queries
from decortex_schemas.tables import load_embedding, partition_labels

pytest.importorskip("anndata", reason="anndata is not installed: pip install -e '.[anndata]'")


def test_the_file_holds_what_the_tables_hold(lab: str, tmp_path: Path) -> None:
    path = tmp_path / "small.h5ad"
    summary = export_anndata(lab, path)
    found = read_anndata(path)
    key = {name: summary.key[name] for name in schemas.Embedding().primary_key}
    assert key["model_seed"] == 0
    assert summary.others == (1,)
    assert found.features.tobytes() == load_embedding(key).tobytes()
    neurons = queries.neurons(key["dataset"])
    assert found.ids == tuple(f"{s}:{u}" for s, u in zip(neurons["session"], neurons["unit_id"], strict=True))
    for name in ("neuron_idx", "session", "animal", "unit_id", "true_type"):
        np.testing.assert_array_equal(found.columns[name].to_numpy(), neurons[name])
    notes = found.notes["decortex"]
    partitions = json.loads(notes["partitions"])
    of_study = schemas.Study.Model.proj() * schemas.Study.Embedding.proj() * schemas.Study.Finetuning.proj()
    members = schemas.DECFinetune & key & (of_study & {"study": lab}).proj()
    assert len(partitions) == len(members) == summary.n_partitions > 4
    for row in partitions:
        whole = {name: row[name] for name in schemas.DECFinetune().primary_key}
        labels = partition_labels(whole)
        read = [-1 if pd.isna(one) else int(one) for one in found.columns[row["column"]]]
        np.testing.assert_array_equal(read, labels)
        assert row["labels_sha256"] == (schemas.DECFinetune & whole).fetch1("labels_sha256")
        tuned = row["kind"] != "none"
        assert (f"test_correlation {row['column']}" in found.columns) == tuned
    np.testing.assert_array_equal(
        found.columns["test_correlation"].to_numpy(), queries.scores({**whole, "finetune_id": -1})
    )
    # Another test may ask for further views of this study.
    drawn = [
        one
        for one in queries.views(lab)
        if one["done"] and all(one[name] == value for name, value in key.items())
    ]
    assert "pca" in {view["view"] for view in drawn}
    for view in drawn:
        np.testing.assert_array_equal(found.views[f"X_{view['view']}"], queries.view_points(view))
    assert sorted(summary.views) == sorted(f"X_{view['view']}" for view in drawn)
    row = (schemas.Embedding & key).fetch1()
    assert notes["embedding_sha256"] == row["embedding_sha256"]
    environment = (schemas.Environment & {"env_id": row["env_id"]}).fetch1()
    assert json.loads(notes["environment"])["source_sha256"] == environment["source_sha256"]
    assert notes["frozen_members_sha256"] == (schemas.FrozenStudy & {"study": lab}).fetch1("members_sha256")


def test_what_is_chosen_must_be_there(lab: str, tmp_path: Path) -> None:
    path = tmp_path / "small.h5ad"
    assert export_anndata(lab, path, network_seed=1).key["model_seed"] == 1
    with pytest.raises(InputError, match="exists"):
        export_anndata(lab, path)
    with pytest.raises(ConfigError, match="no study 'nobody'"):
        export_anndata("nobody", path)
    with pytest.raises(ConfigError, match=r"no network seed 7 .* it has 0, 1"):
        export_anndata(lab, tmp_path / "other.h5ad", network_seed=7)


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_commands(lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    path = tmp_path / "small.h5ad"
    assert run(["export", "anndata", lab, "-o", str(path)], monkeypatch) == 0
    said = capsys.readouterr()
    assert "36 neurons of small" in said.out
    assert "network seeds 1 too" in said.err
    assert path.is_file()
    # The folder needs no word of its own, wherever its options stand.
    assert run(["export", lab, str(tmp_path / "bundle")], monkeypatch) == 0
    assert run(["export", "--json", lab, str(tmp_path / "second")], monkeypatch) == 0
    assert run(["export", "folder", lab, str(tmp_path / "third")], monkeypatch) == 0
    assert all((tmp_path / name / "MANIFEST.json").is_file() for name in ("bundle", "second", "third"))
