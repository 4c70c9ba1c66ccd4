"""Copies of training state: snapshots to go back to, a running average of the weights. No training here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_WARM_UP = 10.0


class Snapshot:
    """The state of modules at one moment, to be restored in place.

    Parameters
    ----------
    modules : sequence of Module
        Copied at once.
    epoch : int
        Epoch after which it was taken; 0 is the start.
    """

    def __init__(self, modules: Sequence[nn.Module], epoch: int) -> None:
        self.modules = modules
        self.epoch = epoch
        self.states = [_copy(module) for module in modules]

    @classmethod
    def of(cls, modules: Sequence[nn.Module], epoch: int, states: list[dict[str, Any]]) -> Snapshot:
        """Return the snapshot that held these states."""
        snapshot = cls([], epoch)
        snapshot.modules, snapshot.states = modules, states
        return snapshot

    def restore(self) -> None:
        """Put the modules back into this state."""
        for module, state in zip(self.modules, self.states, strict=True):
            module.load_state_dict(state)

    def is_finite(self) -> bool:
        """Tell whether every number in it is finite."""
        tensors = [t for state in self.states for t in state.values() if isinstance(t, Tensor)]
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())


class WeightAverage:
    """Exponential running average of parameters and floating buffers (Polyak averaging).

    Parameters
    ----------
    modules : sequence of Module
        Averaged together.
    decay : float
        Weight of the past at each step, 0 <= decay < 1; at first less, (1 + steps) / (10 + steps), so that
        the start is forgotten. At 0 the average is the present state and nothing is copied.
    """

    def __init__(self, modules: Sequence[nn.Module], decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._live = [
            tensor
            for module in modules
            for tensor in (*module.parameters(), *module.buffers())
            if tensor.is_floating_point()
        ]
        self._average = [tensor.detach().clone() for tensor in self._live] if decay > 0 else []

    def update(self) -> None:
        """Take in the present state."""
        if not self._average:
            return
        self.steps += 1
        decay = min(self.decay, (1.0 + self.steps) / (_WARM_UP + self.steps))
        with torch.no_grad():
            for average, live in zip(self._average, self._live, strict=True):
                average.lerp_(live.detach(), 1.0 - decay)

    def memory(self) -> dict[str, Any]:
        """What it holds, to be given to `recall` in another process."""
        return {"steps": self.steps, "average": self._average}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up the average of another process; the live values are the modules' own affair."""
        self.steps = memory["steps"]
        for average, kept in zip(self._average, memory["average"], strict=True):
            average.copy_(kept)

    def carry_on(self, memory: dict[str, Any]) -> None:
        """Take up the average of a run that had the first of these modules; the others' begins with what they hold."""
        self.steps = memory["steps"]
        known = memory["average"]
        with torch.no_grad():
            for place, average in enumerate(self._average):
                average.copy_(known[place] if place < len(known) else self._live[place].detach())

    def begin_anew(self, module: nn.Module | None) -> None:
        """Let the average of one module be what it holds now: its state was replaced, the past is of another."""
        replaced = (
            {id(one) for one in (*module.parameters(), *module.buffers())} if module is not None else set()
        )
        with torch.no_grad():
            for average, live in zip(self._average, self._live[: len(self._average)], strict=True):
                if id(live) in replaced:
                    average.copy_(live.detach())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the modules hold the average inside the block, their own values again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        with torch.no_grad():
            for average, live in zip(self._average, self._live[: len(self._average)], strict=True):
                kept = live.detach().clone()
                live.copy_(average)
                average.copy_(kept)


def _copy(module: nn.Module) -> dict[str, Any]:
    return {
        key: value.detach().clone() if isinstance(value, Tensor) else value
        for key, value in module.state_dict().items()
    }
