"""`make known-types` prints one row per data set and way; its numbers are in the docs, not here."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[4] / "benchmarks" / "splits"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in ("known_types", "rivals", "worlds", "world_continua", "world_types"):
        sys.modules.pop(name, None)


@pytest.fixture
def quick(load, monkeypatch):
    """The benchmark without shared files, with two methods and the rivals that are quick."""
    known = load("known_types")
    monkeypatch.setenv("DECORTEX_SHARED_DATA", "/nowhere")
    monkeypatch.setattr(known, "METHODS", known.METHODS[:2])
    rivals = {name: known.RIVALS[name] for name in ("SigClust-like", "HDBSCAN")}
    monkeypatch.setattr(known, "RIVALS", rivals)
    return known


def test_files_of_a_folder_are_judged_whole_and_label_by_label(quick, monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.repeat(["basket", "chandelier"], [110, 60])
    x = rng.standard_normal((170, 4)) + 14 * np.outer(y == "basket", [1, 0, 0, 0])
    folder, out = tmp_path / "data", tmp_path / "lines.jsonl"
    folder.mkdir()
    np.savez(folder / "cells.npz", X=x.astype(np.float32), y=y, donor=np.arange(170) % 6)
    words = ["known_types", "--out", str(out), "--data", str(folder), "--only", "cells", "cells, only basket"]
    monkeypatch.setattr("sys.argv", words)
    quick.main()
    table = capsys.readouterr().out
    assert "| cells | 170 x 4 | 2 | 2 | 2 | 2 |" in table
    assert "| cells, only basket | 110 x 4 | none | none |" in table
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    ways = {line["way"]: line for line in lines if line["data"] == "cells"}
    assert ways["rule"]["ari"] == ways["kmeans, K known"]["ari"] == ways["most agreed"]["ari"] == 1
    before = out.read_text()
    quick.main()
    assert out.read_text() == before


def test_a_file_without_features_is_refused(quick, monkeypatch, tmp_path):
    np.savez(tmp_path / "cells.npz", y=np.arange(3))
    monkeypatch.setattr(
        "sys.argv", ["known_types", "--out", str(tmp_path / "o"), "--data", str(tmp_path), "--only", "x"]
    )
    with pytest.raises(SystemExit, match="should hold X"):
        quick.main()


@pytest.mark.parametrize("name", ["SigClust-like", "Silverman on LDA line", "HDBSCAN", "GMM and BIC"])
def test_rivals_see_two_types_far_apart(load, name):
    rivals = load("rivals")
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    labels = rivals.RIVALS[name](rng.standard_normal((120, 3)) + 20 * y[:, None], rng)
    kept = labels >= 0
    assert len(set(zip(y[kept].tolist(), labels[kept].tolist(), strict=True))) == len(set(labels[kept])) == 2


def test_a_forest_learns_any_cut_of_a_cloud(load):
    rivals = load("rivals")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 3))
    assert rivals.forest(x, rivals.two_means(x, rng), rng) == pytest.approx(0.05)
    assert rivals.sigclust(x, rivals.two_means(x, rng), rng) > 0.05
