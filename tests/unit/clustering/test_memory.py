"""What a fit is said to take at most is not less than what it takes, and not out of proportion."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from decortex.clustering import fit, memory_of_fit, methods
from decortex.errors import ConfigError, InputError

FITS = [
    ("kmeans", {"n_init": 2}),
    ("gmm", {"covariance": "diag", "n_init": 1}),
    ("gmm", {"covariance": "full", "n_init": 1}),
    ("tmixture", {}),
    ("spectral", {}),
    ("sec", {}),
    ("ldmgi", {}),
]
FITS += [
    (method, {}) for method in methods() if method not in {"rotation_tmixture", *(name for name, _ in FITS)}
]


@pytest.mark.parametrize(("method", "params"), FITS)
def test_the_bound_holds(method: str, params: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    n, d, k = 900, 12, 3
    x = rng.normal(size=(n, d)) + 4 * rng.integers(0, 3, size=(n, 1))
    tracemalloc.start()
    try:
        fit(x, method, n_clusters=k, seed=0, **params)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = memory_of_fit(method, n, d, n_clusters=k, params=params)
    assert peak < said < 20 * peak


def test_it_grows_with_every_shape() -> None:
    small = memory_of_fit("sec", 1000, 10, n_clusters=5)
    assert memory_of_fit("sec", 2000, 10, n_clusters=5) == 2 * small
    assert memory_of_fit("sec", 1000, 20, n_clusters=5) > small
    assert memory_of_fit("sec", 1000, 10, n_clusters=9) > small
    assert memory_of_fit("gmm", 1000, 10, n_clusters=5, params={"covariance": "full"}) > memory_of_fit(
        "gmm", 1000, 10, n_clusters=5
    )


def test_what_cannot_be_estimated() -> None:
    with pytest.raises(ConfigError, match="not a clustering method"):
        memory_of_fit("dbscan", 10, 2, n_clusters=2)
    with pytest.raises(InputError, match="must be positive"):
        memory_of_fit("kmeans", 0, 2, n_clusters=2)
