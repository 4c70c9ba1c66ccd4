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

from decortex.errors import InputError
from decortex.models import Network
from decortex.tuning.cluster_responses import AscentConfig, FloatArray, answering, ascend, check_labels

Progress = Callable[[int, int], None]


class DiscriminativeConfig(AscentConfig):
    """How the stimulus that tells a cluster from all others is optimised."""

    temperature: float = Field(1.6, gt=0, description="tau over clusters; a low one sees the nearest rival")


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
    kinds = check_labels(network, labels)
    if len(kinds) < 2:
        raise InputError("a stimulus discriminates between clusters: labels should hold at least two.")
    report = progress or (lambda _done, _all: None)
    with answering(network, labels, features=features, seed=seed, device=device) as clusters:
        found = []
        for place in range(len(kinds)):
            rng = np.random.default_rng([seed, place])
            found.append(
                ascend(
                    clusters,
                    lambda responses, own=place: _objective(responses, own, config.temperature),  # type: ignore[misc]
                    config,
                    rng=rng,
                )
            )
            report(place + 1, len(kinds))
        with torch.no_grad():
            stimuli = torch.cat([one for one, _ in found])
            confusion = clusters.responses(stimuli).cpu().double().numpy()
    _, height, width = network.geometry.image_shape
    return DiscriminativeStimuli(
        stimuli=stimuli.cpu().numpy().reshape(len(kinds), -1, height, width),
        confusion=confusion,
        objective=np.array([value for _, value in found]),
    )


def _objective(responses: Tensor, place: int, temperature: float) -> Tensor:
    scaled = responses / temperature
    baseline = torch.logsumexp(scaled, dim=1) - math.log(responses.shape[1])
    value: Tensor = scaled[:, place] - baseline
    return value
