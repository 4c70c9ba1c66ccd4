"""Simulated embeddings for the number of types: continua without types, and types of every shape. No test here.

`WORLDS` maps names to worlds; `draw(name, n, seed)` gives features and the type of every neuron. Distances are in
standard deviations within a type, between the nearest two centres, unless said.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Rng = np.random.Generator
Drawn = tuple[FloatArray, IntArray]


@dataclass(frozen=True)
class World:
    """One way to simulate an embedding.

    Parameters
    ----------
    name : str
    n_types : int or None
        None of a continuum.
    draw : callable
        Of a Generator and a number of neurons; features and types (0 everywhere on a continuum; -1: outlier).
    group : {'continuum', 'named', 'obvious', 'shape', 'near'}
        'named': continua with modes of their own, which docs/number-of-types.md names and counts apart.
    """

    name: str
    n_types: int | None
    draw: Callable[[Rng, int], Drawn]
    group: str


def draw(world: World, n_neurons: int, seed: int) -> Drawn:
    """Features and types, the same for the same world, number of neurons and seed."""
    rng = np.random.default_rng([seed, n_neurons, zlib.crc32(world.name.encode())])
    x, y = world.draw(rng, n_neurons)
    order = rng.permutation(len(x))
    return x[order], y[order]


def rotated(rng: Rng, x: FloatArray, n_features: int) -> FloatArray:
    """Put x into a random subspace of more dimensions."""
    frame = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    return x @ frame[: x.shape[1]]


def noisy(rng: Rng, x: FloatArray, n_features: int, sd: float) -> FloatArray:
    """The same, with isotropic noise in all dimensions."""
    return rotated(rng, x, n_features) + sd * rng.standard_normal((len(x), n_features))


def unit(x: FloatArray) -> FloatArray:
    """Rows of length one; rows of zeros stay out."""
    length = np.linalg.norm(x, axis=1)
    kept: FloatArray = x[length > 0] / length[length > 0, None]
    return kept


# Continua: features only.


def gauss(rng: Rng, n: int, d: int) -> FloatArray:
    """One Gaussian cloud, standard deviations from 2 to .5."""
    return rng.standard_normal((n, d)) * np.linspace(2, 0.5, d)


def student(rng: Rng, n: int, df: float) -> FloatArray:
    """One multivariate t cloud."""
    return gauss(rng, n, 16) * np.sqrt(df / rng.chisquare(df, (n, 1)))


def ring(rng: Rng, n: int) -> FloatArray:
    """A circle of radius 5 with noise of .5."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return noisy(rng, 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 16, 0.5)


def half_moon(rng: Rng, n: int, d: int, sd: float) -> FloatArray:
    """Half a circle of radius 5."""
    angle = rng.uniform(0, np.pi, n)
    return noisy(rng, 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), d, sd)


def torus(rng: Rng, n: int) -> FloatArray:
    """A torus of radii 6 and 2 in space, noise .3."""
    a, b = rng.uniform(0, 2 * np.pi, (2, n))
    r = 6 + 2 * np.cos(b)
    return noisy(rng, np.stack([r * np.cos(a), r * np.sin(a), 2 * np.sin(b)], axis=1), 8, 0.3)


def sphere(rng: Rng, n: int) -> FloatArray:
    """The surface of a ball in three dimensions, noise .2."""
    return noisy(rng, 4 * unit(rng.standard_normal((n, 3))), 8, 0.2)


def swiss_roll(rng: Rng, n: int) -> FloatArray:
    """A rolled sheet, even in its own coordinates, noise .3."""
    t = 1.5 * np.pi * np.sqrt(1 + 8 * rng.random(n))  # arc length is about t^2 / 2
    return noisy(rng, np.stack([t * np.cos(t), 21 * rng.random(n), t * np.sin(t)], axis=1), 8, 0.3)


def core_and_halo(rng: Rng, n: int, d: int) -> FloatArray:
    """A dense core of 60 % inside a halo four times as wide: one mode."""
    wide = np.where(rng.random((n, 1)) < 0.6, 1.0, 4.0)
    return wide * rng.standard_normal((n, d))


def sparse_independent(rng: Rng, n: int) -> FloatArray:
    """Non-negative independent features, half of them zero."""
    return (rng.random((n, 16)) < 0.5) * rng.exponential(size=(n, 16))


def sparse_correlated(rng: Rng, n: int, gain: float) -> FloatArray:
    """Rectified features that share three factors, with log-normal gains per neuron."""
    latent = rng.standard_normal((n, 3)) @ rng.standard_normal((3, 16)) + rng.standard_normal((n, 16))
    return np.exp(0.5 * latent + gain * rng.standard_normal((n, 1))) * (latent > 0)


def parts(rng: Rng, n: int, shape: float) -> FloatArray:
    """Non-negative mixtures of six sparse parts with gamma loadings."""
    basis = rng.exponential(size=(6, 24)) * (rng.random((6, 24)) < 0.4)
    return rng.gamma(shape, size=(n, 6)) @ basis + 0.05 * rng.exponential(size=(n, 24))


def sparse_axes(rng: Rng, n: int) -> FloatArray:
    """Sixteen exponential features, each active in 8 % of the neurons, rows of length one: a mode at every axis."""
    x = unit((rng.random((3 * n, 16)) < 0.08) * rng.exponential(size=(3 * n, 16)))
    return x[:n]


def log_normal_gains(rng: Rng, n: int) -> FloatArray:
    """A Gaussian cloud about a direction, every neuron with a log-normal gain."""
    x = 2 * rng.standard_normal(16) + rng.standard_normal((n, 16))
    return x * np.exp(0.6 * rng.standard_normal((n, 1)))


def two_gains(rng: Rng, n: int) -> FloatArray:
    """|N| in 16 dimensions times .4 or 2: two populations by norm, one shape."""
    return np.abs(rng.standard_normal((n, 16))) * rng.choice([0.4, 2.0], (n, 1))


def simplex(rng: Rng, n: int, corners: int) -> FloatArray:
    """Even mixtures of archetypes."""
    return rng.dirichlet(np.ones(corners), n) @ (
        4 * rng.standard_normal((corners, 16))
    ) + 0.5 * rng.standard_normal((n, 16))


def gradient(rng: Rng, n: int, axes: int) -> FloatArray:
    """Uniform over 12 standard deviations along one axis or two."""
    return noisy(rng, 12 * rng.random((n, axes)), 16, 1.0)


def density_gradient(rng: Rng, n: int, df: int) -> FloatArray:
    """A long axis, ever less dense along it (squared normals for df 1, exponential for 2)."""
    return noisy(rng, 4 * rng.chisquare(df, (n, 1)), 16, 1.0)


def duplicated(rng: Rng, n: int) -> FloatArray:
    """A Gaussian cloud, 30 % of the neurons copies of others."""
    x = gauss(rng, n, 16)
    copied = rng.random(n) < 0.3
    x[copied] = x[rng.integers(n, size=int(copied.sum()))]
    return x


def prototypes(rng: Rng, n: int) -> FloatArray:
    """Half of a Gaussian cloud repeats twelve of its neurons exactly."""
    x = gauss(rng, n, 16)
    x[n // 2 :] = x[rng.integers(12, size=n - n // 2)]
    return x


def with_outliers(rng: Rng, x: FloatArray, y: IntArray) -> Drawn:
    """Replace 5 % of the neurons by uniform ones in a box three times as wide as the neurons."""
    x, y = x.copy(), y.copy()
    out = rng.random(len(x)) < 0.05
    middle, half = (x.max(axis=0) + x.min(axis=0)) / 2, (x.max(axis=0) - x.min(axis=0)) / 2
    x[out] = middle + 3 * half * rng.uniform(-1, 1, (int(out.sum()), x.shape[1]))
    y[out] = -1
    return x, y


# Types.


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


def _continuum(name: str, features: Callable[[Rng, int], FloatArray], group: str = "continuum") -> World:
    def drawn(rng: Rng, n: int) -> Drawn:
        x = features(rng, n)
        return x, np.zeros(len(x), dtype=np.int64)

    return World(name, None, drawn, group)


def _types(name: str, n_types: int, draw_types: Callable[[Rng, int], Drawn], group: str) -> World:
    return World(name, n_types, draw_types, group)


def _outliers_among(k: int) -> Callable[[Rng, int], Drawn]:
    return lambda rng, n: with_outliers(rng, *round_types(rng, n, k, distance=10.0))


def _obvious(k: int, d: int, distance: float, form: str) -> World:
    def drawn(rng: Rng, n: int) -> Drawn:
        if form == "line":
            return line_types(rng, n, k, d, distance)
        return round_types(rng, n, k, d=d, distance=distance)

    return _types(f"{k} types, {d}-d, {distance:g} sd, {form}", k, drawn, "obvious")


_ALL = (
    _continuum("gauss 2-d", lambda r, n: gauss(r, n, 2)),
    _continuum("gauss 16-d", lambda r, n: gauss(r, n, 16)),
    _continuum("gauss 64-d", lambda r, n: gauss(r, n, 64)),
    _continuum("square 2-d", lambda r, n: r.random((n, 2))),
    _continuum("cube 8-d", lambda r, n: r.random((n, 8))),
    _continuum("t, 4 df", lambda r, n: student(r, n, 4.0)),
    _continuum("t, 2 df", lambda r, n: student(r, n, 2.0)),
    _continuum("core and halo", lambda r, n: core_and_halo(r, n, 16)),
    _continuum("core and halo 3-d", lambda r, n: core_and_halo(r, n, 3)),
    _continuum(
        "gauss, 5 % outliers", lambda r, n: with_outliers(r, gauss(r, n, 16), np.zeros(n, dtype=int))[0]
    ),
    _continuum("ring", ring),
    _continuum("half-moon", lambda r, n: half_moon(r, n, 8, 0.5)),
    _continuum("half-moon, thick 2-d", lambda r, n: half_moon(r, n, 2, 1.0)),
    _continuum("torus", torus),
    _continuum("sphere", sphere),
    _continuum("swiss roll", swiss_roll),
    _continuum("gradient, 1 axis", lambda r, n: gradient(r, n, 1)),
    _continuum("gradient, 2 axes", lambda r, n: gradient(r, n, 2)),
    _continuum("density gradient", lambda r, n: density_gradient(r, n, 2)),
    _continuum("density gradient, steep", lambda r, n: density_gradient(r, n, 1)),
    _continuum("simplex of 3", lambda r, n: simplex(r, n, 3)),
    _continuum("simplex of 5", lambda r, n: simplex(r, n, 5)),
    _continuum("sparse independent", sparse_independent),
    _continuum("sparse correlated", lambda r, n: sparse_correlated(r, n, 0.0)),
    _continuum("sparse correlated, gains", lambda r, n: sparse_correlated(r, n, 0.6)),
    _continuum("sparse correlated, unit length", lambda r, n: unit(sparse_correlated(r, n, 0.0))),
    _continuum("non-negative parts", lambda r, n: parts(r, n, 0.7)),
    _continuum("log-normal gains", log_normal_gains),
    _continuum("30 % duplicates", duplicated),
    _continuum("12 prototypes repeated", prototypes),
    _continuum("parts, unit length", lambda r, n: unit(parts(r, n, 0.7)), "named"),
    _continuum("sparse axes, unit length", sparse_axes, "named"),
    _continuum("two gains of one shape", two_gains, "named"),
    *(
        _obvious(k, d, distance, form)
        for k in (2, 3, 4, 8)
        for d in (2, 8, 16, 64)
        for distance in (8.0, 12.0, 20.0)
        for form in ("general", "line")
    ),
    _types("4 types, 5 % outliers", 4, _outliers_among(4), "shape"),
    _types("8 types, 5 % outliers", 8, _outliers_among(8), "shape"),
    _types(
        "6 types, sizes 1:30", 6, lambda r, n: round_types(r, n, 6, sizes=np.geomspace(30, 1, 6)), "shape"
    ),
    _types(
        "4 types, widths 1:4",
        4,
        lambda r, n: round_types(r, n, 4, distance=20.0, widths=np.geomspace(1, 4, 4)),
        "shape",
    ),
    _types(
        "6 types, t 4 df, 64-d", 6, lambda r, n: round_types(r, n, 6, d=64, distance=10.0, df=4.0), "shape"
    ),
    _types("4 cigars", 4, cigars, "shape"),
    _types("2 moons", 2, moons, "shape"),
    _types("3 rings", 3, rings, "shape"),
    _types("3 concentric rings", 3, concentric_rings, "shape"),
    _types("hierarchy 3 x 4", 12, hierarchy, "shape"),
    _types("4 types, bridges", 4, bridged, "shape"),
    _types("4 arcs", 4, arcs, "shape"),
    _types("2 spirals", 2, spirals, "shape"),
    _types("bent sheet and 2 round", 3, bent_sheet, "shape"),
    _types("5 unequal, 7 sd", 5, lambda r, n: unequal(r, n, 7.0), "shape"),
    _types("8 types among 50 nuisance axes", 8, nuisance, "near"),
    _types("5 unequal, 5 sd", 5, lambda r, n: unequal(r, n, 5.0), "near"),
    *(
        _types(
            f"8 types, {distance:g} sd", 8, lambda r, n, s=distance: round_types(r, n, 8, distance=s), "near"
        )  # type: ignore[misc]
        for distance in (3.0, 3.5, 4.0, 4.5, 5.0, 6.0)
    ),
)
WORLDS = {world.name: world for world in _ALL}
