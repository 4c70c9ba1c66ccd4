"""Fine-tuning through the tables: rotation kinds, refusals, what a user can ask for."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_lab import SCHEDULE, compute, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.agreement import matched_confusion
from decortex.models.training import loop as training
from decortex_ops.cli import main
from decortex_ops.workers import sweep, work
from decortex_schemas import queries
from decortex_schemas.database import discard_stale_states, state_folder
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study

SHIFT_EM = {"method": "rotation_tmixture", "params": {"n_orientations": 2, "n_init": 2}}


def finetuning(name: str, params: dict[str, object], **changed: object) -> dict[str, object]:
    start = {"schedule": SCHEDULE, "counts": [4], "seeds": [0], "methods": ["rotation_tmixture"]}
    return {"name": name, "params": params, **start, **changed}


def fine_tune(study: str, **plan: object) -> None:
    """Compute a study's partitions of K = 4 and their fine-tunings, nothing else."""
    declare_plan(study, plan_for("small", counts=[4], seeds=[0], methods=[SHIFT_EM], **plan))
    compute([schemas.Clustering, schemas.DECFinetune])


def rows_of(name: str) -> list[dict[str, object]]:
    named = schemas.DECFinetune * schemas.FinetuneSpec.proj("finetune") & {"finetune": name, "model_seed": 0}
    found: list[dict[str, object]] = named.to_dicts()
    return found


def test_rotation_kinds_start_from_shift_em_and_store_every_shift(lab: str) -> None:
    variants = {
        "rotation_dec": {"kind": "rotation_dec", "shift": "best", "kernel": "scaled"},
        "rotation_december": {"kind": "rotation_december"},
    }
    fine_tune("rotating", finetunings=[finetuning(name, params) for name, params in variants.items()])
    for name in variants:
        (row,) = rows_of(name)
        assert row["finetune_status"] == "ok"
        fitted = row["parameters"]
        assert fitted["shifts"].shape == (36,)
        assert set(np.unique(fitted["shifts"])) <= {0.0, 1.0}
        energy = (fitted["centres"].reshape(4, 2, -1) ** 2).sum(axis=2)
        np.testing.assert_array_equal(energy.argmax(axis=1), 0)
        epochs = schemas.DECFinetune.Epoch & {k: row[k] for k in schemas.DECFinetune.primary_key if k in row}
        assert len(epochs) == 2


def test_a_rotation_kind_from_another_start_is_refused_when_the_study_is_declared(lab: str) -> None:
    start = finetuning("rotating from kmeans", {"kind": "rotation_dec"}, methods=["kmeans"], counts=[3])
    with pytest.raises(ConfigError, match="only clusterings by rotation_tmixture hold the shifts"):
        declare_plan("refused", plan_for("small", finetunings=[start]))
    assert not len(schemas.Study & {"study": "refused"})


def test_a_head_at_the_k_of_a_start_is_refused_when_the_study_is_declared(lab: str) -> None:
    start = finetuning("doubled", {"kind": "december", "heads": [3, 4]}, methods=["kmeans"], counts=[3])
    with pytest.raises(ConfigError, match=r"heads at \[3\], which are K of its starts too"):
        declare_plan("refused", plan_for("small", finetunings=[start]))


def test_a_run_that_diverges_or_cannot_start_is_a_row_to_ask_for_and_the_worker_goes_on(lab: str) -> None:
    starts = {"methods": ["many"], "counts": [30]}
    plan = plan_for(
        "small",
        counts=[30],
        seeds=[0],
        methods=[{"method": "kmeans", "name": "many", "params": {"n_init": 3}}],
        finetunings=[
            finetuning("too strong", {"kind": "dec_joint", "beta": 1e40}, **starts),
            finetuning("gentle", {"kind": "dec_joint", "beta": 1e-3}, **starts),
        ],
    )
    declare_plan("bad", plan)
    compute([schemas.Clustering, schemas.DECFinetune])
    named = schemas.DECFinetune * schemas.FinetuneSpec.proj("finetune") & {"dataset": "small", "k": 30}
    assert len(named & {"finetune": "too strong", "finetune_status": "diverged", "n_epochs": 0}) == 2
    assert len(named & {"finetune": "gentle"} & "finetune_status IN ('ok', 'flat_target')") == 2
    for row in (named & {"finetune": "gentle"}).to_dicts():
        key = {name: row[name] for name in schemas.DECFinetune.primary_key}
        for epoch in (schemas.DECFinetune.Epoch & key).to_dicts():
            assert sum(epoch["sizes"]) == 36
            assert epoch["train_loss"] is not None
            assert epoch["penalty"] == 0.0
            assert epoch["epoch_seconds"] > 0


def test_clusters_that_die_and_further_heads_are_outcomes_that_every_evaluation_takes(lab: str) -> None:
    dying = {"kind": "december", "beta": 0.1, "learn_weights": True, "annihilation": 2.0, "nu": 20.0}
    start = {"methods": ["dying"], "counts": [6]}
    plan = plan_for(
        "small",
        counts=[6],
        seeds=[0],
        methods=[
            {"method": "kmeans", "name": "dying", "params": {"n_init": 2}},
            {"method": "leiden", "name": "communities", "params": {"resolution": 0.5, "n_neighbors": 6}},
        ],
        embeddings=[{"name": "two axes", "params": {"kind": "pca", "n_components": 2}}],
        finetunings=[
            finetuning("dying", dying, **start),
            finetuning("three heads", {"kind": "december", "beta": 0.1, "heads": [2, 4]}, **start),
            finetuning("found k", {"kind": "tell", "drop_empty": True}, methods=["communities"], counts=[6]),
        ],
    )
    declare_plan("dying", plan)
    of_study = [
        schemas.Embedding,
        schemas.Clustering,
        schemas.ContinuedTraining,
        schemas.DECFinetune,
        schemas.ClusterPerformance,
        schemas.ClusterQuality,
        schemas.RetainedPerformance,
    ]
    compute(of_study)
    names = schemas.DECFinetune.primary_key
    (communities,) = rows_of("found k")
    parent = {name: communities[name] for name in schemas.Clustering.primary_key}
    found_k = len(np.unique((schemas.Clustering & parent).fetch1("labels")))
    assert 1 < found_k < 6
    assert (communities["finetune_status"], communities["n_alive"]) == ("ok", found_k)
    (several,) = rows_of("three heads")
    assert (several["finetune_status"], several["n_alive"], several["labels"].max()) == ("ok", None, 5)
    own = {name: several[name] for name in names}
    heads = (schemas.DECFinetune.Head & own).to_dicts(order_by="head_k")
    assert [(head["head_k"], head["labels"].max() < head["head_k"]) for head in heads] == [
        (2, True),
        (4, True),
    ]
    assert [len(head["curve"]) for head in heads] == [several["n_epochs"]] * 2
    shown = queries.finetuning(own)
    assert [head["head_k"] for head in shown["heads"]] == [2, 4]
    rows = rows_of("dying")
    assert len(rows) == 1
    (row,) = rows
    key = {name: row[name] for name in names}
    sizes = np.bincount(row["labels"], minlength=6)
    assert row["k"] == 6
    assert 1 <= row["n_alive"] < 6
    assert row["finetune_status"] == ("ok" if row["n_alive"] > 1 else "collapsed")
    assert sizes[row["n_alive"] :].sum() == 0
    last = (schemas.DECFinetune.Epoch & key).to_dicts(order_by="epoch")[-1]
    assert (last["n_alive"], last["n_empty"]) == (row["n_alive"], int((sizes == 0).sum()))
    assert queries.finetuning(key)["n_alive"] == row["n_alive"]
    for table in of_study[-3:]:
        assert len(table & key) == 1, table.__name__
    assert (schemas.ClusterPerformance.Cluster & key).to_arrays("size").sum() == 36


def test_a_consensus_is_a_start_once_it_is_there_and_agreement_says_so(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def starting(name: str, study: str, **changed: object) -> dict[str, object]:
        params = {"kind": "december", "beta": 0.1, "start": "consensus", "start_study": study}
        return finetuning(name, params, **{"methods": ["kmeans"], "counts": [3], **changed})

    of_kmeans = {"methods": [{"method": "kmeans"}], "counts": [3], "seeds": [0]}
    declare_plan("not frozen", plan_for("small", **of_kmeans, finetunings=[]))
    both = [starting("from votes", lab), starting("waiting", "not frozen")]
    declare_plan("votes", plan_for("small", **of_kmeans, finetunings=both[:1]))
    declare_plan("waits", plan_for("small", **of_kmeans, finetunings=both[1:]))
    compute([schemas.DECFinetune])
    waiting = (schemas.FinetuneSpec & {"finetune": "waiting"}).fetch1("finetune_id")
    assert not len(schemas.DECFinetune().key_source & {"finetune_id": waiting})

    none = (schemas.FinetuneSpec & {"kind": "none"}).proj()
    vote = (schemas.ConsensusPartition & {"study": lab, "method": "kmeans", "k": 3} & none).fetch1()
    mine = schemas.DECFinetune & (schemas.FinetuneSpec & {"finetune": "from votes"}).proj()
    rows = mine.to_dicts()
    assert [row["model_seed"] for row in rows] == [0, 1]
    for row in rows:
        assert row["start_sha256"] == vote["labels_sha256"]
        moved = matched_confusion(vote["labels"], row["labels"]).share
        assert row["share_changed"] == pytest.approx(1 - moved)

    freeze_study("votes")
    compute([schemas.SeedAgreement])
    shared = {row["finetune"]: row["by_construction"] for row in queries.agreement("votes")["partitions"]}
    assert shared == {"none": False, "from votes": True}
    monkeypatch.setattr("sys.argv", ["decortex", "agreement", "votes"])
    with pytest.raises(SystemExit):
        main()
    shown = " ".join(capsys.readouterr().out.split())
    said = f"from votes: networks were fine-tuned from one partition (the vote of study {lab}) and agree by"
    assert said in shown

    for message, refused in (
        ("there is no study", starting("lost", "nobody's")),
        ("one partition, whatever the clustering seed", starting("twice", lab, seeds=[0, 1])),
    ):
        with pytest.raises(ConfigError, match=message):
            declare_plan("refused", plan_for("small", finetunings=[refused]))


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Epochs that were begun in this process; a SIGTERM falls into those named under 'kill'."""
    seen: dict[str, list[int]] = {"begun": [], "kill": []}
    whole = training._Run.train_epoch

    def train_epoch(run: training._Run, epoch: int) -> object:
        seen["begun"].append(epoch)
        if epoch in seen["kill"]:
            seen["kill"].remove(epoch)
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(run, epoch)

    monkeypatch.setattr(training._Run, "train_epoch", train_epoch)
    return seen


def states() -> list[Path]:
    return sorted(state_folder().glob("*"))


def test_an_interrupted_run_goes_back_with_its_state_and_the_next_worker_takes_it_up(
    lab: str, epochs: dict[str, list[int]]
) -> None:
    assert states() == []  # every run of the lab has removed its own
    variant = finetuning("interrupted", {"kind": "december"})
    plan = {"networks": [{**dict(plan_for("small").networks[0]), "seeds": [0]}]}
    declare_plan(
        "stopped", plan_for("small", counts=[4], seeds=[0], methods=[SHIFT_EM], finetunings=[variant], **plan)
    )
    compute([schemas.Clustering])
    sweep()
    none = schemas.FinetuneSpec & {"kind": "none"}
    schemas.DECFinetune.populate(none.proj().to_dicts())
    mine = schemas.DECFinetune & (schemas.FinetuneSpec & {"finetune": "interrupted"})

    epochs["kill"] = [2]
    stopped = work([schemas.DECFinetune], stop_when_idle=0.0)
    assert (stopped.interrupted, stopped.handed_back, stopped.failed) == (True, 1, [])
    assert epochs["begun"] == [1, 2]
    (state,) = states()
    assert (len(mine), len(schemas.DECFinetune().jobs.pending)) == (0, 1)
    assert discard_stale_states() == 0

    epochs["begun"].clear()
    resumed = work([schemas.DECFinetune], stop_when_idle=0.0)
    assert (resumed.done, resumed.failed, epochs["begun"]) == (1, [], [2])
    assert states() == []
    columns = ("labels", "embedding_sha256", "kl_start", "mean_max_q", "share_changed", "beta", "n_epochs")
    once = mine.fetch1(*columns)

    key = mine.keys()[0]
    (schemas.DECFinetune & key).delete(prompt=False)
    # A state that something broke is reported, and the run begins anew.
    state.write_bytes(b"half a state")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        schemas.DECFinetune.populate(key)
    assert any("is damaged" in str(one.message) for one in caught)
    assert epochs["begun"] == [2, 1, 2]
    for one, other in zip(once, (schemas.DECFinetune & key).fetch1(*columns), strict=True):
        np.testing.assert_array_equal(one, other)
    assert states() == []
