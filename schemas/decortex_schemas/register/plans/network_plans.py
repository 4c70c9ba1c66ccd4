"""Which networks a plan names: trained here, imported, or as they are after an epoch of their training."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from decortex import models
from decortex.config import Config
from decortex.errors import ConfigError
from decortex.models.training import TrainingConfig
from decortex_schemas.register.plans.ranges import Numbers
from decortex_schemas.tables import Dataset, ModelSpec, ModelTask, register_model_spec, register_state


class NetworksPlan(Config):
    """Networks of one dataset: trained here by a recipe or by full configurations, or imported."""

    dataset: str = Field(description="Name of a registered dataset")
    recipe: str | None = Field(None, description="A ready specification, see decortex.models.presets")
    network: dict[str, Any] | None = Field(None, description="NetworkConfig, instead of a recipe")
    training: dict[str, Any] | None = Field(
        None, description="TrainingConfig, or what differs from the recipe's"
    )
    imported: str | None = Field(None, description="Name of an imported family: all its registered seeds")
    seeds: Numbers = Field(default=(0,), description="Seeds to train with")
    joint_from: int | None = Field(
        None,
        ge=1,
        description="Take the networks as they are after this epoch; fine-tunings and controls go on from there",
    )


def network_keys(plan: NetworksPlan) -> list[dict[str, Any]]:
    """Keys of the networks that a part of a plan names; their specification is registered.

    Raises
    ------
    ConfigError
        If the dataset, recipe or imported family is unknown, or an imported one should go on from an epoch.
    """
    if not len(Dataset & {"dataset": plan.dataset}):
        imports = (
            "`decortex register table` registers a table of neurons, and `decortex register model` networks"
        )
        does = "`decortex register dataset` does" if plan.imported is None else f"{imports} of other projects"
        raise ConfigError(f"no dataset {plan.dataset!r} is registered; {does}.")
    if plan.imported is not None:
        if plan.joint_from is not None:
            raise ConfigError(
                f"networks {plan.imported!r} are imported: their training is not known and cannot go on jointly from "
                f"epoch {plan.joint_from}; leave joint_from out."
            )
        family = (ModelSpec & {"model_name": plan.imported, "core": "imported"}).proj()
        keys: list[dict[str, Any]] = (ModelTask & family & {"dataset": plan.dataset}).proj().to_dicts()
        if not keys:
            raise ConfigError(
                f"no imported network {plan.imported!r} is registered for dataset {plan.dataset!r}; "
                "`decortex register model` does."
            )
        return keys
    name, network, training = network_configs(plan)
    spec = register_model_spec(name, network, training)
    if plan.joint_from is not None:
        spec = register_state(spec, "epoch", epoch=plan.joint_from)
    return [{"dataset": plan.dataset, "model_spec_id": spec, "model_seed": seed} for seed in plan.seeds]


def network_configs(plan: NetworksPlan) -> tuple[str, models.NetworkConfig, TrainingConfig]:
    """Name and configurations of networks that are trained here.

    Raises
    ------
    ConfigError
        If the recipe is unknown, or neither a recipe nor both configurations are named.
    """
    if plan.recipe is not None:
        if plan.recipe not in models.RECIPES:
            raise ConfigError(f"no recipe {plan.recipe!r}; there are {', '.join(models.RECIPES)}.")
        network, training = models.RECIPES[plan.recipe]()
        changed = {**training.resolved(), **(plan.training or {})}
        return plan.recipe, network, TrainingConfig.from_params(changed)
    if plan.network is None or plan.training is None:
        raise ConfigError(
            f"networks of {plan.dataset!r} need a recipe ({', '.join(models.RECIPES)}), or both network and "
            "training, or the name of an imported family."
        )
    return "custom", models.NetworkConfig.from_params(plan.network), TrainingConfig.from_params(plan.training)
