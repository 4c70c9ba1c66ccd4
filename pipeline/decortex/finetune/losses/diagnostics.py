"""Is the clustering collapsing: numbers a moment of fine-tuning, from embedding, centres and assignments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.finetune.losses.rotations import orbit_distances

# Mean max q below this many times 1/K: the target hardly differs from the assignment (almost no gradient).
FLAT_FACTOR = 1.5
# Largest centre distance over within-cluster scale below which no partition is left. Random halves of one
# Gaussian blob of 64 dimensions and 500 neurons lie about 0.7 apart, real clusters above 1.
COLLAPSED_DISTANCE = 0.1
# ... or below which share of its own start the largest centre distance must fall.
COLLAPSED_SHARE = 0.01


@dataclass(frozen=True)
class Diagnostics:
    """State of the clustering at one moment.

    Parameters
    ----------
    kl : float
        Mean KL(P || Q) a neuron, in nats, of the target that q itself gives.
    mean_max_q : float
        Mean over neurons of the largest assignment; 1/K is flat, 1 is hard.
    entropy_mean_q : float
        Entropy of the mean assignment over log K: 1 when clusters are used equally, 0 when one takes all.
    n_empty : int
        Clusters without a neuron, dead ones included.
    sizes : ndarray of int64, shape (n_clusters,)
        Neurons per cluster.
    min_centre_distance, max_centre_distance : float
        Smallest and largest distance between two centres, in units of the embedding.
    within_scale : float
        Root mean square distance to the own centre a dimension, in units of the embedding.
    share_clamped : float
        Share of the mixture's scales at their clamp; 0 without a mixture.
    n_alive : int, optional
        Clusters that live, where they may die; None where none can. Flatness, entropy and distances are theirs.
    """

    kl: float
    mean_max_q: float
    entropy_mean_q: float
    n_empty: int
    sizes: NDArray[np.int64]
    min_centre_distance: float
    max_centre_distance: float
    within_scale: float
    share_clamped: float = 0.0
    n_alive: int | None = None

    @property
    def n_clusters(self) -> int:
        """Clusters that are there: all, or those that live."""
        return len(self.sizes) if self.n_alive is None else self.n_alive

    @property
    def distance_over_scale(self) -> float:
        """Smallest centre distance over within-cluster scale; inf where clusters are points."""
        return self._over_scale(self.min_centre_distance)

    @property
    def is_flat(self) -> bool:
        """Whether assignments are too flat for the target to teach anything."""
        return self.n_clusters > 1 and self.mean_max_q < FLAT_FACTOR / self.n_clusters

    def is_collapsed(self, start: Diagnostics) -> bool:
        """Whether no partition is left: one cluster holds all neurons, or all centres have met."""
        if len(self.sizes) == 1:
            return False
        one_left = self.n_empty == len(self.sizes) - 1
        met = self._over_scale(self.max_centre_distance) < COLLAPSED_DISTANCE
        shrunk = self.max_centre_distance < COLLAPSED_SHARE * start.max_centre_distance
        return one_left or met or (shrunk and self.is_flat)

    def as_floats(self) -> dict[str, float]:
        """Scalars by name, for a row or a curve; what is infinite or does not apply is left out."""
        values = {
            "kl": self.kl,
            "mean_max_q": self.mean_max_q,
            "entropy_mean_q": self.entropy_mean_q,
            "n_empty": float(self.n_empty),
            "min_centre_distance": self.min_centre_distance,
            "max_centre_distance": self.max_centre_distance,
            "within_scale": self.within_scale,
            "distance_over_scale": self.distance_over_scale,
            "share_clamped": self.share_clamped,
            "n_alive": math.nan if self.n_alive is None else float(self.n_alive),
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def _over_scale(self, distance: float) -> float:
        return distance / self.within_scale if self.within_scale > 0 else math.inf


@torch.no_grad()
def diagnose(
    z: Tensor,
    mu: Tensor,
    *,
    log_q: Tensor,
    kl: float,
    share_clamped: float = 0.0,
    n_orientations: int = 1,
    alive: Tensor | None = None,
) -> Diagnostics:
    """Measure the clustering.

    Parameters
    ----------
    z : Tensor, shape (n_neurons, n_features)
        Points that are clustered, turned back to their clusters where those may be rolled.
    mu : Tensor, shape (n_clusters, n_features)
        Centres.
    log_q : Tensor, shape (n_neurons, n_clusters)
        Log of the soft assignments.
    kl : float
        Mean KL(P || Q) a neuron.
    share_clamped : float
        Share of scales at their clamp.
    n_orientations : int
        O > 1: centres are compared at their best roll.
    alive : Tensor of bool, shape (n_clusters,), optional
        Clusters that live, where they may die; the others are empty and have no distance to any.
    """
    all_sizes = torch.bincount(log_q.argmax(dim=1), minlength=len(mu))
    if alive is not None:
        mu, log_q = mu[alive], log_q[:, alive]
    n_clusters = len(mu)
    q = log_q.exp()
    labels = log_q.argmax(dim=1)
    mean_q = q.mean(dim=0)
    entropy = float(-(mean_q * mean_q.clamp_min(1e-30).log()).sum())
    within2 = float(((z - mu[labels]) ** 2).sum(dim=1).mean()) / z.shape[1]
    smallest = largest = 0.0
    if n_clusters > 1:
        apart = orbit_distances(mu, n_orientations)
        smallest, largest = float(apart.min()), float(apart.max())
    return Diagnostics(
        kl=kl,
        mean_max_q=float(q.max(dim=1).values.mean()),
        entropy_mean_q=entropy / math.log(n_clusters) if n_clusters > 1 else 0.0,
        n_empty=int((all_sizes == 0).sum()),
        sizes=all_sizes.cpu().numpy().astype(np.int64),
        min_centre_distance=smallest,
        max_centre_distance=largest,
        within_scale=math.sqrt(within2),
        share_clamped=share_clamped,
        n_alive=None if alive is None else n_clusters,
    )
