"""What training leaves: a record of every epoch and the kept state. No loop here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decortex.models.training.handover import Handover
from decortex.models.training.steps import Snapshot


@dataclass(frozen=True)
class EpochRecord:
    """One epoch in figures.

    Parameters
    ----------
    epoch : int
        From 1, or from the first after the state that was handed over.
    train_loss : float or None
        Mean prediction loss over the epoch's batches, without penalties; None where no image was shown.
    validation_loss, validation_correlation : float
        Of the state that would be kept (averaged weights): mean loss, and mean over neurons of the
        correlation over validation trials (0 where the prediction is constant, neurons without variation
        in their responses left out).
    term : dict of str to float
        Mean ``loss`` of the auxiliary term, gradient norms of both terms on the embedding at the epoch's
        first step (``gradient_norm_term``, ``gradient_norm_prediction``), and the term's own diagnostics.
    seconds : float
        Wall clock, validation included.
    penalty : float or None
        Mean penalty on the features' L1 norm over the epoch's batches; None where no image was shown.
    """

    epoch: int
    train_loss: float | None
    validation_loss: float
    validation_correlation: float
    term: dict[str, float]
    seconds: float
    penalty: float | None = None


@dataclass(frozen=True)
class TrainingOutcome:
    """What training leaves; the network holds the same state.

    Parameters
    ----------
    state_dict : dict
        The network's kept state, on the CPU.
    term_state_dict : dict or None
        The auxiliary term's, of the same moment.
    best_epoch : int
        Epoch of the kept state; 0 is the start (only where no epoch ended with finite numbers).
    stop_reason : str
        'max_epochs', 'patience', 'diverged', 'handed_over', or what the term said.
    epochs : list of EpochRecord
        In order.
    watched : list of ndarray
        What ``watch`` returned after each of them.
    handover : Handover or None
        The run after the epoch that was asked for; None where none was, or it ended before.
    """

    state_dict: dict[str, Tensor]
    term_state_dict: dict[str, Any] | None
    best_epoch: int
    stop_reason: str
    epochs: list[EpochRecord]
    watched: list[NDArray[np.float64]]
    handover: Handover | None = None


@dataclass
class RunLog:
    """The log of one run; ``reason`` is None until it has ended."""

    kept: Snapshot
    best: float = -math.inf
    best_epoch: int = 0
    records: list[EpochRecord] = field(default_factory=list)
    watched: list[NDArray[np.float64]] = field(default_factory=list)
    reason: str | None = None
