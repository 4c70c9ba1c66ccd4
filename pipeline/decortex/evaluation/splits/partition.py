"""Test of a given partition: which of its groups stand apart, on neurons held out from every choice of a window."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import check_points, check_seed
from decortex.errors import InputError
from decortex.evaluation.association import holm
from decortex.evaluation.splits.config import SplitConfig
from decortex.evaluation.splits.counting import FoldData, count_boundaries
from decortex.evaluation.splits.evidence import KINDS, boundary, can_decide
from decortex.evaluation.splits.folds import donor_codes, draw_folds, of_one_donor
from decortex.evaluation.splits.preparation import Prepared, prepare
from decortex.evaluation.splits.result import BoundaryStatus, GroupPair, PartitionTest
from decortex.evaluation.splits.subclusters import kmeans, whitener
from decortex.labels import check_labels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def split_test(
    x: Any, labels: Any, *, donors: Any = None, seed: int = 0, config: SplitConfig | None = None
) -> PartitionTest:
    """Test which groups of a given partition stand apart: a published one, a colleague's labels, two families.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding, features as they should be compared.
    labels : array_like of int or str, shape (n_neurons,)
        Group of every neuron; -1 or an empty text: in no group.
    donors : array_like, shape (n_neurons,), optional
        Animal of every neuron. Whole animals are then held out, p is taken without the animal that helps most, and
        pairs with a group that a single animal has are undecided.
    seed : int
        Of folds and starts.
    config : SplitConfig, optional

    Returns
    -------
    PartitionTest
        p of every pair of groups, and how many groups are left when pairs without a valley are joined.

    Raises
    ------
    InputError
        If x is not finite and two-dimensional, labels or donors do not fit it, or fewer than two groups are named.

    Notes
    -----
    Every window is chosen without the neurons counted in it, but the partition is taken as given: p is exact as far as
    it was made from other data (gene expression, anatomy, other neurons). For a clustering of the same x it is
    optimistic, because the partition was chosen for its gaps; `count_types` chooses and tests on different neurons.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 2)) + 10 * np.repeat([[0, 0], [1, 0]], 100, axis=0)
    >>> split_test(x, np.repeat(["a", "b"], 100)).n_apart
    2
    """
    points = check_points(x)
    names, groups = _group_codes(labels, len(points))
    codes = donor_codes(donors, len(points))
    rng = np.random.default_rng([check_seed(seed), 3])
    config = config or SplitConfig()
    used = np.flatnonzero(groups >= 0)
    ready = prepare(points[used], config, rng)
    groups = groups[used][ready.deciding]
    of_deciding = None if codes is None else codes[used][ready.deciding]
    pairs = list(itertools.combinations(range(len(names)), 2))
    n_donors = 1 if of_deciding is None else int(of_deciding.max()) + 1
    sums = np.zeros((len(pairs), n_donors, len(KINDS), 2))
    present = np.zeros(len(pairs))
    n_folds = 0
    for _ in range(config.n_repeats):
        fold_of = draw_folds(len(groups), of_deciding, config.n_folds, rng)
        for fold in range(int(fold_of.max()) + 1):
            n_folds += 1
            held_out = fold_of == fold
            donor = np.zeros(int(held_out.sum()), dtype=int) if of_deciding is None else of_deciding[held_out]
            for at, counts in enumerate(
                _fold_counts(ready, groups, ~held_out, pairs, config=config, rng=rng)
            ):
                if counts is not None:
                    present[at] += 1
                    np.add.at(sums[at], donor, counts)
    # Groups of one donor have no boundary: it could be that between two animals.
    alone = np.zeros(len(names), dtype=bool) if of_deciding is None else of_one_donor(groups, of_deciding)
    present *= [not (alone[a] or alone[b]) for a, b in pairs]
    boundaries = [
        boundary(total / config.n_repeats, share / n_folds, config)
        for total, share in zip(sums, present, strict=True)
    ]
    corrected = holm(np.array([one.p for one in boundaries]))
    tested = []
    for (a, b), one, p_holm in zip(pairs, boundaries, corrected, strict=True):
        status: BoundaryStatus = "none"
        if one.p <= config.alpha:
            status = "valley"
        elif alone[a] or alone[b] or not can_decide(one, config):
            status = "undecided"
        tested.append(GroupPair(names[a], names[b], status, one.p, float(p_holm), one))
    return PartitionTest(
        tuple(tested),
        max(one.p for one in boundaries),
        _n_apart(
            [pair for pair, test in zip(pairs, tested, strict=True) if test.status == "none"], len(names)
        ),
        sum(test.status == "undecided" for test in tested),
    )


def _group_codes(labels: Any, n_neurons: int) -> tuple[tuple[int | str, ...], IntArray]:
    """Names of the groups and the index of every neuron's among them, -1 for none."""
    given = np.asarray(labels)
    if given.dtype.kind == "O" and all(isinstance(label, str) for label in given.ravel()):
        given = given.astype(str)
    if given.dtype.kind != "U":
        given = check_labels(given)
    if given.shape != (n_neurons,):
        raise InputError(
            f"labels should hold one group per neuron, shape ({n_neurons},), but have the shape {given.shape}."
        )
    named = given != "" if given.dtype.kind == "U" else given >= 0
    kept, codes = np.unique(given[named], return_inverse=True)
    if len(kept) < 2:
        raise InputError(
            f"labels should name at least two groups, but name {len(kept)}: a test of a split needs two sides."
        )
    groups = np.full(n_neurons, -1, dtype=np.int64)
    groups[named] = codes.reshape(-1)
    return tuple(kept.tolist()), groups


def _fold_counts(
    ready: Prepared,
    groups: IntArray,
    training: NDArray[np.bool_],
    pairs: list[tuple[int, int]],
    *,
    config: SplitConfig,
    rng: np.random.Generator,
) -> Iterator[FloatArray | None]:
    """Held-out counts of every pair in one fold; None where a group has no training neurons."""
    points = ready.points
    root = whitener(_residuals_within(points[training], groups[training], config, rng), ready.n_features)
    if root is None:
        yield from (None for _ in pairs)
        return
    data = FoldData(points, training, points @ root, rng, ready.n_features)
    # Groups without training neurons have no centre: the others are numbered anew.
    number = {int(group): index for index, group in enumerate(np.unique(groups[training]))}
    renumbered = np.array([number.get(int(group), -1) for group in groups])
    for a, b in pairs:
        if a in number and b in number:
            yield count_boundaries(data, renumbered, [(number[a], number[b])])[0].held_out
        else:
            yield None


def _residuals_within(
    x: FloatArray, groups: IntArray, config: SplitConfig, rng: np.random.Generator
) -> FloatArray:
    """Distance, feature by feature, from k-means subclusters inside every group, as many as its size allows."""
    most = max(config.subclusters)
    residuals = []
    for group in np.unique(groups):
        own = x[groups == group]
        k = int(min(round(most * len(own) / len(x)), len(own) // config.min_per_subcluster))
        found, labels = kmeans(own, max(k, 1), rng)
        residuals.append(own - found[labels])
    return np.concatenate(residuals)


def _n_apart(joined: list[tuple[int, int]], n_groups: int) -> int:
    """Groups left when the pairs are joined."""
    group = list(range(n_groups))
    for a, b in joined:
        group = [group[a] if of == group[b] else of for of in group]
    return len(set(group))
