"""The fine-tuned null as tables: drawn, trained, fine-tuned and compared on the tiny lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lab import SCHEDULE, TESTS, fill, plan_for

import decortex_schemas as schemas
from decortex.columns import COLUMNS
from decortex.data import Recordings
from decortex.errors import ConfigError, DatasetError
from decortex.evaluation.nulls import excess_over_null
from decortex_ops.cli import main
from decortex_ops.reports import draw_figure
from decortex_schemas import queries
from decortex_schemas.database import Made
from decortex_schemas.queries import agreement
from decortex_schemas.register import PlanFile, declare_plan
from decortex_schemas.tables import freeze_study, load_network, load_recordings
from decortex_schemas.tables.evaluation import MEASURES, STATES
from decortex_schemas.tables.networks import null_networks

STUDY, NULL = "tuned", "tuned-null"
N_SURROGATES = 2


def plan(**changed: Any) -> PlanFile:
    joint = {
        "name": "dec_joint",
        "params": {"kind": "dec_joint", "beta": 0.1},
        "schedule": SCHEDULE,
        "counts": [3],
        "seeds": [0],
        "methods": ["kmeans"],
    }
    null = {"kinds": ["gaussian"], "surrogates": N_SURROGATES}
    return plan_for("small", finetunings=[joint], finetuned_null={**null, **changed})


@pytest.fixture(scope="module")
def study(lab: str) -> str:
    """A study on the small lab's networks with its null: filled, frozen and compared."""
    declare_plan(STUDY, plan())
    declare_plan(STUDY, plan())
    fill(few=TESTS)
    freeze_study(STUDY)
    freeze_study(NULL)
    fill(few=TESTS)
    return STUDY


def nulls() -> list[dict[str, Any]]:
    networks = schemas.Study.Model & {"study": STUDY}
    drawn_from = networks.proj(
        parent_dataset="dataset", parent_spec_id="model_spec_id", generator_seed="model_seed"
    )
    return (schemas.NullDataset & drawn_from & {"cores": "kept"}).to_dicts(order_by="null_seed")


def test_the_chain_is_filled_on_every_null(study: str) -> None:
    drawn = nulls()
    assert [row["generator_seed"] for row in drawn] == [0, 1]  # no core is favoured
    names = [{"dataset": row["dataset"]} for row in drawn]
    for table, n_each in (
        (schemas.NullRecordings, 1),
        (schemas.TrainedModel, 2),
        (schemas.Embedding, 2),
        (schemas.Clustering, 2),
        (schemas.DECFinetune, 4),
        (schemas.ContinuedTraining, 2),
        (schemas.RetainedPerformance, 2),
        (schemas.ClusterQuality, 4),
        (schemas.SeedAgreement, 2),
    ):
        assert len(table & names) == n_each * N_SURROGATES, table.__name__
    assert len(schemas.Study.Method & {"study": NULL}) == 1  # what no fine-tuning starts from is left out
    assert queries.failed_jobs() == []


def test_a_null_is_not_taken_for_a_recording(study: str) -> None:
    for row in nulls():
        dataset = (schemas.Dataset & {"dataset": row["dataset"]}).fetch1()
        assert dataset["kind"] == "null"
        assert dataset["dataset"].startswith("null-gaussian-")
        types = (schemas.Dataset.Neuron & {"dataset": row["dataset"]}).to_arrays("true_type")
        assert all(one is None or np.isnan(one) for one in types)
        assert len(schemas.NullStudy & {"null_study": NULL, "study": STUDY}) == 1


def test_drawn_recordings_have_the_images_and_the_rates_of_the_parent(study: str) -> None:
    parent = load_recordings("small")
    for row in nulls():
        drawn = load_recordings(row["dataset"])
        assert drawn.neuron_order_sha256 == parent.neuron_order_sha256
        assert drawn.content_sha256 != parent.content_sha256
        for one, own in zip(drawn.sessions, parent.sessions, strict=True):
            np.testing.assert_array_equal(one.tiers, own.tiers)
            assert one.images is own.images
        kept = schemas.NullRecordings & {"dataset": row["dataset"]}
        assert kept.fetch1("noise_drawn") == "poisson"
        assert kept.fetch1("dispersion") == 1.0
        assert mean_response(drawn) == pytest.approx(mean_response(parent), rel=0.1)
        assert kept.fetch1("mean_response") == pytest.approx(mean_response(drawn), rel=0.05)


def mean_response(recordings: Recordings) -> float:
    values = [s.responses.read(s.trials("train")).mean(axis=0) for s in recordings.sessions]
    return float(np.concatenate(values).mean())


def test_null_networks_keep_the_core_of_their_own_seed(study: str) -> None:
    for row in nulls():
        for task in (schemas.TrainedModel & {"dataset": row["dataset"]}).proj().to_dicts():
            own = load_network(schemas.TrainedModel & task)
            parent = load_network(schemas.TrainedModel & {**task, "dataset": "small"})
            for name, value in parent.core.state_dict().items():
                assert (value == own.core.state_dict()[name]).all(), name
            assert not np.allclose(own.embedding().detach(), parent.embedding().detach())


def test_fine_tuning_is_compared_with_that_of_the_null(study: str) -> None:
    row = (schemas.FinetunedNull & {"study": STUDY}).fetch1()
    assert (row["n_networks"], row["n_starts"], row["null_study"]) == (2, 1, NULL)
    found = {
        (part["measure"], part["state"]): part for part in (schemas.FinetunedNull.Measure & row).to_dicts()
    }
    assert set(found) == {(name, state) for name in MEASURES for state in STATES}
    group = {"method_id": row["method_id"], "k": 3, "finetune_id": row["finetune_id"]}
    stored = (schemas.SeedAgreement & group & {"study": STUDY, "dataset": "small"}).fetch1("ari_seeds")
    after = found["ari_seeds", "after"]
    assert after["observed"] == pytest.approx(stored)
    values = {
        one["dataset"]: one["ari_seeds"]
        for one in (schemas.SeedAgreement & group & {"study": NULL}).to_dicts()
    }
    assert after["null_values"] == pytest.approx(values)
    expected = excess_over_null(stored, list(values.values()))
    assert (after["excess_status"], after["n_null"]) == (expected.status, N_SURROGATES)
    assert after["p"] == pytest.approx(expected.p)
    change, before = found["ari_seeds", "change"], found["ari_seeds", "before"]
    assert change["observed"] == pytest.approx(after["observed"] - before["observed"])
    moved = schemas.ClusterQuality.Space & group & {"dataset": "small", "space": "moved", "seed": 0}
    assert found["silhouette_moved", "after"]["observed"] == pytest.approx(
        moved.to_arrays("silhouette").mean()
    )


def test_the_figure_shows_every_surrogate(study: str) -> None:
    figure = draw_figure("nulls", study, {}).figure
    title = f"{COLUMNS['ari_seeds'].heading}: p of the change"
    panel = next(axes for axes in figure.axes if axes.get_title().replace("\n", " ").startswith(title))
    stored = (
        schemas.FinetunedNull.Measure & {"study": study, "measure": "ari_seeds", "state": "after"}
    ).fetch1()
    dots = [np.asarray(one.get_offsets()) for one in panel.collections]
    after = [points for points in dots if points[0, 0] == 1]
    assert sorted(after[0][:, 1]) == sorted(stored["null_values"].values())
    assert after[1][0, 1] == stored["observed"]


def test_a_changed_member_of_the_null_is_refused(study: str) -> None:
    key = (schemas.FinetunedNull & {"study": STUDY}).keys()[0]
    member = (
        schemas.DECFinetune & {"dataset": nulls()[0]["dataset"], "finetune_id": key["finetune_id"]}
    ).keys()[0]
    digest = (schemas.DECFinetune & member).fetch1("labels_sha256")
    schemas.DECFinetune.update1({**member, "labels_sha256": "0" * 64})
    try:
        with pytest.raises(ConfigError, match=f"members of study '{NULL}' are not those that were frozen"):
            schemas.FinetunedNull().make_fetch(key)
    finally:
        schemas.DECFinetune.update1({**member, "labels_sha256": digest})
    schemas.FinetunedNull().make_fetch(key)


def test_the_command_gives_the_excess(
    study: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = agreement(study)["nulls"]
    assert len(rows) == len(MEASURES)
    assert {row["null"] for row in rows} == {"gaussian"}
    for row in rows:
        assert row["change"] == pytest.approx(row["after"] - row["before"])
        assert row["change_excess"] == pytest.approx(row["change"] - row["change_null"])
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", study])
    with pytest.raises(SystemExit):
        main()
    assert "surrogates without types" in capsys.readouterr().out


def test_the_cost_is_printed_and_nothing_declared(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(surrogates=19, kinds=["gaussian", "copula"]).resolved()))
    monkeypatch.setattr("sys.argv", ["decortex", "study", "create", "costly", str(file), "--cost", "--json"])
    with pytest.raises(SystemExit):
        main()
    found = json.loads(capsys.readouterr().out)
    rows = {row["table"]: row for row in found["null_cost"]}
    assert rows["NullRecordings"]["rows"] == 38
    assert rows["TrainedModel"]["rows"] == rows["DECFinetune"]["rows"] == 76
    assert rows["ClusterPerformance"]["rows"] == rows["ClusterQuality"]["rows"] == 2 * 76
    assert rows["DECFinetune"]["seconds"] == pytest.approx(76 * rows["DECFinetune"]["seconds_each"])
    assert found["study"] is None
    assert len(nulls()) == N_SURROGATES


def test_a_null_of_a_null_is_refused(study: str) -> None:
    name = nulls()[0]["dataset"]
    asked = plan().model_copy(update={"networks": (plan().networks[0].model_copy(update={"dataset": name}),)})
    with pytest.raises(ConfigError, match=f"dataset '{name}' is itself a null"):
        declare_plan("null of a null", asked)
    assert not len(schemas.Study & {"study": "null of a null"})
    with pytest.raises(ConfigError, match="fine-tunes nothing"):
        declare_plan("nothing tuned", plan().model_copy(update={"finetunings": ()}))
    with pytest.raises(ConfigError, match="repeats the fine-tunings"):
        declare_plan("unheard", plan(finetunings=["december"]))


def test_responses_are_not_drawn_anew_under_trained_networks(study: str) -> None:
    row = nulls()[0]
    with pytest.raises(ConfigError, match="were trained on an earlier draw"):
        schemas.NullRecordings().make_insert({"dataset": row["dataset"]}, Made({}), 0.0)


def test_a_damaged_draw_is_noticed(study: str) -> None:
    key = (schemas.NullRecordings.Session & {"dataset": nulls()[1]["dataset"]}).keys()[0]
    digest = (schemas.NullRecordings.Session & key).fetch1("responses_sha256")
    schemas.NullRecordings.Session.update1({**key, "responses_sha256": "0" * 64})
    null_networks._open.cache_clear()
    try:
        with pytest.raises(DatasetError, match="are not those that were drawn"):
            load_recordings(key["dataset"])
    finally:
        schemas.NullRecordings.Session.update1({**key, "responses_sha256": digest})
    load_recordings(key["dataset"])
