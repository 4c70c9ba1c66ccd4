"""Mutual learning through the tables: rounds wait for each other, keep their bits, and are said to agree by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_lab import SCHEDULE, SMALL, TESTS, compute, fill, plan_for

import decortex_schemas as schemas
from decortex.data import SimulationConfig
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError
from decortex.finetune import FinetuneConfig, PeerPartition, finetune
from decortex.models.training import TrainingConfig
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.register import PlanFile, declare_plan
from decortex_schemas.tables import (
    freeze_study,
    load_embedding,
    load_network,
    load_recordings,
    partition_labels,
    register_simulation,
)
from decortex_schemas.tables.finetuning import moved_embedding
from decortex_schemas.tables.specs import batch_seed

DATA, OTHER, STUDY = "small-for-mutual", "small-for-refusals", "mutual"
PARAMS = {"kind": "mutual", "beta": 5.0, "kernel": "scaled"}


def rounds(*numbers: int, **changed: Any) -> list[dict[str, Any]]:
    start = {"schedule": SCHEDULE, "counts": [3], "seeds": [0], "methods": ["kmeans"]}
    return [{"name": f"mutual {i}", "params": {**PARAMS, "round": i, **changed}, **start} for i in numbers]


def plan(finetunings: list[dict[str, Any]], **changed: Any) -> PlanFile:
    of_kmeans = {"methods": [{"method": "kmeans"}], "counts": [3], "seeds": [0]}
    return plan_for(DATA, **{**of_kmeans, "finetunings": finetunings, **changed})


def rows_of(name: str) -> list[dict[str, Any]]:
    mine = (schemas.FinetuneSpec & {"finetune": name}).proj()
    return (schemas.DECFinetune & {"dataset": DATA} & mine).to_dicts(order_by="model_seed")


def _network(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in schemas.Clustering.primary_key}


def _finetuned(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in schemas.DECFinetune.primary_key}


def test_networks_learn_from_what_all_were_a_round_before(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register_simulation(DATA, SimulationConfig.from_params(SMALL), seed=6)
    null = {"kinds": ["gaussian"], "surrogates": 1}
    declare_plan(STUDY, plan(rounds(1, 2), finetuned_null=null))
    specs = {row["finetune"]: row for row in (schemas.FinetuneSpec & {"kind": "mutual"}).to_dicts()}
    assert specs["mutual 1"]["params"]["peer_seeds"] == [0, 1], "the plan's networks"

    def waiting(name: str) -> int:
        return len(
            schemas.DECFinetune().key_source & {"dataset": DATA, "finetune_id": specs[name]["finetune_id"]}
        )

    for table in (schemas.TrainedModel, schemas.Embedding, schemas.Clustering):
        assert waiting("mutual 1") == 0
        compute([table])
    assert waiting("mutual 1") == 0, "nobody has passed a partition on yet"
    none = (schemas.FinetuneSpec & {"kind": "none"}).fetch1("finetune_id")
    untouched = {"dataset": DATA, "finetune_id": none}
    schemas.DECFinetune.populate({**untouched, "model_seed": 0})
    assert waiting("mutual 1") == 0, "both have to be there"
    schemas.DECFinetune.populate(untouched)
    assert (waiting("mutual 1"), waiting("mutual 2")) == (2, 0)
    fill(few=TESTS)
    for study in (STUDY, f"{STUDY}-null"):
        freeze_study(study)
    fill(few=TESTS)

    first, second = rows_of("mutual 1"), rows_of("mutual 2")
    assert [row["model_seed"] for row in first + second] == [0, 1, 0, 1]
    assert [len({row["peers_sha256"] for row in rows}) for rows in (first, second, first + second)] == [
        1,
        1,
        2,
    ]
    assert all(row["peers_sha256"] is None for row in (schemas.DECFinetune & untouched).to_dicts())
    for row, before in ((first[0], None), (second[1], first)):
        moved = before is not None
        learnt = before or (schemas.DECFinetune & untouched).to_dicts(order_by="model_seed")
        keys = [_finetuned(one) for one in learnt]
        peers = [
            PeerPartition(moved_embedding(one) if moved else load_embedding(one), partition_labels(one))
            for one in keys
        ]
        network = load_network(schemas.TrainedModel & _network(row))
        raw = network.embedding().detach().numpy()
        name = "mutual 2" if moved else "mutual 1"
        expected = finetune(
            network,
            load_recordings(DATA),
            fit_map(raw, EmbeddingConfig(kind="l2")),
            (schemas.Clustering & _network(row)).fetch1("labels"),
            FinetuneConfig.from_params(specs[name]["params"]),
            TrainingConfig.from_params(
                (schemas.TrainingSchedule & {"schedule_id": specs[name]["schedule_id"]}).fetch1("params")
            ),
            n_clusters=3,
            seed=batch_seed(specs[name]["control_seed"], row["model_seed"]),
            peers=peers,
        )
        np.testing.assert_array_equal(row["labels"], expected.labels)
        np.testing.assert_array_equal(moved_embedding(_finetuned(row)), expected.points)
        assert row["kl_start"] == expected.start.kl

    said = {row["kind"]: row for row in queries.by_construction(STUDY)}
    assert "mutual 2: networks learnt from each other (seeds 0, 1, round 2)" in said["peers"]["sentence"]
    found = queries.agreement(STUDY)
    marked = {row["finetune"]: row["by_construction"] for row in found["partitions"]}
    assert marked == {"none": False, "mutual 1": True, "mutual 2": True}
    nulls = {(row["finetune"], row["measure"]): row["n_null"] for row in found["nulls"]}
    assert nulls["mutual 1", "ari_seeds"] == nulls["mutual 2", "ari_seeds"] == 1
    answer = queries.answers(STUDY)[3]
    assert "Networks of mutual 1 and mutual 2 agree by construction" in answer["sentence"]
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", STUDY])
    with pytest.raises(SystemExit):
        main()
    assert "networks learnt from each other" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("finetunings", "changed", "message"),
    [
        (rounds(2), {}, "is round 2 of mutual learning: the plan needs round 1 too"),
        (
            [*rounds(1), {**rounds(2)[0], "counts": [2]}],
            {"counts": [2, 3]},
            "same parameters, schedule, methods",
        ),
        (rounds(1, peer_seeds=[0, 7]), {}, r"have \[0, 1\]: add \[7\] to their seeds"),
        (rounds(1), {"networks": "one seed"}, r"share \[0\] alone"),
        (
            rounds(1, 2),
            {"finetuned_null": {"kinds": ["gaussian"], "surrogates": 1, "finetunings": ["mutual 2"]}},
            "the plan needs round 1 too",
        ),
    ],
)
def test_what_would_wait_for_ever_is_refused(
    database: dict[str, str], finetunings: list[dict[str, Any]], changed: dict[str, Any], message: str
) -> None:
    register_simulation(OTHER, SimulationConfig.from_params(SMALL), seed=7)
    base = plan_for(OTHER, finetunings=[])
    if changed.get("networks") == "one seed":
        one = base.networks[0].model_copy(update={"seeds": (0,)})
        changed = {"networks": [one.model_dump(exclude_unset=True)]}
    of_kmeans = {"methods": [{"method": "kmeans"}], "counts": [3], "seeds": [0]}
    with pytest.raises(ConfigError, match=message):
        declare_plan("refused", plan_for(OTHER, **{**of_kmeans, "finetunings": finetunings, **changed}))
    assert not len(schemas.Study & {"study": "refused"})
