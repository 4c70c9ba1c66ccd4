"""Keys that tables are asked for, read off the studies, against products of all specifications that are filtered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from small_lab import CHOICE, NETWORK, SCHEDULE, TRAINING, plan_for

import decortex_schemas as schemas
from decortex_schemas.database import sources_of
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import register_true_types
from decortex_schemas.tables.evaluation.carried import OWN_START
from decortex_schemas.tables.evaluation.number.joint_nulls import (
    asked_seed_nulls,
    request_agreement_null,
    requested_seed_nulls,
)
from decortex_schemas.tables.evaluation.number.k_criteria import asked_criteria, asked_nulls
from decortex_schemas.tables.evaluation.quality import MAIN_TIER
from decortex_schemas.tables.subsamples import asked_subsamples

NAMES = ("asked-keys", "asked-keys-null")


@pytest.fixture(scope="module")
def asked(lab: str) -> Iterator[str]:
    """A study of everything on the lab's networks and on one that is not trained, frozen in name only, with labels."""
    other = {**TRAINING, "max_epochs": 5}
    plan = plan_for(
        "small",
        networks=[
            {"dataset": "small", "network": NETWORK, "training": training, "seeds": [0, 1]}
            for training in (TRAINING, other)
        ],
        finetunings=[
            {"name": "dec", "params": {"kind": "dec"}, "schedule": SCHEDULE, "counts": [3], "seeds": [0]}
        ],
        subsamples=2,
        selection=CHOICE,
        finetuned_null={"kinds": ["gaussian"], "surrogates": 2},
    )
    declare_plan(NAMES[0], plan)
    request_agreement_null(NAMES[0], kinds=["copula"], surrogates=2)
    schemas.request_communities(NAMES[0])
    register_true_types("small")
    try:
        for name in NAMES:
            row = {"study": name, "members_sha256": "0" * 64, "n_members": 0, "n_failed": 0}
            schemas.FrozenStudy.insert1({**row, "failed": [], "frozen_by": "nobody"})
        yield NAMES[0]
    finally:
        (schemas.LabelSet & {"dataset": "small"}).delete(prompt=False)
        for name in NAMES:
            (schemas.FrozenStudy & {"study": name}).delete(prompt=False)
        for name in reversed(NAMES):
            (schemas.Study & {"study": name}).delete(prompt=False, part_integrity="cascade")


def products() -> dict[str, Any]:
    """Of every table the whole product, less what no study asks for."""
    frozen, study, embedding = schemas.FrozenStudy.proj(), schemas.Study, schemas.Embedding.proj()
    method, count, finetune = (
        schemas.ClusteringMethod.proj(),
        schemas.ClusterCount.proj(),
        schemas.FinetuneSpec.proj(),
    )
    spec, embedding_spec = schemas.ModelSpec.proj(), schemas.EmbeddingSpec.proj()
    held = frozen * study.Model.proj() * study.Embedding.proj()
    grid = study.Model.proj() * study.Embedding.proj() * study.Method.proj() * study.Count.proj()
    each = frozen * schemas.Dataset.proj() * spec * embedding_spec
    first = study.Finetuning.proj(method_a="method", method_id_a="method_id")
    second = study.Finetuning.proj(method_b="method", method_id_b="method_id")
    one = study.Model.proj(model_spec_a="model_spec_id", model_seed_a="model_seed")
    two = study.Model.proj(model_spec_b="model_spec_id", model_seed_b="model_seed")
    pairs = frozen * one * two * study.Embedding.proj() * study.Finetuning.proj()
    both = schemas.Dataset.proj() * spec.proj(model_spec_a="model_spec_id")
    networks = (
        study.Model.proj(seed_a="model_seed") * study.Model.proj(seed_b="model_seed") & "seed_a < seed_b"
    )
    wanted = schemas.CommunityRequest.proj()
    nulls = frozen * schemas.FrozenStudy.proj(null_study="study") & schemas.NullStudy
    trained = (schemas.FinetuneSpec & "kind <> 'none'").proj()
    repeated = study.Finetuning.proj(null_study="study", null_seed="seed")
    null_kinds = schemas.NullModel.proj() * schemas.Seed.proj(null_seed="seed")
    # The study of this file has two surrogates of one dataset; with what other files left this product takes minutes.
    few_kinds = schemas.NullModel.proj() * (schemas.Seed & "seed < 10").proj(null_seed="seed")
    small = (schemas.Dataset & {"dataset": "small"}).proj()
    return {
        "Clustering": embedding * method * count * schemas.Seed.proj() & grid * study.ClusteringSeed.proj(),
        "CarriedPartition": schemas.Clustering.proj() * schemas.ContinuedTraining.proj()
        & study.Model.proj()
        * study.Embedding.proj()
        * study.Finetuning.proj()
        * (schemas.FinetuneSpec & OWN_START).proj("schedule_id", "control_seed")
        & "method NOT LIKE 'rotation%'",
        "SubsampleClustering": embedding * method * count * schemas.Seed.proj(subsample_seed="seed")
        & asked_subsamples(),
        "KCriteria": embedding * method * count & asked_criteria(),
        "NullFit": embedding * method * count * null_kinds & asked_nulls(),
        "SeedNullFit": study.proj() * small * spec * embedding_spec * method * few_kinds
        & [asked_seed_nulls(), requested_seed_nulls()],
        "KSelection": each * method & frozen * asked_criteria(),
        "SubsampleStability": frozen * embedding * method * count & (frozen & study.Subsample) * grid,
        "SeedAgreement": each * method * count * finetune & held * study.Finetuning.proj(),
        "MethodAgreement": each * count * finetune & (held * first * second & "method_id_a < method_id_b"),
        "ModelAgreement": frozen
        * both
        * spec.proj(model_spec_b="model_spec_id")
        * embedding_spec
        * method
        * count
        * finetune
        & (pairs & "model_spec_a < model_spec_b"),
        "GeometryAgreement": each & frozen * networks * study.Embedding.proj(),
        "CoAssociation": each * method * count * finetune & held * study.Finetuning.proj() * wanted & "k > 1",
        "PooledCoAssociation": each * count * finetune
        & (held * first * second * wanted & "method_id_a < method_id_b")
        & "k > 1",
        "FinetunedNull": nulls * schemas.Dataset.proj() * spec * embedding_spec * method * count * trained
        & held * study.Finetuning.proj()
        & repeated,
        "TypesOrAxes": embedding * schemas.AxesSpec.proj()
        & study.Model.proj() * study.Embedding.proj()
        & targets(),
    }


def targets() -> list[Any]:
    """Embeddings with the targets that exist, as alternatives."""
    embedding = schemas.Embedding.proj()
    kinds = {kind: schemas.AxesSpec & {"target_kind": kind} for kind in ("scores", "network", "labels")}
    scored = embedding * kinds["scores"].proj() & (schemas.Performance & {"tier": MAIN_TIER}).proj()
    others = schemas.Embedding.proj(target_seed="model_seed")
    compared = embedding * kinds["network"].proj("target_seed") & others & "model_seed != target_seed"
    labelled = [
        embedding * (schemas.AxesSpec & {"axes_spec_id": row["axes_spec_id"]}).proj()
        & (schemas.LabelSet & {"label_set": row["target_labels"]}).proj()
        for row in kinds["labels"].proj("target_labels").to_dicts()
    ]
    return [scored.proj(), compared.proj(), *(one.proj() for one in labelled)]


def keys_of(expression: Any, names: list[str]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in names) for row in expression.proj().to_dicts())


@pytest.mark.parametrize("name", [
    "Clustering", "SubsampleClustering", "KCriteria", "NullFit", "SeedNullFit", "KSelection", "SubsampleStability",
    "SeedAgreement", "MethodAgreement", "ModelAgreement", "GeometryAgreement",
    "CoAssociation", "PooledCoAssociation", "FinetunedNull", "TypesOrAxes",
])  # fmt: skip
def test_keys_are_those_of_the_filtered_product_each_once(asked: str, name: str) -> None:
    table = getattr(schemas, name)()
    of = {"study": asked} if "study" in table.primary_key else {}
    found = keys_of(table.key_source & of, table.primary_key)
    slow = keys_of(products()[name] & of, table.primary_key)
    assert found
    assert len(set(found)) == len(found)
    assert set(found) == set(slow)


def test_a_label_set_is_looked_for_though_no_target_named_one_when_the_scheduler_began(
    lab: str,
) -> None:
    """It was not, where the first target of labels came later: its keys waited for the round that looks at all."""
    labels = (schemas.AxesSpec & {"target_kind": "labels"}).to_dicts()
    (schemas.TypesOrAxes & [{"axes_spec_id": row["axes_spec_id"]} for row in labels]).delete(prompt=False)
    (schemas.AxesSpec & {"target_kind": "labels"}).delete(prompt=False)
    try:
        assert "label_set" in sources_of(schemas.TypesOrAxes)
    finally:
        schemas.AxesSpec.insert(labels)
