"""The choice of K as tables: criteria, surrogates, decision and a person's choice, against the science."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from small_lab import CHOICE, plan_for

import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex.errors import ConfigError
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.selection import (
    RawFeatures,
    SelectionConfig,
    choose_k,
    count_criteria,
    draw_surrogate,
    joint_surrogates,
    null_seed_agreement,
    partition_criteria,
)
from decortex_ops.cli import main
from decortex_ops.cli.partition_picker import types_said
from decortex_schemas import queries
from decortex_schemas.queries import best_k, selection_cost
from decortex_schemas.register import PlanFile, declare_plan
from decortex_schemas.tables import load_embedding, raw_embedding
from decortex_schemas.tables.evaluation import SELECTION

METHODS = [{"method": "kmeans"}]


@pytest.fixture(scope="module")
def study(selection: str) -> str:
    """The small lab's networks with a choice of K; its partitions exist already."""
    return selection


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_a_study_computes_what_it_asks_for_and_no_more(study: str) -> None:
    here = {"dataset": "small"}
    assert len(schemas.KCriteria & here) == 2 * 2
    assert len(schemas.NullFit & here) == 2 * 2 * 2 * 2
    assert len(schemas.KSelection & {"study": study}) == 1
    assert set(schemas.NullModel().to_arrays("null_kind")) == {"gaussian", "t", "permuted", "copula"}
    cost = selection_cost(study)
    assert (cost["jobs"], cost["done"], cost["seconds_left"]) == (24, 24, 0.0)
    assert cost["fits"] == {"data": 4 * 8, "references": 4 * 10, "surrogates": 16 * 4 + 4 * 2 * 2 * 2}
    assert selection_cost("small-study")["jobs"] == 0


def test_rows_are_what_the_science_finds(study: str) -> None:
    key = (schemas.KCriteria & {"dataset": "small", "model_seed": 1, "k": 3}).keys()[0]
    x = load_embedding(key)
    clusterer = Clusterer("kmeans", (schemas.ClusteringMethod & key).fetch1("params"))
    found = count_criteria(x, clusterer, 3, SELECTION)
    rows = {row["criterion"]: row for row in (schemas.KCriteria.Value & key & "at_k = 3").to_dicts()}
    assert {one.criterion: one.value for one in found.values} == {
        name: row["value"] for name, row in rows.items()
    }
    assert {one.criterion for one in found.values} >= {"stability", "gap", "bic", "valley_share"}
    baseline = (schemas.KCriteria.Value & key & "at_k = 1").to_arrays("criterion")
    assert set(baseline) == {"gap", "bic", "icl", "held_out_likelihood"}
    assert len(schemas.KCriteria.Valley & key) == sum(len(of.pairs) for of in found.valleys)

    null = {**key, "null_kind": "permuted", "null_seed": 1}
    raw = RawFeatures(raw_embedding(schemas.TrainedModel & key), EmbeddingConfig(kind="l2"))
    surrogate = draw_surrogate(raw.features, raw, "permuted", 1)
    np.testing.assert_allclose(np.linalg.norm(surrogate, axis=1), 1)
    figures = partition_criteria(surrogate, clusterer, 3, SELECTION, criteria=SELECTION.null_criteria)
    stored = {row["criterion"]: row["value"] for row in (schemas.NullFit.Value & null).to_dicts()}
    assert stored == {one.criterion: one.value for one in figures}


def test_the_decision_is_that_of_choose_k_on_each_network(study: str) -> None:
    (row,) = best_k(study)
    assert (row["n_networks"], row["n_surrogates"]) == (2, 2)
    config = SelectionConfig.from_params(
        {**SELECTION.resolved(), "n_surrogates": 2, "nulls": CHOICE["nulls"]}
    )
    for network in row["networks"]:
        key = (schemas.Embedding & {"dataset": "small", "model_seed": network["model_seed"]}).keys()[0]
        raw = RawFeatures(raw_embedding(schemas.TrainedModel & key), EmbeddingConfig(kind="l2"))
        alone = choose_k(load_embedding(key), counts=(2, 3), config=config, raw=raw)
        assert (network["decision"], network["reason"]) == (alone.decision.k, alone.decision.reason)


def test_types_that_stand_apart_come_first(study: str, monkeypatch: Any, capsys: Any) -> None:
    (row,) = best_k(study)
    counted = queries.types(study)
    assert [own["model_seed"] for own in row["types"]] == [own["model_seed"] for own in row["networks"]]
    assert [own["sentence"] for own in row["types"]] == [own["sentence"] for own in counted]
    monkeypatch.setattr("sys.argv", ["decortex", "best-k", study])
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("How many types of neurons are there? UNDECIDED: There are too few neurons")
    assert lines[1] == ""
    assert lines[2 : 2 + len(counted)] == [
        f"network {own['model_seed']}: {own['sentence']}" for own in counted
    ]


def test_a_refusal_points_to_types_that_stand_apart() -> None:
    own = {"model_seed": 0, "spec": "default", "status": "types", "sentence": "2 types stand apart."}
    said = types_said({"types": [own], "decision": None})
    assert said[0] == "network 0: 2 types stand apart."
    assert "says nothing against them" in said[1]
    assert len(types_said({"types": [own], "decision": 2})) == 1
    assert len(types_said({"types": [{**own, "status": "none"}], "decision": None})) == 1


def test_every_figure_stands_against_every_null(study: str) -> None:
    (row,) = best_k(study)
    assert [count["k"] for count in row["counts"]] == [2, 3]
    for count in row["counts"]:
        own = {"stability", "silhouette", "calinski_harabasz", "davies_bouldin"}
        assert set(count["excess"]) == own | {"seed_agreement"}
        for criterion, kinds in count["excess"].items():
            if criterion not in own:
                continue
            assert set(kinds) == {"gaussian", "permuted"}
            for kind, one in kinds.items():
                figures = {}
                for seed in (0, 1):
                    at = {"dataset": "small", "method": "kmeans", "k": count["k"], "null_kind": kind}
                    at |= {"null_seed": seed, "criterion": criterion}
                    figures[seed] = np.mean((schemas.NullFit.Value & at).to_arrays("value"))
                assert one["null_mean"] == pytest.approx(np.mean(list(figures.values())))
                assert one["observed"] == pytest.approx(count["values"][criterion]["value"])
                sign = -1 if criterion == "davies_bouldin" else 1
                sd = np.std(list(figures.values()), ddof=1)
                assert one["z"] == pytest.approx(sign * (one["observed"] - one["null_mean"]) / sd)
                assert one["p"] in (1 / 3, 2 / 3, 1.0)
                assert (one["n_surrogates"], one["status"]) == (2, "ok")


def test_agreement_between_networks_stands_against_joint_surrogates(study: str) -> None:
    (row,) = best_k(study)
    agreed = (schemas.SeedAgreement * schemas.FinetuneSpec.proj("kind")) & {
        "study": "small-study",
        "kind": "none",
    }
    for count in row["counts"]:
        observed = (agreed & {"method": "kmeans", "k": count["k"]}).fetch1("ari_seeds")
        for kind in CHOICE["nulls"]:
            one = count["excess"]["seed_agreement"][kind]
            assert one["observed"] == pytest.approx(observed, abs=1e-12)
            stored = schemas.SeedNullFit.Value & {"study": study, "at_k": count["k"], "null_kind": kind}
            assert one["null_mean"] == pytest.approx(stored.to_arrays("value").mean())
            assert one["n_used"] == 36
    key = {"study": study, "null_kind": "gaussian", "null_seed": 1}
    networks = schemas.TrainedModel & (schemas.Study.Model & {"study": study}).proj()
    raws = [raw_embedding(networks & one) for one in networks.proj().to_dicts(order_by="model_seed")]
    drawn = joint_surrogates(raws, EmbeddingConfig(kind="l2"), "gaussian", np.random.default_rng([1, 0]))
    params = (schemas.ClusteringMethod & (schemas.Study.Method & {"study": study})).fetch1("params")
    found = null_seed_agreement(drawn, Clusterer("kmeans", params), 3, [0, 1])
    stored = (schemas.SeedNullFit.Value & key & "at_k = 3").fetch1("value")
    assert stored == pytest.approx(found.value, abs=1e-12)


def test_a_person_chooses_beside_it(study: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "study", "choose", study, "--k", "3", "--why", "three layers") == 0
    assert run(monkeypatch, "study", "choose", study, "--why", "a continuum after all") == 0
    (row,) = best_k(study)
    (own,) = row["persons"]
    assert (own["choice"], own["why"]) == (None, "a continuum after all")
    schemas.record_choice({"study": study}, 2, "on and off", person="somebody")
    assert len(best_k(study)[0]["persons"]) == 2
    for words, message in (
        (["--k", "9", "--why", "x"], "K = 9 is none of the study's: \\[2, 3\\]"),
        (["--k", "2", "--why", " "], "needs its reason"),
        (["--k", "2", "--why", "x", "--where", "method_id=999"], "names 0 choices of K"),
        (["--k", "2", "--why", "x", "--where", "dataset"], "--where takes column=value"),
    ):
        capsys.readouterr()
        assert run(monkeypatch, "study", "choose", study, *words) == 1
        assert re.search(message, capsys.readouterr().err)


def test_the_command_shows_it(study: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "best-k", study, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["counts"][0]["k"] == 2
    assert run(monkeypatch, "best-k", study) == 0
    shown = capsys.readouterr().out
    assert "z permuted" in shown
    assert "single criteria: " in shown
    assert "each network alone, by seed: 0: " in shown
    assert run(monkeypatch, "study", "cost", study) == 0
    assert "choice of K: 24 of 24 jobs done" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r'declare one with "selection": \{\}'):
        best_k("small-study")
    with pytest.raises(ConfigError, match="no study 'unheard'"):
        best_k("unheard")


def test_changed_figures_are_refused(study: str) -> None:
    selection = (schemas.KSelection & {"study": study}).keys()[0]
    for table in (schemas.KCriteria, schemas.NullFit, schemas.SeedNullFit):
        key = (table & selection).keys()[0]
        digest = (table & key).fetch1("values_sha256")
        table.update1({**key, "values_sha256": "0" * 64})
        try:
            with pytest.raises(ConfigError, match="are not those that were frozen"):
                schemas.KSelection().make_fetch(selection)
        finally:
            table.update1({**key, "values_sha256": digest})


def test_plans(lab: str) -> None:
    assert PlanFile.from_params({**plan_for("small").resolved(), "selection": {}}).selection.surrogates == 19
    with pytest.raises(ConfigError, match=r"selection\.surrogates"):
        plan_for("small", selection={"surrogates": 1})
    with pytest.raises(ConfigError, match="nulls"):
        plan_for("small", selection={"nulls": ["wishful"]})
    with pytest.raises(ConfigError, match="needs a number of clusters of at least 2"):
        declare_plan("no k", plan_for("small", selection={}, counts=[1], finetunings=[]))
    declare_plan("unfrozen selection", plan_for("small", selection=CHOICE, methods=METHODS, finetunings=[]))
    with pytest.raises(ConfigError, match="is not frozen"):
        best_k("unfrozen selection")
    # It asks for the rows of the study that others read: nothing of it may stay.
    (schemas.Study & {"study": "unfrozen selection"}).delete(prompt=False)
