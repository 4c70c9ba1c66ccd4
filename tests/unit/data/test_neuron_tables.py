"""A user's own table: every format gives the same arrays, and every bad table its sentence."""

from __future__ import annotations

import sys

import anndata
import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet
from scipy import sparse

from decortex.data import TableColumns, neuron_table, read_table
from decortex.errors import InputError, OperationError

COLUMNS = TableColumns(ids="cell", animal="donor", session="scan", scores=("score",), labels=("type",))


def frame(n=12):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "cell": [f"c{i}" for i in range(n)],
            "donor": [f"m{i % 3}" for i in range(n)],
            "scan": [f"m{i % 3} s{i % 2}" for i in range(n)],
            "type": ["" if i == 4 else "ON" if i % 2 else "OFF" for i in range(n)],
            "score": [np.nan if i == 7 else i / n for i in range(n)],
            "depth": rng.normal(size=n),
            "width": rng.normal(size=n),
            "rate": np.arange(n),
        }
    )


def written(tmp_path, table, name="cells.csv"):
    path = tmp_path / name
    table.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    return path


def write_h5ad(path, table, x=None):
    """As AnnData itself writes it: X, obs with a categorical and text, var."""
    names = ["depth", "width", "rate"]
    obs = table[["donor", "scan", "type", "score"]].astype({"scan": object})
    obs.index = pd.Index(table["cell"].to_numpy(object), name="cell", dtype=object)
    for name in ("donor", "type"):
        obs[name] = pd.Categorical(obs[name].astype(object).replace("", np.nan))
    x = table[names].to_numpy(float) if x is None else x
    anndata.AnnData(X=x, obs=obs, var=pd.DataFrame(index=pd.Index(names, dtype=object))).write_h5ad(path)


@pytest.mark.parametrize("name", ["cells.csv", "cells.tsv", "cells.h5ad"])
def test_every_format_gives_the_same_arrays(tmp_path, name):
    table, columns = frame(), COLUMNS
    if name.endswith("h5ad"):
        path, columns = tmp_path / name, TableColumns(None, "donor", "scan", ("score",), ("type",))
        write_h5ad(path, table)
    else:
        path = written(tmp_path, table, name)
    found = read_table(path, columns)
    np.testing.assert_array_equal(found.features, table[["depth", "width", "rate"]].to_numpy(float))
    assert found.feature_names == ("depth", "width", "rate")
    assert found.ids.tolist() == table["cell"].tolist()
    assert found.animals.tolist() == table["donor"].tolist()
    assert found.sessions.tolist() == table["scan"].tolist()
    np.testing.assert_array_equal(found.scores["score"], table["score"])
    assert found.labels["type"].tolist() == table["type"].tolist()
    assert len(found.sha256) == 64


def test_an_array_is_features_alone(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    found = read_table(tmp_path / "x.npy")
    np.testing.assert_array_equal(found.features, values)
    assert found.ids.tolist() == ["0", "1", "2", "3", "4", "5"]
    assert found.animals is None
    with pytest.raises(InputError, match="no column 'donor'; it has no columns but features"):
        read_table(tmp_path / "x.npy", TableColumns(animal="donor"))
    np.save(tmp_path / "flat.npy", values[0])
    with pytest.raises(InputError, match=r"shape \(n_neurons, n_features\)"):
        read_table(tmp_path / "flat.npy")


def test_a_sparse_h5ad(tmp_path):
    x = sparse.csr_array(np.where(np.arange(36).reshape(12, 3) % 4 == 0, 1.5, 0.0))
    write_h5ad(tmp_path / "cells.h5ad", frame(), x)
    np.testing.assert_array_equal(read_table(tmp_path / "cells.h5ad").features, x.toarray())


def test_a_parquet_file_is_read_as_the_csv_of_the_same_table(tmp_path):
    frame().to_parquet(tmp_path / "cells.parquet", index=False)
    frame().to_csv(tmp_path / "cells.csv", index=False)
    found, text = (read_table(tmp_path / f"cells.{suffix}", COLUMNS) for suffix in ("parquet", "csv"))
    np.testing.assert_array_equal(found.features, text.features)
    assert found.feature_names == text.feature_names
    for name in ("ids", "animals", "sessions"):
        assert getattr(found, name).tolist() == getattr(text, name).tolist()
    np.testing.assert_array_equal(found.scores["score"], text.scores["score"])
    assert found.labels["type"].tolist() == text.labels["type"].tolist()
    assert found.sha256 != text.sha256


def test_parquet_of_whole_numbers_missing_labels_and_categories(tmp_path):
    table = frame()
    table["cell"] = np.arange(len(table)) + 2**53 + 1
    table["donor"] = pd.Categorical(table["donor"])
    table["type"] = table["type"].where(np.arange(len(table)) > 2, None)
    table["rate"] = table["rate"].astype("float32")
    table.to_parquet(tmp_path / "cells.parquet", index=False)
    found = read_table(tmp_path / "cells.parquet", COLUMNS)
    assert found.ids.tolist() == [str(2**53 + 1 + i) for i in range(len(table))]
    assert found.animals.tolist() == frame()["donor"].tolist()
    assert found.labels["type"][:3].tolist() == ["", "", ""]
    np.testing.assert_array_equal(found.features[:, 2], table["rate"].to_numpy(float))


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("depth", ["deep"] * 12, "'depth' should hold numbers, but holds 'deep'"),
        ("depth", [None] + [1.0] * 11, "'depth'"),
        ("cell", ["c1"] * 12, "twice"),
        ("cell", [None] + [f"c{i}" for i in range(11)], "no id"),
    ],
)
def test_bad_values_of_a_parquet_file_are_told(tmp_path, column, values, says):
    table = frame()
    table[column] = values
    table.to_parquet(tmp_path / "cells.parquet", index=False)
    with pytest.raises(InputError, match=says):
        read_table(tmp_path / "cells.parquet", COLUMNS)


def test_a_file_that_is_no_parquet_is_told(tmp_path):
    for name, content in (("empty", b""), ("text", b"cell,depth\n1,2\n"), ("cut", b"PAR1" + b"\0" * 40)):
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no parquet file"):
            read_table(path, COLUMNS)


def test_a_damaged_parquet_file_is_told(tmp_path):
    path, table = tmp_path / "cells.parquet", frame()
    table.to_parquet(path, index=False, compression=None)
    content = path.read_bytes()
    assert b"m1 s1" in content
    path.write_bytes(content.replace(b"m1 s1", b"m1 \xad1"))  # no UTF-8
    with pytest.raises(InputError, match=r"or damaged \(ArrowInvalid: .* Copy it again"):
        read_table(path, COLUMNS)
    columns = {b"pandas": b'{"columns": [{"name": "depth"}], "index_columns": [], "column_indexes": []}'}
    parquet.write_table(pyarrow.Table.from_pandas(table).replace_schema_metadata(columns), path)
    with pytest.raises(InputError, match=r"or damaged \(KeyError: .* Copy it again"):
        read_table(path, COLUMNS)
    twice = pyarrow.Table.from_arrays([pyarrow.array([1.0, 2.0])] * 2, names=["depth", "depth"])
    parquet.write_table(twice, path)
    with pytest.raises(InputError, match=r"names 1 columns more than once .*depth"):
        read_table(path, COLUMNS)


def test_parquet_needs_its_package_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "cells.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(OperationError, match=r"pip install 'decortex\[parquet\]'"):
        read_table(path, COLUMNS)


def spoiled(column, row, value):
    table = frame().astype(object)
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (spoiled("cell", 3, ""), r"1 of 12 rows .* have no id in column 'cell' \(first: row 4\)"),
        (spoiled("depth", 3, "deep"), r"'depth' should hold numbers, but holds 'deep' in row 4 \(id 'c3'\)"),
        (spoiled("score", 3, "high"), "'score' should hold numbers"),
        (
            spoiled("depth", 5, ""),
            r"1 values of 1 neurons in 1 features are missing .*id 'c5', column 'depth'",
        ),
        (spoiled("depth", 5, "NaN"), "missing or not finite"),
        (spoiled("depth", 5, "inf"), "missing or not finite"),
        (spoiled("donor", 2, ""), r"1 of 12 neurons have nothing in column 'donor' \(first: id 'c2'\)"),
        (frame().iloc[:0], "holds no neuron"),
        (frame().iloc[:1], "holds one neuron: there is nothing to cluster"),
        (frame()[["cell", "donor", "scan", "type", "score"]], "holds no feature"),
        (
            frame().drop(columns="donor").rename(columns={"type": "donors"}),
            "no column 'donor'.*mean 'donors'",
        ),
        (
            frame().assign(type=[f"t{i}" for i in range(12)]),
            "each of the 12 labelled neurons has a label of its own in column 'type'",
        ),
        (
            frame().assign(**dict.fromkeys(set(frame()) - {"cell", "donor", "scan", "type", "score"}, 2.0)),
            "the 12 neurons of .* all have the same features",
        ),
        (frame().assign(notes="good"), "'notes' should hold numbers, but holds 'good'.*in 12 of 12 rows"),
    ],
)
def test_every_bad_table_has_its_sentence(tmp_path, table, says):
    with pytest.raises(InputError, match=says):
        read_table(written(tmp_path, table), COLUMNS)


def test_ids_are_unique_within_sessions(tmp_path):
    table = frame()
    table["cell"] = np.arange(12) // 3 % 2  # counts anew in every scan, twice
    path = written(tmp_path, table)
    with pytest.raises(InputError, match=r"occur twice within a session .*an id is one neuron"):
        read_table(path, COLUMNS)
    with pytest.raises(InputError, match="If ids count anew in every session, name the column"):
        read_table(path, TableColumns("cell", ignore=("donor", "scan", "type", "score")))
    table["cell"], table["scan"] = np.arange(12) % 6, np.arange(12) // 6
    assert len(read_table(written(tmp_path, table), COLUMNS)) == 12


def test_a_table_on_its_side_is_seen(tmp_path):
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 50)), columns=[f"c{i}" for i in range(50)])
    values.insert(0, "cell", ["depth", "width", "rate", "index"])
    path = written(tmp_path, values)
    with pytest.raises(InputError, match=r"4 rows and 50 features: .* one column per neuron. Transpose it"):
        read_table(path, TableColumns("cell"))
    assert read_table(path, TableColumns("cell"), wide=True).features.shape == (4, 50)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_table(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(InputError, match=r"none of the tables that are read: \.csv"):
        read_table(tmp_path / "cells.xlsx", COLUMNS)
    for name, says in (("empty.csv", "is empty"), ("no.h5ad", "no AnnData file")):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match=says):
            read_table(tmp_path / name, COLUMNS)
    with pytest.raises(InputError, match=r"say which column .* holds the neurons' ids"):
        read_table(written(tmp_path, frame()))
    with pytest.raises(InputError, match=r"labels should be a name or several.* holds 3 \(int\)"):
        TableColumns(ids="cell", labels=("type", 3))
    with pytest.raises(InputError, match="'type' is named for two purposes"):
        read_table(written(tmp_path, frame()), TableColumns("cell", labels=("type",), ignore=("type",)))


@pytest.mark.parametrize(
    ("ids", "units"),
    [
        (["4", "5", "6"], [4, 5, 6]),
        (["4.0", "5.0", "6.0"], [4, 5, 6]),  # whole numbers that were floats: rows, before
        (["007", "7", "8"], [0, 1, 2]),  # 7 twice, before
        (["4.5", "5.0", "6.0"], [0, 1, 2]),
        (["c4", "c5", "c6"], [0, 1, 2]),
    ],
)
def test_unit_ids_are_the_ids_where_these_are_whole_numbers(ids, units):
    from decortex_schemas.register.neuron_tables import _unit_ids

    table = neuron_table(np.random.default_rng(0).normal(size=(3, 2)), ids=np.array(ids))
    assert _unit_ids(table).tolist() == units
