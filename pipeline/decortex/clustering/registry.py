"""All methods by name: `fit`, `fit_grid`, `predict`, resolved parameters and the hash of a specification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering.cache import Cache, MemoryCache
from decortex.clustering.graph import LDMGI, LEIDEN, SEC, SPECTRAL
from decortex.clustering.inputs import FloatArray, check_n_clusters, check_points, check_seed
from decortex.clustering.kmeans import KMEANS
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.mixtures import GMM, ROTATION_TMIXTURE, TMIXTURE
from decortex.clustering.result import ClusteringResult
from decortex.config import Config, config_hash
from decortex.errors import ConfigError, InputError

_METHODS: dict[str, Method] = {
    method.name: method for method in (KMEANS, GMM, TMIXTURE, SPECTRAL, LEIDEN, SEC, LDMGI, ROTATION_TMIXTURE)
}

Progress = Callable[[int, int], None]


def methods() -> tuple[str, ...]:
    """Names of all methods.

    Examples
    --------
    >>> methods()[:3]
    ('kmeans', 'gmm', 'tmixture')
    """
    return tuple(_METHODS)


def get_method(name: str) -> Method:
    """Return the method of this name.

    Raises
    ------
    ConfigError
        If there is none; the message lists them.

    Examples
    --------
    >>> get_method("sec").name
    'sec'
    """
    try:
        return _METHODS[name]
    except (KeyError, TypeError):
        raise ConfigError(f"{name!r} is not a clustering method. There are: {', '.join(_METHODS)}.") from None


def method_config(method: str, params: Mapping[str, Any] | None = None) -> Config:
    """Resolve a method's parameters: defaults filled in, names and ranges checked.

    Raises
    ------
    ConfigError
        If the method or a parameter is unknown, or a value out of range.

    Examples
    --------
    >>> method_config("kmeans").n_init
    10
    """
    return get_method(method).config.from_params(params or {})


def algorithm_version(method: str) -> int:
    """Version of a method's algorithm; it rises whenever equal parameters may give other labels.

    Examples
    --------
    >>> algorithm_version("kmeans") >= 1
    True
    """
    return get_method(method).algorithm_version


def spec_hash(method: str, params: Mapping[str, Any] | None = None) -> str:
    """Sha256 of method, algorithm version and resolved parameters: equal for equal work, and only then.

    Examples
    --------
    >>> spec_hash("kmeans") == spec_hash("kmeans", {"n_init": 10})
    True
    """
    return config_hash(
        {
            "method": method,
            "algorithm_version": algorithm_version(method),
            "params": method_config(method, params).resolved(),
        }
    )


def fit(
    x: Any,
    method: str,
    *,
    n_clusters: int,
    seed: int = 0,
    cache: Cache | None = None,
    device: str | None = None,
    **params: Any,
) -> ClusteringResult:
    """Cluster neurons once.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding; any real dtype (computed in float64).
    method : str
        One of `methods`.
    n_clusters : int
        K, at most the number of neurons.
    seed : int
        Not negative.
    cache : Cache, optional
        Where graphs and eigenvectors are kept between calls. The result does not depend on it.
    device : str, optional
        Torch device ('cuda', 'cuda:1', 'cpu') of a method with ``backend="torch"``, by default the first GPU, else the
        CPU; and where the graph methods search neighbours (by default scikit-learn's search does; neighbours are the
        same).
    **params
        Parameters of the method, see `method_config`.

    Returns
    -------
    ClusteringResult
        A pure function of x, method, parameters, K and seed: bit for bit the one that `fit_grid` gives for
        any grid that holds this K and seed.

    Raises
    ------
    ConfigError
        If the method is unknown or a parameter out of range.
    InputError
        If x, K or the seed cannot be worked on.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((5, 2)), np.ones((3, 2))]
    >>> fit(x, "kmeans", n_clusters=2).labels.tolist()
    [0, 0, 0, 0, 0, 1, 1, 1]
    """
    fitter, grid = _prepare(x, method, ((n_clusters, seed),), params, cache=cache, device=device)
    return fitter(*grid[0])


def fit_grid(
    x: Any,
    method: str,
    *,
    n_clusters: Iterable[int] = range(2, 31),
    seeds: Iterable[int] = range(3),
    cache: Cache | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> list[ClusteringResult]:
    """Cluster neurons for every K and seed, sharing what they can share.

    Parameters
    ----------
    x, method, cache, device, **params
        As in `fit`.
    n_clusters, seeds : iterable of int
        The grid.
    progress : callable, optional
        Called with (fits done, fits in all) after each fit.

    Returns
    -------
    list of ClusteringResult
        K outer, seeds inner, in the order given. ``soft`` is None: at n = 100,000 the posteriors of a usual
        grid take gigabytes; `soft_assignments` recomputes those of any result.

    Raises
    ------
    ConfigError
        If the method is unknown or a parameter out of range.
    InputError
        If x, a K or a seed cannot be worked on; nothing is computed then.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((5, 2)), np.ones((3, 2)), [[0.0, 3.0]]]
    >>> found = fit_grid(x, "kmeans", n_clusters=[2, 3], seeds=[0])
    >>> [one.labels.tolist() for one in found]
    [[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1, 1, 2]]
    """
    seeds = tuple(seeds)
    fitter, grid = _prepare(
        x, method, [(k, seed) for k in n_clusters for seed in seeds], params, cache=cache, device=device
    )
    results = []
    for k, seed in grid:
        results.append(replace(fitter(k, seed), soft=None))
        if progress is not None:
            progress(len(results), len(grid))
    return results


def predict(result: ClusteringResult, x_new: Any, *, x: Any = None) -> NDArray[np.int16]:
    """Assign new neurons to the clusters of a result, by the method's own rule.

    Parameters
    ----------
    result : ClusteringResult
        A fit.
    x_new : array_like, shape (n_new, n_features)
        Neurons in the same feature space.
    x : array_like, shape (n_neurons, n_features), optional
        The neurons that were clustered; needed by methods that assign by neighbours (spectral, ldmgi). With it
        a neuron that equals a clustered one keeps that one's cluster, so that ``predict(result, x, x=x)`` are the
        labels of every method. Without it k-means and the mixtures give their labels, too, but SEC's linear map follows
        its labels only approximately.

    Returns
    -------
    ndarray of int16, shape (n_new,)

    Raises
    ------
    InputError
        If an array is unusable, or has another number of features than the fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((5, 2)), np.ones((3, 2))]
    >>> result = fit(x, "kmeans", n_clusters=2)
    >>> predict(result, [[0.9, 0.8], [0.1, 0.0]]).tolist()
    [1, 0]
    """
    entry = get_method(result.method)
    new = _same_features(result, check_points(x_new, name="x_new"), "x_new")
    old = None if x is None else _same_features(result, check_points(x), "x")
    labels: NDArray[np.int16] = np.argmax(entry.scores(result, new, old), axis=1).astype(np.int16)
    return labels if old is None or len(old) != len(result.labels) else _kept(result, labels, new, old)


def soft_assignments(result: ClusteringResult, x: Any) -> FloatArray:
    """Posterior probability of every cluster, (n_neurons, n_clusters), from a mixture's parameters.

    Raises
    ------
    InputError
        If the method has no posterior.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.zeros((5, 1)), np.ones((5, 1))] + np.linspace(0, 0.1, 10)[:, None]
    >>> result = fit(x, "gmm", n_clusters=2)
    >>> soft_assignments(result, x).round(2)[0].tolist()
    [1.0, 0.0]
    """
    entry = get_method(result.method)
    if entry.posterior is None:
        having = [name for name, method in _METHODS.items() if method.posterior]
        raise InputError(f"{result.method} has no soft assignments; these methods have: {', '.join(having)}.")
    return entry.posterior(result, _same_features(result, check_points(x), "x"))


def _prepare(
    x: Any,
    method: str,
    grid: Iterable[tuple[Any, Any]],
    params: Mapping[str, Any],
    *,
    cache: Cache | None,
    device: str | None,
) -> tuple[Fitter, list[tuple[int, int]]]:
    entry = get_method(method)
    config = entry.config.from_params(params)
    values = check_points(x)
    checked = [(check_n_clusters(k, len(values)), check_seed(seed)) for k, seed in grid]
    if device is not None and not entry.searches_neighbours and getattr(config, "backend", None) != "torch":
        has = "pass backend='torch', or leave" if "backend" in entry.config.model_fields else "leave"
        raise InputError(
            f"device = {device!r} is where torch computes, but {method} runs on numpy here: {has} device out."
        )
    points = Points(values, MemoryCache() if cache is None else cache, device)
    return entry.prepare(points, config), checked


def _kept(
    result: ClusteringResult, labels: NDArray[np.int16], new: FloatArray, old: FloatArray
) -> NDArray[np.int16]:
    """Labels, for neurons that equal a clustered one its own."""
    own = {row.tobytes(): label for row, label in zip(old + 0.0, result.labels, strict=True)}  # -0 becomes 0
    found = [own.get(row.tobytes(), label) for row, label in zip(new + 0.0, labels, strict=True)]
    return np.array(found, dtype=np.int16)


def _same_features(result: ClusteringResult, points: FloatArray, name: str) -> FloatArray:
    n_features = result.parameters["centres"].shape[1]
    if points.shape[1] != n_features:
        raise InputError(
            f"{name} should have the {n_features} features that {result.method} was fitted on, "
            f"but has {points.shape[1]}."
        )
    return points
