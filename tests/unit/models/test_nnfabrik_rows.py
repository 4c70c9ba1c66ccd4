"""Rows of an nnfabrik table: several are several candidates, of which one is named."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from decortex.errors import ConfigError
from decortex.models.checkpoints import config_md5, read_row

CONFIG = {"layers": 3, "gamma_input": 6.3}


def rows() -> list[dict]:
    """Three trained networks: two seeds of one model, and another model."""
    other = {**CONFIG, "layers": 4}
    common = {"model_fn": "lab.stacked_core_gauss", "trainer_fn": "lab.train"}
    return [
        {**common, "model_config": config, "model_hash": config_md5(config), "seed": seed, "score": score}
        for config, seed, score in ((CONFIG, 1, 0.31), (CONFIG, 2, 0.33), (other, 1, 0.29))
    ]


def columns() -> dict:
    """The same as a data frame writes them."""
    return json.loads(pd.DataFrame(rows()).to_json())


def lists() -> dict:
    """The same as `fetch` gives columns."""
    return {name: [row[name] for row in rows()] for name in rows()[0]}


@pytest.mark.parametrize("exported", [rows, columns, lists])
def test_several_rows_are_listed_and_one_is_named(exported):
    with pytest.raises(ConfigError) as error:
        read_row(exported())
    told = str(error.value)
    assert "holds 3 rows" in told
    assert "--where seed=1" in told
    assert told.count("model_fn=lab.stacked_core_gauss") == 3
    assert all(f"score={score}" in told for score in (0.31, 0.33, 0.29))
    found = read_row(exported(), where={"seed": "1", "model_hash": config_md5(CONFIG)[:6]})
    assert (found.seed, found.model_config, found.family["score"]) == (1, CONFIG, 0.31)


def test_what_is_named_must_be_there_once():
    with pytest.raises(ConfigError, match="holds 2 rows"):
        read_row(rows(), where={"seed": "1"})
    with pytest.raises(ConfigError, match="none of the 3 exported rows has seed=9"):
        read_row(rows(), where={"seed": "9"})
    with pytest.raises(ConfigError, match="no column 'sede'; it has model_fn"):
        read_row(rows(), where={"sede": "1"})
    with pytest.raises(ConfigError, match="holds no row"):
        read_row([])
    with pytest.raises(ConfigError, match="member 1 of the exported rows is a str"):
        read_row([rows()[0], "x"])
    assert read_row(rows()[:1]).seed == 1
    assert read_row(rows()[1]).seed == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1.5}, r"'seed' of the exported row should be a whole number, but is 1\.5"),
        ({"seed": None}, "whole number, but is None"),
        ({"seed": True}, "whole number, but is True"),
        ({"seed": float("nan")}, "whole number, but is None"),
        ({"seed": "first"}, "whole number, but is 'first'"),
        ({"seed": float("inf")}, "whole number, but is inf"),
        ({"seed": Decimal("Infinity")}, "whole number, but is Decimal"),
        ({"seed": Decimal("sNaN")}, "whole number, but is Decimal"),
        ({"model_fn": "build"}, "'model_fn' a dotted path"),
        ({"model_fn": ".build"}, "'model_fn' a dotted path"),
        ({"dataset_fn": "\ud800"}, r"no Unicode text, '\\ud800'"),
    ],
)
def test_values_that_a_row_does_not_have_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        read_row({**rows()[0], **changed})


@pytest.mark.parametrize("seed", [1, 1.0, "1", "1.0", " 1 ", np.int64(1), np.float32(1), Decimal(1)])
def test_a_seed_is_read_as_tables_write_it(seed):
    assert read_row({**rows()[0], "seed": seed}).seed == 1
    assert read_row({**rows()[0], "seed": "-1"}).seed == -1


def test_values_that_nobody_reads_may_be_anything():
    row = {**rows()[0], "score": np.array(0.3), "model_state": {"weight": torch.tensor(1.0)}}
    assert read_row(row).seed == 1
    assert read_row(np.array([row], dtype=object)).seed == 1
    assert read_row({0: row}.values()).seed == 1


@pytest.mark.parametrize(("given", "read"), [(True, True), (1, True), (0, False), (None, False)])
def test_numbers_as_text_and_truth_values_as_numbers_are_read(given, read):
    config = {**CONFIG, "elu_offset": "0.5", "grid_mean_predictor": {"final_tanh": given}}
    row = read_row({"model_fn": "lab.stacked_core_gauss", "model_config": config, "seed": 1})
    rebuilt = row.rebuild_config((1, 36, 64))
    assert (rebuilt.elu_offset, rebuilt.final_tanh) == (0.5, read)


@pytest.mark.parametrize("exported", [5, None, "rows"])
def test_what_holds_no_rows_is_refused(exported):
    with pytest.raises(ConfigError, match="should be an object or a list of objects, but are"):
        read_row(exported)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"grid_mean_predictor": "cortex"},
            "'grid_mean_predictor' .* should be an object or null, but is 'cortex'",
        ),
        ({"grid_mean_predictor": {"final_tanh": "no"}}, "final_tanh"),
        ({"grid_mean_predictor": {"final_tanh": np.ones(2)}}, "final_tanh"),
        ({"elu_offset": "%"}, "elu_offset"),
    ],
)
def test_options_of_another_kind_are_not_taken_for_their_like(changed, message):
    row = read_row({"model_fn": "lab.stacked_core_gauss", "model_config": {**CONFIG, **changed}, "seed": 1})
    with pytest.raises(ConfigError, match=message):
        row.rebuild_config((1, 36, 64))


def test_the_command_takes_a_file_of_rows(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from decortex_ops.cli import app
    from decortex_ops.cli.registering import register_model

    taken = {}
    monkeypatch.setattr(register_model, "register", lambda _, **options: taken.update(options))
    (tmp_path / "rows.json").write_text(json.dumps(rows()))
    words = ["register", "nnfabrik", "model.pth.tar", str(tmp_path / "rows.json")]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, ConfigError) or "holds 3 rows" in refused.output
    assert taken == {}
    answer = CliRunner().invoke(app, [*words, "--where", "seed=2"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert (taken["seed"], taken["family"]["score"]) == (2, 0.33)
    wrong = CliRunner().invoke(app, [*words, "--where", "seed"])
    assert wrong.exit_code != 0


@pytest.mark.parametrize(
    "exported",
    [
        {"model_fn": ["a.b", "a.c"], "model_config": [{}, {}], "seed": [1, 2], "model_hash": ["x"]},
        {"model_fn": {"0": "a.b"}, "model_config": {"0": {}}, "seed": {"0": 1}, "model_hash": {"1": "x"}},
        {"model_fn": {"0": "a.b"}, "model_config": {"0": {}}, "seed": {"0": 1}, "model_hash": "x"},
    ],
)
def test_columns_of_other_rows_are_refused(exported):
    with pytest.raises(ConfigError, match=r"column 'model_hash' of the export is .* the same rows"):
        read_row(exported, where={"seed": "1"})


def test_rows_are_told_apart_as_tables_write_them():
    assert read_row([{**row, "seed": float(row["seed"])} for row in rows()], where={"seed": "2"}).seed == 2
    assert read_row(rows(), where={"seed": 2}).seed == 2
    assert read_row([rows()[1], rows()[1]]).seed == 2  # an export twice
    with pytest.raises(ConfigError, match="none of the 3 exported rows has model_hash=1"):
        read_row(rows(), where={"model_hash": 1})
    without = {**rows()[0], "trainer_config": {}, "trainer_hash": float("nan")}
    assert read_row(without).family["trainer_hash"] is None


def test_rows_of_a_generator_are_checked_like_others():
    with pytest.raises(ConfigError, match="no Unicode text"):
        read_row({**row, "dataset_fn": "\ud800"} for row in rows()[:1])
