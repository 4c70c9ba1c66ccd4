"""What a network takes from training data at its start: pixels, response scale, positions. No network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from decortex.data.recordings import Recordings, Session
from decortex.errors import DatasetError

# Images are read in pieces, so that streamed recordings never lie in memory as a whole.
_PIECE = 256
# Correlation maps are computed on at most this many pixels a side: the products grow with the fourth power.
_MAP_SIDE = 64


@dataclass(frozen=True)
class SessionStatistics:
    """What one session's training trials say about its neurons.

    Parameters
    ----------
    mean, std : ndarray of float64, shape (n_neurons,)
        Mean and population standard deviation of the responses over training trials.
    peak : ndarray of float64, shape (n_neurons, 2)
        Image coordinates (x, y in pixels) where response and local contrast energy correlate most.
    peak_correlation : ndarray of float64, shape (n_neurons,)
        The correlation there; 0 for a neuron or image set that does not vary.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    peak: NDArray[np.float64]
    peak_correlation: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingStatistics:
    """What all training trials say: pixels over all sessions, and each session's neurons.

    Parameters
    ----------
    pixel_mean, pixel_std : ndarray of float64, shape (n_channels,)
        Over all training images and pixels.
    sessions : mapping of str to SessionStatistics
        By session name, in order.
    """

    pixel_mean: NDArray[np.float64]
    pixel_std: NDArray[np.float64]
    sessions: dict[str, SessionStatistics]


def training_statistics(recordings: Recordings) -> TrainingStatistics:
    """Read the training trials once and summarise them.

    Parameters
    ----------
    recordings : Recordings
        Every session needs at least two training trials.

    Returns
    -------
    TrainingStatistics
        Pixel statistics, response statistics and receptive-field positions.

    Raises
    ------
    DatasetError
        If a session has fewer than two training trials, a response or pixel is not finite, or all training
        images are one constant.
    """
    moments = _PixelMoments(recordings.image_shape[0])
    sessions = {session.name: _session_statistics(session, moments) for session in recordings.sessions}
    mean, std = moments.result()
    return TrainingStatistics(pixel_mean=mean, pixel_std=std, sessions=sessions)


class _PixelMoments:
    """Running mean and standard deviation of pixels a channel."""

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.sum = np.zeros(n_channels)
        self.sum_of_squares = np.zeros(n_channels)

    def add(self, images: NDArray[np.float32]) -> None:
        self.n += images.shape[0] * images.shape[2] * images.shape[3]
        self.sum += images.sum(axis=(0, 2, 3), dtype=np.float64)
        self.sum_of_squares += np.square(images, dtype=np.float64).sum(axis=(0, 2, 3))

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean = self.sum / self.n
        std = np.sqrt(np.maximum(self.sum_of_squares / self.n - mean**2, 0.0))
        if not (std > 1e-12 * (1.0 + np.abs(mean))).all():
            raise DatasetError(
                f"the training images do not vary: standard deviation {std.tolist()} a channel. A network"
                " needs images that differ; check that the image files hold what was shown."
            )
        return mean, std


def _session_statistics(session: Session, moments: _PixelMoments) -> SessionStatistics:
    trials = session.trials("train")
    if len(trials) < 2:
        raise DatasetError(
            f"session {session.name!r} has {len(trials)} training trials; training needs at least two."
            " Check its tiers ('train', 'validation', 'test')."
        )
    responses = session.responses.read(trials).astype(np.float64)
    if not np.isfinite(responses).all():
        bad = np.flatnonzero(~np.isfinite(responses).all(axis=0))
        raise DatasetError(
            f"session {session.name!r} has responses that are not finite in {len(bad)} neurons"
            f" (first: {bad[0]}). Remove these neurons or trials before training."
        )
    mean, std = responses.mean(axis=0), responses.std(axis=0)
    varies = std > 0
    standard = np.where(varies, (responses - mean) / np.where(varies, std, 1.0), 0.0)
    peak, correlation = _correlation_peaks(session, trials, standard, moments)
    return SessionStatistics(mean=mean, std=std, peak=peak, peak_correlation=correlation)


def _correlation_peaks(
    session: Session,
    trials: NDArray[np.int64],
    standard: NDArray[np.float64],
    moments: _PixelMoments,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the local contrast energy of the training images correlates most with each neuron's responses."""
    products = energy_sum = energy_squares = np.zeros(1)
    image_side, map_shape = (1, 1), (1, 1)
    for begin in range(0, len(trials), _PIECE):
        images = session.images.read(trials[begin : begin + _PIECE])
        if not np.isfinite(images).all():
            raise DatasetError(f"session {session.name!r} has images with pixels that are not finite.")
        moments.add(images)
        maps = contrast_energy(images)
        image_side, map_shape = images.shape[2:], maps.shape[1:]
        energy = maps.reshape(len(maps), -1)  # (piece, n_cells)
        products = products + standard[begin : begin + _PIECE].T @ energy
        energy_sum = energy_sum + energy.sum(axis=0)
        energy_squares = energy_squares + np.square(energy).sum(axis=0)
    n = len(trials)
    spread = np.sqrt(np.maximum(energy_squares / n - np.square(energy_sum / n), 0.0))
    usable = spread > 1e-6 * (np.max(spread) + 1e-12)
    correlation = np.where(usable, products / n / np.where(usable, spread, 1.0), 0.0)  # (n_neurons, n_cells)
    best = correlation.argmax(axis=1)
    rows, columns = np.unravel_index(best, map_shape)
    scale = np.array([image_side[1] / map_shape[1], image_side[0] / map_shape[0]])
    peak = (np.stack([columns, rows], axis=1) + 0.5) * scale - 0.5
    return peak.astype(np.float64), np.take_along_axis(correlation, best[:, None], axis=1)[:, 0]


def contrast_energy(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Local contrast energy: squared deviation from the neighbourhood's mean, smoothed.

    Parameters
    ----------
    images : ndarray of float32, shape (n_images, n_channels, height, width)
        Any pixel unit.

    Returns
    -------
    ndarray of float64, shape (n_images, map height, map width)
        On the image's own grid, or on one of at most 64 cells a side for larger images.
    """
    x = torch.from_numpy(np.ascontiguousarray(images)).mean(dim=1, keepdim=True)
    side = min(x.shape[2:])
    reach = max(side // 12, 1)
    high = x - _smooth(x, 2 * reach)
    energy = _smooth(_smooth(high.square(), reach), reach)
    if max(energy.shape[2:]) > _MAP_SIDE:
        height, width = energy.shape[2:]
        energy = functional.adaptive_avg_pool2d(energy, (min(height, _MAP_SIDE), min(width, _MAP_SIDE)))
    result: NDArray[np.float64] = energy[:, 0].double().numpy()
    return result


def _smooth(x: torch.Tensor, reach: int) -> torch.Tensor:
    """Box average over 2 reach + 1 pixels; the border averages over what there is."""
    return functional.avg_pool2d(x, 2 * reach + 1, 1, reach, count_include_pad=False)
