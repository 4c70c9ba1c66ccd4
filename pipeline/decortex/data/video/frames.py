"""Frames of clips as rows: which trial, frame and clip each row of a score belongs to. No network here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.data.recordings import Session

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FrameRows:
    """Frames of some clips of a session, clip after clip; every array has shape (n_rows,).

    Parameters
    ----------
    trials : ndarray of int64
        Trial of each row.
    frames : ndarray of int64
        Frame of its clip.
    image_ids : ndarray of int64
        Rows with equal id are repeats of one frame of one clip.
    clip_ids : ndarray of int64
        The clip, by its content. Frames are not samples: what is resampled is clips.
    """

    trials: IntArray
    frames: IntArray
    image_ids: IntArray
    clip_ids: IntArray


def frame_rows(session: Session, trials: IntArray, *, skipped: int = 0) -> FrameRows:
    """List the frames of clips behind the first ``skipped`` of each.

    Parameters
    ----------
    session : Session
        Of clips.
    trials : ndarray of int64
        Which trials, in any order.
    skipped : int
        Frames at the start of every clip that are left out; a clip that is no longer has no row.
    """
    n_frames = _lengths(session)
    lengths = np.maximum(n_frames[trials] - skipped, 0)
    frames = [np.arange(skipped, skipped + length) for length in lengths.tolist()]
    of_frame = np.concatenate([np.empty(0, dtype=np.int64), *frames]).astype(np.int64)
    of_trial = np.repeat(trials, lengths)
    clips = session.image_ids[of_trial]
    which = np.unique(clips, return_inverse=True)[1].astype(np.int64)
    return FrameRows(of_trial, of_frame, which * int(n_frames.max() + 1) + of_frame, clips)


def frame_responses(session: Session, trials: IntArray, *, skipped: int = 0) -> NDArray[np.float32]:
    """Responses to the frames that `frame_rows` lists, (n_rows, n_neurons)."""
    lengths = np.maximum(_lengths(session)[trials] - skipped, 0)
    rows = np.empty((int(lengths.sum()), session.n_neurons), dtype=np.float32)
    ends = np.cumsum(lengths)
    for trial, length, end in zip(trials.tolist(), lengths.tolist(), ends.tolist(), strict=True):
        if length:
            rows[end - length : end] = session.responses.read(np.array([trial]))[0, skipped:]
    return rows


def _lengths(session: Session) -> IntArray:
    assert session.n_frames is not None, "frames are of sessions that show clips"
    return session.n_frames
