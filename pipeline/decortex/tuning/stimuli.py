"""Gratings, patches and spots as arrays, in standard deviations of a pixel around grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.tuning.config import TuningConfig

FloatArray = NDArray[np.float64]

_EDGE = 1.0  # pixels over which a disc fades: a hard edge is an orientation of its own


def angles_of(config: TuningConfig) -> FloatArray:
    """Directions of the wave vector in radians, [0, 2 pi), (n_angles,).

    Examples
    --------
    >>> from decortex.tuning import TuningConfig
    >>> angles_of(TuningConfig(n_angles=4)).round(2).tolist()
    [0.0, 1.57, 3.14, 4.71]
    """
    angles: FloatArray = np.linspace(0.0, 2 * np.pi, config.n_angles, endpoint=False)
    return angles


def periods_of(config: TuningConfig, shape: tuple[int, int]) -> FloatArray:
    """Spatial periods in pixels, rising, (n_periods,).

    Raises
    ------
    InputError
        If the image is too small for the shortest.

    Examples
    --------
    >>> from decortex.tuning import TuningConfig
    >>> periods_of(TuningConfig(n_periods=3, longest_period=12), (36, 36)).round(1).tolist()
    [3.0, 6.0, 12.0]
    """
    longest = config.longest_period or min(shape) / 2
    if longest <= config.shortest_period:
        raise InputError(
            f"images of {shape[0]} x {shape[1]} pixels hold no two cycles of a period above "
            f"{config.shortest_period:g} pixels; give a smaller shortest_period, or a longest_period."
        )
    return np.geomspace(config.shortest_period, longest, config.n_periods)


def radii_of(config: TuningConfig, shape: tuple[int, int]) -> FloatArray:
    """Radii of patches and spots in pixels, rising to half the shorter side, (n_radii,).

    Examples
    --------
    >>> from decortex.tuning import TuningConfig
    >>> radii_of(TuningConfig(n_radii=3), (36, 36)).round(1).tolist()
    [1.5, 5.2, 18.0]
    """
    largest = max(min(shape) / 2, 2 * config.smallest_radius)
    return np.geomspace(config.smallest_radius, largest, config.n_radii)


def gratings(
    shape: tuple[int, int],
    angle: FloatArray,
    period: FloatArray,
    phase: FloatArray,
    *,
    centre: FloatArray | None = None,
) -> NDArray[np.float32]:
    """Draw sine gratings of standard deviation 1 over a whole cycle.

    Parameters
    ----------
    shape : tuple of int
        (height, width) in pixels.
    angle, period, phase : ndarray, shape (n,)
        Angle of the wave vector from the column axis, downwards (radians), period (pixels), and phase at the centre
        (radians; 0: the light bar lies there).
    centre : ndarray, shape (n, 2), optional
        Row and column of the phase's origin; default: the middle of the image.

    Returns
    -------
    ndarray of float32, shape (n, height, width)

    Examples
    --------
    >>> import numpy as np
    >>> gratings((8, 8), np.array([0.0]), np.array([4.0]), np.array([0.0])).shape
    (1, 8, 8)
    """
    rows, columns = _offsets(shape, centre, len(angle))
    along = columns * np.cos(angle)[:, None, None] + rows * np.sin(angle)[:, None, None]
    wave: FloatArray = np.sqrt(2.0) * np.cos(2 * np.pi * along / period[:, None, None] - phase[:, None, None])
    return wave.astype(np.float32)


def discs(shape: tuple[int, int], centre: FloatArray, radius: FloatArray) -> NDArray[np.float32]:
    """Draw discs of height 1 whose edge fades over a pixel, (n, height, width).

    Parameters
    ----------
    shape : tuple of int
        (height, width) in pixels.
    centre : ndarray, shape (n, 2)
        Row and column of each.
    radius : ndarray, shape (n,)
        Radius at half height, pixels.

    Examples
    --------
    >>> import numpy as np
    >>> discs((9, 9), np.array([[4.0, 4.0]]), np.array([2.0]))[0, 4].round(1).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    rows, columns = _offsets(shape, centre, len(radius))
    distance = np.hypot(rows, columns)
    height = np.clip((radius[:, None, None] - distance) / _EDGE + 0.5, 0.0, 1.0)
    return height.astype(np.float32)


def _offsets(shape: tuple[int, int], centre: FloatArray | None, n: int) -> tuple[FloatArray, FloatArray]:
    middle = (np.array(shape) - 1) / 2
    at = np.broadcast_to(middle, (n, 2)) if centre is None else centre
    rows, columns = np.indices(shape)
    return rows - at[:, :1, None], columns - at[:, 1:, None]
