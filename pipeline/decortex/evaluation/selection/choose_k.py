"""Choice of K on one embedding: types that stand apart, every criterion, null models, a decision that may be 'none'."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import check_n_clusters, check_points, method_config
from decortex.embeddings import EmbeddingConfig
from decortex.errors import InputError
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.nulls import NULL_KINDS, NullKind, surrogate, surrogate_embedding
from decortex.evaluation.selection.config import CriterionValue, SelectionConfig
from decortex.evaluation.selection.criteria import CountCriteria, count_criteria, partition_criteria
from decortex.evaluation.selection.decision import Excess, KDecision, decide_k, excess
from decortex.evaluation.splits import TypeCount, count_types

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]
# Of studies the values of surrogates are kept and drawn; a notebook asks for the answer.
_FOR_THE_DECISION = SelectionConfig(null_criteria=("stability",), stop_early=True)
Drawn = defaultdict[tuple[NullKind, str, int], list[CriterionValue]]


@dataclass(frozen=True)
class KSelection:
    """Types that stand apart, then curves, null bands and the decision on the method's partitions.

    Parameters
    ----------
    method : str
        Clustering method.
    types : TypeCount
        Types that stand apart in the embedding, whatever the method (`count_types`).
    decision : KDecision
        K or None, with reasons: the older rule, which asks the method's partitions. It refuses few, clear types.
    criteria : tuple of CountCriteria
        Every K of the grid, and 1.
    excesses : tuple of Excess
        Every value that was taken on surrogates, against every null model.
    """

    method: str
    types: TypeCount
    decision: KDecision
    criteria: tuple[CountCriteria, ...]
    excesses: tuple[Excess, ...]

    @property
    def k(self) -> int | None:
        """Number of types that stand apart; else the K that the method's partitions support; else None."""
        return self.types.n_types if self.types.status == "types" else self.decision.k

    @property
    def sentence(self) -> str:
        """Answer in words, types first."""
        p = min((level.p for level in self.types.levels), default=None)
        smallest = "" if p is None else f" (smallest p {p:.2g})"
        types = {
            "types": f"{'at least ' if self.types.at_least else ''}{self.types.n_types} types stand apart{smallest}",
            "none": f"no types stand apart{smallest}",
            "undecided": "too few neurons to say whether types stand apart",
        }[self.types.status]
        if self.decision.k is not None:
            own = f"K = {self.decision.k} is supported"
        else:
            own = f"no K is supported ({self.decision.reason})"
            if self.types.status == "types":
                own += ", which says nothing against them: that rule refuses few, clear types"
        return f"{types[0].upper()}{types[1:]}. Of the partitions by {self.method}, {own}."


@dataclass(frozen=True)
class RawFeatures:
    """Readout features behind a mapped embedding, so that surrogates are drawn before the mapping.

    Parameters
    ----------
    features : ndarray of float, shape (n_neurons, n_raw)
        Of the neurons that the embedding holds, in their order.
    config : EmbeddingConfig
        How they became the embedding.
    """

    features: NDArray[np.floating[Any]]
    config: EmbeddingConfig


def choose_k(
    x: Any,
    method: str = "kmeans",
    *,
    counts: Iterable[int] = range(2, 16),
    config: SelectionConfig | None = None,
    raw: RawFeatures | None = None,
    donors: Any = None,
    progress: Progress | None = None,
    **params: Any,
) -> KSelection:
    """Count the types that stand apart, judge every K of a grid, and say which number the neurons support, if any.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding.
    method : str
        Clustering method, one of `decortex.clustering.methods`.
    counts : iterable of int
        Grid of K, each at least 2.
    config : SelectionConfig, optional
        Null models, refits and levels. Left out: what the decision needs and no more, that is surrogates by their
        stability alone, and none for a K that cannot exceed a null any more. `SelectionConfig()` draws all of them and
        takes every value on each.
    raw : RawFeatures, optional
        Where the embedding was normalised; surrogates are then drawn of these and mapped likewise.
    donors : array_like, shape (n_neurons,), optional
        Animal of every neuron, for the count of types: whole animals are then held out.
    progress : callable, optional
        Called with (steps done, steps in all), first before any is done; `decortex.ProgressLine` writes a line.
    **params
        Parameters of the method.

    Returns
    -------
    KSelection
        ``k`` and ``sentence`` are the answer: the number of types first (`count_types`), then what the partitions of
        this method support.

    Raises
    ------
    InputError
        If x is not finite, the grid is empty, a K is below 2 or above the number of neurons, or donors do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((120, 2)) + 12 * np.repeat([[0, 0], [1, 0]], 60, axis=0)
    >>> found = choose_k(x, counts=(2, 3), config=SelectionConfig(n_surrogates=2), n_init=1)
    >>> found.k, found.decision.k
    (2, None)
    """
    points = check_points(x)
    config = config or _FOR_THE_DECISION
    grid = sorted({check_n_clusters(k, len(points)) for k in counts})
    if not grid or grid[0] < 2:
        raise InputError(f"counts should be numbers of clusters of at least 2, got {grid}.")
    if raw is not None and len(raw.features) != len(points):
        raise InputError(
            f"raw features of {len(raw.features)} neurons came with an embedding of {len(points)}: leave out the "
            "neurons that the embedding excludes."
        )
    method_config(method, params)
    n_steps = len(grid) + 1 + config.n_surrogates
    report = progress or (lambda _done, _all: None)
    report(0, n_steps)
    types = count_types(points, donors=donors, seed=config.seed)
    clusterer = Clusterer(method, params)

    criteria = []
    for k in (1, *grid):
        criteria.append(count_criteria(points, clusterer, k, config))
        report(len(criteria), n_steps)
    drawn: Drawn = defaultdict(list)
    for b in range(config.n_surrogates):
        for kind in config.nulls:
            early = config.stop_early and b > 0  # one of every kind, so that each comparison has a value
            wanted = [k for k in grid if not (early and _is_out(k, criteria, drawn, config))]
            if not wanted:
                continue
            null = draw_surrogate(points, raw, kind, b)
            for k in wanted:
                for value in partition_criteria(null, clusterer, k, config, criteria=config.null_criteria):
                    drawn[kind, value.criterion, k].append(value)
        report(len(criteria) + b + 1, n_steps)
    values = [value for one in criteria for value in one.values]
    excesses = tuple(
        excess(value, kind, drawn[kind, value.criterion, value.k])
        for value in values
        for kind in config.nulls
        if (kind, value.criterion, value.k) in drawn
    )
    return KSelection(method, types, decide_k(values, excesses, config), tuple(criteria), excesses)


def _is_out(k: int, criteria: list[CountCriteria], drawn: Drawn, config: SelectionConfig) -> bool:
    """Whether too many surrogates of some kind were as stable as the data for this K to exceed it any more."""
    own = next(
        value for one in criteria if one.k == k for value in one.values if value.criterion == "stability"
    )
    if own.value is None:
        return True
    reached = (
        sum(value.value is not None and value.value >= own.value for value in drawn[kind, "stability", k])
        for kind in config.nulls
    )
    return any(
        (b + 1) / (config.n_surrogates + 1) > max(config.alpha, 1 / (config.n_surrogates + 1))
        for b in reached
    )


def draw_surrogate(x: Any, raw: RawFeatures | None, kind: NullKind, null_seed: int) -> FloatArray:
    """Draw surrogate number ``null_seed`` of one kind; kinds draw independently at equal seeds.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> draw_surrogate(x, None, "gaussian", 0).shape
    (30, 2)
    """
    rng = np.random.default_rng([null_seed, NULL_KINDS.index(kind)])
    if raw is None:
        return surrogate(x, kind, rng)
    return surrogate_embedding(raw.features, raw.config, kind, rng)
