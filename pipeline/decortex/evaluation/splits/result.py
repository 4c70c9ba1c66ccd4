"""Results of the number of types and of the test of a given partition, frozen. No algorithm here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TypesStatus = Literal["types", "none", "undecided"]
BoundaryStatus = Literal["valley", "none", "undecided"]


@dataclass(frozen=True)
class ValleyCount:
    """Held-out neurons in a window between two groups, and in the window on the sparser of the two.

    Parameters
    ----------
    n_between, n_beside : float
        Neurons, summed over the folds and averaged over the repeats, so that the counts are no whole numbers.
    p : float
        Of 'the density between is at least that beside'; 1 where the valley is too shallow to count.
    """

    n_between: float
    n_beside: float
    p: float

    @property
    def depth(self) -> float | None:
        """Density between over density beside; None where no neuron was counted beside."""
        return self.n_between / self.n_beside if self.n_beside > 0 else None


@dataclass(frozen=True)
class Boundary:
    """Held-out evidence that two groups of neurons stand apart.

    Parameters
    ----------
    p : float
        The density path alone, at a stricter level, or the prism where the path consents.
    path : ValleyCount
        At the least dense point of the densest path between the two groups.
    centres : ValleyCount
        In the prism between the centres of the two groups.
    fold_share : float
        Share of the folds whose training neurons have such a boundary.
    """

    p: float
    path: ValleyCount
    centres: ValleyCount
    fold_share: float


@dataclass(frozen=True)
class Level:
    """Test of one number of types against every smaller one.

    Parameters
    ----------
    n_types : int
        Number of groups G.
    p : float
        Of 'at most G - 1 groups stand apart': the larger p of the two weakest boundaries.
    passed : bool
        p <= alpha.
    boundaries : tuple of Boundary
        The two boundaries that are weakest on training neurons (of two groups the only one); empty where no fold
        has G groups.
    """

    n_types: int
    p: float
    passed: bool
    boundaries: tuple[Boundary, ...]


@dataclass(frozen=True)
class Split:
    """One split of the tree of types, from the coarsest (level 2) down.

    Parameters
    ----------
    level : int
        Number of groups after this split.
    left, right : tuple of int
        Types on either side.
    n_left, n_right : int
        Neurons on either side.
    p : float
        Smallest held-out p of a level from this one to the number of types: if G groups stand apart, every split
        above stands too.
    valley : ValleyCount
        Effect size: neurons at the least dense point of the path between the two sides, and beside it. Counted on
        folds that did not choose the point, for the partition of all neurons: to describe, not to test.
    """

    level: int
    left: tuple[int, ...]
    right: tuple[int, ...]
    n_left: int
    n_right: int
    p: float
    valley: ValleyCount


@dataclass(frozen=True)
class TypeCount:
    """Number of types, if any.

    Parameters
    ----------
    status : {'types', 'none', 'undecided'}
        'undecided': too few neurons for any split to be significant.
    n_types : int or None
        None unless the status is 'types'; at least 2.
    at_least : bool
        Three types or more that rest on a single level: read it as "at least".
    labels : ndarray of int16, shape (n_neurons,)
        Type of every neuron, 0 the largest; -1 for those set aside. All 0 where there are no types.
    levels : tuple of Level
        Every number of types that was tested, from 2 on.
    splits : tuple of Split
        Tree of splits, coarsest first; empty where there are no types.
    set_aside : ndarray of int64
        Neurons that lie far from all others, by index.
    n_repeats : int
        Repeats of the folds that were made.
    n_deciding : int
        Neurons behind the decision, after equal rows are counted once, outliers are set aside and a sample is drawn.
    shuffled : tuple of int
        Types in data sets whose features were shuffled among neurons (0: none), `n_shuffles` of them. As many there
        as in the data: the types may be what sparse features give by themselves.
    """

    status: TypesStatus
    n_types: int | None
    at_least: bool
    labels: NDArray[np.int16]
    levels: tuple[Level, ...]
    splits: tuple[Split, ...]
    set_aside: NDArray[np.int64]
    n_repeats: int
    n_deciding: int
    shuffled: tuple[int, ...] = ()


@dataclass(frozen=True)
class GroupPair:
    """Test of two groups of a given partition.

    Parameters
    ----------
    first, second : int or str
        The groups, as they were named.
    status : {'valley', 'none', 'undecided'}
        'undecided': with so few neurons counted beside the valley no p could have reached the level, or a group is
        that of a single animal.
    p, p_holm : float
        p of the pair, and corrected over all pairs (Holm).
    boundary : Boundary
        Counts.
    """

    first: int | str
    second: int | str
    status: BoundaryStatus
    p: float
    p_holm: float
    boundary: Boundary


@dataclass(frozen=True)
class PartitionTest:
    """Which groups of a given partition stand apart.

    Parameters
    ----------
    pairs : tuple of GroupPair
        Every pair of groups.
    p : float
        Of 'some pair of groups does not stand apart': the largest p of a pair.
    n_apart : int
        Groups that are left after pairs without a valley are joined; undecided pairs join nothing.
    n_undecided : int
        Pairs that could not be decided.
    """

    pairs: tuple[GroupPair, ...]
    p: float
    n_apart: int
    n_undecided: int
