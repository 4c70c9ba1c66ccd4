"""k-means centres for many neurons: starts on a subsample, then centres exchanged between them. No result here.

On all neurons, nearly all of the time of k-means goes into starts that lose. Here the starts run on a random
subsample; the best few do a few Lloyd iterations on all neurons (Bradley & Fayyad, ICML 1998). What is left are
solutions that each miss other clusters, and neurons so far away that no subsample holds them. So the best one
then takes, as long as that lowers the sum of squares of all neurons, one centre of another solution, or a far
neuron, in place of one of its own (a swap, as in Kanungo et al., Computational Geometry 28, 2004), and moves
all centres a little. No step raises the sum of squares. Where no solution stands out, as without clusters in the
data, a few iterations do not tell which one will end best: those that are close go on side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import euclidean_distances

from decortex.clustering.inputs import FloatArray, sklearn_state
from decortex.clustering.multistart import subsample

SHORT_RUN = 5  # Lloyd iterations with all neurons after which starts are compared
EXCHANGES = 20  # at most
AFTER_EXCHANGE = 3  # Lloyd iterations after each
SHORTLIST = 16  # centres of other solutions that are tried on all neurons; more look good on a subsample
FAR = 8  # neurons farthest from their centres that are tried as well
LEAST_GAIN = 1e-5  # relative fall of the sum of squares that is worth an exchange
RACE = 30  # Lloyd iterations that the solutions close to the best do
CLOSE_BEFORE, CLOSE_AFTER = 1e-3, 3e-4  # relative distance from the lowest sum of squares, before and after
TO_THE_END = 2  # solutions at most that go on after that
CHUNK = 2**22  # array elements per step


@dataclass(frozen=True)
class Screening:
    """How k-means is begun on many neurons.

    Parameters
    ----------
    n_starts : int
        k-means++ starts on the subsample.
    n_refined : int
        Starts that go on with all neurons.
    n_screen : int
        Neurons in the subsample.
    max_iter, tol
        Stopping rule of the starts, as in scikit-learn.
    """

    n_starts: int
    n_refined: int
    n_screen: int
    max_iter: int
    tol: float


class LloydRun(Protocol):
    """One run of Lloyd's iterations, with scikit-learn's names."""

    @property
    def labels_(self) -> NDArray[Any]:
        """Nearest centre of every neuron, (n_neurons,)."""

    @property
    def cluster_centers_(self) -> FloatArray:
        """Centres, (n_clusters, n_features)."""

    @property
    def inertia_(self) -> float:
        """Sum of squared distances to the nearest centre."""

    @property
    def n_iter_(self) -> int:
        """Iterations."""


class SklearnEngine:
    """Steps of k-means that touch all neurons, by scikit-learn on the CPU."""

    def lloyd(
        self, x: FloatArray, n_clusters: int, rng: np.random.Generator | np.random.RandomState, **options: Any
    ) -> LloydRun:
        """Run k-means with scikit-learn's options."""
        run: LloydRun = lloyd(x, n_clusters, rng, **options)
        return run

    def nearest_squares(self, x: FloatArray, centres: FloatArray) -> FloatArray:
        """Squared distance of every neuron to its nearest centre, (n_neurons,)."""
        return nearest_squares(x, centres)

    def best_exchanges(
        self, x: FloatArray, centres: FloatArray, candidates: FloatArray
    ) -> tuple[NDArray[np.int64], FloatArray, float]:
        """See `best_exchanges`."""
        return best_exchanges(x, centres, candidates)


CPU = SklearnEngine()


def lloyd(
    x: FloatArray, n_clusters: int, rng: np.random.Generator | np.random.RandomState, **options: Any
) -> KMeans:
    """Run scikit-learn's k-means with these options."""
    state = rng if isinstance(rng, np.random.RandomState) else sklearn_state(rng)
    return KMeans(n_clusters=n_clusters, random_state=state, **options).fit(x)


def screened_starts(
    sample: FloatArray,
    screening: Screening,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    engine: SklearnEngine = CPU,
) -> list[FloatArray]:
    """Return the centres that k-means finds in the subsample, (n_clusters, n_features) each, in random order."""
    options = {"n_init": 1, "max_iter": screening.max_iter, "tol": screening.tol}
    return [
        engine.lloyd(sample, n_clusters, rng, **options).cluster_centers_ for _ in range(screening.n_starts)
    ]


def exchanged_centres(
    x: FloatArray,
    starts: list[FloatArray],
    screening: Screening,
    rng: np.random.Generator,
    *,
    engine: SklearnEngine = CPU,
) -> list[FloatArray]:
    """Return the solutions that the best starts lead to, the first after its exchanges with the others.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        All neurons, more than the subsample holds, around the origin: distances are expanded squares.
    starts : list of ndarray, shape (n_clusters, n_features)
        What `screened_starts` returned.
    screening : Screening
        How many of them go on.
    rng : Generator
        Draws the neurons that starts and exchanges are first judged by.
    engine : SklearnEngine
        What computes the steps that touch all neurons.

    Returns
    -------
    list of ndarray, shape (n_clusters, n_features)
        Centres by rising sum of squares, each within a few tens of Lloyd iterations of a local optimum.
    """
    n_clusters = len(starts[0])
    judges = subsample(x, n_clusters, screening.n_screen, rng)
    judges = x if judges is None else judges
    sums = [float(engine.nearest_squares(judges, start).sum()) for start in starts]
    chosen = [starts[i] for i in np.argsort(sums, kind="stable")[: screening.n_refined]]
    runs = _by_inertia(_steps(engine, x, centres, SHORT_RUN, rng) for centres in chosen)
    if len(runs) > 1:
        others = np.vstack([run.cluster_centers_ for run in runs[1:]])
        runs[0] = _after_exchanges(engine, x, judges, runs[0], others, rng=rng)
    return [np.asarray(run.cluster_centers_) for run in runs]


def raced_centres(
    x: FloatArray, solutions: list[FloatArray], rng: np.random.Generator, *, engine: SklearnEngine = CPU
) -> list[FloatArray]:
    """Return those of the solutions that may still end best, at most two, by rising sum of squares."""
    sums = [float(engine.nearest_squares(x, centres).sum()) for centres in solutions]
    close = [c for c, total in zip(solutions, sums, strict=True) if total <= (1 + CLOSE_BEFORE) * sums[0]]
    if len(close) == 1:
        return solutions[:1]
    runs = _by_inertia(_steps(engine, x, centres, RACE, rng) for centres in close)
    return [
        np.asarray(run.cluster_centers_)
        for run in runs[:TO_THE_END]
        if run.inertia_ <= (1 + CLOSE_AFTER) * runs[0].inertia_
    ]


def _by_inertia(runs: Iterable[LloydRun]) -> list[LloydRun]:
    return sorted(runs, key=lambda run: run.inertia_)


def _after_exchanges(
    engine: SklearnEngine,
    x: FloatArray,
    judges: FloatArray,
    best: LloydRun,
    others: FloatArray,
    *,
    rng: np.random.Generator,
) -> LloydRun:
    for _ in range(EXCHANGES):
        changed = _exchange(engine, x, judges, best.cluster_centers_, others)
        if changed is None:
            break
        run = _steps(engine, x, changed, AFTER_EXCHANGE, rng)
        if run.inertia_ >= best.inertia_:
            break
        best = run
    return best


def _steps(
    engine: SklearnEngine, x: FloatArray, centres: FloatArray, n_iterations: int, rng: np.random.Generator
) -> LloydRun:
    return engine.lloyd(x, len(centres), rng, init=centres, n_init=1, max_iter=n_iterations)


def _exchange(
    engine: SklearnEngine, x: FloatArray, judges: FloatArray, centres: FloatArray, others: FloatArray
) -> FloatArray | None:
    """Centres after the exchange that lowers the sum of squares most, or None where none is worth it."""
    _, sums, _ = engine.best_exchanges(judges, centres, others)
    shortlist = others[np.argsort(sums, kind="stable")[:SHORTLIST]]
    distances = engine.nearest_squares(x, centres)
    far = x[np.argsort(-distances, kind="stable")[:FAR]]
    candidates = np.vstack([shortlist, far])
    leaving, sums, now = engine.best_exchanges(x, centres, candidates)
    best = int(np.argmin(sums))
    if not sums[best] < (1 - LEAST_GAIN) * now:
        return None
    changed = centres.copy()
    changed[leaving[best]] = candidates[best]
    return changed


def nearest_squares(x: FloatArray, centres: FloatArray) -> FloatArray:
    """Squared distance of every neuron to its nearest centre, (n_neurons,)."""
    step = max(1, CHUNK // len(centres))
    return np.concatenate(
        [
            euclidean_distances(x[first : first + step], centres, squared=True).min(axis=1)
            for first in range(0, len(x), step)
        ]
    )


def best_exchanges(
    x: FloatArray, centres: FloatArray, candidates: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, float]:
    """For every candidate, the centre that it replaces best, and the sum of squares that results.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    centres : ndarray, shape (n_clusters, n_features)
        The solution.
    candidates : ndarray, shape (n_candidates, n_features)
        Centres that may enter it.

    Returns
    -------
    leaving : ndarray of int, shape (n_candidates,)
        The centre that the candidate replaces.
    sums : ndarray, shape (n_candidates,)
        Sum of squared distances to the nearest centre after that, before any centre moves.
    now : float
        The same without any exchange.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> replaced, sums, now = best_exchanges(x, np.array([[0.0], [1.0]]), np.array([[10.5]]))
    >>> (replaced.tolist(), sums.tolist(), now)
    ([0], [1.5], 181.0)
    """
    k = len(centres)
    now = 0.0
    sums = np.zeros(len(candidates))
    losses = np.zeros((len(candidates), k))
    step = max(1, CHUNK // (k + len(candidates)))
    for first in range(0, len(x), step):
        rows = x[first : first + step]
        distances = euclidean_distances(rows, centres, squared=True)
        own = distances.argmin(axis=1)
        everyone = np.arange(len(rows))
        nearest = distances[everyone, own]
        distances[everyone, own] = np.inf
        second = distances.min(axis=1)
        now += float(nearest.sum())
        for a, offered in enumerate(euclidean_distances(candidates, rows, squared=True)):
            with_both = np.minimum(nearest, offered)
            without_own = np.minimum(second, offered)
            sums[a] += with_both.sum()
            losses[a] += np.bincount(own, weights=without_own - with_both, minlength=k)
    leaving = losses.argmin(axis=1)
    return leaving, sums + losses[np.arange(len(candidates)), leaving], now
