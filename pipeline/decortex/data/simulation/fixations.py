"""Clips of natural movies: chains of fixations that drift, turn and zoom over two photographs. No neurons here."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.data.simulation.stimuli import (
    HEIGHT,
    MIN_CONTRAST,
    WIDTH,
    Placement,
    Strip,
    photographs,
    read_crops,
)
from decortex.errors import InputError

SHORTEST, LONGEST = 8, 20  # frames per fixation
SLOWEST, FASTEST = 0.15, 2.0  # drift in crop pixels per frame
TURN_SD, ZOOM_SD = 0.015, 0.006  # radians, and log scale, per frame
_MAX_TRIES = 2000


@dataclass(frozen=True)
class _Fixation:
    """Path of one fixation, frame by frame; every array has shape (n_frames,)."""

    photograph: int
    flip: float
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    angle: NDArray[np.float64]
    scale: NDArray[np.float64]


def natural_clips(
    n_clips: int, n_frames: int, strip: Strip, *, size: int, max_scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw clips of natural movies, each z-scored over its pixels and frames (never per frame: flicker stays).

    A clip is a chain of fixations of 8 to 20 frames. Each is a new crop of a photograph that drifts at .15 to 2 crop
    pixels per frame in one direction, turns (standard deviation .015 rad per frame) and zooms (.006); it is drawn again
    until its whole path stays inside the strip. Cuts between fixations supply temporal edges.

    Parameters
    ----------
    n_clips, n_frames : int
        Clips, and frames of each.
    strip : Strip
        Columns of the photographs that may be used.
    size : int
        Side in pixels.
    max_scale : float
        Largest scale at the start of a fixation: pixels of the photograph that one pixel of the crop spans.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, shape (n_clips, n_frames, size, size)
        Mean 0 and standard deviation 1 per clip, rounded to four decimals.

    Raises
    ------
    InputError
        If no path of the largest crop stays inside the strip.
    """
    clips = np.empty((n_clips, n_frames, size, size), dtype=np.float32)
    for clip in clips:
        for _ in range(_MAX_TRIES):
            frames = read_crops(_path(n_frames, strip, size=size, max_scale=max_scale, rng=rng), size)
            spread = frames.std()
            if spread >= MIN_CONTRAST:
                break
        else:
            raise InputError(
                f"no clip of {size} pixels reaches a contrast of {MIN_CONTRAST}: choose a larger image size or scale"
            )
        clip[:] = np.round((frames - frames.mean()) / spread, 4)
    return clips


def _path(n_frames: int, strip: Strip, *, size: int, max_scale: float, rng: np.random.Generator) -> Placement:
    """Where every frame of one clip lies."""
    fixations: list[_Fixation] = []
    left = n_frames
    while left:
        length = min(int(rng.integers(SHORTEST, LONGEST + 1)), left)
        fixations.append(_fixation(length, strip, size=size, max_scale=max_scale, rng=rng))
        left -= length
    return Placement(
        photograph=np.concatenate([np.full(len(one.row), one.photograph) for one in fixations]),
        row=np.concatenate([one.row for one in fixations]),
        column=np.concatenate([one.column for one in fixations]),
        angle=np.concatenate([one.angle for one in fixations]),
        scale=np.concatenate([one.scale for one in fixations]),
        flip=np.concatenate([np.full(len(one.row), one.flip) for one in fixations]),
    )


def _fixation(
    length: int, strip: Strip, *, size: int, max_scale: float, rng: np.random.Generator
) -> _Fixation:
    left, right, steps = strip.start * WIDTH, strip.stop * WIDTH - 2.0, np.arange(length, dtype=np.float64)
    for _ in range(_MAX_TRIES):
        zoom: NDArray[np.float64] = ZOOM_SD * float(rng.standard_normal()) * steps
        scale: NDArray[np.float64] = np.exp(rng.uniform(0.0, math.log(max_scale)) + zoom)
        angle: NDArray[np.float64] = (
            float(rng.uniform(0.0, 2 * np.pi)) + TURN_SD * float(rng.standard_normal()) * steps
        )
        speed = math.exp(rng.uniform(math.log(SLOWEST), math.log(FASTEST))) * scale[0]
        heading = rng.uniform(0.0, 2 * np.pi)
        row = rng.uniform(0.0, HEIGHT - 2.0) + speed * math.sin(heading) * steps
        column = rng.uniform(left, right) + speed * math.cos(heading) * steps
        photograph, flip = int(rng.integers(len(photographs()))), float(rng.choice([-1.0, 1.0]))
        reach = 0.5 * size * scale * (np.abs(np.cos(angle)) + np.abs(np.sin(angle)))
        inside = (row >= reach) & (row <= HEIGHT - 2.0 - reach)
        inside &= (column >= left + reach) & (column <= right - reach)
        if inside.all():
            return _Fixation(photograph, flip, row, column, angle, scale)
    raise InputError(
        f"no fixation of {length} frames and {size} pixels at scale {max_scale:g} stays inside its part of the"
        " photographs; choose a smaller image size or max_scale"
    )
