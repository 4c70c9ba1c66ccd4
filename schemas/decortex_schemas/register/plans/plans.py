"""Plans: a sweep in words (names and parameters), turned into rows of the specification tables."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from decortex import embeddings as embedding_maps
from decortex.config import Config
from decortex.errors import ConfigError
from decortex.evaluation.nulls import NULL_KINDS, NullKind
from decortex.finetune import FinetuneConfig
from decortex.tuning import TuningConfig
from decortex_schemas.database import one_transaction, schema, tried_only
from decortex_schemas.register.plans.asked_plans import (
    AgreementNullPlan,
    CommunitiesPlan,
    SharedLabellingPlan,
    TuningPlan,
    ViewPlan,
)
from decortex_schemas.register.plans.check import check_plan, finetuning_configs
from decortex_schemas.register.plans.network_plans import NetworksPlan, network_keys
from decortex_schemas.register.plans.null_plans import FinetunedNullPlan, check_null, declare_null, null_cost
from decortex_schemas.register.plans.peer_plans import check_rounds
from decortex_schemas.register.plans.ranges import Numbers
from decortex_schemas.register.plans.state_plans import States, check_states, declare_states
from decortex_schemas.tables import (
    NETWORK_SEED,
    FinetunePlan,
    StudyPlan,
    declare_study,
    register_embedding_spec,
    register_finetune,
    register_method,
    register_schedule,
    request_stimuli,
    request_tuning,
    request_view,
    require_study,
)
from decortex_schemas.tables.evaluation import (
    request_agreement_null,
    request_communities,
    request_shared_labelling,
)


class EmbeddingPlan(Config):
    """One embedding and its name in tables and figures."""

    name: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict, description="EmbeddingConfig")


class MethodPlan(Config):
    """One clustering method and its name in tables and figures, or one for every point of a grid."""

    method: str
    name: str = Field("", max_length=64, description="Default: the method's")
    params: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="Values of some parameters: every combination is a method of its own, named by them",
    )

    def variants(self) -> dict[str, dict[str, Any]]:
        """Names and parameters of every combination of the grid; one, where there is none."""
        base = self.name or self.method
        return {
            " ".join([base, *(f"{name}={value}" for name, value in zip(self.grid, values, strict=True))]): {
                **self.params,
                **dict(zip(self.grid, values, strict=True)),
            }
            for values in itertools.product(*self.grid.values())
        }


class FinetuningPlan(Config):
    """One fine-tuning variant and the partitions it starts from."""

    name: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(description="FinetuneConfig")
    schedule: dict[str, Any] = Field(
        default_factory=dict, description="what differs from the training of the plan's first networks"
    )
    control_seed: Annotated[int, Field(ge=0)] | Literal["model"] = Field(
        0, description="Seed of the order of batches, shared with the control; 'model': each network's own"
    )
    methods: tuple[str, ...] = Field(default=(), description="Names of the starting methods; all if empty")
    counts: Numbers = Field(default=(), description="K of the starts; all if empty")
    seeds: Numbers = Field(default=(), description="Clustering seeds of the starts; all if empty")


class SelectionPlan(Config):
    """Whether and how the number of clusters is chosen."""

    nulls: tuple[NullKind, ...] = Field(
        default=NULL_KINDS, min_length=1, description="Null models that a K must exceed"
    )
    surrogates: int = Field(
        default=19,
        ge=2,
        le=10_000,
        description="Surrogates per null model and embedding; below 19 no p reaches .05",
    )
    methods: tuple[str, ...] = Field(
        default=(), description="Names of the methods that are judged; all if empty"
    )
    counts: Numbers = Field(default=(), description="K that are judged; all if empty")

    @property
    def limited(self) -> bool:
        """Whether not all methods and K are judged; the choice is then a study of its own, NAME-selection."""
        return bool(self.methods or self.counts)


class PlanFile(Config):
    """A study as somebody writes it down; 'none' (no fine-tuning) is part of every study."""

    description: str = Field("", max_length=1024)
    networks: tuple[NetworksPlan, ...] = Field(min_length=1)
    embeddings: tuple[EmbeddingPlan, ...] = Field(min_length=1)
    methods: tuple[MethodPlan, ...] = Field(min_length=1)
    counts: Numbers = Field(min_length=1, description="Numbers of clusters: a list, or '2..30'")
    seeds: Numbers = Field(default=(0,), description="Clustering seeds")
    subsamples: int = Field(
        0, ge=0, le=1000, description="Random subsamples of 80 percent of the neurons, clustered at every K"
    )
    selection: SelectionPlan | None = Field(
        None, description="Choose the number of clusters, against null models; {} takes the defaults"
    )
    agreement_null: AgreementNullPlan | None = Field(
        None,
        description="Compare agreement with that of surrogates without types, at every K; {} takes the defaults",
    )
    shared_labelling: SharedLabellingPlan | None = Field(
        None,
        description="Search one labelling that all networks support (TURTLE), at every K; {} takes the defaults",
    )
    communities: CommunitiesPlan | None = Field(
        None, description="Find the communities of co-association, at every K above 1; {} takes the defaults"
    )
    finetunings: tuple[FinetuningPlan, ...] = Field(default=())
    finetuned_null: FinetunedNullPlan | None = Field(
        None, description="Surrogates that are trained and fine-tuned as the study's networks are"
    )
    states: States = Field(
        "none",
        description="States to cluster afresh by every method, in a study of their own: controls, or all"
        " (fine-tuned networks too)",
    )
    views: tuple[ViewPlan, ...] = Field(
        default=(ViewPlan(name="", seed=0),),
        description="Pictures of the embeddings, to look at; default: two principal components",
    )
    tuning: TuningPlan | None = Field(
        None,
        description="Show gratings to every network that predicts: what a cluster is; {} takes the defaults",
    )


def declare_plan(name: str, plan: PlanFile) -> None:
    """Register what a plan names and declare the study, with its null and its states; repeating it changes nothing.

    Raises
    ------
    ConfigError
        If a dataset, recipe, method or parameter is unknown, or the name is taken by another plan. Nothing is
        registered or declared then.
    """
    with one_transaction(schema.connection):
        _declare(name, plan)


def _declare(name: str, plan: PlanFile) -> None:
    views = [(one, embedding_maps.ViewConfig.from_params(one.params)) for one in plan.views]
    shown = None if plan.tuning is None else TuningConfig.from_params(plan.tuning.params)
    resolved = resolve_plan(plan)
    repeated = None if plan.finetuned_null is None else repeated_on_nulls(plan, resolved)
    if plan.finetuned_null is not None and repeated is not None:
        check_null(name, repeated, plan.finetuned_null, plan.states)
    trained = resolved.model_copy(update={"finetunings": resolved.finetunings[1:]})  # the first is 'none'
    if plan.states != "none":
        check_states(name, trained)
    declare_study(name, resolved, description=plan.description)
    if plan.selection is not None and plan.selection.limited:
        declare_study(
            selection_study_of(name),
            _selection(plan, plan.selection, resolved),
            description=f"choice of K of study {name}",
        )
    for one, config in views:
        request_view(name, one.name or config.kind, config, seed=one.seed)
    if plan.agreement_null is not None:
        null = plan.agreement_null
        request_agreement_null(name, methods=null.methods, kinds=null.kinds, surrogates=null.surrogates)
    if plan.shared_labelling is not None:
        request_shared_labelling(name, **plan.shared_labelling.model_dump())
    if plan.communities is not None:
        request_communities(name, **plan.communities.model_dump())
    if plan.tuning is not None and shown is not None:
        request_tuning(name, shown)
        for stimuli in plan.tuning.stimuli:
            request_stimuli(name, stimuli.method, stimuli.counts)
    if plan.finetuned_null is not None and repeated is not None:
        null_study, null_plan = declare_null(name, repeated, plan.finetuned_null, plan.states)
        if plan.states != "none":
            declare_states(null_study, null_plan, plan.states)
    if plan.states != "none":
        declare_states(name, trained, plan.states)


def selection_study_of(name: str) -> str:
    """Name of the study that chooses K for another, where only some methods or K are judged."""
    return f"{name}-selection"


def _selection(plan: PlanFile, selection: SelectionPlan, resolved: StudyPlan) -> StudyPlan:
    """The part of a plan whose methods and K are judged, with the surrogates for that and without fine-tunings."""
    names = [name for one in plan.methods for name in one.variants()]
    ids = dict(zip(names, resolved.method_ids, strict=True))
    return resolved.model_copy(
        update={
            "method_ids": tuple(ids[name] for name in selection.methods or names),
            "counts": selection.counts or plan.counts,
            "subsample_seeds": (),
            "nulls": selection.nulls,
            "n_surrogates": selection.surrogates,
            "finetunings": resolved.finetunings[:1],  # 'none'
        }
    )


def plan_cost(plan: PlanFile) -> list[dict[str, Any]]:
    """What a plan's fine-tuned null would cost, see `null_cost`; empty where it has none. Registers nothing."""
    if plan.finetuned_null is None:
        return []
    with tried_only(schema.connection):
        repeated = repeated_on_nulls(plan, resolve_plan(plan))
        check_null("", repeated, plan.finetuned_null, plan.states)
        return null_cost(repeated, plan.finetuned_null, plan.states)


def repeated_on_nulls(plan: PlanFile, resolved: StudyPlan) -> StudyPlan:
    """The plan with the fine-tunings that its null repeats, and no others.

    Raises
    ------
    ConfigError
        If the null names a fine-tuning that the plan does not have.
    """
    wanted = () if plan.finetuned_null is None else plan.finetuned_null.finetunings
    names = [one.name for one in plan.finetunings]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise ConfigError(f"the null repeats the fine-tunings {unknown}; the plan has {names}.")
    trained = resolved.finetunings[1:]  # the first is 'none'
    kept = tuple(part for part, one in zip(trained, names, strict=True) if not wanted or one in wanted)
    check_rounds(kept)
    return resolved.model_copy(update={"finetunings": kept})


def resolve_plan(plan: PlanFile) -> StudyPlan:
    """Register the specifications that a plan names; returns the study as their ids.

    Raises
    ------
    ConfigError
        If a dataset, recipe, method or parameter is unknown.
    """
    check_plan(plan)
    methods = {
        name: register_method(one.method, params, name=name)
        for one in plan.methods
        for name, params in one.variants().items()
    }
    finetunings = [FinetunePlan(finetune_id=register_none(), methods=(), counts=(), seeds=())]
    models = tuple(key for networks in plan.networks for key in network_keys(networks))
    finetunings += [_finetuning(one, methods, plan, models=models) for one in plan.finetunings]
    check_rounds(finetunings)
    whole = None if plan.selection is None or plan.selection.limited else plan.selection
    return StudyPlan(
        models=models,
        embedding_spec_ids=tuple(
            register_embedding_spec(one.name, embedding_maps.EmbeddingConfig.from_params(one.params))
            for one in plan.embeddings
        ),
        method_ids=tuple(int(key["method_id"]) for key in methods.values()),
        counts=plan.counts,
        seeds=plan.seeds,
        subsample_seeds=tuple(range(plan.subsamples)),
        nulls=whole.nulls if whole else (),
        n_surrogates=whole.surrogates if whole else 0,
        finetunings=tuple(finetunings),
    )


def register_none() -> int:
    """Register the fine-tuning that is none; returns its ``finetune_id``."""
    return register_finetune("none", FinetuneConfig(kind="none"))


def _finetuning(
    plan: FinetuningPlan,
    methods: dict[str, dict[str, Any]],
    whole: PlanFile,
    *,
    models: Sequence[Mapping[str, Any]],
) -> FinetunePlan:
    configured = {name: str(key["method"]) for name, key in methods.items()}
    config, schedule = finetuning_configs(plan, configured, whole, models=models)
    if config.has_shared_start:
        require_study(config.start_study)
    finetune_id = register_finetune(
        plan.name,
        config,
        schedule_id=register_schedule(f"{plan.name} schedule", schedule),
        control_seed=NETWORK_SEED if plan.control_seed == "model" else plan.control_seed,
    )
    return FinetunePlan(
        finetune_id=finetune_id,
        methods=tuple(int(methods[name]["method_id"]) for name in plan.methods),
        counts=plan.counts,
        seeds=plan.seeds,
    )
