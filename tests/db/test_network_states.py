"""States of networks through the tables: joint from an epoch, controls and fine-tuned networks clustered afresh."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score
from small_lab import NETWORK, SMALL, TESTS, fill, leave_out, plan_for

import decortex_schemas as schemas
from decortex.data import SimulationConfig
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError, InputError
from decortex.finetune import carry_partition, continue_training
from decortex.models.training import TrainingConfig
from decortex_ops.workers import queues_empty, sweep, work
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, queue_of
from decortex_schemas.register import declare_plan, plan_cost
from decortex_schemas.tables import (
    finetuning,
    freeze_study,
    load_embedding,
    load_network,
    load_recordings,
    register_simulation,
)

TRAINING = {"max_epochs": 3, "batch_size": 32, "schedule": "plateau", "keep": "last"}
START = {"counts": [3], "seeds": [0], "methods": ["kmeans"], "control_seed": "model"}


def networks(**changed: object) -> list[dict[str, object]]:
    return [
        {"dataset": "small-jointly", "network": NETWORK, "training": TRAINING, "seeds": [0, 1], **changed}
    ]


def joint_plan(**changed: object) -> object:
    variants = {
        "december": {"kind": "december", "beta": 0.1},
        "tell": {"kind": "tell", "beta": 0.1},
    }
    plan = {
        "networks": networks(joint_from=1),
        "counts": [3],
        "seeds": [0],
        "finetunings": [{"name": name, "params": params, **START} for name, params in variants.items()],
        "finetuned_null": {"kinds": ["gaussian"], "surrogates": 1, "finetunings": ["tell"]},
        "states": "all",
        "views": [],
    }
    if "finetunings" in changed:
        plan["finetuned_null"] = None  # it names one of those above
    return plan_for("small-jointly", **{**plan, **changed})


@pytest.fixture(scope="module")
def joint(database: dict[str, str]) -> str:
    """A study of joint training from epoch 1, its states, and the plain networks beside it; all computed."""
    register_simulation("small-jointly", SimulationConfig.from_params(SMALL), seed=3)
    declare_plan("joint", joint_plan())
    declare_plan(
        "whole",
        plan_for(
            "small-jointly",
            networks=networks(),
            methods=[{"method": "kmeans"}],
            counts=[3],
            seeds=[0],
            finetunings=[],
            views=[],
        ),
    )
    fill(few=TESTS)
    for study in ("joint", "joint-states", "joint-null", "joint-null-states", "whole"):
        schemas.freeze_study(study)
    fill(few=TESTS)
    return "joint"


def null_dataset() -> dict[str, object]:
    return (schemas.NullDataset & {"parent_dataset": "small-jointly", "cores": "own"}).fetch1()


def specs_of(state: str) -> dict[int, dict[str, object]]:
    here = (schemas.ModelTask & {"dataset": "small-jointly"}).proj()  # other tests have states of their own
    rows = (schemas.NetworkState & {"state": state} & here).to_dicts()
    return {int(row["model_spec_id"]): row for row in rows}


def test_every_state_is_a_network_like_any_other(joint: str) -> None:
    assert [len(specs_of(state)) for state in ("epoch", "control", "fine_tuned")] == [1, 1, 2]
    study = schemas.Study.Model & {"study": "joint-states"}
    assert len(study) == 2 * (1 + 2)
    for table in (schemas.TrainedModel, schemas.Embedding, schemas.Performance & {"tier": "test"}):
        assert len(table & study.proj()) == 6
    # Both methods of the plan cluster every state, at the K that is fine-tuned; nothing fine-tunes a state.
    assert len(schemas.Clustering & study.proj()) == 6 * 2
    kinds = schemas.DECFinetune * schemas.FinetuneSpec.proj("kind") & study.proj()
    assert set(kinds.to_arrays("kind")) == {"none"}
    assert len(schemas.SeedAgreement & {"study": "joint-states"}) == 3 * 2


def test_the_control_from_an_epoch_is_the_plain_training_to_the_bit(joint: str) -> None:
    plain = {int(i) for i in (schemas.Study.Model & {"study": "whole"}).to_arrays("model_spec_id")}
    (control,) = specs_of("control")
    for seed in (0, 1):
        weights = [
            load_network(
                schemas.TrainedModel & {"dataset": "small-jointly", "model_spec_id": spec, "model_seed": seed}
            ).state_dict()
            for spec in (control, *plain)
        ]
        for one, other in zip(weights[0].values(), weights[1].values(), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_state_holds_the_network_that_its_row_says(joint: str) -> None:
    (start,) = specs_of("epoch")
    key = {"dataset": "small-jointly", "model_spec_id": start, "model_seed": 1}
    row = (schemas.TrainedModel & key).fetch1()
    assert (row["n_epochs"], row["kept_epoch"], row["stop_reason"]) == (1, 1, "handed_over")
    handover = schemas.tables.networks.handover_of(key)
    network = load_network(schemas.TrainedModel & key)
    schedule = TrainingConfig.from_params({**TRAINING, "optimiser_state": "carried"})
    continue_training(network, load_recordings("small-jointly"), schedule, seed=1, after=handover)
    expected = network.embedding().detach().numpy()
    stored = (schemas.ContinuedTraining & key).fetch1("embedding")
    np.testing.assert_array_equal(stored.load(), expected)
    (control,) = specs_of("control")
    embedded = load_embedding((schemas.Embedding & {**key, "model_spec_id": control}).keys()[0])
    np.testing.assert_allclose(embedded, fit_map(expected, EmbeddingConfig(kind="l2")).apply(expected))
    for spec, state in specs_of("fine_tuned").items():
        moved = schemas.DECFinetune & key & {"finetune_id": state["finetune_id"]}
        afresh = schemas.TrainedModel & {**key, "model_spec_id": spec}
        assert moved.fetch1("checkpoint_sha256") == afresh.fetch1("checkpoint_sha256")


def test_states_are_compared_in_one_query(joint: str) -> None:
    rows = queries.states(joint)
    assert {(row["finetune"], row["state"], row["method"]) for row in rows} == {
        (finetune, state, method)
        for finetune in ("december", "tell")
        for state, methods in {
            "start": ("kmeans", "gmm"),
            "control": ("kmeans", "gmm"),
            "control_carried": ("kmeans",),
            "fine_tuned": ("own",),
            "fine_tuned_afresh": ("kmeans", "gmm"),
        }.items()
        for method in methods
    }
    for row in rows:
        assert row["start_method"] == "kmeans"
        assert row["n_networks"] == 2
        for name in ("ari_networks", "ari_truth", "silhouette", "test_correlation"):
            assert -1 <= row[name] <= 1
    controls = {row["test_correlation"] for row in rows if row["state"] == "control"}
    assert len(controls) == 1
    own = next(row for row in rows if (row["state"], row["finetune"]) == ("fine_tuned", "tell"))
    retained = schemas.RetainedPerformance * schemas.FinetuneSpec.proj("finetune") & {
        "finetune": "tell",
        "dataset": "small-jointly",
    }
    np.testing.assert_allclose(own["test_correlation"], np.mean(retained.to_arrays("after")))
    np.testing.assert_allclose(controls.pop(), np.mean(retained.to_arrays("control")))


def test_the_start_is_carried_to_the_control_like_with_like(joint: str) -> None:
    """From the rows' own arrays: the control's points and the start's labels give the labels and every measure."""
    own = {"dataset": "small-jointly", "method": "kmeans"}
    assert len(schemas.CarriedPartition & own) == 2  # networks; both variants share start and control
    (control,) = specs_of("control")
    carried, silhouettes, moved = [], [], []
    for row in (schemas.CarriedPartition & own).to_dicts(order_by="model_seed"):
        key = {name: row[name] for name in ("dataset", "model_seed", "embedding_spec_id")}
        points = load_embedding((schemas.Embedding & {**key, "model_spec_id": control}).keys()[0])
        start = (schemas.Clustering & {name: row[name] for name in schemas.Clustering.primary_key}).fetch1(
            "labels"
        )
        expected = carry_partition(points, start)
        np.testing.assert_array_equal(row["labels"], expected)
        assert row["n_neurons"] == len(points)
        assert row["share_changed"] == pytest.approx(np.mean(expected != start))
        assert row["silhouette"] == pytest.approx(silhouette_score(points, expected), abs=1e-6)
        carried.append(expected)
        silhouettes.append(row["silhouette"])
        moved.append(row["share_changed"])
    rows = [row for row in queries.states(joint) if row["state"] == "control_carried"]
    for row in rows:
        assert row["ari_networks"] == pytest.approx(adjusted_rand_score(*carried))
        truth = load_recordings("small-jointly").truth
        assert row["ari_truth"] == pytest.approx(
            np.mean([adjusted_rand_score(truth, one) for one in carried])
        )
        assert (row["silhouette"], row["share_changed"]) == pytest.approx(
            (np.mean(silhouettes), np.mean(moved))
        )
        assert (row["correlation_change"], row["n_networks"]) == (0.0, 2)
    (of_null,) = (row for row in rows if row["finetune"] == "tell")
    null = (schemas.CarriedPartition & {"dataset": null_dataset()["dataset"]}).to_arrays("labels")
    assert of_null["ari_networks_null"] == pytest.approx(adjusted_rand_score(*null))
    # Where a network's is not there yet, the others say nothing of all.
    last = schemas.CarriedPartition & own & "model_seed = 1"
    kept = last.to_dicts()
    last.delete_quick()
    try:
        assert not [row for row in queries.states(joint) if row["state"] == "control_carried"]
    finally:
        schemas.CarriedPartition.insert(kept, allow_direct_insert=True)
    assert [row for row in queries.states(joint) if row["state"] == "control_carried"] == rows


def test_the_null_of_a_joint_study_is_trained_as_its_networks_are(joint: str) -> None:
    """Drawn from the same training's end, with cores of its own, handed over after the epoch and trained on."""
    null = null_dataset()
    (whole,) = {int(i) for i in (schemas.Study.Model & {"study": "whole"}).to_arrays("model_spec_id")}
    assert (null["parent_spec_id"], null["generator_seed"], null["cores"]) == (whole, 0, "own")
    (start,) = specs_of("epoch")
    key = {"dataset": null["dataset"], "model_spec_id": start, "model_seed": 1}
    assert (schemas.TrainedModel & key).fetch1("stop_reason") == "handed_over"
    weights, recorded = (
        load_network(schemas.TrainedModel & {**key, "dataset": name}).core.state_dict()
        for name in (null["dataset"], "small-jointly")
    )
    assert any(not (weights[name] == recorded[name]).all() for name in weights)
    for table, n in ((schemas.ContinuedTraining, 2), (schemas.DECFinetune & "beta IS NOT NULL", 2)):
        assert len(table & {"dataset": null["dataset"]}) == n
    # Control and fine-tuned network of the null are networks too, clustered by both methods as the start is.
    assert len(schemas.Clustering & {"dataset": null["dataset"]}) == 2 * 3 * 2


def test_every_state_has_its_excess_over_the_null_beside_it(joint: str) -> None:
    rows = {(row["state"], row["method"]): row for row in queries.states(joint) if row["finetune"] == "tell"}
    for state, study in (("fine_tuned", "joint-null"), ("control", "joint-null-states")):
        row = rows[state, {"fine_tuned": "own"}.get(state, "kmeans")]
        spec = next(iter(specs_of("control" if state == "control" else "epoch")))
        agreed = schemas.SeedAgreement * schemas.FinetuneSpec.proj("finetune") & {
            "study": study,
            "model_spec_id": spec,
            "method": "kmeans",
            "finetune": "tell" if state == "fine_tuned" else "none",
        }
        value = agreed.fetch1("ari_seeds")
        assert (row["null"], row["n_null"]) == ("gaussian", 1)
        assert row["ari_networks_null"] == pytest.approx(value)
        assert row["ari_networks_excess"] == pytest.approx(row["ari_networks"] - value)
        assert row["ari_networks_p"] in (0.5, 1.0)
    assert all(row["n_null"] == 1 for row in rows.values())
    unrepeated = [row for row in queries.states(joint) if row["finetune"] == "december"]
    assert {row["n_null"] for row in unrepeated if row["state"] == "fine_tuned"} == {0}


def test_intervals_take_networks_as_the_sample(joint: str) -> None:
    rows = queries.states(joint)
    for row in rows:
        # Two networks are one pair: their agreement has no interval, their mean figures have one.
        assert row["ari_networks_low"] is None
        assert row["silhouette_low"] <= row["silhouette"] <= row["silhouette_high"]
        assert row["correlation_low"] <= row["correlation_change"] <= row["correlation_high"]
    changes = [row["correlation_change"] for row in rows if row["state"] == "control"]
    assert set(changes) == {0.0}


@pytest.mark.parametrize(
    ("null", "message"),
    [
        ({"cores": "kept"}, "train their own cores"),
        ({"generator": {"dataset": "other", "recipe": "simulated_cortex"}}, "the same neurons and images"),
        (
            {"generator": {"dataset": "small-jointly", "recipe": "simulated_cortex", "joint_from": 1}},
            "a finished network",
        ),
    ],
)
def test_a_null_that_does_not_fit_a_joint_study_is_refused(
    joint: str, null: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        declare_plan("refused", joint_plan(finetuned_null={"surrogates": 1, **null}))
    assert not len(schemas.Study & {"study": "refused"})


def test_the_cost_of_a_null_counts_its_states(joint: str) -> None:
    rows = {row["table"]: row["rows"] for row in plan_cost(joint_plan())}
    stored = {"dataset": null_dataset()["dataset"]}
    of_null = (schemas.NullRecordings, schemas.ContinuedTraining, schemas.Clustering, schemas.Embedding)
    for table in (*of_null, schemas.CarriedPartition):
        assert rows[table.__name__] == len(table & stored), table.__name__
    assert rows["TrainedModel"] + rows["TrainedModel of states"] == len(schemas.TrainedModel & stored)


def test_a_study_without_states_says_so(joint: str) -> None:
    assert queries.has_states(joint)
    assert not queries.has_states("whole")
    with pytest.raises(ConfigError, match='"states": "all"'):
        queries.states("whole")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"networks": networks(joint_from=3)}, "can go on jointly from epoch 1 to 2, not from 3"),
        (
            {
                "networks": networks(),
                "finetunings": [
                    {
                        "name": "lost",
                        "params": {"kind": "december"},
                        "schedule": {"optimiser_state": "carried"},
                        **START,
                    }
                ],
            },
            "was not handed over after an epoch",
        ),
        (
            {
                "finetunings": [
                    {
                        "name": "faster",
                        "params": {"kind": "december"},
                        "schedule": {"learning_rate": 0.5},
                        **START,
                    }
                ]
            },
            "keeps its optimiser and its rates",
        ),
        ({"finetunings": []}, "asks for states afresh but trains nothing on"),
    ],
)
def test_what_cannot_go_on_is_refused_when_it_is_declared(
    joint: str, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        declare_plan("refused", joint_plan(**changed))
    assert not len(schemas.Study & {"study": "refused"})


def test_a_state_of_a_failed_fine_tuning_has_failed_with_it(
    joint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key can never be made, and has no error of its own: the study of states could not be frozen."""
    broken = {"name": "broken", "params": {"kind": "december", "beta": 0.2}, **START}
    declare_plan("broken", joint_plan(finetunings=[broken]))
    whole = finetuning.finetuning.finetune

    def of_one_network_alone(*given: object, **how: object) -> object:
        if how["seed"] == 1:
            raise InputError("a neuron without a place")
        return whole(*given, **how)

    with monkeypatch.context() as patch:
        patch.setattr(finetuning.finetuning, "finetune", of_one_network_alone)
        failed = []
        while sweep().added or not queues_empty():
            for table in TESTS:
                leave_out(table)
            failed += work(computed_tables(), stop_when_idle=0.0).failed
    assert len(failed) == 1
    own = freeze_study("broken")
    assert [(one["failed_at"], one["key"]["model_seed"]) for one in own["failed"]] == [("DECFinetune", 1)]
    states = freeze_study("broken-states")
    (spec,) = (i for i, row in specs_of("fine_tuned").items() if name_of(row) == "broken")
    assert [
        (one["failed_at"], one["key"]["model_spec_id"], one["key"]["model_seed"]) for one in states["failed"]
    ] == [("DECFinetune", spec, 1)] * 2  # by both methods of the plan
    (schemas.Study & [{"study": "broken"}, {"study": "broken-states"}]).delete(prompt=False)
    queue_of(schemas.DECFinetune).errors.delete_quick()


def name_of(state: dict[str, object]) -> str:
    return (schemas.FinetuneSpec & {"finetune_id": state["finetune_id"]}).fetch1("finetune")


def test_a_result_that_changes_under_a_state_is_refused_and_the_same_one_is_not(joint: str) -> None:
    """Last: it deletes a control and computes it again."""
    of_start = {"dataset": "small-jointly", "model_spec_id": next(iter(specs_of("epoch"))), "model_seed": 0}
    control = schemas.ContinuedTraining & of_start
    (key,) = control.keys()
    digest = control.fetch1("checkpoint_sha256")
    control.delete(prompt=False)
    with pytest.raises(ConfigError, match="holds an earlier result of this ContinuedTraining"):
        schemas.tables.networks.check_no_state("ContinuedTraining", key, "0" * 64)
    schemas.ContinuedTraining.populate(key)
    assert (schemas.ContinuedTraining & key).fetch1("checkpoint_sha256") == digest
