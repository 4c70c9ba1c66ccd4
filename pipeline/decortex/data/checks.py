"""A full pass over the values of recordings, as done once before they are registered. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from decortex.data.recordings import TIERS, Recordings, Session, Trials
from decortex.errors import DatasetError

_CHUNK_TRIALS = 256
Fault = Callable[[NDArray[np.float32]], NDArray[np.bool_]]


def check_responses(recordings: Recordings) -> None:
    """Check that every response of a used trial is finite and not negative; reads them in chunks.

    Trials of tiers other than train, validation and test may hold anything: nobody reads them.

    Raises
    ------
    DatasetError
        At the first fault, naming session, trial and neuron, and how many there are in that session's chunk.
    """
    for session in recordings.sessions:
        _check(session, session.responses, "responses", "neuron", _bad_response)


def check_images(recordings: Recordings) -> None:
    """Check that every pixel of a used trial is finite; reads the images in chunks.

    Raises
    ------
    DatasetError
        At the first fault, naming session, trial and pixel.
    """
    for session in recordings.sessions:
        _check(session, session.images, "images", "(channel, row, column)", _bad_pixel)


def _bad_response(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return ~(np.isfinite(values) & (values >= 0))


def _bad_pixel(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return ~np.isfinite(values)


def _check(session: Session, trials: Trials, what: str, place_name: str, fault: Fault) -> None:
    used = np.flatnonzero(np.isin(session.tiers, TIERS)).astype(np.int64)
    for start in range(0, len(used), _CHUNK_TRIALS):
        chunk = used[start : start + _CHUNK_TRIALS]
        values = trials.read(chunk)
        bad = fault(values)
        if bad.any():
            first, *place = (int(index) for index in np.argwhere(bad)[0])
            trial = chunk[first]
            n_trials = int(bad.reshape(len(bad), -1).any(axis=1).sum())
            wanted = "finite and not negative" if what == "responses" else "finite"
            where = place[0] if len(place) == 1 else tuple(place)
            raise DatasetError(
                f"session {session.name!r}: {what} should be {wanted}, but trial {trial}"
                f" (tier {str(session.tiers[trial])!r}) has {values[(first, *place)]} at {place_name} {where};"
                f" {n_trials} of {len(chunk)} trials looked at from there are affected. Correct them, or give"
                " these trials the tier 'none'."
            )
