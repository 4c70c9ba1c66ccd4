"""The number of types: joined subclusters, tested level by level on neurons held out from all choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import canonical_order, check_points, check_seed, relabel
from decortex.evaluation.splits.config import SplitConfig
from decortex.evaluation.splits.counting import (
    FoldData,
    count_boundaries,
    count_path,
)
from decortex.evaluation.splits.evidence import KINDS, boundary, can_decide, valley_count, valley_p
from decortex.evaluation.splits.folds import donor_codes, draw_folds, of_one_donor
from decortex.evaluation.splits.joining import Grouping, Subclusters, groupings, over_cluster
from decortex.evaluation.splits.preparation import Prepared, prepare
from decortex.evaluation.splits.result import Level, Split, TypeCount
from decortex.evaluation.splits.subclusters import nearest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Fewer neurons are undecided.
FEWEST_NEURONS, _PER_WINDOW = 32, 6
# Partitions whose weakest boundary is denser than its sides on training neurons are not counted.
_HOPELESS_P = 0.5
# A fold whose path shows less of a valley than this on training neurons does not have the boundary.
_PATH_P = 0.4


def count_types(x: Any, *, donors: Any = None, seed: int = 0, config: SplitConfig | None = None) -> TypeCount:
    """Count the types of neurons that stand apart, if any.

    Subclusters of k-means are joined where no valley of density lies between them. At every number of groups G
    the two weakest boundaries of each fold's own partition are tested on the fold's held-out neurons; the number
    of types is the largest G that passes, from 2 upwards.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding, features as they should be compared.
    donors : array_like, shape (n_neurons,), optional
        Animal of every neuron. Whole animals are then held out, p is taken without the animal that helps most, and a
        group that a single animal has is no type.
    seed : int
        Of folds, starts and samples; equal input and seed give equal results.
    config : SplitConfig, optional

    Returns
    -------
    TypeCount
        Status, number, labels, p of every level and the tree of splits.

    Raises
    ------
    InputError
        If x is not finite and two-dimensional, donors do not fit x, or all neurons are of one donor.

    Notes
    -----
    The rule, its error rates and limits: docs/science/number-of-types.md.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 2)) + 10 * np.repeat([[0, 0], [1, 0]], 100, axis=0)
    >>> count_types(x).n_types
    2
    """
    points = check_points(x)
    codes = donor_codes(donors, len(points))
    seed = check_seed(seed)
    config = config or SplitConfig()
    counted = _count(points, codes, seed, config)
    shuffled = []
    for b in range(config.n_shuffles):
        rng = np.random.default_rng([seed, 1, b])
        null = _count(rng.permuted(points, axis=0), codes, seed, config)
        shuffled.append(null.n_types or 0)
    return replace(counted, shuffled=tuple(shuffled))


@dataclass
class _Fold:
    """One fold: its data and, per level, the grouping that shows most on training neurons."""

    data: FoldData
    levels: dict[int, Grouping]
    _nearest: dict[int, IntArray] = field(default_factory=dict)

    def labels(self, grouping: Grouping) -> IntArray:
        """Group of every neuron, by the nearest subcluster."""
        key = id(grouping.subclusters)
        if key not in self._nearest:
            self._nearest[key] = nearest(self.data.points, grouping.subclusters.centres)
        return grouping.groups[self._nearest[key]]

    def counts(self, n_groups: int, donors: IntArray | None) -> list[FloatArray | None]:
        """Held-out counts at the weakest boundaries of a level; None for those that the fold does not have.

        A level one of whose groups is that of a single donor is none.
        """
        grouping = self.levels.get(n_groups)
        if grouping is None or grouping.p > _HOPELESS_P:
            return []
        labels = self.labels(grouping)
        if donors is not None and of_one_donor(labels, donors).any():
            return []
        counted = count_boundaries(self.data, labels, grouping.weakest)
        # Subclusters of a real boundary may hold few neurons: of the three candidates the path tells the weakest two.
        counted = sorted(counted, key=lambda one: -one.p_training)[:2]
        return [one.held_out if one.p_training <= _PATH_P else None for one in counted]


def _count(points: FloatArray, codes: IntArray | None, seed: int, config: SplitConfig) -> TypeCount:
    rng = np.random.default_rng([seed, 0])
    ready = prepare(points, config, rng)
    n_deciding = len(ready.points)
    labels = np.zeros(len(points), dtype=np.int16)
    labels[ready.set_aside] = -1
    none = TypeCount("undecided", None, False, labels, (), (), ready.set_aside, 0, n_deciding)
    of_deciding = None if codes is None else codes[ready.deciding]
    if n_deciding < FEWEST_NEURONS or (of_deciding is not None and len(np.unique(of_deciding)) < 2):
        return none
    folds: list[_Fold] = []
    levels: tuple[Level, ...] = ()
    n_repeats = 0
    while n_repeats < config.n_repeats and (
        n_repeats == 0 or min(level.p for level in levels) <= config.futile_p
    ):
        folds += _folds(ready, of_deciding, config, rng)
        n_repeats += 1
        if n_repeats in (1, config.n_repeats):
            levels = _levels(folds, of_deciding, n_repeats, config)
    passed = [level for level in levels if level.passed]
    if not passed:
        # Of two equal halves of a cloud a window holds about a sixth of the neurons; too few have no subclusters.
        decidable = any(fold.levels for fold in folds) and (
            bool(valley_p(0, n_deciding / _PER_WINDOW) <= config.alpha)
            or any(can_decide(one, config) for level in levels for one in level.boundaries)
        )
        return replace(none, status="none" if decidable else "undecided", levels=levels, n_repeats=n_repeats)
    n_types = passed[-1].n_types
    rng = np.random.default_rng([seed, 2])
    joined = _joined(ready.points, config, rng, n_features=ready.n_features)
    usable = [levels_of for _, levels_of in joined if n_types in levels_of]
    chosen = min(usable, key=lambda levels_of: levels_of[n_types].p)
    groups = chosen[n_types].groups[nearest(ready.coordinates(points), chosen[n_types].subclusters.centres)]
    kept = np.ones(len(points), dtype=bool)
    kept[ready.set_aside] = False
    order = canonical_order(groups[kept].astype(np.int16), n_types)
    labels[kept] = relabel(groups[kept].astype(np.int16), order)
    sides = _split_sides(chosen, n_types, order)
    splits = _splits(sides, folds, labels, levels=levels, deciding=ready.deciding, config=config)
    return TypeCount(
        "types",
        n_types,
        len(passed) == 1 and n_types > 2,
        labels,
        levels,
        splits,
        ready.set_aside,
        n_repeats,
        n_deciding,
    )


def _joined(
    x: FloatArray, config: SplitConfig, rng: np.random.Generator, *, n_features: int
) -> list[tuple[Subclusters, dict[int, Grouping]]]:
    """Groupings of every number of subclusters that the neurons allow, the finest last."""
    found = []
    for k in sorted(set(config.subclusters)):
        if 2 <= k <= len(x) // config.min_per_subcluster:
            fine = over_cluster(x, k, rng, n_features=n_features)
            if fine is not None:
                found.append((fine, groupings(x, fine, config.max_types, rng)))
    return found


def _folds(
    ready: Prepared, donors: IntArray | None, config: SplitConfig, rng: np.random.Generator
) -> Iterator[_Fold]:
    """Learn every fold of one repeat."""
    points = ready.points
    fold_of = draw_folds(len(points), donors, config.n_folds, rng)
    for fold in range(int(fold_of.max()) + 1):
        training = fold_of != fold
        joined = _joined(points[training], config, rng, n_features=ready.n_features)
        levels: dict[int, Grouping] = {}
        for _, found in joined:
            for n_groups, grouping in found.items():
                if n_groups not in levels or grouping.p < levels[n_groups].p:
                    levels[n_groups] = grouping
        root = joined[-1][0].whitener if joined else np.eye(points.shape[1])
        yield _Fold(FoldData(points, training, points @ root, rng, ready.n_features), levels)


def _levels(
    folds: list[_Fold], donors: IntArray | None, n_repeats: int, config: SplitConfig
) -> tuple[Level, ...]:
    """Test levels from 2 upwards, until too many in a row have failed."""
    levels: list[Level] = []
    failing = 0
    for n_groups in range(2, config.max_types + 1):
        level = _level(n_groups, folds, donors, n_repeats=n_repeats, config=config)
        levels.append(level)
        failing = 0 if level.passed else failing + 1
        if failing > config.max_failing_levels:
            break
    return tuple(levels)


def _level(
    n_groups: int, folds: list[_Fold], donors: IntArray | None, *, n_repeats: int, config: SplitConfig
) -> Level:
    n_boundaries = 1 if n_groups == 2 else 2
    n_donors = 1 if donors is None else int(donors.max()) + 1
    sums = np.zeros((n_boundaries, n_donors, len(KINDS), 2))
    found = np.zeros(n_boundaries)
    for fold in folds:
        counts = fold.counts(n_groups, donors)
        held_out = ~fold.data.training
        for at, count in enumerate(counts):
            if count is None:
                continue
            found[at] += 1
            if donors is None:
                sums[at, 0] += count.sum(axis=0)
            else:
                np.add.at(sums[at], donors[held_out], count)
    sums /= n_repeats
    boundaries = tuple(
        boundary(total, float(share), config) for total, share in zip(sums, found / len(folds), strict=True)
    )
    p = max(one.p for one in boundaries)
    return Level(n_groups, p, p <= config.alpha, boundaries if found.any() else ())


def _split_sides(
    levels_of: dict[int, Grouping], n_types: int, order: NDArray[np.int64]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Types on both sides of every split of the nested levels, coarsest first."""
    type_of = np.empty(n_types, dtype=int)
    type_of[order] = np.arange(n_types)
    finest = levels_of[n_types].groups

    def types_of_groups(n_groups: int) -> list[tuple[int, ...]]:
        groups = levels_of[n_groups].groups if n_groups > 1 else np.zeros(len(finest), dtype=int)
        return [
            tuple(sorted(int(type_of[k]) for k in np.unique(finest[groups == g]))) for g in range(n_groups)
        ]

    sides = []
    for n_groups in range(2, n_types + 1):
        coarser = set(types_of_groups(n_groups - 1))
        left, right = sorted(part for part in types_of_groups(n_groups) if part not in coarser)
        sides.append((left, right))
    return sides


def _splits(
    sides: list[tuple[tuple[int, ...], tuple[int, ...]]],
    folds: list[_Fold],
    labels: NDArray[np.int16],
    *,
    deciding: IntArray,
    levels: tuple[Level, ...],
    config: SplitConfig,
) -> tuple[Split, ...]:
    """Count the path between the two sides of every split."""
    sizes = np.bincount(labels[labels >= 0])
    p_of = {level.n_types: level.p for level in levels}
    n_types = len(sides) + 1
    found = []
    for level, (left, right) in enumerate(sides, start=2):
        side = np.full(len(deciding), -1)
        for number, types in enumerate((left, right)):
            side[np.isin(labels[deciding], types)] = number
        counts = sum(count_path(fold.data, side, 0, 1)[0].sum(axis=0) for fold in folds) / config.n_repeats
        found.append(
            Split(
                level,
                left,
                right,
                int(sizes[list(left)].sum()),
                int(sizes[list(right)].sum()),
                min(p_of[finer] for finer in range(level, n_types + 1)),
                valley_count(counts[None], config),
            )
        )
    return tuple(found)
