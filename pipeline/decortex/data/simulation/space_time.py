"""Space-time mechanisms of the simulated video retina and cortex: clips in, drives out. No spikes, no random draws.

Temporal kernels are gamma functions, g_n(t) = (t/tau)^n e^(-t/tau), of sum one: a sustained cell has g_2, a transient
one g_2 - g_4, which ends at nothing under constant light. Motion is the opponent energy of Adelson & Bergen
(J. Opt. Soc. Am. A 2, 1985): two kernels a quarter cycle apart in time, two Gabors a quarter cycle apart in space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from decortex.data.simulation.mechanisms import (
    CLIP,
    ReceptiveFields,
    difference_of_gaussians,
    gabor_pair,
    zscore,
)

RetinaMechanism = Literal[
    "on_transient_fast",
    "on_transient_slow",
    "on_sustained_fast",
    "on_sustained_slow",
    "off_transient_fast",
    "off_transient_slow",
    "off_sustained_fast",
    "off_sustained_slow",
]
CortexMechanism = Literal[
    "on_transient",
    "on_sustained",
    "off_transient",
    "off_sustained",
    "energy_fast",
    "energy_slow",
    "ds_fast",
    "ds_slow",
]
VideoMechanism = RetinaMechanism | CortexMechanism
RETINA: tuple[RetinaMechanism, ...] = get_args(RetinaMechanism)
CORTEX: tuple[CortexMechanism, ...] = get_args(CortexMechanism)

N_LAGS = 32  # frames of history that a kernel sees
SUSTAINED_TAU, TRANSIENT_TAU = 1.0, 0.7  # frames
SLOW = 2.0  # a slow retinal cell's time against a fast one's
MOTION_TAU = {"fast": 0.45, "slow": 1.0}
MOTION_PERIOD, MOTION_SIGMA = 7.0, 2.6  # pixels
_CHUNK_CLIPS = 32

Array = NDArray[np.float64]


def video_drives(
    clips: NDArray[np.float32],
    fields: ReceptiveFields,
    time_scale: Array,
    mechanisms: tuple[str, ...],
    *,
    reference: slice,
) -> Iterator[Array]:
    """Compute the mechanisms of every neuron for every frame, one mechanism after another.

    Before a clip the screen is grey, at which no filter answers: filtering with zeros in front of it is exact.

    Parameters
    ----------
    clips : ndarray of float32, shape (n_clips, n_frames, height, width)
        Stimuli.
    fields : ReceptiveFields
        The neurons' receptive fields in space; Gabors are scaled by ``high_scale``.
    time_scale : ndarray of float64, shape (n_neurons,)
        Factor on each neuron's time constants.
    mechanisms : tuple of str
        Of `RETINA` or of `CORTEX`.
    reference : slice
        Clips that define mean and standard deviation (the training clips).

    Yields
    ------
    ndarray of float64, shape (n_clips, n_frames, n_neurons)
        One for each mechanism, z-scored over the reference clips' frames and clipped at +-3.
    """
    centre: Array | None = None
    if any(name.startswith(("on_", "off_")) for name in mechanisms):
        centre = spatial_responses(clips, difference_of_gaussians((clips.shape[2], clips.shape[3]), fields))
    energies: dict[str, tuple[Array, Array]] = {}
    for name in mechanisms:
        if name.startswith(("on_", "off_")):
            assert centre is not None
            sign = 1.0 if name.startswith("on_") else -1.0
            raw = np.maximum(sign * causal_filter(centre, centre_kernel(name, time_scale)), 0.0)
        else:
            kind, speed = name.split("_")
            if speed not in energies:
                energies = {speed: motion_energies(clips, fields, time_scale, MOTION_TAU[speed])}
            towards, away = energies[speed]
            raw = towards + away if kind == "energy" else np.maximum(towards - away, 0.0)
        frames = raw.reshape(-1, len(fields))
        n_frames = clips.shape[1]
        used = slice((reference.start or 0) * n_frames, reference.stop * n_frames)
        yield np.clip(zscore(frames, axis=0, reference=used), -CLIP, CLIP).reshape(raw.shape)


def centre_kernel(name: str, time_scale: Array) -> Array:
    """Temporal kernel of a centre-surround mechanism, (n_neurons, N_LAGS), unit norm; lag 0 first."""
    slow = SLOW if name.endswith("_slow") else 1.0
    if "sustained" in name:
        return _unit_norm(gamma_kernel(2, SUSTAINED_TAU * slow * time_scale))
    tau = TRANSIENT_TAU * slow * time_scale
    return _unit_norm(gamma_kernel(2, tau) - gamma_kernel(4, tau))


def gamma_kernel(n: int, tau: Array) -> Array:
    """(t/tau)^n e^(-t/tau) over lags 0 to N_LAGS - 1, of sum one: (n_neurons, N_LAGS)."""
    t = np.arange(N_LAGS)[None, :] / tau[:, None]
    kernel = t**n * np.exp(-t)
    summed: Array = kernel / kernel.sum(axis=1, keepdims=True)
    return summed


def motion_kernel(n: int, tau: Array) -> Array:
    """(t/tau)^n e^(-t/tau) [1/n! - (t/tau)^2/(n + 2)!], (n_neurons, N_LAGS), unit norm (Adelson & Bergen 1985)."""
    t = np.arange(N_LAGS)[None, :] / tau[:, None]
    return _unit_norm(t**n * np.exp(-t) * (1 / math.factorial(n) - t**2 / math.factorial(n + 2)))


def motion_energies(
    clips: NDArray[np.float32], fields: ReceptiveFields, time_scale: Array, tau: float
) -> tuple[Array, Array]:
    """Amplitudes of motion along and against each neuron's orientation, (n_clips, n_frames, n_neurons) each."""
    size = (clips.shape[2], clips.shape[3])
    period, sigma = MOTION_PERIOD * fields.high_scale, MOTION_SIGMA * fields.high_scale
    even, odd = (
        spatial_responses(clips, filters)
        for filters in gabor_pair(size, fields, fields.orientation, period, sigma)
    )
    early, late = motion_kernel(3, tau * time_scale), motion_kernel(5, tau * time_scale)
    even_early, even_late = causal_filter(even, early), causal_filter(even, late)
    odd_early, odd_late = causal_filter(odd, early), causal_filter(odd, late)
    return (
        np.hypot(even_early + odd_late, odd_early - even_late),
        np.hypot(even_early - odd_late, odd_early + even_late),
    )


def spatial_responses(clips: NDArray[np.float32], filters: Array) -> Array:
    """Apply spatial filters, (n_neurons, height * width), to every frame: (n_clips, n_frames, n_neurons)."""
    answers = np.empty((clips.shape[0], clips.shape[1], len(filters)))
    for begin in range(0, len(clips), _CHUNK_CLIPS):
        some = clips[begin : begin + _CHUNK_CLIPS]
        answers[begin : begin + _CHUNK_CLIPS] = (
            some.reshape(*some.shape[:2], -1).astype(np.float64) @ filters.T
        )
    return answers


def causal_filter(values: Array, kernels: Array) -> Array:
    """Filter in time, each neuron with its own kernel: sum over lags k of kernel[n, k] values[., t - k, n].

    Parameters
    ----------
    values : ndarray of float64, shape (n_clips, n_frames, n_neurons)
        Zero before the first frame.
    kernels : ndarray of float64, shape (n_neurons, n_lags)
        Lag 0 first.
    """
    filtered = np.zeros_like(values)
    n_frames = values.shape[1]
    for lag in range(min(kernels.shape[1], n_frames)):
        filtered[:, lag:] += kernels[None, None, :, lag] * values[:, : n_frames - lag]
    return filtered


def _unit_norm(kernels: Array) -> Array:
    unit: Array = kernels / np.linalg.norm(kernels, axis=1, keepdims=True)
    return unit
