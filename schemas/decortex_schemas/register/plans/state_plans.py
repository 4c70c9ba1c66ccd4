"""The study of states: controls and fine-tuned networks of a study, clustered afresh by every method of its plan."""

from __future__ import annotations

from typing import Any, Literal

from decortex.errors import ConfigError
from decortex_schemas.register.plans.null_plans import restrict_plan
from decortex_schemas.tables import (
    ClusteringMethod,
    FinetunePlan,
    FinetuneSpec,
    StateStudy,
    StudyPlan,
    declare_study,
    register_state,
)

SUFFIX = "-states"
States = Literal["none", "controls", "all"]


def states_study_of(name: str) -> str:
    """Name of the study of states that belongs to a study."""
    return f"{name}{SUFFIX}"


def check_states(name: str, plan: StudyPlan) -> None:
    """Refuse states where nothing leaves any, before anything is declared.

    Raises
    ------
    ConfigError
        If the plan fine-tunes nothing, or the study's name leaves no room.
    """
    if not plan.finetunings:
        raise ConfigError(
            f"study {name!r} asks for states afresh but trains nothing on; add a fine-tuning, or leave 'states' 'none'."
        )
    if len(states_study_of(name)) > 64:
        raise ConfigError(f"a study with states has a name of at most {64 - len(SUFFIX)} characters.")


def declare_states(name: str, plan: StudyPlan, states: States) -> str:
    """Declare the states that a study's trainings leave, and the study that clusters them afresh.

    Parameters
    ----------
    name : str
        The declared study.
    plan : StudyPlan
        Its plan, with the fine-tunings that train and no others.
    states : {'controls', 'all'}
        'all': fine-tuned networks too.

    Returns
    -------
    str
        Name of the study of states: every embedding and method of the plan at the K and seeds that are fine-tuned,
        nothing fine-tuned itself. Declaring it again changes nothing.
    """
    own = restrict_plan(plan)
    specs: dict[int, list[int]] = {}
    for key in plan.models:
        parent = int(key["model_spec_id"])
        if parent not in specs:
            specs[parent] = _states_of(parent, own, states)
    models = tuple(
        {"dataset": key["dataset"], "model_spec_id": spec, "model_seed": key["model_seed"]}
        for key in plan.models
        for spec in specs[int(key["model_spec_id"])]
    )
    untouched = (FinetuneSpec & {"kind": "none"}).fetch1("finetune_id")
    none = FinetunePlan(
        finetune_id=int(untouched), methods=plan.method_ids, counts=own.counts, seeds=own.seeds
    )
    declare_study(
        states_study_of(name),
        own.model_copy(update={"models": models, "method_ids": plan.method_ids, "finetunings": (none,)}),
        description=f"states of study {name}, clustered afresh",
    )
    StateStudy.insert1({"states_study": states_study_of(name), "study": name}, skip_duplicates=True)
    return states_study_of(name)


def _states_of(parent: int, plan: StudyPlan, states: States) -> list[int]:
    """Specifications of the states that one specification's trainings leave, each once."""
    methods = {int(row["method_id"]): row["method"] for row in ClusteringMethod.proj().to_dicts()}
    found: dict[int, None] = {}
    for part in plan.finetunings:
        schedule, seed = (FinetuneSpec & {"finetune_id": part.finetune_id}).fetch1(
            "schedule_id", "control_seed"
        )
        tied: dict[str, Any] = {"schedule_id": int(schedule), "control_seed": int(seed)}
        found[register_state(parent, "control", **tied)] = None
        if states != "all":
            continue
        for embedding in plan.embedding_spec_ids:
            for method_id in part.methods:
                for k in part.counts:
                    for start in part.seeds:
                        spec = register_state(
                            parent,
                            "fine_tuned",
                            embedding_spec_id=embedding,
                            method=methods[method_id],
                            method_id=method_id,
                            k=k,
                            seed=start,
                            finetune_id=part.finetune_id,
                        )
                        found[spec] = None
    return list(found)
