"""Receptive-field mechanisms of the simulated cortex: images in, drives out. No spikes and no random draws.

A mechanism is what distinguishes one functional type from another. Complex cells take the amplitude of a
quadrature pair (energy model; Adelson & Bergen, J. Opt. Soc. Am. A 2, 1985), edge cells half-rectify an odd
Gabor, centre-surround cells half-rectify a difference of Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Mechanism = Literal[
    "complex_high",
    "complex_low",
    "pair_iso",
    "pair_cross",
    "edge_iso",
    "edge_cross",
    "centre_on",
    "centre_off",
]
MECHANISMS: tuple[Mechanism, ...] = get_args(Mechanism)

HIGH_PERIOD, HIGH_SIGMA = 5.0, 2.0  # pixels
LOW_PERIOD, LOW_SIGMA = 10.0, 3.5
CENTRE_SIGMA, SURROUND_SIGMA = 1.6, 3.2
EDGE_HIGH_WEIGHT = 0.7  # how much high-frequency energy an edge cell adds to its odd filter
CLIP = 3.0  # standard deviations at which a drive saturates: natural images are heavy-tailed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReceptiveFields:
    """Where neurons look and how their filters are oriented and sized; every array is (n_neurons,).

    Parameters
    ----------
    row, column : ndarray of float64
        Centre, in pixels of the image.
    orientation : ndarray of float64
        Preferred orientation in radians, [0, 2 pi): the angle of the wave vector from the column axis, which
        is where an edge cell wants the light; a half turn changes nothing for the energies.
    high_scale, low_scale, centre_scale : ndarray of float64
        Factors on period and width of the high- and low-frequency Gabors and the difference of Gaussians.
    """

    row: Array
    column: Array
    orientation: Array
    high_scale: Array
    low_scale: Array
    centre_scale: Array

    def __len__(self) -> int:
        """Return the number of neurons."""
        return len(self.row)


def mechanism_drives(images: NDArray[np.float32], fields: ReceptiveFields, *, reference: slice) -> Array:
    """Compute every mechanism of every neuron for every image, each z-scored and clipped.

    Parameters
    ----------
    images : ndarray of float32, shape (n_images, height, width)
        Stimuli.
    fields : ReceptiveFields
        The neurons' receptive fields.
    reference : slice
        Images that define mean and standard deviation (the training images).

    Returns
    -------
    ndarray of float64, shape (n_mechanisms, n_images, n_neurons)
        In the order of `MECHANISMS`; mean 0 and standard deviation 1 over the reference images before the
        clip at +-`CLIP`.
    """
    raw = raw_drives(images, fields, reference=reference)
    drives: Array = np.clip(zscore(raw, axis=1, reference=reference), -CLIP, CLIP)
    return drives


def zscore(values: Array, *, axis: int, reference: slice) -> Array:
    """Subtract the mean and divide by the standard deviation over a part of one axis."""
    part = np.moveaxis(values, axis, 0)[reference]
    scaled: Array = (values - np.expand_dims(part.mean(axis=0), axis)) / np.expand_dims(spread_of(part), axis)
    return scaled


def spread_of(values: Array) -> Array:
    """Return the standard deviation over the first axis; 1 where nothing varies, so that 0 stays 0."""
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def raw_drives(images: NDArray[np.float32], fields: ReceptiveFields, *, reference: slice) -> Array:
    """Compute the mechanisms before they are z-scored; shapes as in `mechanism_drives`.

    The parts of a sum (energies, the rectified odd filter) are first divided by their standard deviation
    over the reference images: natural images hold far more power at low frequencies, and the plain sum of a
    pair would be its low-frequency part alone.
    """
    pixels = images.reshape(len(images), -1).astype(np.float64)
    shape = (images.shape[1], images.shape[2])
    along, across = fields.orientation, fields.orientation + np.pi / 2

    def unit(part: Array) -> Array:
        scaled: Array = part / spread_of(part[reference])
        return scaled

    def responses(angle: Array, period: Array, sigma: Array) -> tuple[Array, Array]:
        both = pixels @ np.concatenate(gabor_pair(shape, fields, angle, period, sigma)).T
        return both[:, : len(fields)], both[:, len(fields) :]

    def high(angle: Array) -> Array:
        period, sigma = HIGH_PERIOD * fields.high_scale, HIGH_SIGMA * fields.high_scale
        return unit(amplitude(*responses(angle, period, sigma)))

    low_period, low_sigma = LOW_PERIOD * fields.low_scale, LOW_SIGMA * fields.low_scale
    low_even, low_odd = responses(along, low_period, low_sigma)
    low = unit(amplitude(low_even, low_odd))
    low_across = unit(amplitude(*responses(across, low_period, low_sigma)))
    high_along, high_across = high(along), high(across)
    edge = unit(np.maximum(low_odd, 0.0))
    centre = pixels @ difference_of_gaussians(shape, fields).T
    drives: dict[Mechanism, Array] = {
        "complex_high": high_along,
        "complex_low": low,
        "pair_iso": high_along + low,
        "pair_cross": high_along + low_across,
        "edge_iso": edge + EDGE_HIGH_WEIGHT * high_along,
        "edge_cross": edge + EDGE_HIGH_WEIGHT * high_across,
        "centre_on": np.maximum(centre, 0.0),
        "centre_off": np.maximum(-centre, 0.0),
    }
    return np.stack([drives[name] for name in MECHANISMS])


def amplitude(even: Array, odd: Array) -> Array:
    """Return the root of the energy of a quadrature pair; the same for every phase of a grating."""
    return np.hypot(even, odd)


def gabor_pair(
    shape: tuple[int, int], fields: ReceptiveFields, angle: Array, period: Array, sigma: Array
) -> tuple[Array, Array]:
    """Build a quadrature pair of Gabors per neuron: zero mean over the image, unit norm.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the image.
    fields : ReceptiveFields
        Only the centres are used.
    angle, period, sigma : ndarray of float64, shape (n_neurons,)
        Angle of the wave vector (radians), period and width of the envelope (pixels).

    Returns
    -------
    even, odd : ndarray of float64, shape (n_neurons, height * width)
    """
    down, right = _offsets(shape, fields)
    envelope = np.exp(-0.5 * (down**2 + right**2) / sigma[:, None] ** 2)
    phase = 2 * np.pi * (right * np.cos(angle)[:, None] + down * np.sin(angle)[:, None]) / period[:, None]
    even, odd = envelope * np.cos(phase), envelope * np.sin(phase)
    # without this a complex cell would see the local luminance, and its amplitude would depend on phase
    even -= envelope * (even.sum(axis=1, keepdims=True) / envelope.sum(axis=1, keepdims=True))
    odd -= envelope * (odd.sum(axis=1, keepdims=True) / envelope.sum(axis=1, keepdims=True))
    return _unit_norm(even), _unit_norm(odd)


def difference_of_gaussians(shape: tuple[int, int], fields: ReceptiveFields) -> Array:
    """Build an on-centre difference of Gaussians per neuron, (n_neurons, height * width), unit norm."""
    down, right = _offsets(shape, fields)
    distance = down**2 + right**2

    def gaussian(width: float) -> Array:
        blob: Array = np.exp(-0.5 * distance / (width * fields.centre_scale[:, None]) ** 2)
        weights: Array = blob / blob.sum(axis=1, keepdims=True)
        return weights

    return _unit_norm(gaussian(CENTRE_SIGMA) - gaussian(SURROUND_SIGMA))


def _offsets(shape: tuple[int, int], fields: ReceptiveFields) -> tuple[Array, Array]:
    """Return the offsets of all pixels from each neuron's centre, (n_neurons, n_pixels), down and right."""
    rows, columns = np.indices(shape)
    down: Array = rows.ravel()[None, :] - fields.row[:, None]
    right: Array = columns.ravel()[None, :] - fields.column[:, None]
    return down, right


def _unit_norm(filters: Array) -> Array:
    unit: Array = filters / np.linalg.norm(filters, axis=1, keepdims=True)
    return unit
