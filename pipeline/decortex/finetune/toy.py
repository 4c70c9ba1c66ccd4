"""The toy problem on which every clustering loss must prove itself: two types of linear neurons, known centres.

300 neurons with readouts z ~ N(1, I) and 700 with z ~ N(1.5, I) in 128 dimensions answer y = z'x + noise to
white stimuli. A linear model is trained alone, clustered by k-means, then trained on with a clustering loss.
The true centres have norms 11.31 and 16.97 and lie 5.66 apart (Nellen, Turishcheva et al., NeurIPS 2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decortex.clustering import fit
from decortex.config import Config
from decortex.evaluation.agreement import agreement
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses import ClusteringTerm, StartPoints, head_starts
from decortex.finetune.result import finetune_status
from decortex.finetune.terms import build_term

MEANS = (1.0, 1.5)


class ToyConfig(Config):
    """Size and schedule of the toy problem; the defaults are the published ones."""

    sizes: tuple[int, int] = Field((300, 700), description="neurons of the two types")
    n_features: int = Field(128, ge=1, description="dimensions of stimuli and readouts")
    n_train: int = Field(1000, ge=2, description="training stimuli")
    n_test: int = Field(100, ge=2, description="held-out stimuli for the correlation")
    snr: float = Field(2.0, gt=0, description="variance of signal over variance of noise")
    epochs_alone: int = Field(30, ge=1, description="epochs on the prediction loss alone")
    epochs_joint: int = Field(60, ge=1, description="epochs with the clustering loss")
    learning_rate: float = Field(0.01, gt=0, description="rate of Adam")
    batch_size: int = Field(64, ge=1, description="stimuli a batch")


@dataclass(frozen=True)
class ToyResult:
    """One run of the toy problem.

    Parameters
    ----------
    variant : str
        Name given to the variant.
    seed : int
        Seed of data, start and batches.
    ari_start, ari : float
        Agreement of k-means before, and of the variant's labels after, with the true types.
    norm_small, norm_large : float
        Smallest and largest norm of a centre, true values 11.31 and 16.97.
    distance : float
        Largest between two centres, true value 5.66.
    correlation_before, correlation_after : float
        Mean over neurons of the correlation with noisy responses to held-out stimuli.
    status : str
        As in `FinetuneResult`.
    n_start : int
        Clusters of the start; there are two types.
    n_alive : int or None
        Clusters that live at the end, where they may die.
    """

    variant: str
    seed: int
    ari_start: float
    ari: float
    norm_small: float
    norm_large: float
    distance: float
    correlation_before: float
    correlation_after: float
    status: str
    n_start: int = 2
    n_alive: int | None = None


@dataclass(frozen=True)
class Schedule:
    """How a toy problem is trained: stimuli, noise, epochs, rate."""

    n_train: int
    n_test: int
    snr: float
    epochs_alone: int
    epochs_joint: int
    learning_rate: float
    batch_size: int

    @classmethod
    def of(cls, config: Config) -> Schedule:
        """Take these fields of a toy's configuration."""
        return cls(**{name: getattr(config, name) for name in cls.__dataclass_fields__})


class LinearProblem:
    """Linear neurons answering white stimuli, and readouts pretrained on the prediction alone.

    Parameters
    ----------
    x : Tensor, shape (n_train + n_test, n_features)
        Stimuli.
    z : Tensor, shape (n_neurons, n_features)
        True readouts.
    schedule : Schedule
        Noise and training.
    seed : int
        Seed of the batches.
    generator : torch.Generator
        Source of noise and the first readouts.
    """

    def __init__(
        self, x: Tensor, z: Tensor, schedule: Schedule, *, seed: int, generator: torch.Generator
    ) -> None:
        self.x, self.schedule, self.seed = x, schedule, seed
        signal = self.x @ z.T  # (n_stimuli, n_neurons)
        noise = torch.randn(signal.shape, generator=generator)
        self.y = signal + noise * signal.std(dim=0) / schedule.snr**0.5
        start = (0.01 * torch.randn(z.shape, generator=generator)).requires_grad_()
        for _ in self._epochs(start, None, epochs=schedule.epochs_alone, offset=0):
            pass
        self.readouts = start.detach()

    def train_on(self, start: StartPoints, finetuning: FinetuneConfig) -> tuple[ClusteringTerm, Tensor, str]:
        """Train on with a clustering loss; returns the loss, the readouts and why training stopped."""
        heads = head_starts(start, finetuning, seed=self.seed)
        term = build_term(lambda weights: weights, start, finetuning, heads)
        weights = self.readouts.clone().requires_grad_()
        reason, schedule = "max_epochs", self.schedule
        for _ in self._epochs(weights, term, epochs=schedule.epochs_joint, offset=schedule.epochs_alone):
            term.end_epoch(weights.detach())
            wish = term.stop()
            if wish is not None:
                reason = wish
                break
        return term, weights.detach(), reason

    def correlation(self, weights: Tensor) -> float:
        """Mean over neurons of the correlation with noisy responses to held-out stimuli."""
        held_out = slice(self.schedule.n_train, None)
        predicted, recorded = self.x[held_out] @ weights.T, self.y[held_out]
        predicted, recorded = predicted - predicted.mean(dim=0), recorded - recorded.mean(dim=0)
        norms = predicted.norm(dim=0) * recorded.norm(dim=0)
        return float(((predicted * recorded).sum(dim=0) / norms).mean())

    def _epochs(
        self, weights: Tensor, term: ClusteringTerm | None, *, epochs: int, offset: int
    ) -> Iterator[int]:
        """Train in place; yields after every epoch."""
        learned = [weights, *(term.parameters() if term is not None else [])]
        optimiser = torch.optim.Adam(learned, lr=self.schedule.learning_rate)
        for epoch in range(offset, offset + epochs):
            if term is not None:
                term.start_epoch(weights.detach(), epoch - offset + 1)
            order = np.random.default_rng([self.seed, epoch]).permutation(self.schedule.n_train)
            for rows in torch.split(torch.as_tensor(order), self.schedule.batch_size):
                # Means over stimuli and neurons on this term, over neurons on the other: beta compares them.
                loss = (self.x[rows] @ weights.T - self.y[rows]).square().mean()
                if term is not None:
                    loss = term.prediction_weight * loss + term.loss(weights)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                if term is not None:
                    term.after_step(weights.detach())
            yield epoch


class ToyProblem:
    """Data and pretrained readouts of one seed; every variant starts from the same state.

    Parameters
    ----------
    config : ToyConfig
        Size and schedule.
    seed : int
        Seed of data, start and batches.
    """

    def __init__(self, config: ToyConfig, *, seed: int) -> None:
        self.config, self.seed = config, seed
        generator = torch.Generator().manual_seed(seed)
        self.truth = np.repeat([0, 1], config.sizes)
        x = torch.randn(config.n_train + config.n_test, config.n_features, generator=generator)
        z = torch.randn(len(self.truth), config.n_features, generator=generator)
        z += torch.tensor(MEANS)[torch.as_tensor(self.truth)][:, None]
        self.problem = LinearProblem(x, z, Schedule.of(config), seed=seed, generator=generator)

    def run(self, variant: str, finetuning: FinetuneConfig, *, n_clusters: int = 2) -> ToyResult:
        """Cluster the pretrained readouts by k-means and train on with a clustering loss."""
        readouts = self.problem.readouts
        labels = fit(readouts.numpy(), "kmeans", n_clusters=n_clusters, seed=self.seed, n_init=20).labels
        start = StartPoints(readouts, torch.as_tensor(labels.astype(np.int64)), n_clusters)
        term, weights, reason = self.problem.train_on(start, finetuning)
        with torch.no_grad():
            end = term.diagnose(weights)
            found = term.log_q(weights).argmax(dim=1).numpy()
        fitted = term.cluster_parameters(weights, np.arange(n_clusters))
        norms = np.linalg.norm(fitted["centres"], axis=1)[fitted.get("weights", np.ones(n_clusters)) > 0]
        return ToyResult(
            variant=variant,
            seed=self.seed,
            ari_start=_ari(self.truth, labels),
            ari=_ari(self.truth, found),
            norm_small=float(norms.min()),
            norm_large=float(norms.max()),
            distance=end.max_centre_distance,
            correlation_before=self.problem.correlation(readouts),
            correlation_after=self.problem.correlation(weights),
            status=finetune_status(reason, term.start, end),
            n_start=n_clusters,
            n_alive=end.n_alive,
        )


def toy_variants() -> dict[str, FinetuneConfig]:
    """Return the variants that the toy problem compares, by name.

    Examples
    --------
    >>> list(toy_variants())[:3]
    ['december', 'dec_joint', 'dec_undetached']
    """
    return {
        "december": FinetuneConfig(kind="december"),
        "dec_joint": FinetuneConfig(kind="dec_joint", tolerance=0.0),
        "dec_undetached": FinetuneConfig(kind="dec_undetached"),
    }


def further_toy_variants() -> dict[str, FinetuneConfig]:
    """Return variations of them, by name: targets, restarts, a rising beta, TELL, further heads.

    Examples
    --------
    >>> len(further_toy_variants()) > 3
    True
    """
    return {
        "december, heads 4 and 8": FinetuneConfig(kind="december", heads=(4, 8)),
        "december, restart every 5": FinetuneConfig(kind="december", restart_every=5),
        "december, beta rises over 20": FinetuneConfig(kind="december", beta_rise=20),
        "dec_joint, scaled, balanced": FinetuneConfig(
            kind="dec_joint", kernel="scaled", target="balanced", tolerance=0.0
        ),
        "tell": FinetuneConfig(kind="tell"),
        "sec": FinetuneConfig(kind="sec"),
        "ldmgi": FinetuneConfig(kind="ldmgi"),
    }


def dying_toy_variants() -> dict[str, FinetuneConfig]:
    """Return variants that start from more clusters than there are types, by name.

    Examples
    --------
    >>> list(dying_toy_variants())[:2]
    ['december', 'december, clusters may die']
    """
    dying = FinetuneConfig(kind="december", learn_weights=True, annihilation=1.0)
    return {"december": FinetuneConfig(kind="december"), "december, clusters may die": dying}


def _ari(truth: NDArray[np.int64], labels: NDArray[np.integer[Any]]) -> float:
    return agreement(truth, labels).ari or 0.0
