"""Other frame rates: counts keep their sum, rates their mean, movies show what was on the screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

FloatArray = NDArray[np.float64]


def resample_counts(counts: NDArray[np.floating], *, rate: float, new_rate: float) -> FloatArray:
    """Share counts per frame out over the frames of another rate; their sum stays.

    Parameters
    ----------
    counts : ndarray, shape (n_frames, ...)
        Spikes or events per frame.
    rate, new_rate : float
        Frames per second before and after, Hz.

    Returns
    -------
    ndarray of float64, shape (n_new_frames, ...)
        As many frames as the clip fills at the new rate, rounded up; a frame that lies in two of them is shared out
        by time.

    Examples
    --------
    >>> resample_counts(np.array([2.0, 4.0]), rate=30, new_rate=60)
    array([1., 1., 2., 2.])
    """
    values = np.asarray(counts, dtype=np.float64)
    shares = _overlap(len(values), rate, new_rate)
    shared: FloatArray = np.tensordot(shares, values, axes=1)
    return shared


def resample_rates(rates: NDArray[np.floating], *, rate: float, new_rate: float) -> FloatArray:
    """Average rates (spikes per second, or deconvolved calcium) over the frames of another rate; their mean stays.

    Parameters
    ----------
    rates : ndarray, shape (n_frames, ...)
        Values that do not depend on how long a frame is.
    rate, new_rate : float
        Frames per second before and after, Hz.

    Returns
    -------
    ndarray of float64, shape (n_new_frames, ...)
        As many frames as the clip fills at the new rate, rounded up.

    Examples
    --------
    >>> resample_rates(np.array([2.0, 2.0, 4.0, 4.0]), rate=60, new_rate=30)
    array([2., 4.])
    """
    values = np.asarray(rates, dtype=np.float64)
    shares = _overlap(len(values), rate, new_rate)
    averaged: FloatArray = np.tensordot(shares / shares.sum(axis=1, keepdims=True), values, axes=1)
    return averaged


def resample_movie(movie: NDArray[np.floating], *, rate: float, new_rate: float) -> NDArray[np.float32]:
    """Show a movie at another rate: each new frame holds what was on the screen in its middle.

    Parameters
    ----------
    movie : ndarray, shape (n_frames, ...)
        Time first.
    rate, new_rate : float
        Frames per second before and after, Hz.

    Returns
    -------
    ndarray of float32, shape (n_new_frames, ...)
        As many frames as `resample_counts` gives.
    """
    n_new = _n_new_frames(len(movie), rate, new_rate)
    middle = np.floor((np.arange(n_new) + 0.5) / new_rate * rate).astype(np.int64)
    shown: NDArray[np.float32] = np.asarray(movie, dtype=np.float32)[np.minimum(middle, len(movie) - 1)]
    return shown


def _n_new_frames(n_frames: int, rate: float, new_rate: float) -> int:
    if not (rate > 0 and new_rate > 0 and np.isfinite([rate, new_rate]).all()):
        raise InputError(f"frame rates are positive numbers of Hz, got {rate} and {new_rate}.")
    if n_frames < 1:
        raise InputError("there is no frame to resample.")
    return int(np.ceil(round(n_frames * new_rate / rate, 9)))


def _overlap(n_frames: int, rate: float, new_rate: float) -> FloatArray:
    """Share of each old frame's time that lies in each new frame, (n_new_frames, n_frames); columns sum to one."""
    n_new = _n_new_frames(n_frames, rate, new_rate)
    old = np.arange(n_frames + 1) / rate
    new = np.arange(n_new + 1) / new_rate
    begin = np.maximum(new[:-1, None], old[None, :-1])
    end = np.minimum(new[1:, None], old[None, 1:])
    shares: FloatArray = np.maximum(end - begin, 0.0) * rate
    return shares
