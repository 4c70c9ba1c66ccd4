"""The fine-tuned null of a study: what it would cost, and its declaration as a study of null datasets."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any, Literal

import numpy as np
from pydantic import Field

from decortex import finetune
from decortex.config import Config
from decortex.errors import ConfigError
from decortex.evaluation.nulls import NullKind
from decortex_schemas.register.plans.network_plans import NetworksPlan, network_keys
from decortex_schemas.tables import (
    Clustering,
    ClusteringMethod,
    ContinuedTraining,
    DECFinetune,
    Embedding,
    FinetunePlan,
    FinetuneSpec,
    NetworkState,
    NullRecordings,
    NullStudy,
    StudyPlan,
    TrainedModel,
    check_parent,
    declare_null_datasets,
    declare_study,
)
from decortex_schemas.tables.evaluation import (
    OWN_START,
    CarriedPartition,
    ClusterPerformance,
    ClusterQuality,
)

SUFFIX = "-null"


class FinetunedNullPlan(Config):
    """Which surrogates are trained and fine-tuned as the study's networks are."""

    kinds: tuple[NullKind, ...] = Field(
        default=("gaussian",), min_length=1, description="Surrogates of the readout features"
    )
    surrogates: int = Field(
        ge=1, le=1000, description="Null datasets per kind; p is never below 1/(this + 1)"
    )
    noise: finetune.NoiseRule = Field(
        "auto", description="Of drawn responses: 'poisson', 'gamma', or 'auto' by the recording"
    )
    finetunings: tuple[str, ...] = Field(
        default=(), description="Names of the fine-tunings to repeat; all if empty"
    )
    cores: Literal["kept", "own"] | None = Field(
        None,
        description="Networks on a null: 'kept', a readout on the core of the study's network of the same seed; 'own',"
        " core and readout from the start, as those of the study. Default: own where the plan's networks are joint",
    )
    generator: NetworksPlan | None = Field(
        None,
        description="Networks that null responses are drawn from, of the same dataset. Default: the study's own; of"
        " joint networks the same training to its end",
    )


def null_study_of(name: str) -> str:
    """Name of the study of null datasets that belongs to a study."""
    return f"{name}{SUFFIX}"


def check_null(name: str, plan: StudyPlan, null: FinetunedNullPlan, states: str = "none") -> None:
    """Refuse a null that cannot be drawn, before anything is declared.

    Raises
    ------
    ConfigError
        If nothing is fine-tuned, a dataset is itself a null, its networks or the generator are imported, the generator
        is of another dataset or no finished network, or networks that go on jointly should keep another's core.
    """
    if not plan.finetunings:
        raise ConfigError(
            f"study {name!r} asks for a fine-tuned null but fine-tunes nothing; add a fine-tuning or leave the "
            "null out."
        )
    if len(set(null.kinds)) != len(null.kinds):
        raise ConfigError(f"the null's kinds hold one twice: {list(null.kinds)}; name each once.")
    suffix = SUFFIX + ("" if states == "none" else "-states")
    if len(name + suffix) > 64:
        raise ConfigError(f"a study with this null has a name of at most {64 - len(suffix)} characters.")
    for family, seeds in _families(plan).items():
        if null.cores == "kept" and _joint_parent(family[1]) is not None:
            raise ConfigError(
                "networks that go on jointly from an epoch train their own cores, and so do those of their null: leave"
                " its cores out, or take 'own'."
            )
        for kind in null.kinds:
            for generator in _generators(family, seeds, null):
                check_parent(generator, kind)


def _joint_parent(model_spec_id: int) -> int | None:
    """The specification whose training networks of an epoch are of; None for any other network."""
    found = (NetworkState & {"model_spec_id": model_spec_id, "state": "epoch"}).to_arrays("parent_spec_id")
    return int(found[0]) if len(found) else None


def _generators(family: tuple[str, int], seeds: list[int], null: FinetunedNullPlan) -> list[dict[str, Any]]:
    """Keys of the networks that the null datasets of a family are drawn from."""
    if null.generator is None:
        whole = _joint_parent(family[1])
        spec = family[1] if whole is None else whole
        return [{"dataset": family[0], "model_spec_id": spec, "model_seed": seed} for seed in seeds]
    if null.generator.dataset != family[0]:
        raise ConfigError(
            f"the null's generator is of dataset {null.generator.dataset!r}, the study's networks of {family[0]!r}: "
            "its responses are drawn for the same neurons and images."
        )
    if null.generator.joint_from is not None:
        raise ConfigError("the null's generator is a finished network; leave its joint_from out.")
    return network_keys(null.generator)


def declare_null(
    name: str, plan: StudyPlan, null: FinetunedNullPlan, states: str = "none"
) -> tuple[str, StudyPlan]:
    """Declare the null datasets of a study and the study that repeats its fine-tunings on them.

    Parameters
    ----------
    name : str
        The declared study.
    plan : StudyPlan
        Its plan, with the fine-tunings to repeat only.
    null : FinetunedNullPlan
        Which surrogates.
    states : {'none', 'controls', 'all'}
        Which states of the networks are clustered afresh. Unless 'none', the start is clustered by every method of the
        plan, as it is in the study.

    Returns
    -------
    tuple
        Name of the study of null datasets, and its plan with the fine-tunings that train and no others. Declaring it
        again changes nothing.
    """
    null_study = null_study_of(name)
    models = [
        key
        for family, seeds in _families(plan).items()
        for kind in null.kinds
        for key in declare_null_datasets(
            _family_key(family),
            seeds,
            kind=kind,
            n_surrogates=null.surrogates,
            noise=null.noise,
            cores=null.cores or ("kept" if _joint_parent(family[1]) is None else "own"),
            generators=_generators(family, seeds, null),
        )
    ]
    own = restrict_plan(plan).model_copy(update={"models": tuple(models)})
    if states != "none":
        own = own.model_copy(update={"method_ids": plan.method_ids})
    none = {row["finetune_id"] for row in (FinetuneSpec & {"kind": "none"}).proj().to_dicts()}
    untouched = [
        FinetunePlan(finetune_id=int(i), methods=own.method_ids, counts=own.counts, seeds=own.seeds)
        for i in none
    ]
    declare_study(
        null_study,
        own.model_copy(update={"finetunings": (*untouched, *own.finetunings)}),
        description=f"null datasets of study {name}",
    )
    NullStudy.insert1({"null_study": null_study, "study": name}, skip_duplicates=True)
    return null_study, own


def restrict_plan(plan: StudyPlan) -> StudyPlan:
    """The part of a plan that its fine-tunings start from, with every list written out."""
    parts = [
        FinetunePlan(
            finetune_id=part.finetune_id,
            methods=part.methods or plan.method_ids,
            counts=part.counts or plan.counts,
            seeds=part.seeds or plan.seeds,
        )
        for part in plan.finetunings
    ]
    used = {
        "method_ids": {i for part in parts for i in part.methods},
        "counts": {k for part in parts for k in part.counts},
        "seeds": {seed for part in parts for seed in part.seeds},
    }
    kept = {name: tuple(v for v in getattr(plan, name) if v in values) for name, values in used.items()}
    return plan.model_copy(
        update={**kept, "subsample_seeds": (), "nulls": (), "n_surrogates": 0, "finetunings": tuple(parts)}
    )


def null_cost(plan: StudyPlan, null: FinetunedNullPlan, states: str = "none") -> list[dict[str, Any]]:
    """What a fine-tuned null asks for: rows per table, and their seconds by the rows that exist.

    Parameters
    ----------
    plan : StudyPlan
        Plan of the study, with the fine-tunings to repeat only.
    null : FinetunedNullPlan
        Which surrogates.
    states : {'none', 'controls', 'all'}
        Which states of the networks are clustered afresh.

    Returns
    -------
    list of dict
        ``table``, ``rows``, ``seconds_each`` (mean over rows on the study's own datasets; None where there is
        none yet) and ``seconds``.
    """
    own = restrict_plan(plan)
    n_datasets = len(_families(plan)) * len(null.kinds) * null.surrogates
    n_networks = len(null.kinds) * null.surrogates * len(plan.models)
    n_embeddings = n_networks * len(own.embedding_spec_ids)
    method_ids = own.method_ids if states == "none" else plan.method_ids
    n_starts = n_embeddings * len(method_ids) * len(own.counts) * len(own.seeds)
    n_moved = n_embeddings * sum(
        len(part.methods) * len(part.counts) * len(part.seeds) for part in own.finetunings
    )
    specs = (FinetuneSpec & [{"finetune_id": part.finetune_id} for part in own.finetunings]).proj(
        "schedule_id", "control_seed"
    )
    controls = {(row["schedule_id"], row["control_seed"]) for row in specs.to_dicts()}
    n_carried = n_embeddings * len(_carried_starts(own))
    datasets = [{"dataset": dataset} for dataset, _ in _families(plan)]
    n_states = {"none": 0, "controls": n_networks * len(controls)}.get(
        states, n_networks * len(controls) + n_moved
    )
    n_afresh = n_states * len(own.embedding_spec_ids) * len(method_ids) * len(own.counts) * len(own.seeds)
    taken = (NetworkState & "state != 'epoch'").proj()
    moved = DECFinetune & "checkpoint_sha256 IS NOT NULL"
    rows = [
        ("NullRecordings", n_datasets, NullRecordings & [{"parent_dataset": d["dataset"]} for d in datasets]),
        ("TrainedModel", n_networks, (TrainedModel & datasets) - taken),
        *([("TrainedModel of states", n_states, TrainedModel & datasets & taken)] if n_states else []),
        ("Embedding", n_embeddings + n_states * len(own.embedding_spec_ids), Embedding & datasets),
        ("Clustering", n_starts + n_afresh, Clustering & datasets),
        ("ContinuedTraining", n_networks * len(controls), ContinuedTraining & datasets),
        ("CarriedPartition", n_carried, CarriedPartition & datasets),
        ("DECFinetune", n_moved, moved & datasets),
        ("ClusterQuality", n_starts + n_moved + n_afresh, ClusterQuality & datasets),
        (
            "ClusterPerformance",
            n_starts + n_moved + n_afresh,
            ClusterPerformance & datasets,
        ),  # by the main metric alone
    ]
    found = []
    for table, n_rows, known in rows:
        seconds = known.to_arrays("seconds")
        each = float(np.mean(seconds)) if len(seconds) else None
        found.append(
            {
                "table": table,
                "rows": n_rows,
                "seconds_each": each,
                "seconds": None if each is None else each * n_rows,
            }
        )
    return found


def _carried_starts(own: StudyPlan) -> set[tuple[int, ...]]:
    """Starts that are carried to a control, with it: method, K, clustering seed, schedule and seed of the control."""
    shifted = {int(i) for i in (ClusteringMethod & "method LIKE 'rotation%'").to_arrays("method_id")}
    specs = (FinetuneSpec & [{"finetune_id": part.finetune_id} for part in own.finetunings] & OWN_START).proj(
        "schedule_id", "control_seed"
    )
    tied = {
        int(row["finetune_id"]): (int(row["schedule_id"]), int(row["control_seed"]))
        for row in specs.to_dicts()
    }
    return {
        (*start, *tied[part.finetune_id])
        for part in own.finetunings
        if part.finetune_id in tied
        for start in itertools.product(part.methods, part.counts, part.seeds)
        if start[0] not in shifted
    }


def _families(plan: StudyPlan) -> dict[tuple[str, int], list[int]]:
    """Seeds of the networks, by dataset and specification."""
    families: dict[tuple[str, int], list[int]] = defaultdict(list)
    for key in plan.models:
        families[str(key["dataset"]), int(key["model_spec_id"])].append(int(key["model_seed"]))
    return families


def _family_key(family: tuple[str, int]) -> dict[str, Any]:
    return {"dataset": family[0], "model_spec_id": family[1]}
