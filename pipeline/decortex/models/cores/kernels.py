"""Kernels at O orientations from one set of coefficients: turned pixel grids and steerable Hermite functions."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.polynomial import hermite
from numpy.typing import NDArray

KernelBasis: TypeAlias = Literal["pixels", "hermite"]
FloatArray = NDArray[np.float64]

# Sampling points closer to a pixel's centre than this are on it: turns by 90 degrees are permutations.
_ON_A_PIXEL = 1e-9


def turned_basis(side: int, n_orientations: int, basis: KernelBasis) -> FloatArray:
    """Functions on the pixels of a kernel, turned by every orientation.

    Parameters
    ----------
    side : int
        Height and width of the kernel, pixels.
    n_orientations : int
        O; orientation o is turned by 2 pi o / O, counter-clockwise as `numpy.rot90`.
    basis : {'pixels', 'hermite'}
        'pixels': one function a pixel inside the inscribed circle, turned by bilinear interpolation. 'hermite':
        two-dimensional Hermite functions up to a total order of side // 2, which turns leave in their own
        span (steerable; Ecker et al., ICLR 2019), sampled at the turned places.

    Returns
    -------
    ndarray of float64, shape (O, side * side, n_functions)
        Row-major pixels. Turning by 90 degrees is exactly `numpy.rot90`. Functions of 'hermite' have norm one.
    """
    centre = (side - 1) / 2
    rows, columns = np.divmod(np.arange(side * side), side)
    right, up = columns - centre, centre - rows
    banks = []
    for o in range(n_orientations):
        angle = 2 * math.pi * o / n_orientations
        cosine, sine = math.cos(angle), math.sin(angle)
        # where the pixel lay before the kernel was turned
        x, y = cosine * right + sine * up, -sine * right + cosine * up
        banks.append(
            _bilinear(x, y, side) if basis == "pixels" else _hermite_functions(x, y, side, order=side // 2)
        )
    bank = np.stack(banks)
    if basis == "hermite":
        return np.asarray(bank / np.linalg.norm(bank[0], axis=0), dtype=np.float64)
    inside = np.hypot(right, up) <= centre + _ON_A_PIXEL
    bank = bank * inside[:, None]
    return bank[:, :, inside]


def _bilinear(x: FloatArray, y: FloatArray, side: int) -> FloatArray:
    """Weights of the pixels at places on the kernel, (n_places, n_pixels); nothing lies outside."""
    centre = (side - 1) / 2
    weights = np.zeros((len(x), side * side))
    column, row = x + centre, centre - y
    for place, (c, r) in enumerate(zip(_snapped(column), _snapped(row), strict=True)):
        for i in (math.floor(r), math.floor(r) + 1):
            for j in (math.floor(c), math.floor(c) + 1):
                weight = (1 - abs(r - i)) * (1 - abs(c - j))
                if weight > 0 and 0 <= i < side and 0 <= j < side:
                    weights[place, i * side + j] = weight
    return weights


def _snapped(values: FloatArray) -> FloatArray:
    nearest = np.round(values)
    result: FloatArray = np.where(np.abs(values - nearest) < _ON_A_PIXEL, nearest, values)
    return result


def _hermite_functions(x: FloatArray, y: FloatArray, side: int, *, order: int) -> FloatArray:
    """Products of Hermite functions of total order at most ``order``, (n_places, n_functions).

    The unit is chosen so that the turning point of the highest order lies on the kernel's border.
    """
    unit = max((side - 1) / 2, 0.5) / math.sqrt(2 * order + 1)
    along = [_hermite_function(x / unit, n) for n in range(order + 1)]
    across = [_hermite_function(y / unit, n) for n in range(order + 1)]
    pairs = [(m, total - m) for total in range(order + 1) for m in range(total + 1)]
    return np.stack([along[m] * across[n] for m, n in pairs], axis=1)


def _hermite_function(x: FloatArray, n: int) -> FloatArray:
    """The n-th Hermite function, orthonormal on the line."""
    scale = 1 / math.sqrt(2.0**n * math.factorial(n) * math.sqrt(math.pi))
    polynomial = hermite.hermval(x, [0] * n + [1])
    return np.asarray(scale * polynomial * np.exp(-(x**2) / 2), dtype=np.float64)
