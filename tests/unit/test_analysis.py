"""A user's own table analysed in a notebook: planted answers, what is said where something is missing, the picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

import decortex
from decortex.clustering import fit
from decortex.data import TableColumns, neuron_table
from decortex.errors import ConfigError, InputError
from decortex.evaluation.association import associate

KEYS = {"question", "answer", "sentence", "effect", "low", "high", "compared_with"}
KEYS |= {"n_networks", "n_sessions", "n_animals", "missing"}


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    types = np.arange(240) % 3
    x = rng.normal(size=(240, 4)) + 9 * np.eye(3, 4)[types]
    return {
        "x": x * [1, 100, 0.01, 1],  # units differ: features are standardised
        "types": types,
        "animals": np.array([f"m{i % 4}" for i in range(240)]),
        "score": types + 0.3 * rng.normal(size=240),
        "names": np.array([("ON", "OFF", "")[one] for one in types]),
    }


@pytest.fixture(scope="module")
def found(planted):
    return decortex.analyse(
        planted["x"],
        animals=planted["animals"],
        scores={"depth": planted["score"], "noise": np.random.default_rng(1).normal(size=240)},
        labels={"type": planted["names"]},
    )


def test_planted_types_are_the_partition(planted, found):
    assert (found.k, found.k_from, found.types_status, found.n_types) == (3, "types", "types", 3)
    assert found.labels.tolist() == planted["types"].tolist()
    assert found.between_seeds == found.between_methods == 1.0
    table = found.partition()
    assert table.columns.tolist() == ["id", "animal", "cluster"]
    assert table["cluster"].tolist() == found.labels.tolist()


def test_its_numbers_are_those_of_the_functions_it_stands_on(planted, found):
    z = (planted["x"] - planted["x"].mean(axis=0)) / planted["x"].std(axis=0)
    np.testing.assert_allclose(found.x, z)
    assert found.labels.tolist() == fit(found.x, "kmeans", n_clusters=3).labels.tolist()
    alone = associate(planted["score"], found.labels, planted["animals"], seed=0)
    assert found.scores["depth"] == alone
    assert alone.p_permutation < 0.001
    assert found.label_sets["type"].ari == 1.0  # of the labelled neurons
    assert found.label_sets["type"].n_neurons == 160


def test_five_answers_with_everything_a_reader_needs(found):
    answers = found.answers()
    assert len(answers) == 5
    assert all(set(one) == KEYS for one in answers)
    json.dumps(answers)
    assert [one["answer"] for one in answers] == [
        "in these sessions",  # four animals
        "in these sessions",
        "in these sessions",
        "not asked",
        "in these sessions",
    ]
    assert answers[0]["effect"] == 3
    assert "'noise'" in answers[2]["sentence"]
    assert answers[3]["missing"]
    assert {one["n_animals"] for one in answers} == {4}


def test_five_animals_reach_beyond_them(planted):
    animals = np.array([f"m{i % 5}" for i in range(240)])
    assert decortex.analyse(planted["x"], animals=animals).answers()[0]["answer"] == "established"


def test_it_prints_one_line_and_draws_itself(found, tmp_path):
    line = repr(found)
    assert "\n" not in line
    assert "240 neurons x 4 features; 3 types stand apart; kmeans at K = 3" in line
    assert "no sessions: each animal counts as one" in line
    assert found._repr_png_()[:4] == b"\x89PNG"
    found.draw(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_where_nothing_stands_apart_k_describes():
    x = np.random.default_rng(2).normal(size=(200, 3))
    found = decortex.analyse(x)
    assert (found.types_status, found.k, found.k_from) == ("none", 8, "default")
    answers = found.answers()
    assert answers[0]["answer"] == "not established"
    assert "K = 8 describes the neurons and finds nothing" in answers[0]["sentence"]
    assert [one["answer"] for one in answers[2:]] == ["not asked"] * 3
    assert "all neurons count as one session" in repr(found)
    assert decortex.analyse(x, n_clusters=4).k == 4


@pytest.mark.parametrize(("n", "k"), [(2, 2), (5, 2), (9, 4), (16, 8)])
def test_few_neurons_are_described_by_few_clusters(n, k):
    found = decortex.analyse(np.random.default_rng(n).normal(size=(n, 3)))
    assert (found.k, found.k_from, len(np.unique(found.labels))) == (k, "default", k)


def test_from_a_file(tmp_path, planted):
    import pandas as pd

    table = pd.DataFrame(planted["x"], columns=list("abcd"))
    table.insert(0, "cell", np.arange(240))
    table["type"] = planted["names"]
    table.to_csv(tmp_path / "cells.csv", index=False)
    found = decortex.analyse(tmp_path / "cells.csv", ids="cell", labels="type", n_clusters=3)
    assert found.k_from == "asked"
    assert found.label_sets["type"].ari == 1.0
    with pytest.raises(InputError, match="'type' should hold numbers"):
        decortex.analyse(tmp_path / "cells.csv", TableColumns("cell"))


@pytest.mark.parametrize(
    ("k", "said"),
    [
        (1, "n_clusters = 1: one cluster holds all 240 neurons.*Ask for 2 to 240"),
        (0, "at least 1, but is 0"),
        (500, r"n_clusters = 500 is larger than the number of neurons \(240\)"),
    ],
)
def test_a_number_of_clusters_that_cannot_be_shown_is_refused(planted, k, said):
    with pytest.raises(InputError, match=said):
        decortex.analyse(planted["x"], n_clusters=k)


def test_what_is_refused(planted):
    with pytest.raises(InputError, match="labels of arrays are a dict of arrays by name, but are a str"):
        decortex.analyse(planted["x"], labels="type")
    with pytest.raises(
        InputError, match=r"animals should hold one value for each of 240 neurons, got \(3,\)"
    ):
        decortex.analyse(planted["x"], animals=["a", "b", "c"])
    with pytest.raises(ConfigError, match="an array has no named columns"):
        decortex.analyse(planted["x"], TableColumns("cell"))
    with pytest.raises(ConfigError, match="columns are named by ids, animal"):
        decortex.analyse("cells.csv", id="cell")
    with pytest.raises(ConfigError, match="give it alone"):
        decortex.analyse(neuron_table(planted["x"]), ids=np.arange(240))
    with pytest.raises(InputError, match="missing or not finite"):
        decortex.analyse(np.where(np.arange(960).reshape(240, 4) == 7, np.nan, planted["x"]))
