"""Rows of a label table find their neurons, and every doubt is an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decortex.errors import InputError
from decortex.evaluation.labels import LabelColumns, match_labels, read_label_rows

NEURONS = pd.DataFrame({"unit_id": [1, 2, 3, 1], "session": ["a", "a", "a", "b"], "neuron_idx": range(4)})
COLUMNS = LabelColumns("id", "type", session="session")


def rows(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_labels_stand_at_their_neurons_and_the_others_have_none() -> None:
    table = rows(id=["3.0", "1", "1"], session=["a", "b", "a"], type=["Sst", " Pvalb ", ""])
    found = match_labels(table, NEURONS, COLUMNS)
    assert found.classes == ("Pvalb", "Sst")
    assert found.values.tolist() == [-1, -1, 1, 0]
    assert (found.n_labelled, found.notes, found.confidence) == (2, (), None)


def test_words_for_missing_are_no_class_and_are_told() -> None:
    found = match_labels(
        rows(id=["0", "1", "2", "3"], type=["NA", "x", "y", "nan"]),
        NEURONS,
        LabelColumns("id", "type"),
        by="neuron_idx",
    )
    assert found.classes == ("x", "y")
    assert found.notes == ("2 neurons with NA, nan in 'type' are taken to have no label.",)


def test_a_doubtful_label_is_not_taken_and_its_confidence_is_kept() -> None:
    table = rows(id=["0", "1", "2", "3"], type=["x", "y", "x", "y"], sure=["0.9", "1", "0.5", ""])
    columns = LabelColumns("id", "type", confidence="sure")
    found = match_labels(table, NEURONS, columns, by="neuron_idx", min_confidence=0.8)
    assert found.values.tolist() == [0, 1, -1, -1]
    assert found.confidence is not None
    np.testing.assert_array_equal(found.confidence, [0.9, 1.0, 0.5, np.nan])
    assert "2 labels of a confidence below 0.8" in found.notes[0]
    everything = match_labels(table, NEURONS, columns, by="neuron_idx")
    assert everything.values.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (
            rows(id=["7", "1"], type=["x", "y"]),
            LabelColumns("id", "type"),
            "1 of 2 identities are no neurons.*: 7",
        ),
        (rows(id=["1", "2"], type=["x", "y"]), LabelColumns("id", "type"), "several sessions"),
        (
            rows(id=["1", "3"], session=["c", "a"], type=["x", "y"]),
            COLUMNS,
            "1 of 2 identities.*: c 1. Column 'id' is compared with the neurons' session and unit_id",
        ),
        (rows(id=["2", "2"], type=["x", "x"]), LabelColumns("id", "type"), "1 neurons have several rows: 2"),
        (rows(id=["2", ""], type=["x", "y"]), LabelColumns("id", "type"), "line 3 .* no identity"),
        (rows(id=["2"], type=["x"]), LabelColumns("id", "Type"), "no column Type; its columns are id, type"),
        (rows(id=["2"], type=["x"]), LabelColumns("id", "id"), "one is named twice"),
        (rows(id=["2", "3"], type=["x", "x"]), LabelColumns("id", "type"), "all 2 labels are 'x'"),
        (rows(id=["2", "3"], type=["", "NA"]), LabelColumns("id", "type"), "no neuron has a label"),
        (rows(id=[], type=[]), LabelColumns("id", "type"), "a header but no rows"),
        (
            rows(id=["1", "2", "3"], session=["a"] * 3, type=["p", "q", "r"]),
            COLUMNS,
            "a class of its own .* is 'type' the column of labels",
        ),
        (
            rows(id=["2", "3"], type=["x", "y"], sure=["1.2", "high"]),
            LabelColumns("id", "type", confidence="sure"),
            "'1.2' on line 2, 'high' on line 3",
        ),
    ],
)
def test_bad_tables_get_a_sentence(table: pd.DataFrame, columns: LabelColumns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        match_labels(table, NEURONS, columns)


def test_a_smallest_confidence_needs_confidences() -> None:
    with pytest.raises(InputError, match="name it"):
        match_labels(rows(id=["2"], type=["x"]), NEURONS, LabelColumns("id", "type"), min_confidence=0.5)


def test_files_are_read_as_the_text_they_are(tmp_path: Path) -> None:
    path = tmp_path / "types.tsv"
    path.write_text("\ufeffid\ttype\n007\tNA\n8\tSst, deep\n", encoding="utf-8")
    assert read_label_rows(path).to_dict("list") == {"id": ["007", "8"], "type": ["NA", "Sst, deep"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("types.xlsx", b"PK", r"read from .csv or .tsv"),
        ("types.csv", None, "there is no file"),
        ("types.csv", b"", "is empty"),
        ("types.csv", b"id,type\n1,x\n2,y,z,w\n", "no table"),
        ("types.csv", b"id,type\n1,\xff\xfe\n", "no table of text in UTF-8"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_label_rows(path)
