"""TURTLE through the tables: a labelling that all networks support as a row, beside the votes, and as a start."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from small_lab import SCHEDULE, SMALL, compute, plan_for

import decortex_schemas as schemas
from decortex.data import SimulationConfig
from decortex.errors import ConfigError, InputError
from decortex.evaluation.agreement import turtle
from decortex_ops.cli import main
from decortex_ops.reports import report
from decortex_schemas import queries
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study, load_embedding, register_simulation
from decortex_schemas.tables.datasets import true_types
from decortex_schemas.tables.evaluation import SharedLabelling, request_shared_labelling
from decortex_schemas.tables.evaluation.agreement.shared_labelling_starts import shared_start

DATA = "small-for-turtle"


def finetuning(name: str, params: dict[str, object], **changed: object) -> dict[str, object]:
    return {"name": name, "params": params, "schedule": SCHEDULE, "seeds": [0], **changed}


def test_a_labelling_that_all_networks_support_is_a_row_and_a_start(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register_simulation(DATA, SimulationConfig.from_params(SMALL), seed=5)
    of_kmeans = {"methods": [{"method": "kmeans"}], "counts": [3], "seeds": [0]}
    asked = {"entropy_weight": 10.0, "n_init": 2, "n_steps": 30}
    declare_plan("turtles", plan_for(DATA, **of_kmeans, finetunings=[], shared_labelling=asked))
    declare_plan("no turtles", plan_for(DATA, **of_kmeans, finetunings=[]))
    starting = [
        finetuning(
            name,
            {"kind": "december", "beta": 0.1, "start": "shared", "start_study": study, "drop_empty": True},
            methods=["kmeans"],
            counts=[3],
        )
        for name, study in (("from turtle", "turtles"), ("waits for turtle", "no turtles"))
    ]
    declare_plan("from turtles", plan_for(DATA, **of_kmeans, finetunings=starting))
    compute([schemas.TrainedModel, schemas.Embedding, schemas.Clustering, SharedLabelling])

    row = (SharedLabelling & {"study": "turtles"}).fetch1()
    views = [
        load_embedding({**one, "embedding_spec_id": row["embedding_spec_id"]})
        for one in (schemas.Study.Model & {"study": "turtles"}).keys(order_by="model_seed")
    ]
    expected = turtle(views, 3, seed=0, entropy_weight=10.0, n_init=2, n_steps=30)
    np.testing.assert_array_equal(row["labels"], expected.labels)
    assert (row["n_networks"], row["n_neurons"], row["k"]) == (2, 36, 3)
    assert row["loss"] == pytest.approx(expected.loss)
    crossed = (SharedLabelling.Network & {"study": "turtles"}).to_arrays(
        "cross_entropy", order_by="model_seed"
    )
    assert crossed == pytest.approx(expected.cross_entropy)
    assert not len(SharedLabelling & {"study": "no turtles"})

    compute([schemas.ContinuedTraining, schemas.DECFinetune])
    moved = (schemas.DECFinetune & (schemas.FinetuneSpec & {"finetune": "from turtle"}).proj()).to_dicts()
    assert [one["model_seed"] for one in moved] == [0, 1]
    assert {one["start_sha256"] for one in moved} == {row["labels_sha256"]}
    waiting = (schemas.FinetuneSpec & {"finetune": "waits for turtle"}).fetch1("finetune_id")
    assert not len(schemas.DECFinetune().key_source & {"finetune_id": waiting})

    freeze_study("turtles")
    compute([schemas.SeedAgreement, schemas.ConsensusPartition])
    (shown,) = queries.agreement("turtles")["shared"]
    vote = (schemas.ConsensusPartition & {"study": "turtles"}).fetch1("labels")
    assert shown["ari_vote"] == pytest.approx(adjusted_rand_score(vote, row["labels"]))
    assert shown["ari_truth"] == pytest.approx(adjusted_rand_score(true_types(DATA), row["labels"]))
    assert shown["cross_entropy_worst"] == pytest.approx(expected.cross_entropy.max())
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", "turtles", "--csv", "--part", "shared"])
    with pytest.raises(SystemExit):
        main()
    assert "ari_vote" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", "turtles", "--part", "shared"])
    with pytest.raises(SystemExit):
        main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].startswith("1 labelling that all networks share by construction")
    assert f"Their ARI with the votes is {shown['ari_vote']:.3f}." in lines[0]
    assert lines[-1].startswith("ari_truth_members ")
    assert any(line.split()[:3] == ["3", "kmeans", "ok"] for line in lines)
    page = report("turtles")
    assert "Labellings that all networks support (TURTLE)" in page
    assert f"{shown['cross_entropy_worst']:.3f}" in page
    assert "What agrees by construction" not in page

    with pytest.raises(ConfigError, match="with other parameters"):
        request_shared_labelling("turtles", n_init=3)
    with pytest.raises(InputError, match="n_init from 1"):
        request_shared_labelling("no turtles", n_init=0)
    with pytest.raises(ConfigError, match="holds no shared labelling"):
        shared_start({**moved[0], "k": 2}, "turtles")

    said = {row["kind"]: row for row in queries.by_construction("from turtles")}
    assert [
        row["finetunings"] for row in queries.by_construction("from turtles") if row["kind"] == "start"
    ] == [
        ["from turtle"],
        ["waits for turtle"],
    ]
    assert "(the shared labelling of study turtles) and agree by construction" in next(
        row["sentence"] for row in queries.by_construction("from turtles")
    )
    assert said["control"]["finetunings"] == ["from turtle", "waits for turtle"]
    assert queries.by_construction("turtles") == []
