"""A frozen study as a folder: complete, checkable without the database, and nothing altered passes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError, InputError
from decortex_ops.reports import MANIFEST, check_bundle, export_study
from decortex_schemas import queries
from decortex_schemas.tables import partition_labels


@pytest.fixture(scope="module")
def bundle(lab: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "small study's bundle"
    export_study(lab, folder)
    return folder


def test_it_holds_every_partition_and_answer(bundle: Path, lab: str) -> None:
    manifest = check_bundle(bundle)
    with (bundle / "members.csv").open(newline="") as file:
        members = list(csv.DictReader(file))
    assert manifest["n_members"] == len(members) == 20
    names = schemas.DECFinetune().primary_key
    with np.load(bundle / "labels.npz") as arrays:
        for row in members[:3] + members[-1:]:
            stored = partition_labels({name: row[name] for name in names})
            np.testing.assert_array_equal(arrays[row["array"]], stored)
    with (bundle / "neurons.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 36
    results = json.loads((bundle / "answers" / "results.json").read_text())
    assert results == json.loads(json.dumps(queries.results(lab)))
    environments = {row["env_id"] for row in json.loads((bundle / "environments.json").read_text())}
    assert {int(row["env_id"]) for row in members} <= environments
    plan = json.loads((bundle / "plan.json").read_text())
    assert {row["method_name"] for row in plan["methods"]} == {"kmeans", "gmm"}
    tables = {path.name for path in (bundle / "tables").iterdir()}
    assert {
        "Clustering.csv",
        "Clustering.Cluster.csv",
        "SeedAgreement.Pair.csv",
        "RetainedPerformance.csv",
    } <= tables


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: alter(folder / "labels.npz"), r"labels.npz is altered"),
        (lambda folder: (folder / "plan.json").unlink(), r"plan.json is missing"),
        (lambda folder: (folder / "more.txt").write_text(""), r"more.txt is not in the manifest"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "is not an exported study"),
        (lambda folder: (folder / MANIFEST).unlink(), "is not an exported study"),
    ],
)
def test_a_damaged_bundle_is_refused(
    bundle: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = tmp_path / "copy"
    for path in bundle.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(bundle)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    check_bundle(copy)
    damage(copy)
    with pytest.raises(InputError, match=message):
        check_bundle(copy)


def test_an_export_goes_into_a_new_folder_or_nowhere(bundle: Path, lab: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists"):
        export_study(lab, bundle)
    with pytest.raises(ConfigError, match="there is no study"):
        export_study("no such study", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
