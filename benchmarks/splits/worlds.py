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
from world_continua import (
    core_and_halo,
    density_gradient,
    duplicated,
    gauss,
    gradient,
    half_moon,
    log_normal_gains,
    parts,
    prototypes,
    ring,
    simplex,
    sparse_axes,
    sparse_correlated,
    sparse_independent,
    sphere,
    student,
    swiss_roll,
    torus,
    two_gains,
    unit,
)
from world_types import (
    arcs,
    bent_sheet,
    bridged,
    cigars,
    concentric_rings,
    hierarchy,
    line_types,
    moons,
    nuisance,
    rings,
    round_types,
    sizes_apart,
    spirals,
    unequal,
    with_outliers,
)

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
        'named': continua with modes of their own (`modes.py` finds them without the rule), near to that, or with a gap
        of norms; docs/science/number-of-types-measured.md names them and counts them apart.
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
    _continuum("non-negative parts", lambda r, n: parts(r, n, 0.7)),
    _continuum("log-normal gains", log_normal_gains),
    _continuum("30 % duplicates", duplicated),
    _continuum("12 prototypes repeated", prototypes),
    _continuum("sparse correlated, unit length", lambda r, n: unit(sparse_correlated(r, n, 0.0)), "named"),
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
    _types("6 types, sizes 16 to 480", 6, sizes_apart, "shape"),
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
