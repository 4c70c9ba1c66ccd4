"""Null models of the agreement between networks: surrogates drawn jointly, so that neurons keep their identity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import check_points
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import InputError
from decortex.evaluation.agreement import Clusterer, pairwise_agreement
from decortex.evaluation.nulls import NullKind, off_zero, surrogate
from decortex.evaluation.selection.config import CriterionValue

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int16]


def joint_surrogates(
    raws: Sequence[NDArray[np.floating[Any]]],
    config: EmbeddingConfig,
    kind: NullKind,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Draw surrogate neurons of several networks at once, and embed each network's part.

    Parameters
    ----------
    raws : sequence of ndarray, each of shape (n_neurons, n_features)
        Readout features of the same neurons in the same order, one array per network.
    config : EmbeddingConfig
        How they are embedded.
    kind : str
        Null model.
    rng : numpy.random.Generator
        Every random number comes from it.

    Returns
    -------
    list of ndarray of float64, each of shape (n_neurons, n_out)

    Raises
    ------
    InputError
        If there are fewer than two networks or they hold different numbers of neurons.

    Notes
    -----
    The features of all networks are one array side by side, of which one surrogate is drawn: what the networks
    agree on as a continuum (the covariance or rank correlation across networks) is kept, so that agreement above
    it is more than two projections of one cloud. 'permuted' keeps nothing across networks.
    """
    if len(raws) < 2 or len({len(raw) for raw in raws}) != 1:
        raise InputError(
            "joint surrogates need the same neurons in at least two networks, got "
            f"{[raw.shape for raw in raws]}."
        )
    parts = [check_points(raw, name="raw") for raw in raws]
    bounds = np.cumsum([0, *(part.shape[1] for part in parts)])
    blocks = [slice(int(a), int(b)) for a, b in pairwise(bounds)]
    side_by_side = np.concatenate(parts, axis=1)
    drawn = off_zero(lambda: surrogate(side_by_side, kind, rng), blocks, kind)
    return [fit_map(drawn[:, block], config).apply(drawn[:, block]) for block in blocks]


def seed_agreement(k: int, partitions: Sequence[Sequence[Labels]]) -> CriterionValue:
    """Mean adjusted Rand index over pairs of networks, at equal clustering seeds; its range over pairs.

    Parameters
    ----------
    k : int
        Number of clusters.
    partitions : sequence of sequence of ndarray of int, (n_neurons,)
        For every clustering seed, one partition per network.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([0, 0, 1, 1])
    >>> seed_agreement(2, [[a, 1 - a]]).value    # two networks, one clustering seed
    1.0
    """
    found = [pair.agreement.ari for own in partitions for pair in pairwise_agreement(own)]
    values = [value for value in found if value is not None]
    n = len(partitions[0][0])
    if not values:
        return CriterionValue("seed_agreement", k, None, None, None, n, "trivial")
    return CriterionValue("seed_agreement", k, float(np.mean(values)), min(values), max(values), n, "ok")


def null_seed_agreement(
    embeddings: Sequence[FloatArray], clusterer: Clusterer, k: int, seeds: Sequence[int]
) -> CriterionValue:
    """Cluster every network's surrogate at every seed and compare the networks, as the data are compared."""
    if len(embeddings[0]) < k:
        return CriterionValue("seed_agreement", k, None, None, None, len(embeddings[0]), "too_few_neurons")
    return seed_agreement(k, [[clusterer.fit(x, k, seed).labels for x in embeddings] for seed in seeds])
