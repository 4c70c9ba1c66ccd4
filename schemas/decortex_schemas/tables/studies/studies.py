"""Studies: sweeps declared whole before anything is computed, and frozen before anything is compared.

A study refers to specifications only, never to computed rows, so that it can be declared before a network is
trained, and a recomputed row cannot shrink it. Computed tables fill what the studies ask for and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import datajoint as dj
from pydantic import Field

from decortex.config import Config, canonical_json, config_hash
from decortex.errors import ConfigError
from decortex.evaluation.nulls import NullKind
from decortex.models import training as network_training
from decortex.models.training import TrainingConfig
from decortex_schemas.database import one_transaction, schema
from decortex_schemas.tables.datasets import Dataset
from decortex_schemas.tables.networks import ModelTask, NetworkState
from decortex_schemas.tables.specs import (
    ClusterCount,  # noqa: F401  (foreign keys)
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
    NullModel,  # noqa: F401
    Seed,  # noqa: F401
    TrainingSchedule,
    register_counts,
    register_seeds,
)

# Share of the neurons in a subsample.
SUBSAMPLE_FRACTION = 0.8


@schema
class Study(dj.Manual):
    """A named sweep, and at the same time the family of hypotheses that it tests."""

    author_rights = ("INSERT", "UPDATE (priority)")  # how urgent it is

    definition = """
    # A named sweep
    study : varchar(64)
    ---
    description = '' : varchar(1024)
    plan_sha256 : char(64)
    priority = 5 : int8              # of its keys in the queues: 0 before all others, 9 after them
    created_by : varchar(96)
    created_at = CURRENT_TIMESTAMP : datetime
    """

    class Model(dj.Part):
        """A network of the study."""

        definition = """
        -> master
        -> ModelTask
        """

    class Embedding(dj.Part):
        """An embedding of the study."""

        definition = """
        -> master
        -> EmbeddingSpec
        """

    class Method(dj.Part):
        """A clustering method of the study."""

        definition = """
        -> master
        -> ClusteringMethod
        """

    class Count(dj.Part):
        """A number of clusters of the study."""

        definition = """
        -> master
        -> ClusterCount
        """

    class ClusteringSeed(dj.Part):
        """A clustering seed of the study."""

        definition = """
        -> master
        -> Seed
        """

    class Subsample(dj.Part):
        """A random subsample of the neurons that every method clusters too, at every K."""

        definition = """
        -> master
        -> Seed.proj(subsample_seed='seed')
        """

    class Null(dj.Part):
        """A surrogate of every embedding, clustered by every method at every K; with them, K is chosen."""

        definition = """
        -> master
        -> NullModel
        -> Seed.proj(null_seed='seed')
        """

    class Finetuning(dj.Part):
        """A fine-tuning of one method's partitions at one K and clustering seed."""

        definition = """
        -> master
        -> ClusteringMethod
        -> ClusterCount
        -> Seed
        -> FinetuneSpec
        """


@schema
class StateStudy(dj.Manual):
    """The study whose networks' states another study clusters afresh."""

    author_rights = ("INSERT", "UPDATE (states_study)")

    definition = """
    # A study of the states that another study's trainings leave
    -> Study.proj(states_study='study')
    ---
    -> Study
    """


class FinetunePlan(Config):
    """Which fine-tuning starts from which partitions of a study."""

    finetune_id: int = Field(description="Row of FinetuneSpec")
    methods: tuple[int, ...] = Field(
        description="method_id of the starting partitions; all of the study's if empty"
    )
    counts: tuple[int, ...] = Field(description="K of the starting partitions; all of the study's if empty")
    seeds: tuple[int, ...] = Field(description="Clustering seeds of the starts; all of the study's if empty")


class StudyPlan(Config):
    """A sweep as plain values: rows of the specification tables by their ids."""

    models: tuple[dict[str, str | int], ...] = Field(
        min_length=1, description="Keys of ModelTask; those to train here are registered with the study"
    )
    embedding_spec_ids: tuple[int, ...] = Field(min_length=1)
    method_ids: tuple[int, ...] = Field(min_length=1)
    counts: tuple[int, ...] = Field(min_length=1, description="Numbers of clusters")
    seeds: tuple[int, ...] = Field(min_length=1, description="Clustering seeds")
    subsample_seeds: tuple[int, ...] = Field(default=(), description="Seeds of the subsamples of neurons")
    nulls: tuple[NullKind, ...] = Field(
        default=(), description="Null models, with which K is chosen; or none"
    )
    n_surrogates: int = Field(default=0, ge=0, description="Surrogates per null model and embedding")
    finetunings: tuple[FinetunePlan, ...] = Field(default=())


def declare_study(name: str, plan: StudyPlan, *, description: str = "") -> None:
    """Declare a study whole; declaring the same one again changes nothing.

    Raises
    ------
    ConfigError
        If the name is taken by another plan, K exceeds the neurons of a dataset, a network cannot be
        fine-tuned, or a named row does not exist. Nothing is declared then.
    """
    digest = config_hash(plan.resolved())
    known = (Study & {"study": name}).to_arrays("plan_sha256")
    if len(known):
        if known[0] != digest:
            raise ConfigError(
                f"study {name!r} exists with another plan; a study is not changed once declared. "
                "Choose another name."
            )
        return
    _check_plan(name, plan)
    methods = {int(row["method_id"]): row["method"] for row in ClusteringMethod.proj().to_dicts()}
    register_counts(list(plan.counts))
    register_seeds(
        [
            *plan.seeds,
            *plan.subsample_seeds,
            *range(plan.n_surrogates),
            *(int(key["model_seed"]) for key in plan.models),
        ]
    )
    with one_transaction(schema.connection):
        Study.insert1(
            {
                "study": name,
                "description": description,
                "plan_sha256": digest,
                "created_by": str(schema.connection.get_user()),
            }
        )
        study = {"study": name}
        ModelTask.insert([dict(key) for key in plan.models], skip_duplicates=True)
        Study.Model.insert({**study, **key} for key in plan.models)
        Study.Embedding.insert({**study, "embedding_spec_id": i} for i in plan.embedding_spec_ids)
        Study.Method.insert({**study, "method": methods[i], "method_id": i} for i in plan.method_ids)
        Study.Count.insert({**study, "k": k} for k in plan.counts)
        Study.ClusteringSeed.insert({**study, "seed": seed} for seed in plan.seeds)
        Study.Subsample.insert({**study, "subsample_seed": seed} for seed in plan.subsample_seeds)
        Study.Null.insert(
            {**study, "null_kind": kind, "null_seed": seed}
            for kind in plan.nulls
            for seed in range(plan.n_surrogates)
        )
        Study.Finetuning.insert(
            {
                **study,
                "method": methods[method_id],
                "method_id": method_id,
                "k": k,
                "seed": seed,
                "finetune_id": part.finetune_id,
            }
            for part in plan.finetunings
            for method_id in part.methods or plan.method_ids
            for k in part.counts or plan.counts
            for seed in part.seeds or plan.seeds
        )


def _check_plan(name: str, plan: StudyPlan) -> None:
    if not name or len(name) > 64:
        raise ConfigError(f"a study's name has 1 to 64 characters, got {len(name)}.")
    models = [dict(key) for key in plan.models]
    for key in models:
        trainable = ModelSpec & {"model_spec_id": key["model_spec_id"]} & "network IS NOT NULL"
        if not len(Dataset & {"dataset": key["dataset"]}) or not (len(ModelTask & key) or len(trainable)):
            raise ConfigError(
                f"the study names the network {key}, which is neither registered nor of a specification that can be "
                "trained on a registered dataset; `decortex register dataset` and `register model` register them."
            )
    for table, ids, column in (
        (EmbeddingSpec, plan.embedding_spec_ids, "embedding_spec_id"),
        (ClusteringMethod, plan.method_ids, "method_id"),
        (FinetuneSpec, [part.finetune_id for part in plan.finetunings], "finetune_id"),
    ):
        known = {int(row[column]) for row in table.proj().to_dicts()}
        unknown = sorted(set(ids) - known)
        if unknown:
            raise ConfigError(f"the study names {column} {unknown}, which {table.__name__} does not hold.")
    for what, values in (
        ("networks", [canonical_json(key) for key in models]),
        ("embeddings", plan.embedding_spec_ids),
        ("methods", plan.method_ids),
        ("counts", plan.counts),
        ("seeds", plan.seeds),
        ("subsamples", plan.subsample_seeds),
        ("null models", plan.nulls),
    ):
        if len(set(values)) != len(values):
            raise ConfigError(
                f"the {what} of study {name!r} hold one twice; name each once (equal parameters are one)."
            )
    if plan.nulls and max(plan.counts) < 2:
        raise ConfigError("a choice of K needs a number of clusters of at least 2 among the counts.")
    if min(plan.counts) < 1:
        raise ConfigError(f"the number of clusters must be at least 1, got {min(plan.counts)}.")
    for row in (Dataset & [{"dataset": key["dataset"]} for key in models]).proj("n_neurons").to_dicts():
        if max(plan.counts) > row["n_neurons"]:
            raise ConfigError(
                f"K = {max(plan.counts)} exceeds the {row['n_neurons']} neurons of dataset {row['dataset']!r}; "
                "ask for fewer clusters."
            )
        if plan.subsample_seeds and max(plan.counts) > SUBSAMPLE_FRACTION * row["n_neurons"] - 1:
            raise ConfigError(
                f"K = {max(plan.counts)} leaves no neuron to spare in a subsample of "
                f"{SUBSAMPLE_FRACTION:.0%} of the {row['n_neurons']} neurons of dataset {row['dataset']!r}; ask for "
                "fewer clusters, or for no subsamples."
            )
    _check_finetunings(plan, models)


def _check_finetunings(plan: StudyPlan, models: list[dict[str, Any]]) -> None:
    kinds = {int(row["finetune_id"]): row["kind"] for row in FinetuneSpec.proj("kind").to_dicts()}
    trained = [part for part in plan.finetunings if kinds[part.finetune_id] != "none"]
    imported = ModelTask & models & "checkpoint_sha256 IS NOT NULL" & "rebuild IS NULL"
    if trained and len(imported):
        raise ConfigError(
            f"{len(imported)} of the study's networks are imported by their readout alone and cannot be "
            "fine-tuned; ask for them in a study with the fine-tuning 'none' only, or register them so that the whole "
            "network is rebuilt (--network, docs/how-to/register-your-model.md)."
        )
    silent = Dataset & (ModelTask & models).proj() & "kind IN ('neurons_only', 'mapped')"
    if trained and len(silent):
        raise ConfigError(
            f"nothing can be fine-tuned on {', '.join(silent.to_arrays('dataset'))}: the responses of all neurons are "
            "not recorded. Register the checkpoint with the dataset of its neurons, or with --own-responses."
        )
    _check_carried([part.finetune_id for part in trained], models)
    for part in plan.finetunings:
        for what, asked, own in (
            ("method_ids", part.methods, plan.method_ids),
            ("counts", part.counts, plan.counts),
            ("seeds", part.seeds, plan.seeds),
        ):
            if not set(asked) <= set(own):
                raise ConfigError(
                    f"a fine-tuning starts from {what} {sorted(set(asked) - set(own))}, which the study itself "
                    f"does not have ({sorted(own)})."
                )


def _check_carried(finetune_ids: list[int], models: list[dict[str, Any]]) -> None:
    """A training that goes on needs networks that were handed over, under the optimiser and rates they had."""
    chosen = FinetuneSpec & [{"finetune_id": i} for i in finetune_ids]
    schedules = (TrainingSchedule & chosen.proj("schedule_id")).to_arrays("params") if finetune_ids else ()
    carried = [
        one
        for params in schedules
        if (one := TrainingConfig.from_params(params)).optimiser_state == "carried"
    ]
    for spec in sorted({int(key["model_spec_id"]) for key in models}) if carried else ():
        name, training = (ModelSpec & {"model_spec_id": spec}).fetch1("model_name", "training")
        epochs = (NetworkState & {"model_spec_id": spec, "state": "epoch"}).to_arrays("epoch")
        if not len(epochs):
            raise ConfigError(
                f"a fine-tuning goes on with the training of network {name!r} (optimiser_state 'carried'), which was "
                "not handed over after an epoch: give its networks a joint_from, or take optimiser_state 'new'."
            )
        for schedule in carried:
            network_training.check_carried(training, int(epochs[0]), schedule)


def require_study(study: str) -> None:
    """Refuse a name that no study has.

    Raises
    ------
    ConfigError
        If there is no such study; the message names the one that was probably meant.
    """
    if len(Study & {"study": study}):
        return
    raise no_such_study(study, Study().to_arrays("study"))


def no_such_study(study: str, names: Iterable[object]) -> ConfigError:
    """Return the error that says which study was probably meant, if one of these was.

    Parameters
    ----------
    study : str
        What no study is called.
    names : iterable of str
        The studies that there are.
    """
    known = sorted(map(str, names))
    begun = sorted((name for name in known if study and name.startswith(study)), key=len)
    # A study and those declared beside it (its states, its choice of K) begin alike: the first is meant.
    is_one = begun and all(name.startswith(begun[0]) for name in begun)
    near = begun[:1] if is_one else difflib.get_close_matches(study, known, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    if begun and not is_one:
        meant = f" Several begin so: {', '.join(begun[:8])}."
    return ConfigError(f"there is no study {study!r}; `decortex study list` lists them.{meant}")


def methods_named(study: str) -> dict[str, dict[str, Any]]:
    """Keys of a study's clustering methods, by the names that its plan gives them."""
    named = (Study.Method.proj() * ClusteringMethod.proj("method_name") & {"study": study}).to_dicts()
    return {
        str(row["method_name"]): {"method": row["method"], "method_id": row["method_id"]} for row in named
    }
