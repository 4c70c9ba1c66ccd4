"""Types or axes in the tables: which comparisons there are, what stands in the rows, what the command says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.types_or_axes import TypesOrAxesConfig, types_or_axes
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.tables import load_embedding, register_true_types
from decortex_schemas.tables.evaluation import register_axes_spec, scores_before
from decortex_schemas.tables.evaluation.number.types_or_axes import (
    blocks_of,
    increment_rows,
    principal_components,
    target_of,
)


def test_every_embedding_is_compared_by_its_scores_and_by_the_network_of_the_other_seed(lab: str) -> None:
    found = [row for row in queries.types_or_axes(lab) if row["dataset"] == "small"]
    assert {(row["model_seed"], row["target"]) for row in found} == {
        (0, "scores"),
        (0, "network of seed 1"),
        (1, "scores"),
        (1, "network of seed 0"),
    }
    assert {row["status"] for row in found} <= {"clusters", "axes", "both", "undecided"}
    table = schemas.TypesOrAxes()
    assert not len(table.key_source - table.proj())


@pytest.mark.parametrize("target", ["scores", "network of seed 1"])
def test_the_row_is_what_the_function_says(lab: str, target: str) -> None:
    spec = (schemas.AxesSpec & {"axes_spec": target}).fetch1("KEY")
    key = (schemas.TypesOrAxes & {"dataset": "small", "model_seed": 0} & spec).keys(order_by="KEY")[0]
    row = (schemas.TypesOrAxes & key).fetch1()
    x = load_embedding(key)
    if target == "scores":
        y = scores_before(key)[:, None]
        assert row["target_sha256"] is None
    else:
        other = {**key, "model_seed": 1}
        y = principal_components(load_embedding(other), {})
        assert row["target_sha256"] == (schemas.Embedding & other).fetch1("embedding_sha256")
    included = ~np.isnan(y).any(axis=1)
    block_kind, blocks = blocks_of("small", included)
    again = types_or_axes(
        x[included], y[included], blocks=blocks, standardise=target == "scores", config=TypesOrAxesConfig()
    )
    assert (row["axes_answer"], row["axes_reason"]) == (again.answer, again.reason)
    assert (row["n_neurons"], row["block_kind"], row["r2_both"]) == (
        again.n_neurons,
        block_kind,
        again.r2_both,
    )
    parts = {part["increment"]: part["value"] for part in (schemas.TypesOrAxes.Increment & key).to_dicts()}
    assert parts == {part["increment"]: part["value"] for part in increment_rows(again)}


def test_the_command_says_the_sentence_first(lab: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["decortex", "axes", lab, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"sentence", "status", "clusters_add", "axes_add_p", "r2_both"} <= set(rows[0])
    monkeypatch.setattr("sys.argv", ["decortex", "axes", lab])
    with pytest.raises(SystemExit):
        main()
    assert rows[0]["sentence"] in " ".join(capsys.readouterr().out.split())


def test_a_study_that_is_not_there_is_named(database: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no study 'nobody'"):
        queries.types_or_axes("nobody")


def test_a_target_is_registered_once_and_bad_ones_are_told(database: dict[str, str]) -> None:
    config = TypesOrAxesConfig()
    before = len(schemas.AxesSpec())
    first = register_axes_spec("scores", "scores", config=config)
    assert first == register_axes_spec("another name", "scores", config=config)
    assert len(schemas.AxesSpec()) == before
    with pytest.raises(ConfigError, match="takes the model_seed"):
        register_axes_spec("x", "network", config=config)
    with pytest.raises(ConfigError, match="'scores' neither"):
        register_axes_spec("x", "scores", model_seed=1, config=config)
    with pytest.raises(ConfigError, match="'labels' a label_set"):
        register_axes_spec("x", "labels", config=config)
    with pytest.raises(ConfigError, match="'scores', 'network' or 'labels'"):
        register_axes_spec("x", "genes", config=config)  # type: ignore[arg-type]


def test_external_labels_are_a_target_where_the_dataset_has_them(lab: str) -> None:
    spec = (schemas.AxesSpec & {"axes_spec": "true types"}).fetch1("KEY")
    asked = schemas.TypesOrAxes().key_source & spec & {"dataset": "small"}
    register_true_types("small")
    try:
        key = asked.keys(order_by="KEY")[0]
        table = schemas.TypesOrAxes()
        fetched = table.make_fetch(key)
        made = table.compute(key, *fetched)
        labels = (schemas.LabelSet & {"dataset": "small", "label_set": "true_type"}).fetch1()
        assert made.row["target_sha256"] == labels["label_sha256"]
        assert made.row["n_neurons"] == labels["n_labelled"]
        target = target_of(key, fetched[2])[:, 0]
        assert np.array_equal(np.where(np.isnan(target), -1, target), labels["label_values"])
    finally:
        (schemas.LabelSet & {"dataset": "small"}).delete(prompt=False)
    assert not len(asked)


@pytest.mark.parametrize("n_animals", [8, 2])
def test_what_is_computed_for_many_neurons_fits_the_columns(
    lab: str, monkeypatch: Any, n_animals: int
) -> None:
    """The lab's networks have too few neurons for an answer; its tables are those of any other."""
    from decortex_schemas.tables.evaluation.number import types_or_axes as module

    rng = np.random.default_rng(0)
    types = np.arange(240) % 3
    x = rng.normal(size=(240, 5)) + 6 * np.eye(3, 5)[types]
    scores = np.array([0.0, 3.0, 1.0])[types] + 0.1 * rng.normal(size=240)
    animals = np.array([f"m{i // 3 % n_animals}" for i in range(240)])
    monkeypatch.setattr(module, "load_embedding", lambda key: x)
    monkeypatch.setattr(module, "compared_scores", lambda key, kind: scores)
    monkeypatch.setattr(module, "animals_of", lambda dataset: animals)
    monkeypatch.setattr(module, "sessions_of", lambda dataset: animals)
    spec = (schemas.AxesSpec & {"axes_spec": "scores"}).fetch1("KEY")
    key = (schemas.TypesOrAxes & {"dataset": "small", "model_seed": 0} & spec).keys(order_by="KEY")[0]
    table = schemas.TypesOrAxes()
    made = table.compute(key, *table.make_fetch(key))
    assert made.row["axes_answer"] == "clusters"
    assert (made.row["block_kind"], made.row["n_blocks"]) == (
        ("animal", 8) if n_animals == 8 else ("neuron", None)
    )
    rows = list(made.parts["Increment"])
    assert len(rows) == 4
    assert set(made.row) <= set(table.heading.names)
    assert set(rows[0]) <= set(schemas.TypesOrAxes.Increment().heading.names)
