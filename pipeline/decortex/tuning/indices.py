"""Indices of tuning as the field defines them, from responses to gratings, patches and spots. No network runs here."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TuningIndices:
    """One number for every neuron and index; NaN where it is undefined.

    Parameters
    ----------
    orientation : ndarray of float64, shape (n_neurons,)
        Preferred angle of the wave vector, radians in [0, pi), from the column axis downwards; the bars lie across it.
    orientation_selectivity : ndarray
        Length of the vector sum over orientations at the preferred period (1 - circular variance), 0 to 1.
    direction : ndarray
        Preferred direction of drift, radians in [0, 2 pi); NaN for networks of images.
    direction_selectivity : ndarray
        (preferred - opposite) / (preferred + opposite); NaN for networks of images.
    period : ndarray
        Preferred spatial period, pixels.
    modulation : ndarray
        F1 / F0 over the phases (drifts) of the preferred grating, F0 over grey and at least half of F1, so that it
        lies from 0 to 2: above 1 simple, below 1 complex (Skottun 1991).
    radius : ndarray
        Radius of the best patch of the preferred grating, pixels.
    suppression : ndarray
        (best patch - largest patch) / (best patch - grey), 0 to 1 and above.
    sign : ndarray
        (light - dark) / (light + dark) over the best spots on the neuron's centre, rises over grey; 1 ON, -1 OFF.
    peak : ndarray
        Rise of the response to the best grating over grey, in the recordings' unit.
    """

    orientation: FloatArray
    orientation_selectivity: FloatArray
    direction: FloatArray
    direction_selectivity: FloatArray
    period: FloatArray
    modulation: FloatArray
    radius: FloatArray
    suppression: FloatArray
    sign: FloatArray
    peak: FloatArray


INDICES = tuple(field.name for field in fields(TuningIndices))
# Axial angles: averaged and compared modulo these.
CIRCLES = {"orientation": np.pi, "direction": 2 * np.pi}


@dataclass(frozen=True)
class GratingIndices:
    """What responses to gratings alone say; shapes (n_neurons,).

    Parameters
    ----------
    orientation, orientation_selectivity, direction, direction_selectivity, period, modulation, peak : ndarray
        As in `TuningIndices`.
    best : ndarray of int64
        Index of the preferred angle.
    """

    orientation: FloatArray
    orientation_selectivity: FloatArray
    direction: FloatArray
    direction_selectivity: FloatArray
    period: FloatArray
    modulation: FloatArray
    peak: FloatArray
    best: NDArray[np.int64]


def grating_indices(
    mean: FloatArray,
    modulated: FloatArray,
    grey: FloatArray,
    *,
    angles: FloatArray,
    periods: FloatArray,
    moving: bool,
) -> GratingIndices:
    r"""Read preferences and selectivities off responses to gratings.

    The amplitude that is compared over gratings is the larger of the rise of the mean over grey, F0 - grey, and F1:
    a simple cell answers by modulation, a complex one by its mean. With amplitude :math:`A(\theta)` at the preferred
    period (and temporal frequency) the orientation is :math:`\frac12\arg\sum_\theta A e^{2i\theta}` and its
    selectivity :math:`|\sum_\theta A e^{2i\theta}| / \sum_\theta A`.

    Parameters
    ----------
    mean, modulated : ndarray, shape (n_angles, n_periods, n_rates, n_neurons)
        F0, the mean over phases, and F1, the amplitude of the first harmonic. ``n_rates``: temporal frequencies of
        drifting gratings; 1 for static ones.
    grey : ndarray, shape (n_neurons,)
        Response to grey.
    angles, periods : ndarray, shape (n_angles,), (n_periods,)
        Angles over the full circle (radians), evenly spaced from 0; periods in pixels.
    moving : bool
        Whether the gratings drift: static ones at opposite angles are the same grating.

    Returns
    -------
    GratingIndices
        NaN for neurons that answer to no grating (``peak`` is 0).

    Raises
    ------
    InputError
        If the shapes do not belong together.

    References
    ----------
    Swindale, Biological Cybernetics 78, 1998 (vector sum); Skottun et al., Vision Research 31, 1991 (F1/F0).

    Examples
    --------
    >>> angles = np.arange(8) * np.pi / 4
    >>> mean = (1 + np.cos(2 * (angles - np.pi / 4)))[:, None, None, None]
    >>> one = grating_indices(mean, 0 * mean, np.zeros(1), angles=angles, periods=np.array([5.0]), moving=False)
    >>> bool(np.isclose(one.orientation[0], np.pi / 4)), bool(np.isclose(one.orientation_selectivity[0], 0.5))
    (True, True)
    """
    expected = (len(angles), len(periods))
    if (
        mean.shape != modulated.shape
        or mean.ndim != 4
        or mean.shape[:2] != expected
        or grey.shape != mean.shape[3:]
    ):
        raise InputError(
            f"expected F0 and F1 of shape ({expected[0]}, {expected[1]}, n_rates, n_neurons) and grey of (n_neurons,), "
            f"but got {mean.shape}, {modulated.shape} and {grey.shape}."
        )
    rise = np.maximum(mean - grey, 0.0)
    amplitude = np.maximum(rise, modulated)
    n_angles, n_neurons = len(angles), mean.shape[3]
    every = np.arange(n_neurons)
    flat = amplitude.reshape(-1, n_neurons)
    best_angle, best_period, best_rate = np.unravel_index(flat.argmax(axis=0), amplitude.shape[:3])
    peak = flat.max(axis=0)
    curve = amplitude[:, best_period, best_rate, every]
    silent = peak <= 0
    total = np.where(silent, 1.0, curve.sum(axis=0))
    axial = (curve * np.exp(2j * angles)[:, None]).sum(axis=0)
    opposite = curve[(best_angle + n_angles // 2) % n_angles, every]
    turning = (curve * np.exp(1j * angles)[:, None]).sum(axis=0)
    undefined = np.full(n_neurons, np.nan)
    f1 = modulated[best_angle, best_period, best_rate, every]
    f0 = np.maximum(rise[best_angle, best_period, best_rate, every], f1 / 2)

    def known(values: FloatArray) -> FloatArray:
        return np.where(silent, np.nan, values)

    direction = np.mod(np.angle(turning), 2 * np.pi)
    directed = (peak - opposite) / np.where(silent, 1.0, peak + opposite)
    return GratingIndices(
        orientation=known(np.mod(np.angle(axial) / 2, np.pi)),
        orientation_selectivity=known(np.abs(axial) / total),
        direction=known(direction) if moving else undefined,
        direction_selectivity=known(directed) if moving else undefined,
        period=known(periods[best_period]),
        modulation=known(np.divide(f1, f0, out=np.full(n_neurons, np.nan), where=f0 > 0)),
        peak=peak,
        best=best_angle.astype(np.int64),
    )


def size_indices(patches: FloatArray, grey: FloatArray, radii: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Preferred radius and suppression by larger patches, (n_neurons,) each; NaN where no patch drives the neuron.

    Parameters
    ----------
    patches : ndarray, shape (n_radii, n_neurons)
        Responses to patches of the preferred grating on the neuron's centre, the best phase of each.
    grey : ndarray, shape (n_neurons,)
        Response to grey.
    radii : ndarray, shape (n_radii,)
        Rising.

    Examples
    --------
    >>> import numpy as np
    >>> patches, radii = np.array([[1.0], [4.0], [3.0]]), np.array([1.0, 2.0, 4.0])
    >>> radius, suppression = size_indices(patches, np.array([0.0]), radii)
    >>> (radius.tolist(), suppression.round(2).tolist())
    ([2.0], [0.25])
    """
    rise = patches - grey
    best = rise.max(axis=0)
    driven = best > 0
    suppression = np.divide(best - rise[-1], best, out=np.full(len(grey), np.nan), where=driven)
    return np.where(driven, radii[rise.argmax(axis=0)], np.nan), suppression


def sign_index(light: FloatArray, dark: FloatArray, grey: FloatArray) -> FloatArray:
    """Preference for light over dark spots, (n_neurons,), -1 to 1; NaN where neither drives the neuron.

    Parameters
    ----------
    light, dark : ndarray, shape (n_radii, n_neurons)
        Responses to spots on the neuron's centre.
    grey : ndarray, shape (n_neurons,)
        Response to grey.

    Examples
    --------
    >>> import numpy as np
    >>> sign_index(np.array([[3.0]]), np.array([[1.0]]), np.array([1.0])).tolist()
    [1.0]
    """
    on = np.maximum((light - grey).max(axis=0), 0.0)
    off = np.maximum((dark - grey).max(axis=0), 0.0)
    total = on + off
    sign: FloatArray = np.divide(on - off, total, out=np.full(len(grey), np.nan), where=total > 0)
    return sign
