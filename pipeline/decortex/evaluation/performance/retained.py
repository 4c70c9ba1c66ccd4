"""What fine-tuning kept of the performance: paired changes against the control and the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from decortex.errors import InputError
from decortex.evaluation.performance.equivalence import DEFAULT_MARGIN, Equivalence, equivalence
from decortex.labels import check_labels

FloatArray = NDArray[np.float64]
RetainedStatus = Literal["ok", "no_scores"]
IntervalStatus = Literal["ok", "one_session", "no_scores"]


@dataclass(frozen=True)
class SessionChange:
    """Mean paired change of one session's neurons, against the control and against the start."""

    session: str
    n: int
    change: float
    change_from_start: float


@dataclass(frozen=True)
class ClusterChange:
    """Paired change of one cluster's neurons against the control.

    Parameters
    ----------
    cluster, n, n_sessions : int
        Its label, its neurons with all three scores, and the sessions they come from.
    change : float
        Mean over its neurons.
    change_over_sessions : float
        Mean over sessions of its neurons' mean; the estimate of the interval.
    low, high : float or None
        Interval from the t distribution on session means at the level 1 - .05/clusters, so that all clusters'
        intervals together cover 95 % and the worst of them may be picked; None below two sessions.
    """

    cluster: int
    n: int
    n_sessions: int
    change: float
    change_over_sessions: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RetainedResult:
    """Performance after fine-tuning beside the equal-epoch control and the start.

    Parameters
    ----------
    status : {'ok', 'no_scores'}
        'no_scores': no neuron has all three scores; every number below is None.
    n : int
        Neurons with all three scores.
    n_lost : int
        Neurons scored at the start and in the control but not after fine-tuning (their prediction became
        constant). They cannot enter a paired mean: above 0, the mean change flatters the fine-tuning.
    n_excluded : int
        All neurons without the three scores, those lost included.
    before, after, control : float or None
        Mean scores over the n neurons.
    change, change_from_start : float or None
        Mean over neurons of after - control, and of after - before.
    fraction_retained : float or None
        after/control of the means; None where the control's mean is not positive.
    change_over_sessions : float or None
        Mean over sessions of the session means of after - control; the estimate of the interval below.
    interval_status : {'ok', 'one_session', 'no_scores'}
        Whether the interval over sessions exists.
    interval_low, interval_high : float or None
        95 % interval of `change_over_sessions` from the t distribution on session means; None below two
        sessions, never replaced by the interval over neurons.
    neuron_interval_low, neuron_interval_high : float or None
        95 % interval of `change` that takes neurons for independent: too narrow where sessions differ.
    worst_session : str or None
        Session with the lowest mean change.
    sessions : tuple of SessionChange
        Every session with a scored neuron.
    equivalence : Equivalence
        Whether `change_over_sessions` is negligible, at the margin that was asked for.
    worst_cluster : int or None
        Cluster with the lowest mean change.
    clusters : tuple of ClusterChange
        Every cluster with a scored neuron; empty where no labels were given.
    """

    status: RetainedStatus
    n: int
    n_lost: int
    n_excluded: int
    before: float | None
    after: float | None
    control: float | None
    change: float | None
    change_from_start: float | None
    fraction_retained: float | None
    change_over_sessions: float | None
    interval_status: IntervalStatus
    interval_low: float | None
    interval_high: float | None
    neuron_interval_low: float | None
    neuron_interval_high: float | None
    worst_session: str | None
    sessions: tuple[SessionChange, ...]
    equivalence: Equivalence
    worst_cluster: int | None
    clusters: tuple[ClusterChange, ...]


def retained_performance(
    before: FloatArray,
    after: FloatArray,
    control: FloatArray,
    *,
    sessions: NDArray[Any],
    labels: NDArray[np.integer[Any]] | None = None,
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
) -> RetainedResult:
    """Compare scores after fine-tuning with the equal-epoch control and the start, neuron by neuron.

    Parameters
    ----------
    before, after, control : ndarray of float, shape (n_neurons,)
        One score per neuron of the untouched network, of the fine-tuned one and of the same network trained
        equally long without a clustering loss; NaN where undefined.
    sessions : ndarray, shape (n_neurons,)
        Session of each neuron.
    labels : ndarray of int, shape (n_neurons,), optional
        Cluster of each neuron, for the worst cluster; -1: none.
    margin : float
        Mean change that would matter, for the equivalence test.
    seed : int
        Of the wild cluster bootstrap.

    Raises
    ------
    InputError
        If the arrays do not describe the same neurons, or the margin is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> control = np.array([0.5, 0.6, 0.7, 0.4])
    >>> sessions = np.array(["a", "a", "b", "b"])
    >>> one = retained_performance(control, control - 0.01, control, sessions=sessions)
    >>> round(one.change, 3)
    -0.01
    """
    shapes = {before.shape, after.shape, control.shape, sessions.shape}
    if labels is not None:
        labels = check_labels(labels)
        shapes.add(labels.shape)
    if len(shapes) != 1 or before.ndim != 1:
        raise InputError(
            "before, after, control and sessions should each be (n_neurons,), got "
            f"{before.shape}, {after.shape}, {control.shape} and {sessions.shape}."
        )
    reference = ~np.isnan(before) & ~np.isnan(control)
    paired = reference & ~np.isnan(after)
    n, n_lost = int(paired.sum()), int((reference & np.isnan(after)).sum())
    if not n:
        nothing = (None,) * 7
        return RetainedResult(
            "no_scores",
            0,
            n_lost,
            len(before),
            *nothing,
            "no_scores",
            *(None,) * 5,
            (),
            equivalence(np.empty(0), margin=margin),
            None,
            (),
        )
    change = after[paired] - control[paired]
    from_start = after[paired] - before[paired]
    names = sessions[paired]
    rows = tuple(
        SessionChange(
            session=str(name),
            n=int((names == name).sum()),
            change=float(change[names == name].mean()),
            change_from_start=float(from_start[names == name].mean()),
        )
        for name in np.unique(names)
    )
    session_means = np.array([row.change for row in rows])
    clusters = () if labels is None else _cluster_changes(change, labels[paired], names)
    low, high = t_interval(session_means)
    neuron_low, neuron_high = t_interval(change)
    mean_after, mean_control = float(after[paired].mean()), float(control[paired].mean())
    return RetainedResult(
        status="ok",
        n=n,
        n_lost=n_lost,
        n_excluded=len(before) - n,
        before=float(before[paired].mean()),
        after=mean_after,
        control=mean_control,
        change=float(change.mean()),
        change_from_start=float(from_start.mean()),
        fraction_retained=mean_after / mean_control if mean_control > 0 else None,
        change_over_sessions=float(session_means.mean()),
        interval_status="ok" if len(rows) > 1 else "one_session",
        interval_low=low,
        interval_high=high,
        neuron_interval_low=neuron_low,
        neuron_interval_high=neuron_high,
        worst_session=min(rows, key=lambda row: row.change).session,
        sessions=rows,
        equivalence=equivalence(session_means, margin=margin, seed=seed),
        worst_cluster=min(clusters, key=lambda row: row.change).cluster if clusters else None,
        clusters=clusters,
    )


def _cluster_changes(
    change: FloatArray, labels: NDArray[np.integer[Any]], sessions: NDArray[Any]
) -> tuple[ClusterChange, ...]:
    known = np.unique(labels[labels >= 0])
    rows = []
    for cluster in known:
        own, of = change[labels == cluster], sessions[labels == cluster]
        means = np.array([own[of == session].mean() for session in np.unique(of)])
        low, high = t_interval(means, 1 - 0.05 / len(known))
        rows.append(
            ClusterChange(
                cluster=int(cluster),
                n=len(own),
                n_sessions=len(means),
                change=float(own.mean()),
                change_over_sessions=float(means.mean()),
                low=low,
                high=high,
            )
        )
    return tuple(rows)


def t_interval(values: FloatArray, level: float = 0.95) -> tuple[float | None, float | None]:
    """Interval of the mean from the t distribution; (None, None) below two values.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = t_interval(np.array([0.1, 0.2, 0.3]))
    >>> (round(low, 3), round(high, 3))
    (-0.048, 0.448)
    """
    n = len(values)
    if n < 2:
        return None, None
    half = float(t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return float(values.mean()) - half, float(values.mean()) + half
