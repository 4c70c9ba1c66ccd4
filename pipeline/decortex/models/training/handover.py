"""A training run handed over after an epoch: weights, optimiser, rates and average, for another run to go on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints import LOAD_ERRORS, load_bounded
from decortex.models.network import Network
from decortex.models.training.config import TrainingConfig
from decortex.models.training.steps import WeightAverage

# What a run that goes on must have in common with the one that it takes up: all that optimiser and rates hold.
_CARRIED = (
    "trains",
    "optimiser",
    "learning_rate",
    "position_rate",
    "schedule",
    "weight_decay",
    "feature_weight_decay",
    "weight_average",
)
# One cycle of rates is laid out over a number of steps.
_CYCLE = ("max_epochs", "batch_size")
# Values that schedules of rates keep for every parameter group.
_BY_GROUP = ("base_lrs", "_last_lr", "min_lrs")
_PARTS = ("epoch", "training", "network", "optimiser", "schedule", "average")


@dataclass(frozen=True)
class Handover:
    """A training run after one of its epochs, complete but for its records.

    Parameters
    ----------
    epoch : int
        Epochs that are done.
    training : dict
        The run's resolved `TrainingConfig`.
    network : dict
        The weights that the next step moves. With a running average the network that an epoch leaves holds the
        average; these are the others.
    optimiser, schedule, average : dict
        Moments, position in the schedule of rates, running average.

    Examples
    --------
    >>> half = fit_network(network, recordings, training, seed=0, until=5).handover     # doctest: +SKIP
    >>> fit_network(network, recordings, training, seed=0, after=half)                  # doctest: +SKIP
    """

    epoch: int
    training: dict[str, Any]
    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    schedule: dict[str, Any]
    average: dict[str, Any]

    @classmethod
    def of(
        cls,
        network: Network,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        *,
        epoch: int,
        config: TrainingConfig,
        average: WeightAverage,
    ) -> Handover:
        """Copy a run that goes on, after one of its epochs, to the CPU."""
        return cls(
            epoch=epoch,
            training=config.resolved(),
            network=copied(network.state_dict()),
            optimiser=copied(optimiser.state_dict()),
            schedule=copied(schedule.state_dict()),
            average=copied(average.memory()),
        )

    def to_bytes(self) -> bytes:
        """Serialise, so that it loads with ``weights_only=True``."""
        buffer = io.BytesIO()
        torch.save({name: getattr(self, name) for name in _PARTS}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Handover:
        """Take up what `to_bytes` wrote.

        Raises
        ------
        CheckpointError
            If the bytes are not those of a run that was handed over.
        """
        try:
            content = load_bounded(data)
        except LOAD_ERRORS as error:
            raise CheckpointError(
                f"these {len(data)} bytes are no run that was handed over ({error}); expected what"
                " Handover.to_bytes wrote."
            ) from error
        if not isinstance(content, dict) or set(content) != set(_PARTS):
            raise CheckpointError(
                f"a run that was handed over holds {', '.join(_PARTS)}; these bytes hold "
                f"{sorted(content) if isinstance(content, dict) else type(content).__name__}."
            )
        return cls(**content)

    def check(self, config: TrainingConfig) -> None:
        """Refuse to go on under another optimiser or schedule than the run had, or past its end (`check_carried`)."""
        check_carried(self.training, self.epoch, config)

    def restore(
        self,
        network: Network,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        average: WeightAverage,
    ) -> None:
        """Put everything back. What trains besides, as a clustering loss's centres, joins at the present rate.

        Raises
        ------
        ConfigError
            If the optimiser's parameters are not those of the run.
        """
        known, now = self.optimiser["param_groups"], optimiser.state_dict()["param_groups"]
        sizes, own = ([len(group["params"]) for group in groups] for groups in (known, now))
        if own[: len(sizes)] != sizes:
            raise ConfigError(
                f"the run trained parameter groups of {sizes} tensors, this one trains {own}: take the network that"
                " was handed over, under the same configuration."
            )
        network.load_state_dict(self.network)
        # All groups are at the same point of the schedule, and the first one's peak is `learning_rate`, as theirs is.
        first = known[0]
        joining = [
            {**first, "weight_decay": group["weight_decay"], "params": group["params"]}
            for group in now[len(known) :]
        ]
        # Moments are loaded without a copy; another run may go on from here too.
        moments = copied(self.optimiser["state"])
        optimiser.load_state_dict({"state": moments, "param_groups": [*known, *joining]})
        rates = {
            name: [*value, *(value[:1] * len(joining))] if name in _BY_GROUP else value
            for name, value in self.schedule.items()
        }
        schedule.load_state_dict(rates)
        average.carry_on(self.average)


def copied(value: Any) -> Any:
    """The same nested value with every tensor copied to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {name: copied(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(one) for one in value)
    return value


def check_carried(training: Mapping[str, Any], epoch: int, config: TrainingConfig) -> None:
    """Refuse to go on under another optimiser or schedule than a training had, or past its end.

    Parameters
    ----------
    training : mapping
        Resolved `TrainingConfig` of the training.
    epoch : int
        Epochs that are done.
    config : TrainingConfig
        How it should go on.

    Raises
    ------
    ConfigError
        If a setting that optimiser or rates hold differs, or no epoch is left.
    """
    own = config.resolved()
    names = (*_CARRIED, *(_CYCLE if config.schedule == "one_cycle" else ()))
    other = [name for name in names if own[name] != training[name]]
    if other:
        named = "; ".join(f"{name} {training[name]!r}, not {own[name]!r}" for name in other)
        raise ConfigError(
            f"a training that goes on from epoch {epoch} keeps its optimiser and its rates: it was started"
            f" with {named}. Give it the same, or start a new optimiser (no handover)."
        )
    if config.max_epochs <= epoch:
        raise ConfigError(
            f"max_epochs counts the whole training: after {epoch} epochs {config.max_epochs} leave none to"
            " go on with; give a larger max_epochs."
        )


def check_span(config: TrainingConfig, until: int | None, after: Handover | None) -> None:
    """Refuse to hand a run over outside its epochs, or to take up one of another optimiser or schedule.

    Raises
    ------
    ConfigError
        If so.
    """
    if after is not None:
        after.check(config)
    elif config.optimiser_state == "carried":
        raise ConfigError(
            "optimiser_state 'carried' goes on with a training handed over after an epoch; give it (after=), or take"
            " 'new'."
        )
    past = 0 if after is None else after.epoch
    if until is not None and not past < until <= config.max_epochs:
        raise ConfigError(
            f"a run of {config.max_epochs} epochs, {past} of them done, cannot be handed over after epoch {until};"
            f" expected one of {past + 1} to {config.max_epochs}."
        )
