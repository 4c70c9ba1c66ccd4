"""Tables as projects write them: row numbers and names, doubled headers, semicolons: right values or a sentence."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from decortex.data import TableColumns, read_table
from decortex.data.tables.cells import numbers_of
from decortex.errors import InputError
from decortex.evaluation.labels import read_label_rows

N = 8
CELLS = TableColumns(ids="cell")


def frame():
    rng = np.random.default_rng(0)
    depth, rate = rng.normal(size=(2, N)).round(3)
    return pd.DataFrame({"cell": [f"{i:03d}" for i in range(N)], "depth": depth, "rate": rate})


def read(tmp_path, text, columns=CELLS, name="cells.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, columns)


CSV = frame().to_csv(index=False)
LINES = CSV.splitlines()


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        "\ufeff" + CSV,
        CSV.replace("\n", "\r\n"),
        CSV.replace("\n", "\n\n"),
        CSV.replace(",", " , "),
        CSV.replace("\n", ",\n"),  # a comma at the end of every line, the header's too
        CSV.replace("000", '"000"'),
    ],
    ids=["plain", "bom", "crlf", "blank lines", "blanks", "trailing commas", "quoted"],
)
def test_what_spreadsheets_do_changes_nothing(tmp_path, text):
    found = read(tmp_path, text)
    assert found.ids.tolist() == frame()["cell"].tolist()
    assert found.feature_names == ("depth", "rate")
    np.testing.assert_array_equal(found.features, frame()[["depth", "rate"]])


REFUSED = {
    "one id in two spellings": (
        CSV.replace("001,", "1,").replace("002,", "1.0,"),
        r"1 ids of .* occur twice .*first: '1'",
    ),
    "bars": (CSV.replace(",", "|"), r"separated by bars, .*sep='\|'"),
    "blanks for commas": (CSV.replace(",", " "), r"separated by blanks, .*sep='\\s\+'"),
    "nul": (CSV.replace("003", "0\x0003"), "holds NUL characters"),
    "utf-16 without its mark": (CSV.encode("utf-16-le"), "holds NUL characters.*UTF-16"),
    "a decimal comma": (
        CSV + '008,"1,5",2\n',
        "holds '1,5' in row 9 .* It has a comma: save it with decimal points",
    ),
    "percent": (CSV + "008,15%,2\n", "It has a percent sign"),
    "dash for minus": (CSV + "008,\u22121.5,2\n", "It has a dash for a minus sign"),
    "yes or no": (CSV + "008,TRUE,2\n", "It has a word for yes or no: write 1 and 0"),
    "date": (CSV + "008,2021-01-05,2\n", "It has a date"),
    "row numbers": (frame().to_csv(), "1 columns of .*no name .*'Unnamed: 0'.*--ignore 'Unnamed: 0'"),
    "row numbers twice": (
        frame().rename_axis("Unnamed: 0").reset_index().to_csv(),
        r"first: 'Unnamed: 0', in columns 1 and 2",
    ),
    "row names of R": (
        "\n".join([LINES[0], *(f"{i + 1},{line}" for i, line in enumerate(LINES[1:]))]),
        r"line 2 has 4 fields, its header 3 \('cell,depth,rate'\).*write.table",
    ),
    "a comma behind rows alone": (
        LINES[0] + "\n" + "\n".join(f"{line}," for line in LINES[1:]),
        "line 2 has 4",
    ),
    "one row too long": (CSV + "008,1,2,3\n", "line 10 has 4 fields, its header 3"),
    "features of one name": (CSV.replace("depth,rate", "rate,rate"), "first: 'rate', in columns 2 and 3"),
    "ids of one name": (CSV.replace("cell,depth", "cell,cell"), "first: 'cell', in columns 1 and 2"),
    "a feature without a name": (CSV.replace("depth", ""), "no name .first: 'Unnamed: 1'"),
    "semicolons": (frame().to_csv(index=False, sep=";"), "separated by semicolons.*sep=';'"),
    "decimal commas": (frame().to_csv(index=False, sep=";", decimal=","), "separated by semicolons"),
    "a comma in a header among semicolons": (
        frame().rename(columns={"rate": "DSI, deg"}).to_csv(index=False, sep=";", decimal=","),
        "separated by semicolons.*sep=';'",
    ),
    "the same with decimal points": (
        frame().rename(columns={"rate": "DSI, deg"}).to_csv(index=False, sep=";"),
        "separated by semicolons.*sep=';'",
    ),
    "tabs": (frame().to_csv(index=False, sep="\t"), "separated by tabs.*Call it cells.tsv"),
    "a title": ("# recorded in May\n" + CSV, "line 2 has 3 fields, its header 1 .'# recorded in May'"),
    "spreadsheet's own line": ("sep=,\n" + CSV, "line 2 has 3 fields, its header 2"),
    "utf-16": (CSV.encode("utf-16"), "UTF-16.*save it as CSV UTF-8"),
    "latin-1": (CSV.replace("depth", "tïefe").encode("latin-1"), "no table of text in UTF-8"),
    "gzip": (gzip.compress(CSV.encode()), "gunzip it first"),
    "a spreadsheet": (b"PK\x03\x04\x00\xff\xff", "export the sheet"),
    "an id that is none": (CSV.replace("003", "n/a"), "1 of 8 rows .* have no id .*row 4"),
    "thousands": (CSV + '008,"1,000",2\n', "'depth' should hold numbers, but holds '1,000' in row 9"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_move_values_is_refused(tmp_path, name):
    text, says = REFUSED[name]
    with pytest.raises(InputError, match=says):
        read(tmp_path, text)


def test_row_numbers_can_be_left_out_or_be_the_ids(tmp_path):
    text = frame().to_csv()
    found = read(tmp_path, text, TableColumns(ids="cell", ignore=("Unnamed: 0",)))
    assert found.feature_names == ("depth", "rate")
    found = read(tmp_path, text, TableColumns(ids="Unnamed: 0", ignore=("cell",)))
    assert found.ids.tolist() == [str(i) for i in range(N)]


def with_column(words):
    return "\n".join(
        [f"{LINES[0]},extra", *(f"{line},{word}" for line, word in zip(LINES[1:], words, strict=True))]
    )


def test_every_way_to_write_no_value(tmp_path):
    words = ["NA", "n/a", "NaN", "NULL", "none", "", "#N/A", "0.5"]
    found = read(tmp_path, with_column(words), TableColumns(ids="cell", scores=("extra",)))
    np.testing.assert_array_equal(found.scores["extra"], [np.nan] * 7 + [0.5])
    words[7], words[6] = "-", "+"  # a genotype, not a dash for nothing
    found = read(tmp_path, with_column(words), TableColumns(ids="cell", labels=("extra",)))
    assert found.labels["extra"].tolist() == [""] * 6 + ["+", "-"]


@pytest.mark.parametrize("word", ["inf", "-inf", "1e400"])
def test_a_score_is_finite_or_missing(tmp_path, word):
    with pytest.raises(InputError, match=r"1 of 8 in column 'extra' are infinite .first: id '003'"):
        read(
            tmp_path,
            with_column(["1", "2", "", word, "3", "4", "5", "6"]),
            TableColumns(ids="cell", scores=("extra",)),
        )


def parquet(tmp_path, table):
    table.to_parquet(tmp_path / "cells.parquet")
    return tmp_path / "cells.parquet"


def test_an_index_of_parquet_is_a_column(tmp_path):
    written = [
        frame().set_index("cell"),
        frame().set_index("cell", drop=False),
        frame()
        .set_index("cell")
        .set_axis(pd.RangeIndex(5, 5 + N), axis=0)
        .assign(cell=frame()["cell"].tolist()),
    ]
    for table in written:
        found = read_table(parquet(tmp_path, table), CELLS)
        assert found.ids.tolist() == frame()["cell"].tolist()
        assert found.feature_names == ("depth", "rate")
    two = frame().assign(animal="a").set_index(["animal", "cell"])
    found = read_table(parquet(tmp_path, two), TableColumns(ids="cell", animal="animal"))
    assert found.animals.tolist() == ["a"] * N


def test_types_of_parquet_that_know_no_value(tmp_path):
    table = frame().assign(
        whole=pd.array([1, None] + [2] * (N - 2), dtype="Int64"),
        part=pd.array([0.5, None] + [2] * (N - 2), dtype="Float64"),
        kind=pd.array(["a", None] * (N // 2), dtype="string"),
        group=[1.0, np.nan] * (N // 2),
        raw=[b"x", b"y"] * (N // 2),
    )
    columns = TableColumns(ids="cell", scores=("whole", "part"), labels=("kind", "group", "raw"))
    found = read_table(parquet(tmp_path, table), columns)
    np.testing.assert_array_equal(found.scores["whole"][:3], [1, np.nan, 2])
    np.testing.assert_array_equal(found.scores["part"][:3], [0.5, np.nan, 2])
    assert found.labels["kind"][:2].tolist() == ["a", ""]
    assert found.labels["group"][:2].tolist() == ["1", ""]
    assert found.labels["raw"][:2].tolist() == ["x", "y"]
    with pytest.raises(InputError, match="1 values of 1 neurons in 1 features are missing"):
        read_table(
            parquet(tmp_path, table), TableColumns(ids="cell", ignore=("kind", "group", "raw", "part"))
        )


@pytest.mark.parametrize("kind", ["string", "Int64"])
def test_an_id_of_parquet_that_is_missing_is_none(tmp_path, kind):
    words = [None, *range(1, N)] if kind == "Int64" else [None, *"bcdefgh"]
    table = frame().assign(cell=pd.array(words, dtype=kind))
    with pytest.raises(InputError, match=r"1 of 8 rows .* have no id"):
        read_table(parquet(tmp_path, table), CELLS)


LABELS = "unit_id,label\n1,A\n2,B\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("unit_id,label\n1,7,A\n2,8,B\n", "line 2 has 3 fields, its header 2"),
        ("unit_id,label,label\n1,A,C\n2,B,D\n", "first: 'label', in columns 2 and 3"),
        (LABELS.replace(",", ";"), "separated by semicolons"),
        (LABELS.replace(",", "\t"), "separated by tabs"),
    ],
)
def test_tables_of_labels_are_read_by_the_same_rules(tmp_path, text, says):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_label_rows(tmp_path / "labels.csv")


def test_a_label_may_be_missing_at_the_end_of_its_row(tmp_path):
    (tmp_path / "labels.csv").write_text("unit_id, label\n1\n2, B\n")
    assert read_label_rows(tmp_path / "labels.csv").to_dict("list") == {
        "unit_id": ["1", "2"],
        "label": ["", " B"],
    }


def test_a_score_that_is_no_number_is_to_be_left_empty(tmp_path):
    scores = ["n.a." if i == 3 else "1" for i in range(N)]
    text = frame().assign(score=scores).to_csv(index=False)
    columns = TableColumns(ids="cell", scores=("score",))
    with pytest.raises(InputError, match=r"'n\.a\.' in row 4 .*Leave the fields empty where the score"):
        read(tmp_path, text, columns)
    assert np.isnan(read(tmp_path, text.replace("n.a.", "NA"), columns).scores["score"]).tolist() == [
        i == 3 for i in range(N)
    ]


@pytest.mark.parametrize("kind", ["text", "object"])
def test_numbers_are_the_same_at_once_and_one_by_one(kind):
    words = ["1", " 2.5 ", "-3e2", "", "NA", "0.1", "1e400"]
    column = pd.Series(
        words if kind == "text" else [*words[:2], -300.0, None, float("nan"), 0.1, "1e400"], dtype=object
    )
    found = numbers_of(column, "x", np.array(words))
    np.testing.assert_array_equal(found, [1, 2.5, -300, np.nan, np.nan, 0.1, np.inf])


def test_semicolons_within_fields_are_no_separator(tmp_path):
    table = frame()
    table["range (lo;hi)"] = "1;2"
    found = read(tmp_path, table.to_csv(index=False), TableColumns(ids="cell", ignore="range (lo;hi)"))
    assert found.feature_names == ("depth", "rate")
