"""Simulated types of every shape. Features and the type of every neuron; `worlds.py` names them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from world_continua import noisy, rotated

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Rng = np.random.Generator
Drawn = tuple[FloatArray, IntArray]


def centres_apart(rng: Rng, k: int, d: int, distance: float) -> FloatArray:
    """Random centres, the nearest two `distance` apart.

    Draws whose nearest two centres are less than .7 of the median distance apart are drawn again (up to 50 times, as
    few dimensions allow no better; then the best is used), as in `calibrate_k.types`.
    """
    best: tuple[float, FloatArray] = (0.0, np.empty(0))
    for _ in range(50):
        centres = rng.standard_normal((k, d))
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(k, 1)]
        ratio = float(apart.min() / np.median(apart))
        best = max(best, (ratio, centres * distance / apart.min()), key=lambda one: one[0])
        if ratio >= 0.7:
            break
    return best[1]


def labels(n: int, sizes: FloatArray) -> IntArray:
    """Type of every neuron, sizes in proportion, every type at least one neuron."""
    share = np.maximum(np.round(n * np.cumsum(sizes) / np.sum(sizes)), np.arange(1, len(sizes) + 1)).astype(
        int
    )
    return np.searchsorted(share, np.arange(share[-1]), side="right")


def round_types(
    rng: Rng,
    n: int,
    k: int,
    *,
    d: int = 16,
    distance: float = 8.0,
    sizes: FloatArray | None = None,
    widths: FloatArray | None = None,
    df: float | None = None,
) -> Drawn:
    """Round types in general position; widths and tails as asked."""
    y = labels(n, np.ones(k) if sizes is None else sizes)
    noise = rng.standard_normal((len(y), d))
    if df is not None:
        noise *= np.sqrt((df - 2) / rng.chisquare(df, (len(y), 1)))
    if widths is not None:
        noise *= widths[y][:, None]
    return centres_apart(rng, k, d, distance)[y] + noise, y


def sizes_apart(rng: Rng, n: int) -> Drawn:
    """Six round types of sizes 16 to 480 (957 neurons) for n = 700, in proportion for other n."""
    sizes = 16 * np.geomspace(30, 1, 6)
    return round_types(rng, round(float(sizes.sum()) * n / 700), 6, sizes=sizes)


def line_types(rng: Rng, n: int, k: int, d: int, distance: float) -> Drawn:
    """Equal types on a line."""
    y = labels(n, np.ones(k))
    return noisy(rng, distance * y[:, None].astype(float), d, 1.0), y


def moons(rng: Rng, n: int) -> Drawn:
    """Two half circles that interlock, in eight dimensions; radius 10, noise 1."""
    y = labels(n, np.ones(2))
    angle = rng.uniform(0, np.pi, len(y))
    x = 10 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[y == 1] = [10.0, 4.0] - x[y == 1]
    return noisy(rng, x, 8, 1.0), y


def rings(rng: Rng, n: int) -> Drawn:
    """Three rings side by side, radius 5, noise .6."""
    y = labels(n, np.ones(3))
    angle = rng.uniform(0, 2 * np.pi, len(y))
    x = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 15 * np.array([[0, 0], [1, 0], [0.5, 0.9]])[y]
    return noisy(rng, x, 8, 0.6), y


def concentric_rings(rng: Rng, n: int) -> Drawn:
    """Three rings about one centre, radii 3, 7 and 11, noise .5, in two dimensions."""
    radius = np.array([3.0, 7.0, 11.0])
    y = labels(n, radius)
    angle = rng.uniform(0, 2 * np.pi, len(y))
    x = radius[y][:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + 0.5 * rng.standard_normal(x.shape), y


def hierarchy(rng: Rng, n: int) -> Drawn:
    """Three families of four types: families 30 apart, types 7 apart, 16 dimensions."""
    y = labels(n, np.ones(12))
    within = np.concatenate([centres_apart(rng, 4, 16, 7.0) for _ in range(3)])
    within -= within.reshape(3, 4, -1).mean(axis=1).repeat(4, axis=0)
    x = (centres_apart(rng, 3, 16, 30.0).repeat(4, axis=0) + within)[y]
    return x + rng.standard_normal(x.shape), y


def cigars(rng: Rng, n: int) -> Drawn:
    """Four parallel cigars, eight times as long as wide, 9 widths apart side by side, 8 dimensions."""
    y = labels(n, np.ones(4))
    noise = rng.standard_normal((len(y), 8)) * np.array([8.0, 1, 1, 1, 1, 1, 1, 1])
    at = np.zeros((4, 8))
    at[:, 1:3] = [[0, 0], [9, 0], [0, 9], [9, 9]]
    return rotated(rng, at[y] + noise, 8), y


def bridged(rng: Rng, n: int) -> Drawn:
    """Four types 9 apart, 5 % of the neurons on bridges between two of them."""
    at = centres_apart(rng, 4, 16, 9.0)
    y = labels(n, np.ones(4))
    x = at[y] + rng.standard_normal((len(y), 16))
    on_bridge = np.flatnonzero(rng.random(len(y)) < 0.05)
    other, t = (y[on_bridge] + 1) % 4, rng.random((len(on_bridge), 1))
    x[on_bridge] += t * (at[other] - at[y[on_bridge]])
    return x, y


def nuisance(rng: Rng, n: int) -> Drawn:
    """Eight types 8 apart in 14 of 64 dimensions; the other 50 hold noise of twice the width."""
    x, y = round_types(rng, n, 8, d=14, distance=8.0)
    return rotated(rng, np.concatenate([x, 2 * rng.standard_normal((len(x), 50))], axis=1), 64), y


def arcs(rng: Rng, n: int) -> Drawn:
    """Four half circles of radius 5 in planes of their own, sizes 300 to 80, noise .6."""
    y = labels(n, np.geomspace(300, 80, 4))
    angle = rng.uniform(0, np.pi, len(y))
    circle = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = centres_apart(rng, 4, 12, 12.0)[y] + 0.6 * rng.standard_normal((len(y), 12))
    for k in range(4):
        plane = np.linalg.qr(rng.standard_normal((12, 2)))[0].T
        x[y == k] += circle[y == k] @ plane
    return x, y


def unequal(rng: Rng, n: int, distance: float) -> Drawn:
    """Five families of sizes 300 to 40 and widths .6 to 1.6, axes 1:4 turned at random, 16 dimensions."""
    y = labels(n, np.geomspace(300, 40, 5))
    widths = rng.permutation(np.geomspace(0.6, 1.6, 5))
    x = centres_apart(rng, 5, 16, distance)[y]
    for k in range(5):
        axes = np.geomspace(2, 0.5, 16)
        axes *= widths[k] / np.sqrt((axes**2).mean())
        x[y == k] += rotated(rng, rng.standard_normal((int((y == k).sum()), 16)) * axes, 16)
    return x, y


def spirals(rng: Rng, n: int) -> Drawn:
    """Two spirals of one turn and a half inside each other, arms 6 apart, noise .6, six dimensions."""
    y = labels(n, np.ones(2))
    t = 3 * np.pi * np.sqrt(rng.uniform(0.1, 1, len(y)))
    at = t + np.pi * y
    x = (12 / (2 * np.pi)) * t[:, None] * np.stack([np.cos(at), np.sin(at)], axis=1)
    return noisy(rng, x, 6, 0.6), y


def bent_sheet(rng: Rng, n: int) -> Drawn:
    """A sheet bent to half a cylinder, and two round types in its hollow and beside it."""
    y = labels(n, np.array([2.0, 1.0, 1.0]))
    angle, height = rng.uniform(0, np.pi, len(y)), rng.uniform(-6, 6, len(y))
    x = np.stack([8 * np.cos(angle), 8 * np.sin(angle), height], axis=1)
    x[y == 1], x[y == 2] = [0.0, 0.0, 0.0], [0.0, -10.0, 0.0]
    return noisy(rng, x, 10, 1.0), y


def with_outliers(rng: Rng, x: FloatArray, y: IntArray) -> Drawn:
    """Replace 5 % of the neurons by uniform ones in a box three times as wide as the neurons."""
    x, y = x.copy(), y.copy()
    out = rng.random(len(x)) < 0.05
    middle, half = (x.max(axis=0) + x.min(axis=0)) / 2, (x.max(axis=0) - x.min(axis=0)) / 2
    x[out] = middle + 3 * half * rng.uniform(-1, 1, (int(out.sum()), x.shape[1]))
    y[out] = -1
    return x, y
