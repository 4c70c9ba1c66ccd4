"""The toy problem with orientations: types that differ only in the orientation of one feature to another.

Linear neurons as in `toy`, but a type is a template over O orientations of F features, and every neuron has its own
roll of it. In the readouts themselves the types overlap completely; up to a roll they are apart.
"""

from __future__ import annotations

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
from decortex.finetune.config import ROTATION_KINDS, FinetuneConfig
from decortex.finetune.losses import StartPoints, rolled_by
from decortex.finetune.result import finetune_status
from decortex.finetune.toy import LinearProblem, Schedule


class RotationToyConfig(Config):
    """Size and schedule of the toy problem with orientations."""

    n_neurons: int = Field(300, ge=3, description="neurons, of three types")
    n_orientations: int = Field(8, ge=5, description="O")
    n_features: int = Field(4, ge=3, description="F")
    spread: float = Field(0.2, gt=0, description="standard deviation of readouts around their template")
    n_train: int = Field(320, ge=2, description="training stimuli")
    n_test: int = Field(100, ge=2, description="held-out stimuli for the correlation")
    snr: float = Field(2.0, gt=0, description="variance of signal over variance of noise")
    epochs_alone: int = Field(30, ge=1, description="epochs on the prediction loss alone")
    epochs_joint: int = Field(20, ge=1, description="epochs with the clustering loss")
    learning_rate: float = Field(0.01, gt=0, description="rate of Adam")
    batch_size: int = Field(32, ge=1, description="stimuli a batch")


@dataclass(frozen=True)
class RotationToyResult:
    """One run of the toy problem with orientations.

    Parameters
    ----------
    variant : str
        Name given to the variant.
    seed : int
        Seed of data, start and batches.
    ari_start, ari : float
        Agreement with the true types, of the start and of the variant's labels.
    shift_error : float or None
        Share of neurons whose shift is not the true one, up to one constant a cluster; None where a variant
        knows no shifts.
    correlation_before, correlation_after : float
        Mean over neurons of the correlation with noisy responses to held-out stimuli.
    status : str
        As in `FinetuneResult`.
    """

    variant: str
    seed: int
    ari_start: float
    ari: float
    shift_error: float | None
    correlation_before: float
    correlation_after: float
    status: str


class RotationToyProblem:
    """Data and pretrained readouts of one seed; every variant starts from the same state.

    Parameters
    ----------
    config : RotationToyConfig
        Size and schedule.
    seed : int
        Seed of data, start and batches.
    """

    def __init__(self, config: RotationToyConfig, *, seed: int) -> None:
        self.config, self.seed = config, seed
        generator = torch.Generator().manual_seed(seed)
        self.truth = np.arange(config.n_neurons) % 3
        self.shifts = torch.randint(config.n_orientations, (config.n_neurons,), generator=generator)
        z = templates(config)[torch.as_tensor(self.truth)]
        x = torch.randn(config.n_train + config.n_test, z.shape[1], generator=generator)
        z = z + config.spread * torch.randn(z.shape, generator=generator)
        turned = rolled_by(z, self.shifts, config.n_orientations)
        self.problem = LinearProblem(x, turned, Schedule.of(config), seed=seed, generator=generator)
        self._starts: dict[bool, StartPoints] = {}

    def run(self, variant: str, finetuning: FinetuneConfig) -> RotationToyResult:
        """Cluster the pretrained readouts and train on with a clustering loss.

        Rotation kinds start from shift-EM (`rotation_tmixture`), the others from k-means.
        """
        rotating = finetuning.kind in ROTATION_KINDS
        if rotating not in self._starts:
            self._starts[rotating] = self._start(rotating=rotating)
        start = self._starts[rotating]
        term, weights, reason = self.problem.train_on(start, finetuning)
        with torch.no_grad():
            end = term.diagnose(weights)
            labels = term.log_q(weights).argmax(dim=1).numpy()
            parameters = term.cluster_parameters(weights, np.arange(3))
        return RotationToyResult(
            variant=variant,
            seed=self.seed,
            ari_start=agreement(self.truth, start.labels.numpy()).ari or 0.0,
            ari=agreement(self.truth, labels).ari or 0.0,
            shift_error=self._shift_error(labels, parameters["shifts"]) if rotating else None,
            correlation_before=self.problem.correlation(self.problem.readouts),
            correlation_after=self.problem.correlation(weights),
            status=finetune_status(reason, term.start, end),
        )

    def _start(self, *, rotating: bool) -> StartPoints:
        """Clusters of the pretrained readouts, which variants share."""
        readouts, n_orientations = self.problem.readouts, self.config.n_orientations
        method = "rotation_tmixture" if rotating else "kmeans"
        params: dict[str, Any] = {"n_init": 20}
        if rotating:
            params = {"n_orientations": n_orientations, "n_init": 10}
        found = fit(readouts.numpy(), method, n_clusters=3, seed=self.seed, **params)
        labels = torch.as_tensor(found.labels.astype(np.int64))
        if not rotating:
            return StartPoints(readouts, labels, 3)
        shifts = torch.as_tensor(found.parameters["shifts"].astype(np.int64))
        return StartPoints(readouts, labels, 3, shifts=shifts, n_orientations=n_orientations)

    def _shift_error(self, labels: NDArray[np.int64], shifts: NDArray[np.float64]) -> float:
        wrong = 0
        offset = (shifts.astype(np.int64) - self.shifts.numpy()) % self.config.n_orientations
        for cluster in np.unique(labels):
            inside = offset[labels == cluster]
            wrong += len(inside) - int(np.bincount(inside).max())
        return wrong / len(labels)


def templates(config: RotationToyConfig) -> Tensor:
    """Readouts of the three types, (3, O * F): feature 1 is tuned 0, 2 or 4 orientations from features 0 and 2."""
    angle = 2 * np.pi * np.arange(config.n_orientations) / config.n_orientations

    def bump(at: int) -> NDArray[np.float64]:
        curve: NDArray[np.float64] = np.exp(2 * np.cos(angle - 2 * np.pi * at / config.n_orientations) - 2)
        return curve

    rows = np.zeros((3, config.n_orientations, config.n_features))
    rows[:, :, 0], rows[:, :, 2] = bump(0), 0.5 * bump(0)
    rows[:, :, 1] = np.stack([bump(2 * kind) for kind in range(3)])
    return torch.as_tensor(rows.reshape(3, -1), dtype=torch.float32)


def rotation_toy_variants() -> dict[str, FinetuneConfig]:
    """Return the variants that the toy problem with orientations compares, by name.

    Examples
    --------
    >>> list(rotation_toy_variants())[:2]
    ['december', 'rotation_december']
    """
    return {
        "december": FinetuneConfig(kind="december"),
        "rotation_december": FinetuneConfig(kind="rotation_december"),
        "rotation_dec": FinetuneConfig(kind="rotation_dec", tolerance=0.0),
        "rotation_dec_best": FinetuneConfig(kind="rotation_dec", shift="best", tolerance=0.0),
        "rotation_dec_scaled": FinetuneConfig(kind="rotation_dec", kernel="scaled", tolerance=0.0),
    }
