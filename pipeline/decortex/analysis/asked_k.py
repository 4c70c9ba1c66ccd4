"""The number of clusters that somebody asks of a table: what can be shown. Loads nothing that computes."""

from __future__ import annotations

from decortex.clustering import check_n_clusters
from decortex.errors import InputError


def check_asked_k(k: int, n_neurons: int) -> None:
    """Refuse a number of clusters that cannot be shown, before anything is computed.

    Raises
    ------
    InputError
        If it is below 2, or above the number of neurons.

    Examples
    --------
    >>> check_asked_k(8, 100)
    """
    if check_n_clusters(k, n_neurons) < 2:
        raise InputError(
            f"n_clusters = {k}: one cluster holds all {n_neurons} neurons, and there is nothing to compare with it. Ask"
            f" for 2 to {n_neurons} clusters, or leave it out, and the number of types is looked for."
        )
