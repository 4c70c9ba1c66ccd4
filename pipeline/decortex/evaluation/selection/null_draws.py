"""Surrogates of one embedding: which K they are drawn for, until when, and their values. The decision is elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.embeddings import EmbeddingConfig
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.nulls import NULL_KINDS, NullKind, surrogate, surrogate_embedding
from decortex.evaluation.selection.config import CriterionValue, SelectionConfig
from decortex.evaluation.selection.criteria import CountCriteria, partition_criteria
from decortex.evaluation.selection.decision import Excess, by_nearness, exceeds, excess
from decortex.threads import Submit

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]
# Array elements of surrogates that are kept for the next K; more are drawn again.
KEPT_ELEMENTS = 2**25


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


@dataclass
class NullDraws:
    """Values of surrogates, drawn for one K or several at a time.

    Parameters
    ----------
    x, raw
        Embedding, and what it was made of.
    clusterer, config
        Method and settings.
    criteria : sequence of CountCriteria
        Of the data, every K.
    submit : callable
        Where work goes, see `decortex.threads.worker_threads`.
    """

    x: FloatArray
    raw: RawFeatures | None
    clusterer: Clusterer
    config: SelectionConfig
    criteria: Sequence[CountCriteria]
    submit: Submit
    _drawn: dict[tuple[NullKind, str, int], list[CriterionValue]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _kept: dict[tuple[NullKind, int], FloatArray] = field(default_factory=dict)

    def draw(self, grid: Iterable[int], report: Callable[[int], None]) -> None:
        """Draw all surrogates, or until every K is out; call ``report`` with the surrogates per null model so far.

        Rounds of surrogates double in size: which are drawn depends on values alone, not on what ends first.
        """
        begin = 0
        wanted = list(grid)
        while begin < self.config.n_surrogates:
            # The first round has one of every kind, so that each comparison has a value.
            if self.config.stop_early and begin > 0:
                wanted = [k for k in wanted if not self.is_out(k)]
            if not wanted:
                return
            end = min(begin + max(1, begin), self.config.n_surrogates)
            asked = [(b, kind) for b in range(begin, end) for kind in self.config.nulls]
            tasks = [self.submit(self._values, kind, b, tuple(wanted)) for b, kind in asked]
            for n_done, _ in enumerate(as_completed(tasks), start=1):
                if n_done % len(self.config.nulls) == 0:
                    report(begin + n_done // len(self.config.nulls))
            for (_, kind), task in zip(asked, tasks, strict=True):
                for value in task.result():
                    self._drawn[kind, value.criterion, value.k].append(value)
            begin = end

    def _values(self, kind: NullKind, b: int, wanted: tuple[int, ...]) -> list[CriterionValue]:
        null = self._kept.get((kind, b))
        if null is None:
            null = draw_surrogate(self.x, self.raw, kind, b)
            if self.config.stop_early == "decision" and len(self._kept) * null.size < KEPT_ELEMENTS:
                self._kept[kind, b] = null
        return [
            value
            for k in wanted
            for value in partition_criteria(
                null, self.clusterer, k, self.config, criteria=self.config.null_criteria
            )
        ]

    def is_out(self, k: int) -> bool:
        """Whether too many surrogates of some kind were as stable as the data for this K to exceed it any more."""
        own = self._own("stability", k)
        if own is None:
            return True
        reached = (
            sum(value.value is not None and value.value >= own for value in self._drawn[kind, "stability", k])
            for kind in self.config.nulls
        )
        n = self.config.n_surrogates + 1
        return any((b + 1) / n > max(self.config.alpha, 1 / n) for b in reached)

    def excesses(self) -> tuple[Excess, ...]:
        """Every value that was taken on surrogates against every null model."""
        return tuple(
            excess(value, kind, self._drawn[kind, value.criterion, value.k])
            for one in self.criteria
            for value in one.values
            for kind in self.config.nulls
            if self._drawn.get((kind, value.criterion, value.k))
        )

    def draw_for_decision(self, grid: Sequence[int], report: Callable[[int], None]) -> tuple[int, ...]:
        """Draw surrogates for one K after the other, until no further K can change what `decide_k` answers.

        Returns
        -------
        tuple of int
            K without surrogates.

        Notes
        -----
        The decision is the supported K nearest to the most groups that any supported K finds. So the K that finds
        most is judged first, then the next, until one is supported; then the K nearer to that number than this one,
        nearest first, until one is supported. If none is, the reason asks whether a fragmented K, or one with few
        valleys, is above all nulls: those are judged until one is.
        """
        left = list(grid)

        def told(n_drawn: int) -> None:
            report((len(grid) - len(left)) * self.config.n_surrogates + n_drawn)

        def first_above(order: Iterable[int]) -> int | None:
            for k in order:
                if k in left:
                    self.draw([k], told)
                    left.remove(k)
                    told(0)
                if self._above(k):
                    return k
            return None

        defined = [k for k in grid if None not in (self._own("stability", k), self._own("valley_share", k))]
        share = {k: self._own("valley_share", k) or 0.0 for k in defined}
        valleys = [k for k in defined if share[k] > self.config.min_valley_share]
        whole = [k for k in valleys if not self._own("fragmented", k)]
        groups = {k: self._own("separated_groups", k) or 0.0 for k in whole}
        most = first_above(sorted(whole, key=lambda k: (-groups[k], k)))
        if most is not None:
            first_above(by_nearness(groups, groups[most]))
        elif first_above(k for k in valleys if k not in whole) is None:
            first_above(k for k in defined if k not in valleys)
        return tuple(left)

    def _above(self, k: int) -> bool:
        """Whether the stability at this K exceeds every null model."""
        own = next(v for one in self.criteria if one.k == k for v in one.values if v.criterion == "stability")
        found = (excess(own, kind, self._drawn[kind, "stability", k]) for kind in self.config.nulls)
        return all(exceeds(one, self.config) for one in found)

    def _own(self, criterion: str, k: int) -> float | None:
        """Value of the data."""
        values = (value for one in self.criteria if one.k == k for value in one.values)
        return next((value.value for value in values if value.criterion == criterion), None)
