"""How clusters answer to a stimulus, and the gradient ascent on stimuli under a bound on their contrast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decortex.config import Config
from decortex.embeddings import align_rotations
from decortex.errors import InputError
from decortex.models import Network, evaluating
from decortex.tuning.experiment import in_pixels

FloatArray = NDArray[np.float64]
# Value of every stimulus (n_stimuli,), from the responses of all clusters (n_stimuli, n_clusters).
Objective = Callable[[Tensor], Tensor]

_START = 0.1  # standard deviation of the noise that a stimulus starts from, relative to its final one
_NORMALISED_OVER = 200  # noise images that a neuron's response is scaled by


class AscentConfig(Config):
    """How a stimulus is optimised for a cluster."""

    n_steps: int = Field(150, ge=1, description="steps of Adam per stimulus")
    step: float = Field(0.1, gt=0, description="Adam's rate, standard deviations of a pixel")
    contrast: float = Field(
        1.0, gt=0, le=10, description="largest standard deviation of a stimulus, of a training pixel's"
    )
    n_starts: int = Field(
        2, ge=1, description="noise images that each stimulus starts from; the best is kept"
    )


def aligned_features(network: Network, *, seed: int) -> FloatArray:
    """Readout features with every neuron rolled to one common orientation, (n_neurons, n_features).

    Of a rotation-equivariant core, whose neurons prefer different orientations of one thing; of a plain core the
    features as they are.
    """
    with torch.no_grad():
        features = network.embedding().cpu().double().numpy()
    n_orientations = network.n_orientations
    if n_orientations == 1:
        return features
    angles = align_rotations(features, n_orientations, rng=np.random.default_rng(seed)).angles
    turns = np.rint(angles * n_orientations / (2 * np.pi)).astype(np.int64) % n_orientations
    folded = features.reshape(len(features), n_orientations, -1)
    return np.stack([np.roll(row, turn, axis=0).ravel() for row, turn in zip(folded, turns, strict=True)])


def check_labels(network: Network, labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Clusters that hold a neuron, ascending.

    Raises
    ------
    InputError
        If labels do not belong to the neurons.
    """
    if labels.shape != (network.n_neurons,):
        raise InputError(
            f"labels should name the cluster of each of {network.n_neurons} neurons, but have shape {labels.shape}."
        )
    return np.unique(labels[labels >= 0])


@contextmanager
def answering(
    network: Network,
    labels: NDArray[np.integer],
    *,
    features: FloatArray | None,
    seed: int,
    device: str,
) -> Iterator[ClusterResponses]:
    """The clusters of a network that is on the device and evaluates, as long as the block lasts.

    Raises
    ------
    InputError
        If features do not belong to the neurons.
    """
    kinds = check_labels(network, labels)
    weights = aligned_features(network, seed=seed) if features is None else np.asarray(features)
    if weights.shape != (network.n_neurons, network.embedding().shape[1]):
        raise InputError(
            f"features should be {(network.n_neurons, network.embedding().shape[1])}, but are {weights.shape}."
        )
    with evaluating(network, device):
        yield ClusterResponses(network, weights, labels, kinds, seed)


class ClusterResponses:
    """Mean responses of clusters whose neurons all read at the middle of the map."""

    def __init__(
        self,
        network: Network,
        weights: FloatArray,
        labels: NDArray[np.integer],
        kinds: NDArray[np.integer],
        seed: int,
    ) -> None:
        self._network = network
        self.device = device = network.pixel_mean.device
        names = network.session_names
        self._weights = torch.from_numpy(weights).float().to(device)
        self._bias = torch.cat([network.readout(name).bias.detach() for name in names])
        member = torch.from_numpy((labels[None] == kinds[:, None]).astype(np.float32)).to(device)
        self._mean = member / member.sum(dim=1, keepdim=True)
        _, height, width = network.geometry.image_shape
        self.shape = (network.lag + 1, height, width) if network.is_video else (height, width)
        rng = np.random.default_rng([seed, len(labels)])
        noise = torch.from_numpy(rng.standard_normal((_NORMALISED_OVER, *self.shape)).astype(np.float32))
        with torch.no_grad():
            self._grey = self._neurons(torch.zeros((1, *self.shape), device=device))
            spread = torch.cat([self._neurons(part.to(device)) for part in torch.split(noise, 32)]).std(dim=0)
        self._scale = torch.where(spread > 0, spread, torch.ones_like(spread))

    def responses(self, stimuli: Tensor) -> Tensor:
        """Mean over each cluster's neurons, (n_stimuli, n_clusters)."""
        rise = (self._neurons(stimuli) - self._grey) / self._scale
        return rise @ self._mean.T

    def _neurons(self, stimuli: Tensor) -> Tensor:
        maps = self._network.maps(in_pixels(self._network, stimuli))
        maps = maps.reshape(len(stimuli), -1, *maps.shape[1:])[:, -1, : self._weights.shape[1]]
        rows, columns = maps.shape[2:]
        middle = maps[:, :, (rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1]
        drive = middle.mean(dim=(2, 3)) @ self._weights.T + self._bias
        start, answers = 0, []
        for name, own in self._network.slices.items():
            stop = start + own.stop - own.start
            answers.append(self._network.respond(drive[:, start:stop], name))
            start = stop
        return torch.cat(answers, dim=1)


def ascend(
    clusters: ClusterResponses,
    objective: Objective,
    config: AscentConfig,
    *,
    rng: np.random.Generator,
) -> tuple[Tensor, float]:
    """Climb an objective from noise; the best stimulus over the starts, (1, ...), and its value."""
    starts = _START * rng.standard_normal((config.n_starts, *clusters.shape)).astype(np.float32)
    free = torch.from_numpy(starts).to(clusters.device)
    free.requires_grad_(True)
    optimiser = torch.optim.Adam([free], lr=config.step)
    for _ in range(config.n_steps):
        loss = -objective(clusters.responses(bounded(free, config.contrast))).sum()
        (free.grad,) = torch.autograd.grad(loss, free)
        optimiser.step()
    with torch.no_grad():
        stimuli = bounded(free, config.contrast)
        values = objective(clusters.responses(stimuli))
        best = int(values.argmax())
    return stimuli[best : best + 1].detach(), float(values[best])


def bounded(free: Tensor, contrast: float) -> Tensor:
    """Stimuli of mean zero whose standard deviation is at most the contrast."""
    axes = tuple(range(1, free.ndim))
    centred = free - free.mean(dim=axes, keepdim=True)
    spread = centred.std(dim=axes, keepdim=True)
    within: Tensor = centred * torch.clamp(contrast / spread.clamp_min(1e-12), max=1.0)
    return within
