"""What a network takes from training data at its start: pixels, response scale, positions. No network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from decortex.data import Recordings, Session
from decortex.errors import DatasetError

# Images are read in pieces, so that streamed recordings never lie in memory as a whole.
_PIECE = 256
_CLIPS = 4  # likewise of clips
# A neuron of a movie answers to what was shown this many frames ago: local contrast is averaged over them.
_NEAREST_LAG, _FARTHEST_LAG = 2, 6
# Correlation maps are computed on at most this many pixels a side: the products grow with the fourth power.
_MAP_SIDE = 64


@dataclass(frozen=True)
class SessionStatistics:
    """What one session's training trials say about its neurons.

    Parameters
    ----------
    mean, std : ndarray of float64, shape (n_neurons,)
        Mean and population standard deviation of the responses over training trials.
    peak : ndarray of float64, shape (n_neurons, 2), or None
        Image coordinates (x, y in pixels) where response and local contrast energy correlate most.
    peak_correlation : ndarray of float64, shape (n_neurons,), or None
        The correlation there; 0 for a neuron or image set that does not vary.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    peak: NDArray[np.float64] | None
    peak_correlation: NDArray[np.float64] | None


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


def training_statistics(recordings: Recordings, *, with_peaks: bool = True) -> TrainingStatistics:
    """Read the training trials once and summarise them.

    Parameters
    ----------
    recordings : Recordings
        Every session needs at least two training trials.
    with_peaks : bool
        Whether to look for receptive-field positions as well, which takes longer than all the rest.

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
    if recordings.is_video:
        found = {
            session.name: _video_statistics(session, moments, with_peaks=with_peaks)
            for session in recordings.sessions
        }
        pixel_mean, pixel_std = moments.result()
        return TrainingStatistics(pixel_mean=pixel_mean, pixel_std=pixel_std, sessions=found)
    sessions: dict[str, SessionStatistics] = {}
    for session in recordings.sessions:
        trials = _training_trials(session)
        responses = _responses(session, trials)
        mean, std = responses.mean(axis=0), responses.std(axis=0)
        standard = np.where(std > 0, (responses - mean) / np.where(std > 0, std, 1.0), 0.0)
        correlation = _EnergyCorrelation(standard) if with_peaks else None
        for begin in range(0, len(trials), _PIECE):
            images = _images(session, trials[begin : begin + _PIECE])
            moments.add(images)
            if correlation is not None:
                correlation.add(contrast_energy(images), images.shape[2:])
        peak, height = (None, None) if correlation is None else correlation.peaks()
        sessions[session.name] = SessionStatistics(mean=mean, std=std, peak=peak, peak_correlation=height)
    pixel_mean, pixel_std = moments.result()
    return TrainingStatistics(pixel_mean=pixel_mean, pixel_std=pixel_std, sessions=sessions)


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


class _EnergyCorrelation:
    """Running correlation of responses with the local contrast energy of the images.

    Parameters
    ----------
    standard : ndarray of float64, shape (n_trials, n_neurons)
        Responses to the images to come, in their order, z-scored a neuron.
    """

    def __init__(self, standard: NDArray[np.float64]) -> None:
        self.standard = standard
        self.n = 0
        self.products = self.energy = self.squares = np.zeros(1)
        self.image_side: tuple[int, ...] = (1, 1)
        self.map_side: tuple[int, ...] = (1, 1)

    def add(self, maps: NDArray[np.float64], image_side: tuple[int, ...]) -> None:
        """Take in the contrast energy of the next images, (n_images, map height, map width)."""
        self.add_with(maps, self.standard[self.n : self.n + len(maps)], image_side)

    def add_with(
        self, maps: NDArray[np.float64], standard: NDArray[np.float64], image_side: tuple[int, ...]
    ) -> None:
        """Take in contrast energy and the z-scored responses to it, (n_images, n_neurons)."""
        self.image_side, self.map_side = image_side, maps.shape[1:]
        energy = maps.reshape(len(maps), -1)  # (n_images, n_cells)
        self.products = self.products + standard.T @ energy
        self.energy = self.energy + energy.sum(axis=0)
        self.squares = self.squares + np.square(energy).sum(axis=0)
        self.n += len(maps)

    def peaks(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Image coordinates of each neuron's highest correlation, (n_neurons, 2), and the correlation."""
        spread = np.sqrt(np.maximum(self.squares / self.n - np.square(self.energy / self.n), 0.0))
        usable = spread > 1e-6 * (np.max(spread) + 1e-12)
        correlation = np.where(usable, self.products / self.n / np.where(usable, spread, 1.0), 0.0)
        best = correlation.argmax(axis=1)  # over cells
        rows, columns = np.unravel_index(best, self.map_side)
        pixels_a_cell = np.array(self.image_side[::-1]) / np.array(self.map_side[::-1])
        peak: NDArray[np.float64] = (np.stack([columns, rows], axis=1) + 0.5) * pixels_a_cell - 0.5
        return peak, np.take_along_axis(correlation, best[:, None], axis=1)[:, 0]


def _video_statistics(session: Session, moments: _PixelMoments, *, with_peaks: bool) -> SessionStatistics:
    """Summarise the training clips of one session, whose responses need not fit into memory."""
    trials = _training_trials(session)
    total = squares = np.zeros(session.n_neurons)
    n_frames = 0
    for run in session.stacks(trials, _CLIPS):
        responses = _responses(session, run).reshape(-1, session.n_neurons)
        total, squares = total + responses.sum(axis=0), squares + np.square(responses).sum(axis=0)
        n_frames += len(responses)
    mean = total / n_frames
    std = np.sqrt(np.maximum(squares / n_frames - np.square(mean), 0.0))
    spread = np.where(std > 0, std, 1.0)
    correlation = _EnergyCorrelation(np.empty((0, session.n_neurons))) if with_peaks else None
    for run in session.stacks(trials, _CLIPS):
        clips = _images(session, run)
        frames = np.ascontiguousarray(np.moveaxis(clips, 2, 1)).reshape(-1, clips.shape[1], *clips.shape[3:])
        moments.add(frames)
        if correlation is None or clips.shape[2] <= _FARTHEST_LAG:
            continue
        energy = contrast_energy(frames)
        energy = energy.reshape(len(clips), -1, *energy.shape[1:])
        n_used = energy.shape[1] - _FARTHEST_LAG
        before = [
            energy[:, _FARTHEST_LAG - lag : _FARTHEST_LAG - lag + n_used]
            for lag in range(_NEAREST_LAG, _FARTHEST_LAG + 1)
        ]
        recent = np.mean(before, axis=0).reshape(-1, *energy.shape[2:])
        responses = _responses(session, run)[:, _FARTHEST_LAG:].reshape(-1, session.n_neurons)
        correlation.add_with(recent, np.where(std > 0, (responses - mean) / spread, 0.0), clips.shape[3:])
    if correlation is None or not correlation.n:
        return SessionStatistics(mean=mean, std=std, peak=None, peak_correlation=None)
    peak, height = correlation.peaks()
    return SessionStatistics(mean=mean, std=std, peak=peak, peak_correlation=height)


def _training_trials(session: Session) -> NDArray[np.int64]:
    trials = session.trials("train")
    if len(trials) < 2:
        raise DatasetError(
            f"session {session.name!r} has {len(trials)} training trials; training needs at least two."
            " Check its tiers ('train', 'validation', 'test')."
        )
    return trials


def _responses(session: Session, trials: NDArray[np.int64]) -> NDArray[np.float64]:
    responses = session.responses.read(trials).astype(np.float64)
    if not np.isfinite(responses).all():
        bad = np.flatnonzero(~np.isfinite(responses).all(axis=0))
        raise DatasetError(
            f"session {session.name!r} has responses that are not finite in {len(bad)} neurons"
            f" (first: {bad[0]}). Remove these neurons or trials before training."
        )
    return responses


def _images(session: Session, trials: NDArray[np.int64]) -> NDArray[np.float32]:
    images = session.images.read(trials)
    if not np.isfinite(images).all():
        raise DatasetError(f"session {session.name!r} has images with pixels that are not finite.")
    return images


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
