"""Clusters against external labels: agreement, purity, and the same under labels shuffled within animals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import random_table

from decortex.errors import InputError
from decortex.evaluation.agreement import contingency, expected_mutual_information, table_agreement
from decortex.labels import NOT_ASSIGNED, check_labels

LabelStatus = Literal["ok", "no_labels", "one_class", "one_cluster", "no_permutation"]
Labels = NDArray[np.integer[Any]]

# Cells of random tables held at once: 64 MiB.
_CHUNK_CELLS = 2**23
# Two tables of equal statistic differ by rounding; they must count as equal or p is too small.
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class LabelAgreement:
    """How far clusters follow external labels, on the neurons that have both.

    Parameters
    ----------
    status : str
        'ok'; 'no_labels', 'one_class', 'one_cluster': nothing is left to compare; 'no_permutation': within no block
        do labels and clusters both vary, so that there is no p.
    n_neurons, n_classes, n_clusters, n_blocks : int
        Neurons that have a label and a cluster, and how many classes, clusters and blocks they have.
    ari, ami : float or None
        Adjusted Rand index and adjusted mutual information.
    purity : float or None
        Share of the neurons that have their cluster's commonest label; rises with the number of clusters by itself.
    ari_null, ami_null, purity_null : float or None
        Means of the same under labels shuffled within blocks: what blocks alone make of them.
    p_ari, p_ami, p_purity : float or None
        One-sided: share of the shuffles that reach the observed value, (1 + count)/(1 + n_permutations). Of shuffles
        of equal purity those reach it that put as many pairs together.
    n_permutations : int
    """

    status: LabelStatus
    n_neurons: int
    n_classes: int
    n_clusters: int
    n_blocks: int
    ari: float | None = None
    ami: float | None = None
    purity: float | None = None
    ari_null: float | None = None
    ami_null: float | None = None
    purity_null: float | None = None
    p_ari: float | None = None
    p_ami: float | None = None
    p_purity: float | None = None
    n_permutations: int = 0


def label_agreement(
    clusters: Labels, types: Labels, blocks: NDArray[Any], *, seed: int, n_permutations: int = 9999
) -> LabelAgreement:
    """Compare a partition with external labels and with the same labels shuffled within blocks.

    Parameters
    ----------
    clusters : ndarray of int, shape (n_neurons,)
        Cluster of each neuron; -1: none.
    types : ndarray of int, shape (n_neurons,)
        Class of each neuron; -1: no label. Neurons without one take no part.
    blocks : ndarray, shape (n_neurons,)
        Animal (or session) of each neuron. Labels change places within a block only, so that animals that differ in
        both their labels and their clusters make no effect.
    seed : int
        Of the shuffles.
    n_permutations : int

    Returns
    -------
    LabelAgreement

    Raises
    ------
    InputError
        If the shapes do not fit, or there is no permutation.

    Notes
    -----
    All three statistics depend on the contingency table alone. A shuffle within a block is a draw from the tables
    with the block's margins (Patefield, Applied Statistics 30, 1981), whose sum over blocks is the table.

    Examples
    --------
    >>> found = label_agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, -1]), np.zeros(4), seed=0)
    >>> found.n_neurons, found.ari, found.purity
    (3, 1.0, 1.0)
    """
    clusters, types = check_labels(clusters, name="the clusters"), check_labels(types, name="the labels")
    if not clusters.shape == types.shape == np.shape(blocks):
        raise InputError(
            f"expected one cluster, label and block per neuron, got {clusters.shape}, {types.shape} and "
            f"{np.shape(blocks)}."
        )
    if n_permutations < 1:
        raise InputError(f"n_permutations should be at least 1, got {n_permutations}.")
    both = (clusters != NOT_ASSIGNED) & (types != NOT_ASSIGNED)
    dense = [np.unique(one[both], return_inverse=True)[1] for one in (clusters, types, np.asarray(blocks))]
    counts = [int(one.max(initial=-1)) + 1 for one in dense]
    shape = (counts[0], counts[1])
    about = {
        "n_neurons": int(both.sum()),
        "n_clusters": counts[0],
        "n_classes": counts[1],
        "n_blocks": counts[2],
    }
    if not both.any():
        return LabelAgreement("no_labels", **about)
    if counts[1] == 1:
        return LabelAgreement("one_class", **about)
    if counts[0] == 1:
        return LabelAgreement("one_cluster", **about)
    tables = np.stack(
        [
            contingency(dense[0][here], dense[1][here], shape)
            for here in (dense[2] == b for b in range(counts[2]))
        ]
    )
    whole = tables.sum(axis=0)
    found = table_agreement(whole)
    observed = _statistics(whole[None])[:, 0]
    values = replace(
        LabelAgreement("no_permutation", **about),
        ari=found.ari,
        ami=found.ami,
        purity=float(observed[2]) / about["n_neurons"],
    )
    free = [one for one in tables if _varies(one)]
    if not free or found.ari is None or found.ami is None:
        return values
    reached, total = np.zeros(3, dtype=np.int64), np.zeros(3)
    fixed = whole - np.sum(free, axis=0)
    n_cells = about["n_neurons"] ** 2 + 1
    ordered = _ordered(observed[:, None], n_cells)[:, 0]
    ordered[1] -= _TOLERANCE * abs(ordered[1])
    for drawn in _random_tables(free, fixed, seed, n_permutations):
        null = _statistics(drawn)
        reached += (_ordered(null, n_cells) >= ordered[:, None]).sum(axis=1)
        total += null.sum(axis=1)
    p = (1 + reached) / (1 + n_permutations)
    ari, ami, purity = _null_means(whole, total / n_permutations, observed, found.ami)
    return replace(
        values,
        status="ok",
        ari_null=ari,
        ami_null=ami,
        purity_null=purity,
        p_ari=float(p[0]),
        p_ami=float(p[1]),
        p_purity=float(p[2]),
        n_permutations=n_permutations,
    )


def _varies(table: NDArray[np.int64]) -> bool:
    """Whether a block's shuffles give more than one table: two clusters and two classes."""
    return bool(np.count_nonzero(table.sum(axis=0)) > 1 and np.count_nonzero(table.sum(axis=1)) > 1)


def _statistics(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pairs together (ARI), sum of n log n (AMI) and largest counts (purity) of tables (n, k, c): shape (3, n)."""
    cells = tables.astype(np.float64)
    return np.stack(
        [(cells**2).sum(axis=(1, 2)), xlogy(cells, cells).sum(axis=(1, 2)), cells.max(axis=2).sum(axis=1)]
    )


def _ordered(statistics: NDArray[np.float64], above_pairs: int) -> NDArray[np.float64]:
    """The statistics as they are compared: of equal purity, which is a count with many ties, more pairs are more.

    Ties count as reached, and would make p of purity too large.
    """
    pairs, information, largest = statistics
    return np.stack([pairs, information, largest * above_pairs + pairs])


def _random_tables(
    tables: list[NDArray[np.int64]], fixed: NDArray[np.int64], seed: int, n: int
) -> Iterator[NDArray[np.int64]]:
    """Sums over blocks of random tables with each block's margins, in portions."""
    rng = np.random.default_rng(seed)
    margins = [random_table(one.sum(axis=1), one.sum(axis=0)) for one in tables]
    portion = max(_CHUNK_CELLS // fixed.size, 1)
    for start in range(0, n, portion):
        size = min(portion, n - start)
        drawn = np.broadcast_to(fixed, (size, *fixed.shape)).astype(np.int64)
        for one in margins:
            drawn += np.asarray(one.rvs(size, random_state=rng)).astype(np.int64).reshape(drawn.shape)
        yield drawn


def _null_means(
    whole: NDArray[np.int64], mean: NDArray[np.float64], observed: NDArray[np.float64], ami: float
) -> tuple[float, float, float]:
    """ARI, AMI and purity on average over the shuffles.

    ARI and AMI are linear in what was averaged, because the margins never change.
    """
    n = int(whole.sum())
    rows, columns = whole.sum(axis=1), whole.sum(axis=0)
    in_a, in_b, pairs = int((rows**2).sum()) - n, int((columns**2).sum()) - n, n * (n - 1)
    expected = in_a * in_b / pairs
    ari = (mean[0] - n - expected) / ((in_a + in_b) / 2 - expected)
    # AMI = (I - E)/(H - E), and I moves by 1/n of the sum of n log n.
    ami_null = ami + (mean[1] - observed[1]) / n / _span(rows, columns)
    return float(ari), float(ami_null), float(mean[2] / n)


def _span(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    """Mean of both entropies less the expected information: the denominator of the AMI."""
    entropies = [float(-xlogy(one / one.sum(), one / one.sum()).sum()) for one in (rows, columns)]
    return sum(entropies) / 2 - expected_mutual_information(rows, columns)
