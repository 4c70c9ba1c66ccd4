"""What of a plan is checked without a database: recipes, methods, embeddings, fine-tunings and their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from decortex import clustering
from decortex import embeddings as embedding_maps
from decortex.errors import ConfigError
from decortex.finetune import ROTATION_KINDS, FinetuneConfig
from decortex.models.training import TrainingConfig
from decortex.tuning import TuningConfig
from decortex_schemas.register.plans.network_plans import network_configs
from decortex_schemas.register.plans.peer_plans import with_peer_seeds

if TYPE_CHECKING:
    from decortex_schemas.register.plans.plans import FinetuningPlan, PlanFile


def check_plan(plan: PlanFile) -> None:
    """Refuse a plan that no database could declare.

    Whether its datasets and imported networks are registered, and studies that fine-tunings start from, only a
    database says; `declare_plan` asks it.

    Raises
    ------
    ConfigError
        If a recipe, method, embedding, view, fine-tuning or parameter is unknown or out of range, two methods have one
        name, or a part names a method or K that the plan does not have.
    """
    for networks in plan.networks:
        if networks.imported is None:
            network_configs(networks)
    methods = _methods(plan)
    for one in plan.embeddings:
        embedding_maps.EmbeddingConfig.from_params(one.params)
    for view in plan.views:
        embedding_maps.ViewConfig.from_params(view.params)
    if plan.tuning is not None:
        TuningConfig.from_params(plan.tuning.params)
    models = _models(plan)
    for finetuning in plan.finetunings:
        # Mutual learning is from networks by their seeds, which an imported network may not tell.
        if models is not None or finetuning.params.get("kind") != "mutual":
            finetuning_configs(finetuning, methods, plan, models=models or ())
    _check_selection(plan, list(methods))


def _methods(plan: PlanFile) -> dict[str, str]:
    """The clustering methods of a plan by the names that it gives them."""
    variants = [(one.method, *variant) for one in plan.methods for variant in one.variants().items()]
    for method, _, params in variants:
        clustering.method_config(method, params)
    names = {name: method for method, name, _ in variants}
    if len(names) != len(variants):
        raise ConfigError('two methods of the plan have the same name; give each its own "name".')
    return names


def _models(plan: PlanFile) -> list[dict[str, Any]] | None:
    """Keys of the networks that a plan trains, specifications by numbers of its own; None where some are imported."""
    if any(one.imported is not None for one in plan.networks):
        return None
    specs: list[Any] = []
    keys = []
    for one in plan.networks:
        spec = (*network_configs(one)[1:], one.joint_from)
        if spec not in specs:
            specs.append(spec)
        part = {"dataset": one.dataset, "model_spec_id": specs.index(spec)}
        keys += [{**part, "model_seed": seed} for seed in one.seeds]
    return keys


def _check_selection(plan: PlanFile, methods: Sequence[str]) -> None:
    selection = plan.selection
    if selection is None:
        return
    parts: tuple[tuple[str, Sequence[Any], Sequence[Any]], ...] = (
        ("methods", selection.methods, methods),
        ("counts", selection.counts, plan.counts),
    )
    for what, asked, known in parts:
        unknown = [one for one in asked if one not in known]
        if unknown:
            raise ConfigError(
                f"the selection judges {what} {unknown}, which the plan does not have ({list(known)})."
            )


def finetuning_configs(
    plan: FinetuningPlan,
    methods: Mapping[str, str],
    whole: PlanFile,
    *,
    models: Sequence[Mapping[str, Any]],
) -> tuple[FinetuneConfig, TrainingConfig]:
    """Configurations of a fine-tuning of a plan and of its schedule.

    Parameters
    ----------
    plan : FinetuningPlan
    methods : mapping of str to str
        The plan's clustering methods by their names in it.
    whole : PlanFile
    models : sequence of mapping
        Keys of the plan's networks: ``dataset``, ``model_spec_id``, ``model_seed``.

    Raises
    ------
    ConfigError
        If a parameter is unknown or out of range, or it would start from partitions that the plan does not have or that
        do not suit it.
    """
    networks, counts, seeds = whole.networks[0], whole.counts, whole.seeds
    unknown = sorted(set(plan.methods) - set(methods))
    if unknown:
        raise ConfigError(
            f"fine-tuning {plan.name!r} starts from {unknown}; the plan's methods are {list(methods)}."
        )
    own = None if networks.imported is not None else network_configs(networks)[2].resolved()
    carried = {} if networks.joint_from is None else {"optimiser_state": "carried"}
    schedule = TrainingConfig.from_params({**(own or networks.training or {}), **carried, **plan.schedule})
    config = FinetuneConfig.from_params(with_peer_seeds(plan.name, plan.params, models))
    started = {name: methods[name] for name in plan.methods or methods}
    unfit = sorted(name for name, method in started.items() if method != "rotation_tmixture")
    if config.kind in ROTATION_KINDS and unfit:
        raise ConfigError(
            f"fine-tuning {plan.name!r} of kind {config.kind!r} would start from {unfit}, but only clusterings by "
            'rotation_tmixture hold the shifts it needs: name such methods under its "methods".'
        )
    if config.has_shared_start and len(plan.seeds or seeds) != 1:
        raise ConfigError(
            f"fine-tuning {plan.name!r} starts from one partition, whatever the clustering seed, and would be "
            'computed once for each: say "seeds": [0].'
        )
    doubled = sorted(set(config.heads) & set(plan.counts or counts))
    if doubled:
        raise ConfigError(
            f"fine-tuning {plan.name!r} has heads at {doubled}, which are K of its starts too: heads stand beside a "
            'partition\'s own K; name other heads, or other "counts".'
        )
    return config, schedule
