"""What fine-tuning adds to training: the interface of a term on the embedding. No term is defined here."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class AuxiliaryTerm(Protocol):
    """A module whose loss on the embedding is added to the prediction loss (deep embedding clustering, ...).

    It must also be a ``torch.nn.Module``: what it learns or keeps (cluster centres, targets) are parameters
    and buffers, trained, averaged, saved and restored together with the network. All hooks except `loss` get
    the embedding without gradient, (n_neurons, n_features), in the order of `Network.embedding`.

    Attributes
    ----------
    prediction_weight : float
        Factor of the prediction loss, 0 for clustering alone; images are then not even shown.
    """

    prediction_weight: float

    def loss(self, embedding: Tensor) -> Tensor:
        """Scalar, with its own factor already in it; called at every step, with gradient."""

    def start_epoch(self, embedding: Tensor, epoch: int) -> bool | None:
        """Prepare an epoch (refresh targets); epochs count from 1. True: its state was set anew, not moved."""

    def after_step(self, embedding: Tensor) -> None:
        """Update what does not follow a gradient (an EM step), after each step of the optimiser."""

    def end_epoch(self, embedding: Tensor) -> dict[str, float]:
        """Diagnostics for the epoch's record, of the state that would be kept (the averaged weights)."""

    def stop(self) -> str | None:
        """Return why training should stop, or None; asked after `end_epoch`."""

    def memory(self) -> dict[str, Any]:
        """What it knows at the end of an epoch besides its parameters and buffers: plain values and tensors."""

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned in another process."""
