"""Simulated embeddings with a target that depends on type, on position, on both or on neither; truth known.

`TARGET_WORLDS` maps names to worlds; `draw_target(world, n, seed)` gives features, target, animals. Distances are in
standard deviations within a type.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from world_continua import noisy, rotated
from world_types import centres_apart, labels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Rng = np.random.Generator
Truth = Literal["clusters", "axes", "both", "undecided"]

# Columns of every target, animals, and the share of a target's variance that the embedding can explain.
N_TARGETS, N_ANIMALS, SIGNAL = 4, 8, 0.5


@dataclass(frozen=True)
class Shape:
    """An embedding with what lies behind it.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Features.
    types : ndarray of int, shape (n_neurons,)
        Zero everywhere on a continuum.
    position : ndarray, shape (n_neurons, n_coordinates)
        Continuous coordinates that the features show, noise of the features included only where it is position.
    """

    x: FloatArray
    types: IntArray
    position: FloatArray


@dataclass(frozen=True)
class TargetWorld:
    """One way to simulate an embedding and a target.

    Parameters
    ----------
    name : str
    family : str
        'discrete', 'ring', 'simplex', 'gradient', 'nested'.
    target : {'type', 'position', 'both', 'neither'}
        What the target depends on.
    truth : {'clusters', 'axes', 'both', 'undecided'}
        The right answer.
    shape : callable
        Of a Generator and a number of neurons.
    wiggles : float
        How often a smooth target turns over the range of the positions.
    """

    name: str
    family: str
    target: Literal["type", "position", "both", "neither"]
    truth: Truth
    shape: Callable[[Rng, int], Shape]
    wiggles: float = 0.0


def draw_target(world: TargetWorld, n_neurons: int, seed: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Features, target (n_neurons, 4) and animals, the same for the same world, number of neurons and seed."""
    rng = np.random.default_rng([seed, n_neurons, zlib.crc32(world.name.encode())])
    drawn = world.shape(rng, n_neurons)
    n = len(drawn.x)
    of_type = rng.standard_normal((drawn.types.max() + 1, N_TARGETS))[drawn.types]
    of_position = smooth_functions(rng, drawn.position, world.wiggles)
    parts = {
        "type": [of_type],
        "position": [of_position],
        "both": [of_type, of_position],
        "neither": [],
    }[world.target]
    y = rng.standard_normal((n, N_TARGETS)) * np.sqrt(1 - SIGNAL if parts else 1.0)
    for part in parts:
        y += scaled(part) * np.sqrt(SIGNAL / len(parts))
    animals = rng.permutation(np.arange(n) % N_ANIMALS)
    y += 0.2 * rng.standard_normal((N_ANIMALS, N_TARGETS))[animals]
    return drawn.x, y, animals


def scaled(part: FloatArray) -> FloatArray:
    """Columns of mean 0 and variance 1."""
    centred = part - part.mean(axis=0)
    standard: FloatArray = centred / centred.std(axis=0)
    return standard


def smooth_functions(rng: Rng, position: FloatArray, wiggles: float) -> FloatArray:
    """One random smooth function of the position per target: linear, plus waves of so many turns over the range."""
    at = (position - position.mean(axis=0)) / position.std()
    values = at @ rng.standard_normal((at.shape[1], N_TARGETS))
    if wiggles:
        spread = np.ptp(at, axis=0).max()
        for _ in range(3):
            direction = rng.standard_normal((at.shape[1], N_TARGETS))
            direction *= 2 * np.pi * wiggles / spread / np.linalg.norm(direction, axis=0)
            values = values + np.cos(at @ direction + rng.uniform(0, 2 * np.pi, N_TARGETS))
    return values


def round_shape(rng: Rng, n: int, k: int, distance: float, d: int = 16) -> Shape:
    """Round types in general position; position is all of the features, on the plane that the centres span most."""
    types = labels(n, np.ones(k))
    x = centres_apart(rng, k, d, distance)[types] + rng.standard_normal((len(types), d))
    return Shape(x, types, leading(x, 3))


def leading(x: FloatArray, n_axes: int) -> FloatArray:
    """Scores on the first principal axes."""
    centred = x - x.mean(axis=0)
    scores: FloatArray = centred @ np.linalg.svd(centred, full_matrices=False)[2][:n_axes].T
    return scores


def unequal_shape(rng: Rng, n: int) -> Shape:
    """Six round types of sizes 1 to 6, 8 apart."""
    types = labels(n, np.arange(1.0, 7.0))
    x = centres_apart(rng, 6, 16, 8.0)[types] + rng.standard_normal((len(types), 16))
    return Shape(x, types, leading(x, 3))


def ring_types(rng: Rng, n: int) -> Shape:
    """Eight types on a ring, 6 apart."""
    types = labels(n, np.ones(8))
    radius = 6 / (2 * np.sin(np.pi / 8))
    angle = 2 * np.pi * types / 8
    x = noisy(rng, radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), 16, 1.0)
    return Shape(x, types, leading(x, 2))


def ring_continuum(rng: Rng, n: int) -> Shape:
    """A ring without types, radius 8, noise 1."""
    angle = rng.uniform(0, 2 * np.pi, n)
    at = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Shape(noisy(rng, 8 * at, 16, 1.0), np.zeros(n, dtype=np.int64), at)


def simplex_shape(rng: Rng, n: int, corners: int) -> Shape:
    """Even mixtures of archetypes 12 apart, noise 1."""
    weights = rng.dirichlet(np.ones(corners), n)
    x = weights @ (12 * np.eye(corners, 16) / np.sqrt(2)) + rng.standard_normal((n, 16))
    return Shape(rotated(rng, x, 16), np.zeros(n, dtype=np.int64), weights)


def gradient_shape(rng: Rng, n: int, axes: int) -> Shape:
    """Uniform over 12 standard deviations along one axis or two."""
    at = 12 * rng.random((n, axes))
    return Shape(noisy(rng, at, 16, 1.0), np.zeros(n, dtype=np.int64), at)


def nested_shape(rng: Rng, n: int) -> Shape:
    """Four types 12 apart, each 10 long along one and the same direction."""
    types = labels(n, np.ones(4))
    along = rng.uniform(-5, 5, (len(types), 1))
    x = np.column_stack([centres_apart(rng, 4, 15, 12.0)[types], along])
    x += np.column_stack([rng.standard_normal((len(types), 15)), 0.5 * rng.standard_normal(len(types))])
    return Shape(rotated(rng, x, 16), types, along)


def _four(
    family: str, name: str, shape: Callable[[Rng, int], Shape], wiggles: float = 0.0
) -> list[TargetWorld]:
    """A world with types, with every kind of target."""
    return [
        TargetWorld(f"{name}, type", family, "type", "clusters", shape),
        TargetWorld(f"{name}, position", family, "position", "axes", shape, wiggles),
        TargetWorld(f"{name}, both", family, "both", "both", shape, wiggles),
        TargetWorld(f"{name}, neither", family, "neither", "undecided", shape),
    ]


def _two(family: str, name: str, shape: Callable[[Rng, int], Shape], *wiggles: float) -> list[TargetWorld]:
    """A continuum: targets of position that turn more or less, and none."""
    smooth = [
        TargetWorld(
            f"{name}, position, {w:g} turns" if w else f"{name}, position",
            family,
            "position",
            "axes",
            shape,
            w,
        )
        for w in wiggles
    ]
    return [*smooth, TargetWorld(f"{name}, neither", family, "neither", "undecided", shape)]


_ALL = [
    *_four("discrete", "6 types 8 apart", lambda r, n: round_shape(r, n, 6, 8.0)),
    *_four("discrete", "12 types 8 apart", lambda r, n: round_shape(r, n, 12, 8.0)),
    *_four("discrete", "6 types 1:6, 8 apart", unequal_shape),
    TargetWorld(
        "4 types 20 apart, type", "discrete", "type", "clusters", lambda r, n: round_shape(r, n, 4, 20.0)
    ),
    *_four("ring", "8 types on a ring", ring_types),
    *_two("ring", "ring", ring_continuum, 0.0, 1.0, 2.0),
    *_two("simplex", "simplex of 4", lambda r, n: simplex_shape(r, n, 4), 0.0, 1.0),
    *_two("simplex", "simplex of 6", lambda r, n: simplex_shape(r, n, 6), 0.0),
    *_two("gradient", "gradient", lambda r, n: gradient_shape(r, n, 1), 0.0, 1.0, 2.0),
    *_two("gradient", "two gradients", lambda r, n: gradient_shape(r, n, 2), 0.0, 1.0, 2.0),
    *_four("nested", "4 types with a gradient inside", nested_shape),
]
TARGET_WORLDS = {world.name: world for world in _ALL}
