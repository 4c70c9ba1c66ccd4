"""Two networks of movies compared clip by clip: clips are the samples, frames are not. No network runs here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from decortex.errors import InputError

FloatArray = NDArray[np.float64]

_CHUNK = 1000


@dataclass(frozen=True)
class ClipComparison:
    """A mean difference over clips, with what chance among clips says of it.

    Parameters
    ----------
    difference : float
        Mean over clips of the first minus the second.
    low, high : float
        Ends of its interval at the level asked for (Student's t over clips).
    p : float
        Of the sign-flip test over clips, two-sided: how often random signs of the clips' differences give a mean as far
        from zero; the observed signs are one of the draws.
    n_clips : int
        Samples.
    """

    difference: float
    low: float
    high: float
    p: float
    n_clips: int


def clip_means(values: NDArray[np.floating[Any]], clip_ids: NDArray[np.integer[Any]]) -> FloatArray:
    """Average a quantity over the frames, repeats included, of each clip.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, ...)
        For example every frame's loss, or its mean over neurons.
    clip_ids : ndarray of int, shape (n_rows,)
        Clip of each row, as `decortex.models.predict` gives it.

    Returns
    -------
    ndarray of float64, shape (n_clips, ...)
        In ascending order of the clips' ids.

    Examples
    --------
    >>> import numpy as np
    >>> clip_means(np.array([[1.0], [3.0], [10.0]]), np.array([0, 0, 1])).tolist()
    [[2.0], [10.0]]
    """
    if len(values) != len(clip_ids) or not len(values):
        raise InputError(
            f"expected one clip for each of at least one row, got {len(clip_ids)} for {len(values)}."
        )
    _, which, counts = np.unique(clip_ids, return_inverse=True, return_counts=True)
    total = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(total, which, values)
    means: FloatArray = total / counts.reshape(-1, *[1] * (values.ndim - 1))
    return means


def compare_over_clips(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    *,
    rng: np.random.Generator,
    n_flips: int = 9999,
    level: float = 0.95,
) -> ClipComparison:
    """Compare two networks by one number per clip each.

    Frames of a clip share the clip, the state of the animal and, through the network, their history: thirty of them are
    a few effective samples, and a test over frames finds differences where there are none.

    Parameters
    ----------
    first, second : ndarray of float, shape (n_clips,)
        Of the same clips in the same order, for example `clip_means` of each network's loss.
    rng : numpy.random.Generator
        Draws the signs.
    n_flips : int
        Draws.
    level : float
        Of the interval.

    Raises
    ------
    InputError
        If the clips do not belong together or are fewer than two.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> compare_over_clips(np.array([1.0, 1.1, 0.9]), np.zeros(3), rng=rng).difference
    1.0
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise InputError(
            f"expected one number for each of the same two or more clips, got shapes {first.shape} and {second.shape}."
        )
    d = np.asarray(first - second, dtype=np.float64)
    mean, n = float(d.mean()), len(d)
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1) * d.std(ddof=1) / np.sqrt(n))
    beyond = 0
    for begin in range(0, n_flips, _CHUNK):
        signs = rng.choice([-1.0, 1.0], size=(min(_CHUNK, n_flips - begin), n))
        beyond += int((np.abs(signs @ d) / n >= abs(mean) - 1e-12 * np.abs(d).max()).sum())
    return ClipComparison(mean, mean - reach, mean + reach, (1 + beyond) / (1 + n_flips), n)
