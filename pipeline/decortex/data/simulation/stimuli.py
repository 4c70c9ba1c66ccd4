"""Natural-image stimuli: rotated, scaled crops of two photographs. No neurons here.

scikit-learn ships two photographs (427 x 640 pixels, real scenes). Every stimulus is a square cut out of one
of them at a random place, angle, scale and mirror image. The random angle makes the image statistics
isotropic, so that a neuron's preferred orientation carries no information about its type.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

HEIGHT, WIDTH = 427, 640  # pixels of a photograph
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MIN_CONTRAST = 0.04  # standard deviation below which a crop shows nothing (luminance from 0 to 1)
SUBSAMPLES = 2  # points per pixel and axis, averaged: a scaled-down photograph would alias otherwise
_BATCH = 64
_MAX_TRIES = 8  # crops drawn for one that is kept, at most


@dataclass(frozen=True)
class Strip:
    """Columns of a photograph that crops may use, as shares of its width: ``start <= column < stop``."""

    start: float
    stop: float


TRAINING_STRIP = Strip(0.0, 0.75)
TEST_STRIP = Strip(0.75, 1.0)


@dataclass(frozen=True)
class Placement:
    """Where crops lie on the photographs; every array has shape (n_crops,).

    Parameters
    ----------
    photograph : ndarray of int64
        Which photograph.
    row, column : ndarray of float64
        Centre of the crop, in pixels of the photograph.
    angle : ndarray of float64
        Rotation in radians.
    scale : ndarray of float64
        Pixels of the photograph that one pixel of the crop spans.
    flip : ndarray of float64
        1, or -1 for a mirror image.
    """

    photograph: NDArray[np.int64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    angle: NDArray[np.float64]
    scale: NDArray[np.float64]
    flip: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.photograph)


@lru_cache(maxsize=1)
def photographs() -> NDArray[np.float64]:
    """Return scikit-learn's two photographs as luminance from 0 to 1, (2, 427, 640), read-only."""
    from sklearn.datasets import load_sample_images  # noqa: PLC0415  (a fifth of a second for every command)

    grey = np.stack([picture @ LUMINANCE / 255 for picture in load_sample_images().images])
    grey.flags.writeable = False
    return grey


def place_crops(
    n_crops: int, strip: Strip, *, size: int, max_scale: float, rng: np.random.Generator
) -> Placement:
    """Draw places for crops that stay inside a strip of columns with every point they sample.

    Scale is log-uniform on [1, max_scale], angle uniform, mirror image with probability 1/2, the centre
    uniform over all positions at which the rotated square fits.

    Raises
    ------
    InputError
        If the largest crop does not fit into the strip.
    """
    check_fit(strip, size=size, max_scale=max_scale)
    photograph = rng.integers(len(photographs()), size=n_crops)
    scale = np.exp(rng.uniform(0.0, np.log(max_scale), n_crops))
    angle = rng.uniform(0.0, 2 * np.pi, n_crops)
    flip = rng.choice([-1.0, 1.0], n_crops)
    reach = 0.5 * size * scale * (np.abs(np.cos(angle)) + np.abs(np.sin(angle)))
    # the bilinear read of a point touches the next row and column, hence - 2 and not - 1
    column = rng.uniform(strip.start * WIDTH + reach, strip.stop * WIDTH - 2.0 - reach)
    row = rng.uniform(reach, HEIGHT - 2.0 - reach)
    return Placement(photograph, row, column, angle, scale, flip)


def check_fit(strip: Strip, *, size: int, max_scale: float) -> None:
    """Check that the largest crop, turned to its widest, fits into a strip.

    Raises
    ------
    InputError
        If it does not.
    """
    room = min((strip.stop - strip.start) * WIDTH, HEIGHT) - 2.0
    largest = size * max_scale * math.sqrt(2)
    if largest > room:
        raise InputError(
            f"crops of {size} pixels at scale {max_scale:g} span up to {largest:.0f} pixels of a photograph,"
            f" but the strip has {room:.0f}; choose a smaller image size or max_scale"
        )


def sample_points(placement: Placement, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows and columns of the photograph that the crops read.

    Returns
    -------
    rows, columns : ndarray of float64, shape (n_crops, size * SUBSAMPLES, size * SUBSAMPLES)
    """
    offset = (np.arange(size * SUBSAMPLES) + 0.5) / SUBSAMPLES - size / 2
    down, right = np.meshgrid(offset, offset, indexing="ij")
    cos = (placement.scale * np.cos(placement.angle))[:, None, None]
    sin = (placement.scale * np.sin(placement.angle))[:, None, None]
    mirrored = placement.flip[:, None, None] * right
    rows = placement.row[:, None, None] + cos * down + sin * mirrored
    columns = placement.column[:, None, None] - sin * down + cos * mirrored
    return rows, columns


def read_crops(placement: Placement, size: int) -> NDArray[np.float64]:
    """Read crops from the photographs by bilinear interpolation, averaged over the points of a pixel.

    Returns
    -------
    ndarray of float64, shape (n_crops, size, size)
        Luminance from 0 to 1.
    """
    pictures = photographs()
    rows, columns = sample_points(placement, size)
    row, column = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    below, beside = rows - row, columns - column
    which = placement.photograph[:, None, None]
    upper = pictures[which, row, column] * (1 - beside) + pictures[which, row, column + 1] * beside
    lower = pictures[which, row + 1, column] * (1 - beside) + pictures[which, row + 1, column + 1] * beside
    points = upper * (1 - below) + lower * below
    blocks = points.reshape(len(placement), size, SUBSAMPLES, size, SUBSAMPLES)
    crops: NDArray[np.float64] = blocks.mean(axis=(2, 4))
    return crops


def natural_crops(
    n_crops: int, strip: Strip, *, size: int, max_scale: float = 2.5, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw natural-image crops, each z-scored over its pixels; crops that show next to nothing are redrawn.

    Parameters
    ----------
    n_crops : int
        Number of crops.
    strip : Strip
        Columns of the photographs that may be used.
    size : int
        Side in pixels.
    max_scale : float
        Largest scale: pixels of the photograph that one pixel of the crop spans.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, shape (n_crops, size, size)
        Mean 0 and standard deviation 1 each, rounded to four decimals: the last bits of a sum depend on the
        processor, and a digest of the images must not.

    Raises
    ------
    InputError
        If the crops do not fit, or nearly all of them lack contrast.
    """
    kept: list[NDArray[np.float32]] = []
    found = 0
    for _ in range(_MAX_TRIES * (n_crops // _BATCH + 1)):
        crops = read_crops(place_crops(_BATCH, strip, size=size, max_scale=max_scale, rng=rng), size)
        contrast = crops.std(axis=(1, 2), keepdims=True)
        enough = contrast[:, 0, 0] >= MIN_CONTRAST
        normed = (crops[enough] - crops[enough].mean(axis=(1, 2), keepdims=True)) / contrast[enough]
        kept.append(np.round(normed, 4).astype(np.float32))
        found += len(normed)
        if found >= n_crops:
            return np.concatenate(kept)[:n_crops]
    raise InputError(
        f"only {found} of {n_crops} crops of {size} pixels reach a contrast of {MIN_CONTRAST}:"
        " the crops are too small to show anything. Choose a larger image size or max_scale."
    )
