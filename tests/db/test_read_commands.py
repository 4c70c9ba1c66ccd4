"""What read commands print, in this process, through the real entry point."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from decortex_ops.cli import main
from decortex_schemas import queries


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_results_are_chosen_by_method_and_count(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = queries.results(lab)
    text = printed(monkeypatch, capsys, "results", lab, "--method", "kmeans", "--k", "3", "--json")
    expected = [row for row in everything if row["method"] == "kmeans" and row["k"] == 3]
    assert [row["finetune"] for row in json.loads(text)] == [row["finetune"] for row in expected]
    assert len(expected) == 3


def test_results_as_csv_are_what_pandas_reads(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(io.StringIO(printed(monkeypatch, capsys, "results", lab, "--csv")))
    expected = pd.DataFrame(queries.results(lab))
    assert list(table) == list(expected)
    for column in ("k", "ari_seeds", "correlation_after", "largest_share"):
        pd.testing.assert_series_equal(
            table[column].astype(float), expected[column].astype(float), check_dtype=False
        )


def test_the_largest_share_is_that_of_the_partitions(lab: str) -> None:
    row = next(r for r in queries.results(lab) if (r["method"], r["k"], r["finetune"]) == ("gmm", 2, "none"))
    assert 0.5 <= row["largest_share"] < 1
    assert row["n_components"] is None
    tuned = next(r for r in queries.results(lab) if r["finetune"] == "dec")
    assert tuned["largest_share"] is None
