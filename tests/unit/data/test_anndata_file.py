"""AnnData files: written and read back without a change, opened by scanpy, and what is no such file."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decortex.data import TableColumns, read_anndata, read_table, write_anndata
from decortex.errors import InputError, OperationError

anndata = pytest.importorskip("anndata", reason="anndata is not installed: pip install -e '.[anndata]'")


def neurons(n: int = 7) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    """Features, columns of every kind, and a view."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-12, 12, size=(n, 3))
    x[1, 1] = np.nan
    columns = pd.DataFrame(
        {
            "animal": ["m1", "m2"] * (n // 2) + ["m1"] * (n % 2),
            "unit_id": np.arange(n) + 2**40,
            "test_correlation": np.where(np.arange(n) == 2, np.nan, rng.random(n)),
            "kmeans K=3 seed=0": pd.Categorical.from_codes([0, 1, 2, -1, 0, 1, 2][:n], ["0", "1", "2"]),
        },
        index=[f"s:{i}" for i in range(n)],
    )
    views = {"X_pca": rng.normal(size=(n, 2)).astype(np.float32)}
    return x, columns, views


def write(path: Path, **changed: Any) -> None:
    x, columns, views = neurons()
    given = {
        "feature_names": ["a", "b", "c"],
        "views": views,
        "notes": {"decortex": {"study": "s", "format": 1}},
    }
    write_anndata(path, x, columns, **{**given, **changed})


def test_the_round_trip_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "neurons.h5ad"
    write(path)
    x, columns, views = neurons()
    found = read_anndata(path)
    assert found.features.tobytes() == x.tobytes()
    assert found.ids == tuple(columns.index)
    assert found.feature_names == ("a", "b", "c")
    assert list(found.columns) == list(columns)
    for name in ("animal", "unit_id", "test_correlation"):
        np.testing.assert_array_equal(found.columns[name].to_numpy(), columns[name].to_numpy())
    clusters = found.columns["kmeans K=3 seed=0"]
    assert clusters.iloc[:3].tolist() == ["0", "1", "2"]
    assert pd.isna(clusters.iloc[3])
    np.testing.assert_array_equal(found.views["X_pca"], views["X_pca"])
    assert found.notes["decortex"]["study"] == "s"
    assert len(found.sha256) == 64
    assert not list(tmp_path.glob(".*"))


def test_features_come_from_a_layer_or_a_view(tmp_path: Path) -> None:
    path = tmp_path / "neurons.h5ad"
    x, columns, views = neurons()
    rows, names = pd.Index(list(columns.index), dtype=object), pd.Index(["a", "b", "c"], dtype=object)
    data = anndata.AnnData(X=x, obs=pd.DataFrame(index=rows), var=pd.DataFrame(index=names), obsm=views)
    data.layers["doubled"] = x * 2
    data.write_h5ad(path)
    np.testing.assert_array_equal(read_anndata(path, layer="doubled").features, x * 2)
    seen = read_anndata(path, view="X_pca")
    np.testing.assert_array_equal(seen.features, views["X_pca"].astype(np.float64))
    assert seen.feature_names == ("X_pca 1", "X_pca 2")
    with pytest.raises(InputError, match=r"no layer 'counts'; it has doubled"):
        read_anndata(path, layer="counts")
    with pytest.raises(InputError, match="name one"):
        read_anndata(path, layer="doubled", view="X_pca")


def test_scanpy_opens_it(tmp_path: Path) -> None:
    if not os.environ.get("DECORTEX_TEST_SCANPY"):
        pytest.importorskip(
            "scanpy", reason="scanpy is not installed: `make scanpy` installs it and runs this"
        )
    import scanpy

    path = tmp_path / "neurons.h5ad"
    x, columns, views = neurons()
    write_anndata(path, np.nan_to_num(x), columns, feature_names=["a", "b", "c"], views=views)
    data = scanpy.read_h5ad(path)
    assert data.shape == (7, 3)
    scanpy.pp.neighbors(data, n_neighbors=3, use_rep="X_pca")
    scanpy.pl.embedding(data, basis="pca", color="kmeans K=3 seed=0", show=False)
    assert "connectivities" in data.obsp


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.h5ad"):
        read_anndata(tmp_path / "neurons.csv")
    with pytest.raises(InputError, match="there is no file"):
        read_anndata(tmp_path / "neurons.h5ad")
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(b"not an hdf5 file")
    with pytest.raises(InputError, match="no AnnData file that can be read"):
        read_anndata(broken)
    x, columns, _ = neurons()
    write_anndata(tmp_path / "unknown.h5ad", x, columns, feature_names=["a", "b", "c"])
    with importlib.import_module("h5py").File(tmp_path / "unknown.h5ad", "a") as file:
        file["X"].attrs["encoding-type"] = "of a later version"
    with pytest.raises(InputError, match=r"no AnnData file that can be read .*IORegistryError"):
        read_anndata(tmp_path / "unknown.h5ad")
    doubled = tmp_path / "doubled.h5ad"
    names = pd.Index(["a"], dtype=object)
    obs = pd.DataFrame(index=pd.Index(["a", "a"], dtype=object))
    with pytest.warns(UserWarning, match="not unique"):
        anndata.AnnData(X=np.zeros((2, 1)), obs=obs, var=pd.DataFrame(index=names)).write_h5ad(doubled)
    with (
        pytest.warns(UserWarning, match="not unique"),
        pytest.raises(InputError, match=r"occur twice .* 'a'"),
    ):
        read_anndata(doubled)
    empty = tmp_path / "empty.h5ad"
    anndata.AnnData(obs=pd.DataFrame(index=names), var=pd.DataFrame(index=names)).write_h5ad(empty)
    with pytest.raises(InputError, match="no X"):
        read_anndata(empty)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"feature_names": ["a", "b"]}, r"\(7, 2\) features, got \(7, 3\)"),
        ({"feature_names": ["a", "b", "b"]}, "occurs twice"),
        ({"views": {"X/pca": np.zeros((7, 2))}}, "no slash"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(tmp_path / "neurons.h5ad", **changed)
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "neurons.h5ad"
    write(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists; name a new file"):
        write(path)
    assert path.read_bytes() == before


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(OperationError, match=r"decortex\[anndata\]"):
        read_anndata(tmp_path / "neurons.h5ad")


def test_a_file_is_a_table_to_register_too(tmp_path: Path) -> None:
    """What `decortex export anndata` writes, `decortex register table` reads, without the package anndata."""
    path = tmp_path / "neurons.h5ad"
    x, columns, _ = neurons()
    write_anndata(path, np.nan_to_num(x), columns, feature_names=["a", "b", "c"])
    table = read_table(path, TableColumns(animal="animal"))
    assert table.features.tobytes() == np.nan_to_num(x).tobytes()
    assert list(table.ids) == list(columns.index)
    assert table.animals is not None
    assert list(table.animals) == list(columns["animal"])


def test_columns_that_are_missing_in_places_are_read_whatever_their_type(tmp_path: Path) -> None:
    """Categories of whole numbers with a missing one ended in pandas' own ValueError."""
    n = 8
    obs = pd.DataFrame(
        {
            "layer": pd.Categorical([1, 2, None, 4, 1, 2, 4, 4]),
            "whole": pd.array([1, None, 3, 1, 3, 1, 1, 3], dtype="Int64"),
            "tagged": pd.array([True, None, False, True, True, False, True, True], dtype="boolean"),
            "depth": pd.Categorical([0.5, None, 1.5, 0.5, 1.5, 0.5, 0.5, 0.5]),
            "cre": pd.Categorical.from_codes(
                [0, -1, 1, 0, 0, 1, 1, 0], pd.Index(["Sst", "Vip"], dtype=object)
            ),
        },
        index=pd.Index([f"n{i}" for i in range(n)], dtype=object),
    )
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(">f4")
    var = pd.DataFrame(index=pd.Index(["a", "b", "c"], dtype=object))
    anndata.AnnData(X=x, obs=obs, var=var).write_h5ad(tmp_path / "odd.h5ad")
    columns = TableColumns(labels=("layer", "cre", "tagged"), scores=("whole", "depth"))
    found = read_table(tmp_path / "odd.h5ad", columns)
    assert found.labels["layer"].tolist() == ["1", "2", "", "4", "1", "2", "4", "4"]
    assert found.labels["cre"].tolist()[:3] == ["Sst", "", "Vip"]
    assert found.labels["tagged"].tolist()[:3] == ["True", "", "False"]
    np.testing.assert_array_equal(found.scores["whole"][:3], [1, np.nan, 3])
    np.testing.assert_array_equal(found.scores["depth"][:3], [0.5, np.nan, 1.5])
    np.testing.assert_array_equal(found.features, x.astype(np.float64))
