"""Agreement as tables: consensus, subsamples and methods of a small study, against the stored labels."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    fowlkes_mallows_score,
    v_measure_score,
)
from small_lab import SMALL, TESTS, fill, plan_for

import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex.errors import ConfigError
from decortex.evaluation.agreement import draw_subsample
from decortex_ops.cli import main
from decortex_schemas.queries import agreement
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import (
    check_frozen,
    check_frozen_subsamples,
    freeze_study,
    partition_labels,
    register_simulation,
)

STUDY = "agreement-study"


@pytest.fixture(scope="module")
def study(lab: str) -> str:
    """The small lab's networks with subsamples; its partitions exist already."""
    declare_plan(STUDY, plan_for("small", subsamples=3, finetunings=[]))
    fill(few=TESTS)
    freeze_study(STUDY)
    fill(few=TESTS)
    return STUDY


def labels_of(row: dict[str, Any], method: str) -> dict[tuple[int, int], Any]:
    """Labels by (model seed, clustering seed) of one method, at the K and fine-tuning of a row."""
    found = schemas.DECFinetune & {
        "dataset": "small",
        "method": method,
        "k": row["k"],
        "finetune_id": row["finetune_id"],
    }
    return {(m["model_seed"], m["seed"]): partition_labels(m) for m in found.proj().to_dicts()}


def test_every_comparison_asked_for_exists(study: str) -> None:
    assert len(schemas.SubsampleClustering & "dataset = 'small'") == 2 * 2 * 2 * 3
    assert len(schemas.SubsampleStability & {"study": study}) == 2 * 2 * 2
    assert len(schemas.MethodAgreement & {"study": study}) == 2
    assert len(schemas.ConsensusPartition & {"study": study}) == 2 * 2
    assert not len(schemas.SubsampleStability & "study = 'small-study'")


def test_subsamples_hold_the_neurons_that_were_drawn(study: str) -> None:
    for row in (schemas.SubsampleClustering & "dataset = 'small' AND k = 3").to_dicts():
        drawn = np.flatnonzero(row["labels"] >= 0)
        np.testing.assert_array_equal(drawn, draw_subsample(36, 0.8, row["subsample_seed"]))
        assert (row["n_sampled"], row["labels"].max()) == (29, 2)


def test_subsamples_are_compared_on_the_neurons_they_share(study: str) -> None:
    row = (
        schemas.SubsampleStability & {"study": study, "method": "kmeans", "k": 3, "model_seed": 1}
    ).fetch1()
    sampled = schemas.SubsampleClustering & {"method_id": row["method_id"], "k": 3, "model_seed": 1}
    labels = {one["subsample_seed"]: one["labels"] for one in sampled.to_dicts()}
    found = []
    for a, b in itertools.combinations(sorted(labels), 2):
        both = (labels[a] >= 0) & (labels[b] >= 0)
        found.append(adjusted_rand_score(labels[a][both], labels[b][both]))
    assert row["ari_subsamples"] == pytest.approx(np.mean(found), abs=1e-8)
    assert row["n_pairs_subsamples"] == len(schemas.SubsampleStability.Pair & row) == 3
    assert row["neuron_stability"].shape == (36,)
    assert row["reference_seed"] == 0
    clusters = (schemas.SubsampleStability.Cluster & row).to_dicts()
    assert sum(one["size"] for one in clusters) == 36
    assert all(0 < one["jaccard"] <= 1 for one in clusters)


def test_pairs_hold_every_index_and_the_matched_confusion(lab: str) -> None:
    row = (
        schemas.SeedAgreement * schemas.FinetuneSpec.proj("kind")
        & {"study": lab, "method": "gmm", "k": 3, "kind": "none"}
    ).fetch1()
    labels = labels_of(row, "gmm")
    pairs = (schemas.SeedAgreement.Pair & row).to_dicts()
    assert len(pairs) == 4
    for pair in pairs:
        a = labels[pair["model_seed_a"], pair["seed_a"]]
        b = labels[pair["model_seed_b"], pair["seed_b"]]
        assert pair["ari"] == pytest.approx(adjusted_rand_score(a, b), abs=1e-8)
        assert pair["ami"] == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-8)
        assert pair["v_measure"] == pytest.approx(v_measure_score(a, b), abs=1e-8)
        assert pair["fowlkes_mallows"] == pytest.approx(fowlkes_mallows_score(a, b), abs=1e-8)
        for i, j in itertools.product(range(3), repeat=2):
            assert pair["confusion"][i, j] == np.sum((a == i) & (b == pair["matched"][j]))
        assert pair["matched_share"] == pytest.approx(np.trace(pair["confusion"]) / 36)
    seeds = [pair["ami"] for pair in pairs if pair["pair_kind"] == "model_seeds"]
    assert row["ami_seeds"] == pytest.approx(np.mean(seeds))


def test_the_consensus_agrees_with_its_members(lab: str) -> None:
    row = (
        schemas.ConsensusPartition * schemas.FinetuneSpec.proj("kind")
        & {"study": lab, "method": "kmeans", "k": 3, "kind": "none"}
    ).fetch1()
    members = labels_of(row, "kmeans")
    assert (row["consensus_status"], row["n_partitions"]) == ("ok", 4)
    found = np.mean([adjusted_rand_score(row["labels"], one) for one in members.values()])
    assert row["ari_members"] == pytest.approx(found, abs=1e-8)
    assert row["support"].shape == (36,)
    assert row["support_mean"] == pytest.approx(row["support"].mean())
    sizes = (schemas.ConsensusPartition.Cluster & row).to_arrays("size", order_by="cluster")
    np.testing.assert_array_equal(sizes, np.bincount(row["labels"]))


def test_methods_are_compared_on_the_same_network_and_across(study: str) -> None:
    assert (schemas.MethodAgreement & {"study": study, "k": 3}).fetch1("n_methods") == 2
    row = (schemas.MethodAgreement.Between & {"study": study, "k": 3}).fetch1()
    first, second = labels_of(row, row["method_a"]), labels_of(row, row["method_b"])
    same = [adjusted_rand_score(first[at], second[at]) for at in first]
    other = [adjusted_rand_score(first[m, s], second[1 - m, s]) for m, s in first]
    assert row["ari_same"] == pytest.approx(np.mean(same), abs=1e-8)
    assert row["ari_other"] == pytest.approx(np.mean(other), abs=1e-8)
    assert (row["n_pairs_same"], row["n_pairs_other"]) == (4, 4)
    assert len(schemas.MethodAgreement.Pair & row) == 4
    shown = [one for one in agreement(study)["methods"] if one["k"] == 3]
    assert [(one["ari_same"], one["n_pairs_other"]) for one in shown] == [(row["ari_same"], 4)]


def test_networks_of_two_specifications_are_compared(database: dict[str, str]) -> None:
    register_simulation("paired", SimulationConfig.from_params(SMALL), seed=3)
    networks = plan_for("paired").networks[0].model_copy(update={"seeds": (0,)})
    other = networks.model_copy(update={"training": {**(networks.training or {}), "learning_rate": 0.004}})
    plan = plan_for("paired", counts=[3], finetunings=[], methods=[{"method": "kmeans"}])
    declare_plan("two specifications", plan.model_copy(update={"networks": (networks, other)}))
    fill(few=TESTS)
    freeze_study("two specifications")
    fill(few=TESTS)
    row = (schemas.ModelAgreement & {"study": "two specifications"}).fetch1()
    key = {name: row[name] for name in ("dataset", "embedding_spec_id", "method_id", "k", "finetune_id")}
    found = []
    for seed in (0, 1):
        a, b = (
            partition_labels({**key, "model_spec_id": row[spec], "model_seed": 0, "seed": seed})
            for spec in ("model_spec_a", "model_spec_b")
        )
        found.append(adjusted_rand_score(a, b))
    assert row["ari_models"] == pytest.approx(np.mean(found), abs=1e-8)
    assert row["n_pairs_models"] == len(schemas.ModelAgreement.Pair & row) == 2
    shown = agreement("two specifications")["models"]
    assert [one["ari_models"] for one in shown] == [row["ari_models"]]


def test_a_changed_member_is_refused(study: str) -> None:
    stability = (schemas.SubsampleStability & {"study": study, "k": 2, "method": "gmm"}).keys()[0]
    methods = (schemas.MethodAgreement & {"study": study, "k": 2}).keys()[0]
    joined = (schemas.ConsensusPartition & {"study": study, "k": 2, "method": "gmm"}).keys()[0]
    own = {"dataset": "small", "k": 2, "method": "gmm"}
    for changed, refused in (
        (schemas.SubsampleClustering, {schemas.SubsampleStability: stability}),
        (schemas.DECFinetune, {schemas.MethodAgreement: methods, schemas.ConsensusPartition: joined}),
    ):
        key = (changed & own).keys()[0]
        digest = (changed & key).fetch1("labels_sha256")
        changed.update1({**key, "labels_sha256": "0" * 64})
        try:
            for table, lost in refused.items():
                with pytest.raises(ConfigError, match="are not those that were frozen"):
                    table().make_fetch(lost)
            with pytest.raises(ConfigError, match="are not those that were frozen"):
                freeze_study(study)
        finally:
            changed.update1({**key, "labels_sha256": digest})
    check_frozen(study)
    check_frozen_subsamples(study, stability)


def test_a_study_without_its_subsamples_is_not_frozen(lab: str) -> None:
    declare_plan("more subsamples", plan_for("small", subsamples=5, finetunings=[], counts=[3]))
    with pytest.raises(
        ConfigError, match="members of study 'more subsamples' are neither computed nor failed"
    ):
        freeze_study("more subsamples")
    with pytest.raises(ConfigError, match="leaves no neuron to spare in a subsample of 80%"):
        declare_plan("too fine", plan_for("small", subsamples=2, finetunings=[], counts=[30]))


def test_the_command_shows_all_three(
    study: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", study, "--json"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(agreement(study)))
    assert [len(found[part]) for part in ("partitions", "subsamples", "methods")] == [4, 8, 2]
    assert all(0 < row["support"] <= 1 for row in found["partitions"])
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", study])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    assert "between subsamples of 80 % of the neurons" in shown
    assert "between methods" in shown
    with pytest.raises(ConfigError, match="there is no study 'unheard'"):
        agreement("unheard")
