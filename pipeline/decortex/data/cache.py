"""Recordings in memory, as far as they fit. No file formats here."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from decortex.data.recordings import InMemoryTrials, Recordings, Session, Trials
from decortex.data.video import InMemoryClips, is_in_memory
from decortex.errors import InputError


def cached(recordings: Recordings, *, max_bytes: int) -> Recordings:
    """Read trials into memory as long as the budget lasts; what does not fit stays where it is.

    Responses come first, of all sessions in order, then images: responses are small and read every epoch.

    Parameters
    ----------
    recordings : Recordings
        Any recordings; they are not changed.
    max_bytes : int
        Budget for what is read, in bytes (float32: four a number). Trials in memory already cost nothing.

    Returns
    -------
    Recordings
        The same content, digest and order.

    Raises
    ------
    InputError
        If the budget is negative.
    """
    if max_bytes < 0:
        raise InputError(f"max_bytes should be 0 or more, it is {max_bytes}.")
    left = max_bytes
    sessions: list[Session] = list(recordings.sessions)
    for key in ("responses", "images"):
        for place, session in enumerate(sessions):
            is_image = key == "images"
            trials = session.images if is_image else session.responses
            shape = recordings.image_shape if is_image else (session.n_neurons,)
            n_stacked = len(trials) if session.n_frames is None else int(session.n_frames.sum())
            cost = 4 * n_stacked * math.prod(shape)
            if cost <= left and not is_in_memory(trials):
                left -= cost
                values = _in_memory(session, trials)
                sessions[place] = (
                    replace(session, images=values) if is_image else replace(session, responses=values)
                )
    return Recordings(
        sessions=sessions,
        image_shape=recordings.image_shape,
        content_sha256=partial(getattr, recordings, "content_sha256"),
        truth=recordings.truth,
        frame_rate=recordings.frame_rate,
    )


def _in_memory(session: Session, trials: Trials) -> Trials:
    every = np.arange(len(trials))
    if session.n_frames is None:
        return InMemoryTrials(trials.read(every))
    return InMemoryClips(tuple(trials.read(every[trial : trial + 1])[0] for trial in every))
