"""Figures by name, from the tables to the file: what is drawn is what the rows say, and errors say what to choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.figures import figure_bytes
from decortex_ops.cli import main
from decortex_ops.reports import RECIPES, draw_figure, one_of
from decortex_schemas import queries
from decortex_schemas.queries import best_k

KMEANS = {"method": "kmeans", "k": "3", "model_seed": "0", "seed": "0"}
CHOSEN = {
    "criteria": {},
    "surrogates": {"criterion": "silhouette"},
    "agreement": {"k": "3"},
    "curves": {**KMEANS, "finetune": "dec"},
    "front": {},
    "price": {},
    "summary": {},
    "performance": {**KMEANS, "finetune": "none"},
    "tree": {"dataset": "small", "model_seed": "0"},
    "map": {**KMEANS, "finetune": "none", "colour": "true_type", "view": "pca"},
}


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def study_of(name: str, lab: str, selection: str) -> str:
    return selection if name in ("criteria", "surrogates") else lab


@pytest.mark.parametrize(
    "name", sorted(set(RECIPES) - {"nulls", "stimuli"})
)  # test_finetuned_null, test_tuning_tables
def test_every_figure_is_drawn_from_rows(name: str, lab: str, selection: str) -> None:
    study = study_of(name, lab, selection)
    drawn = draw_figure(name, study, CHOSEN[name])
    about = drawn.about()
    assert json.loads(about["key"])["study"] == study
    assert "decortex" in json.loads(about["versions"])["drawn_with"]
    assert figure_bytes(drawn.figure, "svg", about=about) == figure_bytes(
        draw_figure(name, study, CHOSEN[name]).figure, "svg", about=about
    )


def test_a_map_and_its_violins_hold_the_stored_arrays(lab: str) -> None:
    axes = draw_figure("map", lab, CHOSEN["map"]).figure.axes[0]
    embedded = ((schemas.Study.Model.proj() * schemas.Study.Embedding.proj()) & {"study": lab}).proj()
    drawn_here = schemas.EmbeddingView & embedded & {"dataset": "small", "model_seed": 0}
    view = (drawn_here & (schemas.ViewSpec & "kind = 'pca'")).fetch1("points")
    types = (schemas.Dataset.Neuron & {"dataset": "small"}).to_arrays("true_type", order_by="neuron_idx")
    for value, dots in zip(sorted(set(types)), axes.collections, strict=True):
        np.testing.assert_allclose(dots.get_offsets(), view[types == value], rtol=1e-6)
    drawn = draw_figure("performance", lab, CHOSEN["performance"])
    partition = {"dataset": "small", "method": "kmeans", "k": 3, "model_seed": 0, "seed": 0}
    sizes = (schemas.Clustering.Cluster & partition & embedded).to_arrays("size", order_by="cluster")
    labels = [tick.get_text() for tick in drawn.figure.axes[0].get_xticklabels()]
    assert labels == [f"{cluster}\nn={size}" for cluster, size in enumerate(sizes)]
    assert drawn.env_ids


def test_the_tree_holds_the_tested_numbers_of_types(lab: str) -> None:
    counted = next(row for row in queries.types(lab) if row["dataset"] == "small" and row["model_seed"] == 0)
    figure = draw_figure("tree", lab, CHOSEN["tree"]).figure
    drawn = np.concatenate([dots.get_offsets().data for dots in figure.axes[0].collections])
    levels = [[level["n_groups"], max(level["p"], 1e-12)] for level in counted["levels"]]
    np.testing.assert_allclose(sorted(drawn.tolist()), sorted(levels))
    assert " ".join(counted["sentence"].split()[:4]) in " ".join(figure.get_suptitle().split())


def test_values_to_choose_between_are_in_their_order() -> None:
    rows = [{"k": k, "finetune": name} for k, name in ((12, "none"), (4, "dec"), (8, "dec_joint"))]
    with pytest.raises(ConfigError, match=r"k=4 \| 8 \| 12; --where finetune=dec \| dec_joint \| none"):
        one_of(rows, {}, ("k", "finetune"), "partition")


def test_agreement_is_that_of_the_pairs(lab: str) -> None:
    image = draw_figure("agreement", lab, {"k": "3"}).figure.axes[0].images[0].get_array()
    cells = np.ma.filled(image, np.nan)
    assert cells.shape == (8, 8)  # two methods, two networks, two starts
    kmeans = {
        "study": lab,
        "k": 3,
        "method": "kmeans",
        "model_seed_a": 0,
        "seed_a": 0,
        "model_seed_b": 0,
        "seed_b": 1,
    }
    none = schemas.FinetuneSpec & {"kind": "none"}
    stored = (schemas.SeedAgreement.Pair & kmeans & none).fetch1("ari")
    assert cells[4, 5] == cells[5, 4] == stored


def test_criteria_are_those_of_best_k(selection: str) -> None:
    (row,) = best_k(selection)
    figure = draw_figure("criteria", selection, {}).figure
    assert f"({row['reason']})" in figure.get_suptitle()
    axes = next(axes for axes in figure.axes if axes.get_title() == "silhouette")
    line = next(line for line in axes.get_lines() if line.get_label() == "data")
    expected = [[one["k"], one["values"]["silhouette"]["value"]] for one in row["counts"]]
    np.testing.assert_allclose(line.get_xydata(), expected)
    dots = draw_figure("surrogates", selection, {"criterion": "silhouette"}).figure.axes[0].collections[0]
    band = row["counts"][0]["excess"]["silhouette"]["gaussian"]
    assert np.mean(np.asarray(dots.get_offsets())[:2, 1]) == pytest.approx(band["null_mean"])


def test_the_command_writes_and_lists(lab: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    target = tmp_path / "price.pdf"
    assert run(monkeypatch, "figure", "price", lab, "-o", str(target), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["title"] == f"decortex price of study {lab}"
    first = target.read_bytes()
    assert run(monkeypatch, "figure", "price", lab, "-o", str(target)) == 0
    assert target.read_bytes() == first
    assert b"/Subject" in first
    capsys.readouterr()
    assert run(monkeypatch, "figure", "--list", "--json") == 0
    assert [row["figure"] for row in json.loads(capsys.readouterr().out)] == list(RECIPES)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("violins", "{lab}", "-o", "f.pdf"), 1, "no figure 'violins'; there are criteria, "),
        (("price", "{lab}", "-o", "f.doc"), 1, "f.doc should end in .pdf, .svg or .png"),
        (("price", "{lab}", "-o", "/nowhere/f.pdf"), 1, "cannot be written: No such file"),
        (("price", "{lab}"), 2, "takes its name, a study and -o FILE"),
        (("performance", "{lab}", "-o", "f.pdf", "--where", "method=kmeans"), 1, "--where k=2 | 3; --where"),
        (("performance", "{lab}", "-o", "f.pdf", "--where", "k=9"), 1, "no partition with {'k': '9'}"),
        (("performance", "{lab}", "-o", "f.pdf", "--where", "view=pca"), 1, "is not chosen by 'view'"),
        (("performance", "{lab}", "-o", "f.pdf", "--where", "k"), 1, "--where takes column=value"),
        (("front", "unheard", "-o", "f.pdf"), 1, "there is no study 'unheard'"),
        (("nulls", "{lab}", "-o", "f.pdf"), 1, "has no fine-tuning with its null yet"),
        (("criteria", "{lab}", "-o", "f.pdf"), 1, "asks for no null models"),
    ],
)
def test_refusals(
    lab: str, words: tuple[str, ...], status: int, message: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "figure", *(word.format(lab=lab) for word in words)) == status
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
