"""How reliably neurons answer the same image: split halves and the oracle. No prediction enters here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.data import Recordings
from decortex.data.video import frame_responses, frame_rows
from decortex.errors import InputError
from decortex.evaluation.performance.scores import SMALLEST_N_IMAGES

FloatArray = NDArray[np.float64]

N_SPLITS = 20


@dataclass(frozen=True)
class Reliability:
    """Two readings of the same thing; both NaN for a neuron that does not vary, or with repeats of fewer than 3 images.

    Parameters
    ----------
    spearman_brown : ndarray of float64, shape (n_neurons,)
        Correlation of average responses that two equal experiments would show.
    oracle : ndarray of float64, shape (n_neurons,)
        Correlation of a response with the mean of the image's other showings.
    """

    spearman_brown: FloatArray
    oracle: FloatArray


def reliability(
    responses: NDArray[np.floating[Any]],
    image_ids: NDArray[np.integer[Any]],
    *,
    rng: np.random.Generator,
    showings: NDArray[np.integer[Any]] | None = None,
) -> Reliability:
    r"""Reliability of every neuron of one session.

    Parameters
    ----------
    responses : ndarray of float, shape (n_trials, n_neurons)
        Recorded responses.
    image_ids : ndarray of int, shape (n_trials,)
        Trials with equal id are repeats of one image; images shown once do not count.
    rng : numpy.random.Generator
        Draws the halves.
    showings : ndarray of int, shape (n_trials,), optional
        Of movies, whose rows are frames: the showing of a clip that each is part of. Halves are of showings: all frames
        of one fall into one half.

    Returns
    -------
    Reliability
        ``spearman_brown`` is :math:`2\bar r / (1 + \bar r)` with :math:`\bar r` the correlation over images between
        the means of two random halves of each image's showings, averaged over twenty halvings (Spearman 1910;
        Brown 1910); it says what averages over all showings are worth. ``oracle`` is the correlation over trials
        with the mean of the image's other showings (Sensorium 2022).

    Raises
    ------
    InputError
        If there are not as many image ids as trials.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> images = np.repeat(np.arange(30), 10)
    >>> responses = rng.normal(size=30)[images][:, None] + rng.normal(size=(300, 1))
    >>> bool(reliability(responses, images, rng=rng).spearman_brown[0] > 0.7)
    True
    """
    if responses.ndim != 2 or len(responses) != len(image_ids):
        raise InputError(
            f"expected (n_trials, n_neurons) and n_trials ids, got {responses.shape}, {len(image_ids)}."
        )
    unknown = np.full(responses.shape[1], np.nan)
    _, which, counts = np.unique(image_ids, return_inverse=True, return_counts=True)
    repeated = counts[which] >= 2
    if (counts >= 2).sum() < SMALLEST_N_IMAGES:
        return Reliability(unknown, unknown.copy())
    r = responses[repeated].astype(np.float64)
    _, which, counts = np.unique(which[repeated], return_inverse=True, return_counts=True)
    shown = (
        np.arange(len(which)) if showings is None else np.unique(showings[repeated], return_inverse=True)[1]
    )
    sums = _sums(r, which, len(counts))
    others = (sums[which] - r) / (counts[which] - 1)[:, None]
    halves = np.mean([_halves(r, which, counts, shown, rng) for _ in range(N_SPLITS)], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        brown = np.where(halves > -1.0, 2.0 * halves / (1.0 + halves), np.nan)
    return Reliability(spearman_brown=brown, oracle=_correlation(r, others))


def reliability_of(recordings: Recordings, tier: str, *, seed: int) -> Reliability:
    """Reliability of all neurons, sessions in order; NaN where a session has no trial in the tier."""
    parts = []
    for place, session in enumerate(recordings.sessions):
        trials = session.trials(tier)
        rng = np.random.default_rng([seed, place])
        if session.n_frames is not None:
            rows = frame_rows(session, trials)
            responses = frame_responses(session, trials)
            parts.append(reliability(responses, rows.image_ids, rng=rng, showings=rows.trials))
            continue
        responses = session.responses.read(trials).reshape(len(trials), session.n_neurons)
        parts.append(reliability(responses, session.image_ids[trials], rng=rng))
    return Reliability(
        spearman_brown=np.concatenate([part.spearman_brown for part in parts]),
        oracle=np.concatenate([part.oracle for part in parts]),
    )


def _halves(
    r: FloatArray,
    which: NDArray[np.integer[Any]],
    counts: NDArray[np.integer[Any]],
    shown: NDArray[np.integer[Any]],
    rng: np.random.Generator,
) -> FloatArray:
    """Correlation over images between the means of two random halves of the showings."""
    order = np.lexsort((rng.random(int(shown.max()) + 1)[shown], which))
    place = np.empty(len(which), dtype=np.int64)  # each trial's random place among the showings of its image
    place[order] = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = place < (counts // 2)[which]
    one = _sums(r * first[:, None], which, len(counts)) / (counts // 2)[:, None]
    two = _sums(r * ~first[:, None], which, len(counts)) / (counts - counts // 2)[:, None]
    return _correlation(one, two)


def _sums(values: FloatArray, which: NDArray[np.integer[Any]], n: int) -> FloatArray:
    total = np.zeros((n, values.shape[1]))
    np.add.at(total, which, values)
    return total


def _correlation(x: FloatArray, y: FloatArray) -> FloatArray:
    """Pearson correlation down the columns; NaN where a column does not vary."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norms = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    unknown = np.full(x.shape[1], np.nan)
    found: FloatArray = np.divide((x * y).sum(axis=0), norms, out=unknown, where=norms > 1e-12)
    return found
