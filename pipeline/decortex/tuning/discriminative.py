"""Most discriminative stimuli: for each cluster the image, or clip, that drives it and no other cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decortex.config import Config
from decortex.embeddings import align_rotations
from decortex.errors import InputError
from decortex.models import Network, resolve_device
from decortex.tuning.experiment import in_pixels

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]

_START = 0.1  # standard deviation of the noise that a stimulus starts from, relative to its final one
_NORMALISED_OVER = 200  # noise images that a neuron's response is scaled by


class DiscriminativeConfig(Config):
    """How stimuli are optimised."""

    temperature: float = Field(1.6, gt=0, description="tau over clusters; a low one sees the nearest rival")
    n_steps: int = Field(150, ge=1, description="steps of Adam per stimulus")
    step: float = Field(0.1, gt=0, description="Adam's rate, standard deviations of a pixel")
    contrast: float = Field(
        1.0, gt=0, le=10, description="standard deviation of a stimulus, of a training pixel's"
    )
    n_starts: int = Field(
        2, ge=1, description="noise images that each stimulus starts from; the best is kept"
    )


@dataclass(frozen=True)
class DiscriminativeStimuli:
    """What `discriminative_stimuli` returns.

    Parameters
    ----------
    stimuli : ndarray of float32, shape (n_clusters, n_frames, height, width)
        In standard deviations of a pixel around grey; of images one frame.
    confusion : ndarray of float64, shape (n_clusters, n_clusters)
        Mean response of cluster l (column) to the stimulus of cluster k (row), in units of the neurons' standard
        deviation over noise images.
    objective : ndarray of float64, shape (n_clusters,)
        J of each stimulus.
    """

    stimuli: NDArray[np.float32]
    confusion: FloatArray
    objective: FloatArray

    @property
    def n_discriminated(self) -> int:
        """Clusters whose own stimulus drives them more than it drives any other."""
        return int((self.confusion.argmax(axis=1) == np.arange(len(self.confusion))).sum())


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


def discriminative_stimuli(
    network: Network,
    labels: NDArray[np.integer],
    *,
    config: DiscriminativeConfig | None = None,
    features: FloatArray | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> DiscriminativeStimuli:
    r"""Optimise, for each cluster, the stimulus that drives it more than all others.

    Where a neuron looks is no part of its type: all neurons read at the middle of the map. The stimulus of cluster c
    maximises :math:`J_c(s) = r_c(s)/\tau - \log\frac1K\sum_k e^{r_k(s)/\tau}`, with r_k the mean response of cluster
    k's neurons, each in units of its standard deviation over noise images, above its response to grey.

    Parameters
    ----------
    network : Network
        Of images or movies; it is not changed.
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron from 0; -1: in none.
    config : DiscriminativeConfig, optional
        Temperature, steps, contrast.
    features : ndarray, shape (n_neurons, n_features), optional
        Readout weights that neurons answer with; default: `aligned_features`.
    seed : int
        Of the noise that stimuli start from; equal seeds give equal stimuli on a CPU.
    device : str
        See `decortex.models.resolve_device`.
    progress : callable, optional
        Called with (stimuli done, all).

    Returns
    -------
    DiscriminativeStimuli

    Raises
    ------
    InputError
        If labels do not belong to the neurons, or there are fewer than two clusters.

    References
    ----------
    Burg et al., "Most discriminative stimuli for functional cell type clustering", ICLR 2024. Their reassignment of
    neurons to stimuli is left out: clusters are those that were given.
    """
    config = config or DiscriminativeConfig()
    labels = np.asarray(labels)
    if labels.shape != (network.n_neurons,):
        raise InputError(
            f"labels should name the cluster of each of {network.n_neurons} neurons, but have shape {labels.shape}."
        )
    kinds = np.unique(labels[labels >= 0])
    if len(kinds) < 2:
        raise InputError("a stimulus discriminates between clusters: labels should hold at least two.")
    weights = aligned_features(network, seed=seed) if features is None else np.asarray(features)
    if weights.shape != (network.n_neurons, network.embedding().shape[1]):
        raise InputError(
            f"features should be {(network.n_neurons, network.embedding().shape[1])}, but are {weights.shape}."
        )
    report = progress or (lambda _done, _all: None)
    home, was_training = next(network.parameters()).device, network.training
    try:
        network.to(resolve_device(device)).eval()
        clusters = _Clusters(network, weights, labels, kinds, seed)
        found = []
        for place in range(len(kinds)):
            found.append(_optimised(clusters, place, config, np.random.default_rng([seed, place])))
            report(place + 1, len(kinds))
        with torch.no_grad():
            stimuli = torch.cat([one for one, _ in found])
            confusion = clusters.responses(stimuli).cpu().double().numpy()
    finally:
        network.to(home).train(was_training)
    _, height, width = network.geometry.image_shape
    return DiscriminativeStimuli(
        stimuli=stimuli.cpu().numpy().reshape(len(kinds), -1, height, width),
        confusion=confusion,
        objective=np.array([value for _, value in found]),
    )


class _Clusters:
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


def _optimised(
    clusters: _Clusters, place: int, config: DiscriminativeConfig, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """The best stimulus of one cluster over its starts, (1, ...), and its objective."""
    starts = _START * rng.standard_normal((config.n_starts, *clusters.shape)).astype(np.float32)
    free = torch.from_numpy(starts).to(clusters.device)
    free.requires_grad_(True)
    optimiser = torch.optim.Adam([free], lr=config.step)
    for _ in range(config.n_steps):
        loss = -_objective(
            clusters.responses(_bounded(free, config.contrast)), place, config.temperature
        ).sum()
        (free.grad,) = torch.autograd.grad(loss, free)
        optimiser.step()
    with torch.no_grad():
        stimuli = _bounded(free, config.contrast)
        values = _objective(clusters.responses(stimuli), place, config.temperature)
        best = int(values.argmax())
    return stimuli[best : best + 1].detach(), float(values[best])


def _objective(responses: Tensor, place: int, temperature: float) -> Tensor:
    scaled = responses / temperature
    baseline = torch.logsumexp(scaled, dim=1) - math.log(responses.shape[1])
    value: Tensor = scaled[:, place] - baseline
    return value


def _bounded(free: Tensor, contrast: float) -> Tensor:
    """Stimuli of mean zero whose standard deviation is at most the contrast."""
    axes = tuple(range(1, free.ndim))
    centred = free - free.mean(dim=axes, keepdim=True)
    spread = centred.std(dim=axes, keepdim=True)
    bounded: Tensor = centred * torch.clamp(contrast / spread.clamp_min(1e-12), max=1.0)
    return bounded
