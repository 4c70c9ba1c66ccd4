"""How much memory a fit takes at most: what each method holds at once, counted in arrays. Fits nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex.clustering.registry import get_method
from decortex.errors import InputError

_FLOAT = 8
# Arrays like the points, and like a partition's scores (n_neurons, n_clusters), that a fit holds at once.
_POINTS, _SCORES = 6, 24
# Distances of a block of neurons to all others, with their order, while the neighbours are searched: bytes per neuron.
_SEARCH = 12 * 1024
# Columns of the eigensolver's basis a wanted pair, with its guard.
_BASIS, _GUARD = 16, 10


def memory_of_fit(
    method: str,
    n_neurons: int,
    n_features: int,
    *,
    n_clusters: int,
    params: Mapping[str, Any] | None = None,
) -> int:
    """Bytes that a fit takes at most beside its points, from shapes alone.

    Parameters
    ----------
    method : str
        Name of a clustering method.
    n_neurons, n_features, n_clusters : int
        Of the fit.
    params : mapping, optional
        The method's parameters.

    Returns
    -------
    int
        An upper bound by the arrays that the method holds at once; `tests/unit/clustering/test_memory.py` compares
        it with what fits really take.

    Raises
    ------
    ConfigError
        If there is no such method.
    InputError
        If a shape is not positive.

    Examples
    --------
    >>> memory_of_fit("kmeans", 1000, 32, n_clusters=8) < memory_of_fit("kmeans", 2000, 32, n_clusters=8)
    True
    """
    entry = get_method(method)
    if min(n_neurons, n_features, n_clusters) < 1:
        raise InputError(
            f"shapes must be positive, got {n_neurons} neurons, {n_features} features, {n_clusters} clusters."
        )
    total = _FLOAT * (_POINTS * n_neurons * n_features + _SCORES * n_neurons * n_clusters)
    if (params or {}).get("covariance") == "full":
        total += _FLOAT * 6 * n_clusters * n_features**2
    if entry.searches_neighbours:
        total += n_neurons * (_SEARCH + _FLOAT * _BASIS * (n_clusters + _GUARD))
    if method == "rotation_tmixture":
        total += _FLOAT * _SCORES * n_neurons * n_features  # every orientation of every neuron
    return total
