"""What fine-tuning and its control return: one frozen result each. No algorithm here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from decortex.finetune.losses import Diagnostics
from decortex.models.training import EpochRecord

FinetuneStatus = Literal["ok", "flat_target", "empty_start", "collapsed", "diverged"]


@dataclass(frozen=True)
class HeadResult:
    """What a head beside the partition's own ended with.

    Parameters
    ----------
    n_clusters : int
        Its K.
    labels : ndarray of int16, shape (n_neurons,)
        Canonical.
    start, end : Diagnostics
        State of its clustering before the first step and in the kept state.
    curve : tuple of Diagnostics
        State after every epoch.
    """

    n_clusters: int
    labels: NDArray[np.int16]
    start: Diagnostics
    end: Diagnostics
    curve: tuple[Diagnostics, ...]


@dataclass(frozen=True)
class FinetuneResult:
    """A partition after fine-tuning, all of one moment: labels, points, parameters, network.

    Parameters
    ----------
    kind : str
        Fine-tuning variant.
    labels : ndarray of int16, shape (n_neurons,)
        Canonical: 0 is the largest cluster, equal sizes are ordered by their first neuron.
    n_clusters, seed : int
        K, and the seed of the batches.
    status : {'ok', 'flat_target', 'empty_start', 'collapsed', 'diverged'}
        'flat_target': the assignments at the start were too flat to teach anything (mean max q < 1.5/K, or
        no gradient to balance). 'empty_start': a cluster of the start holds no neuron, nothing was trained.
        'collapsed': no partition is left. 'diverged': numbers stopped being finite; the last finite state is
        kept.
    stop_reason : str
        'max_epochs', 'patience', 'tolerance', 'collapsed', 'diverged' or 'not_started'.
    best_epoch : int
        Epoch of the kept state; 0 is the start.
    share_changed : float
        Share of neurons that left their cluster (matched by the cluster's identity, not by its number).
    points : ndarray of float64, shape (n_neurons, n_features)
        The moved embedding, in the space of the start's.
    parameters : mapping of str to ndarray
        Cluster parameters in the canonical order of clusters; ``centres`` always.
    beta : float
        Weight of the clustering loss that was used (1 where the loss stands alone).
    start, end : Diagnostics
        State of the clustering before the first step and in the kept state.
    curve : tuple of Diagnostics
        State after every epoch, cluster sizes included, in the start's numbering of clusters.
    epochs : sequence of EpochRecord
        Losses and diagnostics of every epoch.
    checkpoint : dict
        Of the fine-tuned network; `Network.from_checkpoint` takes it.
    term_state : dict
        State of the clustering loss, of the same moment.
    heads : tuple of HeadResult
        The heads beside the partition's own, where there are several.
    """

    kind: str
    labels: NDArray[np.int16]
    n_clusters: int
    seed: int
    status: FinetuneStatus
    stop_reason: str
    best_epoch: int
    share_changed: float
    points: NDArray[np.float64]
    parameters: Mapping[str, NDArray[np.float64]]
    beta: float
    start: Diagnostics
    end: Diagnostics
    curve: tuple[Diagnostics, ...]
    epochs: Sequence[EpochRecord]
    checkpoint: dict[str, Any]
    term_state: dict[str, Any]
    heads: tuple[HeadResult, ...] = ()


@dataclass(frozen=True)
class ContinuedResult:
    """The same network trained on without a clustering loss: the equal-epoch control.

    Parameters
    ----------
    seed : int
        Seed of the batches; equal to a fine-tuning's, both saw the same images in the same order.
    stop_reason : str
        'max_epochs' or 'diverged'.
    best_epoch : int
        Epoch of the kept state.
    epochs : sequence of EpochRecord
        Losses of every epoch.
    test_scores : tuple of ndarray of float64, each (n_neurons,)
        Correlation to average on the scored tier after every epoch, NaN where undefined: the control can be
        read at whatever epoch a fine-tuning was restored.
    checkpoint : dict
        Of the kept network.
    """

    seed: int
    stop_reason: str
    best_epoch: int
    epochs: Sequence[EpochRecord]
    test_scores: tuple[NDArray[np.float64], ...]
    checkpoint: dict[str, Any]


def finetune_status(stop_reason: str, start: Diagnostics, end: Diagnostics) -> FinetuneStatus:
    """Say what a reader must know first: diverged, collapsed, then a start too flat to teach anything."""
    if stop_reason == "diverged":
        return "diverged"
    if stop_reason == "collapsed" or end.is_collapsed(start):
        return "collapsed"
    return "flat_target" if start.is_flat else "ok"
