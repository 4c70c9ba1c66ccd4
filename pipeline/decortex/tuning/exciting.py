"""Most exciting stimuli: for each cluster the image, or clip, that drives its neurons most, found and shown."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.data import Recordings
from decortex.models import Network, evaluating
from decortex.tuning.cluster_responses import AscentConfig, FloatArray, answering, ascend, check_labels
from decortex.tuning.experiment import respond

_BATCH = 32  # images at once; clips one by one


class ExcitingConfig(AscentConfig):
    """How a cluster's most exciting stimulus is optimised."""


@dataclass(frozen=True)
class ExcitingStimuli:
    """What `exciting_stimuli` returns.

    Parameters
    ----------
    stimuli : ndarray of float32, shape (n_clusters, n_frames, height, width)
        In standard deviations of a pixel around grey; of images one frame.
    responses : ndarray of float64, shape (n_clusters, n_clusters)
        Mean response of cluster l (column) to the stimulus of cluster k (row), in units of the neurons' standard
        deviation over noise images.
    """

    stimuli: NDArray[np.float32]
    responses: FloatArray


@dataclass(frozen=True)
class ShownStimuli:
    """What `exciting_among` returns.

    Parameters
    ----------
    stimuli : ndarray of float32, shape (n_clusters, n_shown, n_frames, height, width)
        The best first, in standard deviations of a pixel around grey; of clips the frames that the best response
        answers to.
    responses : ndarray of float64, shape (n_clusters, n_shown)
        Mean over a cluster's neurons, each in standard deviations over all stimuli around its mean.
    """

    stimuli: NDArray[np.float32]
    responses: FloatArray


def exciting_stimuli(
    network: Network,
    labels: NDArray[np.integer],
    *,
    config: ExcitingConfig | None = None,
    features: FloatArray | None = None,
    seed: int = 0,
    device: str = "auto",
) -> ExcitingStimuli:
    """Optimise, for each cluster, the stimulus that its neurons answer to most, at a bounded contrast.

    Where a neuron looks is no part of its type: all neurons read at the middle of the map.

    Parameters
    ----------
    network : Network
        Of images or movies; it is not changed.
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron from 0; -1: in none.
    config : ExcitingConfig, optional
        Steps and contrast.
    features : ndarray, shape (n_neurons, n_features), optional
        Readout weights that neurons answer with; default: `aligned_features`.
    seed : int
        Of the noise that stimuli start from; equal seeds give equal stimuli on a CPU.
    device : str
        See `decortex.models.resolve_device`.

    Returns
    -------
    ExcitingStimuli

    Raises
    ------
    InputError
        If labels or features do not belong to the neurons.

    References
    ----------
    Walker et al., "Inception loops discover what excites neurons most using deep predictive models", Nature
    Neuroscience 22, 2019: gradient ascent under a fixed contrast; here on the mean of a cluster's neurons.

    Examples
    --------
    >>> import decortex
    >>> from decortex import tuning
    >>> network = decortex.load_network("network.pt")  # doctest: +SKIP
    >>> tuning.exciting_stimuli(network, labels).stimuli.shape  # doctest: +SKIP
    """
    config = config or ExcitingConfig()
    labels = np.asarray(labels)
    kinds = check_labels(network, labels)
    with answering(network, labels, features=features, seed=seed, device=device) as clusters:
        found = [
            ascend(
                clusters,
                _response_of(place),
                config,
                rng=np.random.default_rng([seed, place]),
            )[0]
            for place in range(len(kinds))
        ]
        with torch.no_grad():
            stimuli = torch.cat(found)
            responses = clusters.responses(stimuli).cpu().double().numpy()
    _, height, width = network.geometry.image_shape
    return ExcitingStimuli(
        stimuli.cpu().numpy().reshape(len(kinds), -1, height, width).astype(np.float32), responses
    )


def _response_of(place: int) -> Callable[[Tensor], Tensor]:
    return lambda responses: responses[:, place]


def exciting_among(
    network: Network,
    labels: NDArray[np.integer],
    recordings: Recordings,
    *,
    n_shown: int = 5,
    tier: str = "test",
    device: str = "auto",
) -> ShownStimuli:
    """The stimuli of a tier that the network predicts a cluster's neurons to answer to most, each where it looks.

    Parameters
    ----------
    network : Network
        Of these recordings; it is not changed.
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron from 0; -1: in none.
    recordings : Recordings
        Whose stimuli are shown; equal ones count once.
    n_shown : int
        Stimuli per cluster; fewer where the tier holds fewer.
    tier : str
        Which trials' stimuli.
    device : str
        See `decortex.models.resolve_device`.

    Returns
    -------
    ShownStimuli

    Raises
    ------
    InputError
        If labels do not belong to the neurons.
    """
    labels = np.asarray(labels)
    kinds = check_labels(network, labels)
    member = (labels[None] == kinds[:, None]).astype(np.float64)
    member /= member.sum(axis=1, keepdims=True)
    with evaluating(network, device), torch.no_grad():
        mean, spread = _moments(_answers(network, _distinct(recordings, tier)), len(labels))
        best: list[list[tuple[float, int, NDArray[np.float32]]]] = [[] for _ in kinds]
        for n, (stimulus, answers) in enumerate(_answers(network, _distinct(recordings, tier))):
            driven = (answers - mean) / spread @ member.T  # (n_frames answered, n_clusters)
            for place, frame in enumerate(driven.argmax(axis=0)):
                value = float(driven[frame, place])
                window = stimulus[frame : frame + network.lag + 1] if network.is_video else stimulus
                entry = (value, -n, window)
                if len(best[place]) < n_shown:
                    heapq.heappush(best[place], entry)
                elif entry[:2] > best[place][0][:2]:
                    heapq.heapreplace(best[place], entry)
    ordered = [sorted(own, key=lambda one: one[:2], reverse=True) for own in best]
    _, height, width = network.geometry.image_shape
    n_frames = network.lag + 1 if network.is_video else 1
    shape = (len(kinds), len(ordered[0]) if ordered else 0, n_frames, height, width)
    stimuli = np.array([[one[2] for one in own] for own in ordered], dtype=np.float32).reshape(shape)
    return ShownStimuli(stimuli, np.array([[one[0] for one in own] for own in ordered]).reshape(shape[:2]))


def _distinct(recordings: Recordings, tier: str) -> Iterator[NDArray[np.float32]]:
    """Stimuli of a tier in the recordings' pixel unit, each once: (channels, height, width) or with frames."""
    seen: set[bytes] = set()
    for session in recordings.sessions:
        trials = session.trials(tier)
        _, first = np.unique(session.image_ids[trials], return_index=True)
        for run in session.stacks(trials[np.sort(first)], _BATCH):
            for stimulus in np.asarray(session.images.read(run), dtype=np.float32):
                content = stimulus.tobytes()
                if content not in seen:
                    seen.add(content)
                    yield stimulus


def _answers(
    network: Network, stimuli: Iterable[NDArray[np.float32]]
) -> Iterator[tuple[NDArray[np.float32], FloatArray]]:
    """Every stimulus's first channel around grey, (n_frames, height, width), and what all neurons answer to it."""
    mean, spread = (one.cpu().numpy()[0, 0] for one in (network.pixel_mean, network.pixel_std))
    for stimulus in stimuli:
        batch = torch.from_numpy(stimulus[None]).to(network.pixel_mean.device)
        shown = (stimulus[0] - mean) / spread
        yield shown.reshape(-1, *shown.shape[-2:]).astype(np.float32), respond(network, batch, None)


def _moments(
    answers: Iterable[tuple[NDArray[np.float32], FloatArray]], n_neurons: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of every neuron over all stimuli; 1 where it does not vary."""
    n, total, squares = 0, np.zeros(n_neurons), np.zeros(n_neurons)
    for _, own in answers:
        n += len(own)
        total += own.sum(axis=0)
        squares += (own**2).sum(axis=0)
    mean = total / max(n, 1)
    spread = np.sqrt(np.maximum(squares / max(n, 1) - mean**2, 0.0))
    return mean, np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1.0), spread, 1.0)
