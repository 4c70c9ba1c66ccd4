"""Choice of K on one embedding: types that stand apart, every criterion, null models, a decision that may be 'none'."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from decortex.clustering import check_n_clusters, check_points, method_config
from decortex.errors import InputError
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.selection.config import SelectionConfig
from decortex.evaluation.selection.criteria import CountCriteria, count_criteria
from decortex.evaluation.selection.decision import Excess, KDecision, decide_k
from decortex.evaluation.selection.null_draws import NullDraws, Progress, RawFeatures
from decortex.evaluation.splits import TypeCount, count_types
from decortex.threads import worker_threads

# Of studies the values of surrogates are kept and drawn; a notebook asks for the answer.
_FOR_THE_DECISION = SelectionConfig(null_criteria=("stability",), stop_early="decision")


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


def choose_k(
    x: Any,
    method: str = "kmeans",
    *,
    counts: Iterable[int] = range(2, 16),
    config: SelectionConfig | None = None,
    raw: RawFeatures | None = None,
    donors: Any = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
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
        stability alone, none for a K that cannot exceed a null any more, and none for a K on which the decision
        does not depend ('not_judged'). `SelectionConfig()` draws all of them and takes every value on each.
    raw : RawFeatures, optional
        Where the embedding was normalised; surrogates are then drawn of these and mapped likewise.
    donors : array_like, shape (n_neurons,), optional
        Animal of every neuron, for the count of types: whole animals are then held out.
    progress : callable, optional
        Called with (steps done, steps in all), first before any is done; `decortex.ProgressLine` writes a line. Steps
        are skipped where surrogates need not be drawn.
    n_threads : int, optional
        K and surrogates that are worked on side by side, each on one core; default: as many as numerical libraries
        may take cores. The result does not depend on it.
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
    >>> import numpy as np
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
    clusterer = Clusterer(method, params)
    deciding = config.stop_early == "decision"
    n_judged = len(grid) if deciding else 1
    n_own = len(grid) + 2  # the count of types, and every K from 1
    n_steps = n_own + n_judged * config.n_surrogates
    report = progress or (lambda _done, _all: None)
    report(0, n_steps)
    with worker_threads(n_threads) as submit:
        counted = submit(count_types, points, donors=donors, seed=config.seed)
        judged = [submit(count_criteria, points, clusterer, k, config) for k in (1, *grid)]
        _wait(judged, counted, lambda done: report(done, n_steps))
        criteria = tuple(task.result() for task in judged)
        n_before = [len(judged)]

        def told(done: int) -> None:
            if counted.done():
                counted.result()
                n_before[0] = n_own
            report(n_before[0] + done, n_steps)

        draws = NullDraws(points, raw, clusterer, config, criteria, submit)
        not_judged: tuple[int, ...] = ()
        if deciding:
            not_judged = draws.draw_for_decision(grid, told)
        else:
            draws.draw(grid, told)
        types = counted.result()
    report(n_steps, n_steps)
    values = [value for one in criteria for value in one.values]
    excesses = draws.excesses()
    decision = decide_k(values, excesses, config, not_judged=not_judged)
    return KSelection(method, types, decision, criteria, excesses)


def _wait(tasks: list[Future[Any]], counted: Future[Any], report: Callable[[int], None]) -> None:
    """Wait for all tasks and tell how many are done; what is wrong with the count of types is raised at once."""
    left = {counted, *tasks}
    while not all(task.done() for task in tasks):
        done, left = wait(left, return_when=FIRST_COMPLETED)
        for task in done:
            task.result()
        report(sum(task.done() for task in tasks))
