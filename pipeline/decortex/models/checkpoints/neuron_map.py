"""Scores of a network whose neurons are not the recordings' own: a map says which neuron was recorded as which."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from decortex.data import Recordings, Session
from decortex.data.video import frame_responses, frame_rows
from decortex.errors import InputError
from decortex.evaluation.performance import CLIP_METRICS, METRICS, Scores, score_neurons

NO_RECORDING = "no_recording"

# (session of the network, session of the recordings, trials) -> predictions (n_trials, n_neurons of the network's)
Predict = Callable[[str, Session, NDArray[np.int64]], NDArray[np.float32]]


def check_map(places: NDArray[np.integer], n_network: int, n_recorded: int) -> NDArray[np.int64]:
    """Check a map from a network's neurons to recorded ones.

    Parameters
    ----------
    places : ndarray of int, shape (n_network,)
        Place of each of the network's neurons among the recorded ones; -1: it was not recorded.
    n_network, n_recorded : int
        Neurons of the network, and of the recordings.

    Returns
    -------
    ndarray of int64
        The map.

    Raises
    ------
    InputError
        If it names a neuron that is not there, or one twice, or none at all.
    """
    if places.shape != (n_network,):
        raise InputError(f"the neuron map has {places.size} entries for the network's {n_network} neurons.")
    known = places[places >= 0]
    if not len(known):
        raise InputError("the neuron map maps no neuron: register the checkpoint without recordings instead.")
    if places.min() < -1 or known.max() >= n_recorded:
        raise InputError(
            f"the neuron map names the recorded neurons {int(places.min())} to {int(places.max())}; there are 0 to"
            f" {n_recorded - 1}, and -1 means that a neuron was not recorded."
        )
    repeated, counts = np.unique(known, return_counts=True)
    if counts.max() > 1:
        raise InputError(
            f"the neuron map names the recorded neuron {int(repeated[counts.argmax()])} {int(counts.max())} times; one"
            " neuron is recorded once."
        )
    return places.astype(np.int64)


def score_mapped(
    predict: Predict,
    recordings: Recordings,
    tier: str,
    *,
    session_of: NDArray[np.str_],
    index_of: NDArray[np.int64],
    places: NDArray[np.int64],
    skipped: int = 0,
) -> tuple[dict[str, Scores], int]:
    """Score every neuron of a network on recordings that hold some of its neurons.

    Parameters
    ----------
    predict : callable
        Predicts one session of the network for trials of one recorded session.
    recordings : Recordings
        Where the responses are.
    tier : str
        'train', 'validation' or 'test'.
    session_of, index_of : ndarray, shape (n_network,)
        The network's session of each neuron, and its index there.
    places : ndarray of int64, shape (n_network,)
        See `check_map`.
    skipped : int
        Of movies: frames at the start of every clip that the network says nothing of.

    Returns
    -------
    scores : dict of str to Scores
        In the order of the network's neurons; without a recording, the value is NaN and the reason
        'no_recording'. A neuron is never dropped.
    n_trials : int
        Trials of the recorded sessions that hold a neuron.
    """
    metrics = METRICS + (CLIP_METRICS if recordings.is_video else ())
    values = {name: np.full(len(places), np.nan) for name in metrics}
    reasons = {name: np.full(len(places), NO_RECORDING, dtype="<U24") for name in metrics}
    n_trials, begin = 0, 0
    for session in recordings.sessions:
        rows = np.flatnonzero((places >= begin) & (places < begin + session.n_neurons))
        local = places[rows] - begin
        begin += session.n_neurons
        trials = session.trials(tier)
        if not len(rows) or not len(trials):
            continue
        n_trials += len(trials)
        image_ids, clip_ids = session.image_ids[trials], None
        if session.n_frames is None:
            responses = session.responses.read(trials)[:, local]
        else:
            frames = frame_rows(session, trials, skipped=skipped)
            image_ids, clip_ids = frames.image_ids, frames.clip_ids
            responses = frame_responses(session, trials, skipped=skipped)[:, local]
        predicted = np.empty_like(responses)
        for name in np.unique(session_of[rows]):
            own = session_of[rows] == name
            predicted[:, own] = predict(str(name), session, trials)[:, index_of[rows[own]]]
        for metric, score in score_neurons(responses, predicted, image_ids, clip_ids=clip_ids).items():
            values[metric][rows], reasons[metric][rows] = score.values, score.reasons
    return {name: Scores(name, values[name], reasons[name]) for name in metrics}, n_trials
