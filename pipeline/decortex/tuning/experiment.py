"""The in-silico experiment: gratings, patches on each neuron's centre and spots; tuning is read off the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.models import Network, evaluating
from decortex.tuning.config import TuningConfig
from decortex.tuning.indices import TuningIndices, grating_indices, sign_index, size_indices
from decortex.tuning.stimuli import angles_of, discs, gratings, periods_of, radii_of

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]

_BATCH = 64  # images at once; changes nothing but memory and time
_BATCH_CLIPS = 8
_SPOT_HEIGHT = 2.0  # standard deviations of a pixel
_CYCLES = 2  # of a drifting grating that are averaged


@dataclass(frozen=True)
class TuningResult:
    """What `measure_tuning` returns.

    Parameters
    ----------
    indices : TuningIndices
        One number for every neuron and index.
    curves : ndarray of float32, shape (n_neurons, n_angles)
        Amplitude over the angles at each neuron's preferred period.
    angles, periods, radii : ndarray of float64
        What was shown: radians, pixels, pixels.
    """

    indices: TuningIndices
    curves: NDArray[np.float32]
    angles: FloatArray
    periods: FloatArray
    radii: FloatArray


def measure_tuning(
    network: Network,
    config: TuningConfig | None = None,
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> TuningResult:
    """Measure the tuning of every neuron of a network by showing it gratings, patches and spots.

    Parameters
    ----------
    network : Network
        Of images or movies; it is not changed. Channels beyond the first (behaviour, the pupil) stand at their mean.
    config : TuningConfig, optional
        What is shown.
    device : str
        See `decortex.models.resolve_device`.
    progress : callable, optional
        Called with (neurons and gratings done, all of them).

    Returns
    -------
    TuningResult
        Of movies, radius, suppression and sign are measured with the last frames of standing stimuli.

    Raises
    ------
    InputError
        If the images are too small for the gratings.

    Examples
    --------
    >>> import decortex
    >>> network = decortex.load_network("network.pt")  # doctest: +SKIP
    >>> decortex.measure_tuning(network).indices.orientation_selectivity  # doctest: +SKIP
    """
    config = config or TuningConfig()
    with evaluating(network, device), torch.no_grad():
        return _measure(network, config, progress or (lambda _done, _all: None))


def _measure(network: Network, config: TuningConfig, progress: Progress) -> TuningResult:
    _, height, width = network.geometry.image_shape
    shape = (height, width)
    angles, periods, radii = angles_of(config), periods_of(config, shape), radii_of(config, shape)
    grey = _answers(network, np.zeros((1, *shape), dtype=np.float32))[0]
    steps = _Steps(progress, len(angles) * len(periods) + network.n_neurons)
    shown = _Shown(network, config, angles, periods, steps)
    mean, modulated = shown.drifting() if network.is_video else shown.standing()
    found = grating_indices(mean, modulated, grey, angles=angles, periods=periods, moving=network.is_video)
    amplitude = np.maximum(np.maximum(mean - grey, 0.0), modulated)
    every = np.arange(network.n_neurons)
    at = np.searchsorted(periods, np.where(np.isnan(found.period), periods[0], found.period))
    rates = amplitude.reshape(len(angles), len(periods), -1, len(every)).max(axis=2)
    curves = rates[:, at, every].T.astype(np.float32)
    patches, light, dark = _centred(network, config, found.best, periods[at], radii=radii, steps=steps)
    radius, suppression = size_indices(patches, grey, radii)
    indices = TuningIndices(
        orientation=found.orientation,
        orientation_selectivity=found.orientation_selectivity,
        direction=found.direction,
        direction_selectivity=found.direction_selectivity,
        period=found.period,
        modulation=found.modulation,
        radius=radius,
        suppression=suppression,
        sign=sign_index(light, dark, grey),
        peak=found.peak,
    )
    return TuningResult(indices, curves, angles, periods, radii)


class _Steps:
    """Counts what is done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, n: int) -> None:
        self._done += n
        self._progress(self._done, self._total)


@dataclass(frozen=True)
class _Shown:
    """Full-field gratings and the answers to them: F0 and F1, (n_angles, n_periods, n_rates, n_neurons)."""

    network: Network
    config: TuningConfig
    angles: FloatArray
    periods: FloatArray
    steps: _Steps

    def standing(self) -> tuple[FloatArray, FloatArray]:
        """Every phase of a cycle; an angle and its opposite are the same grating, shown once."""
        shape = self.network.geometry.image_shape[1:]
        half, n_phases = len(self.angles) // 2, self.config.n_phases
        phases: FloatArray = np.linspace(0.0, 2 * np.pi, n_phases, endpoint=False)
        size = (len(self.angles), len(self.periods), 1, self.network.n_neurons)
        mean, modulated = np.empty(size), np.empty(size)
        for i in range(half):
            for j, period in enumerate(self.periods):
                ones = np.ones(n_phases)
                images = gratings((shape[0], shape[1]), self.angles[i] * ones, period * ones, phases)
                answers = _answers(self.network, self.config.contrast * images)
                mean[[i, i + half], j, 0] = answers.mean(axis=0)
                modulated[[i, i + half], j, 0] = _first_harmonic(answers, phases)
                self.steps.add(2)
        return mean, modulated

    def drifting(self) -> tuple[FloatArray, FloatArray]:
        """Whole cycles of every drift behind the frames that the network does not answer to."""
        shape = self.network.geometry.image_shape[1:]
        rates = self.config.temporal_frequencies
        size = (len(self.angles), len(self.periods), len(rates), self.network.n_neurons)
        mean, modulated = np.empty(size), np.empty(size)
        skipped = self.network.lag
        for r, rate in enumerate(rates):
            n_frames = max(2, round(_CYCLES / rate))
            phases: FloatArray = np.multiply(2 * np.pi * rate, np.arange(skipped + n_frames))
            for j, period in enumerate(self.periods):
                for i, angle in enumerate(self.angles):
                    ones = np.ones(len(phases))
                    clip = gratings((shape[0], shape[1]), angle * ones, period * ones, phases)
                    answers = _answers_to_clips(self.network, self.config.contrast * clip[None])[0]
                    mean[i, j, r] = answers.mean(axis=0)
                    modulated[i, j, r] = _first_harmonic(answers, phases[skipped:])
                    if r == 0:
                        self.steps.add(1)
        return mean, modulated


def _first_harmonic(answers: FloatArray, phases: FloatArray) -> FloatArray:
    """Amplitude of the first harmonic over whole cycles, (n_neurons,), from (n_phases, n_neurons)."""
    harmonic: FloatArray = 2 * np.abs(np.exp(-1j * phases) @ answers) / len(phases)
    return harmonic


def _centred(
    network: Network,
    config: TuningConfig,
    best_angle: NDArray[np.int64],
    period: FloatArray,
    *,
    radii: FloatArray,
    steps: _Steps,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Answers of every neuron to stimuli on its own centre: patches (best phase), light and dark spots.

    Each is (n_radii, n_neurons).
    """
    _, height, width = network.geometry.image_shape
    shape = (height, width)
    centres = np.clip(network.positions()[:, ::-1], 0, np.array(shape) - 1)  # row, column
    angles, n_radii, n_phases = angles_of(config), len(radii), config.n_phases
    patches, light, dark = (np.empty((n_radii, network.n_neurons)) for _ in range(3))
    phases = np.tile(np.arange(n_phases) * (2 * np.pi / n_phases), n_radii)
    for name, own in network.slices.items():
        for neuron in range(own.start, own.stop):
            n = n_radii * n_phases
            centre = np.broadcast_to(centres[neuron], (n, 2))
            wave = gratings(
                shape,
                np.full(n, angles[best_angle[neuron]]),
                np.full(n, period[neuron]),
                phases,
                centre=centre,
            )
            discs_of = discs(shape, centre[:n_radii], radii)
            shown = np.concatenate(
                [
                    config.contrast * wave * np.repeat(discs_of, n_phases, axis=0),
                    _SPOT_HEIGHT * discs_of,
                    -_SPOT_HEIGHT * discs_of,
                ]
            )
            answers = _answers(network, shown, session=name)[:, neuron - own.start]
            patches[:, neuron] = answers[:n].reshape(n_radii, n_phases).max(axis=1)
            light[:, neuron], dark[:, neuron] = answers[n : n + n_radii], answers[n + n_radii :]
            steps.add(1)
    return patches, light, dark


def _answers(network: Network, images: NDArray[np.float32], *, session: str | None = None) -> FloatArray:
    """Responses to images around grey, (n_images, n_neurons of the session, or of all); movies: standing images."""
    if network.is_video:
        skipped = network.lag
        clips = np.repeat(images[:, None], skipped + 1, axis=1)
        return _answers_to_clips(network, clips, session=session)[:, -1]
    parts = []
    for first in range(0, len(images), _BATCH):
        batch = in_pixels(network, torch.from_numpy(np.ascontiguousarray(images[first : first + _BATCH])))
        parts.append(respond(network, batch, session))
    return np.concatenate(parts)


def _answers_to_clips(
    network: Network, clips: NDArray[np.float32], *, session: str | None = None
) -> FloatArray:
    """Responses frame by frame, (n_clips, n_frames - lag, n_neurons)."""
    parts = []
    for first in range(0, len(clips), _BATCH_CLIPS):
        batch = in_pixels(
            network, torch.from_numpy(np.ascontiguousarray(clips[first : first + _BATCH_CLIPS]))
        )
        answers = respond(network, batch, session)
        parts.append(answers.reshape(len(batch), -1, answers.shape[1]))
    return np.concatenate(parts)


def respond(network: Network, batch: Tensor, session: str | None) -> FloatArray:
    """What a batch in the network's pixel unit is answered with, (n_answers, n_neurons of the session, or of all)."""
    names = network.session_names if session is None else [session]
    maps = network.maps(batch)
    answers = [network.forward_maps(maps, [(name, len(maps))])[0] for name in names]
    return torch.cat(answers, dim=1).cpu().double().numpy()


def in_pixels(network: Network, standard: Tensor) -> Tensor:
    """Standard images (n, height, width), or clips (n, n_frames, height, width), in the network's pixel unit.

    The first channel shows them; the others stand at their mean.
    """
    standard = standard.to(network.pixel_mean.device)
    mean, spread = network.pixel_mean, network.pixel_std
    if network.is_video:
        mean, spread = mean[:, :, None], spread[:, :, None]
    shape = (len(standard), mean.shape[1], *standard.shape[1:])
    pixels = mean.expand(shape).clone()
    pixels[:, 0] = standard * spread[:, 0] + mean[:, 0]
    return pixels
