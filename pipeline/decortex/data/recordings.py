"""What every data source gives: sessions of images or clips and responses, read trial by trial. No file formats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.errors import DatasetError

TIERS = ("train", "validation", "test")
NEURON_COLUMNS = ("session", "unit_id", "animal", "scan", "area")


class Trials(Protocol):
    """Read-only access to one array per trial, whether it lies in memory or on disk."""

    def __len__(self) -> int:
        """Return the number of trials."""

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the arrays of these trials, stacked: (len(trials), ...), float32.

        Clips have lengths of their own: only trials of one length stack (`Session.stacks` groups them).
        """


@dataclass(frozen=True)
class InMemoryTrials:
    """Trials that lie in one array of shape (n_trials, ...)."""

    values: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.values)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the arrays of these trials, stacked."""
        return self.values[trials]


@dataclass(frozen=True)
class Session:
    """One recording: neurons of one animal that saw one sequence of images, or of clips of a movie.

    Parameters
    ----------
    name : str
        Name of the session, unique within its recordings.
    images : Trials
        Images, (n_trials, n_channels, height, width), in the source's own pixel units; of clips, one trial is
        (n_channels, n_frames, height, width).
    responses : Trials
        Responses, (n_trials, n_neurons), not negative, in the source's own unit (spikes, events); of clips, one
        trial is (n_frames, n_neurons).
    tiers : ndarray of str, shape (n_trials,)
        'train', 'validation' or 'test' a trial; any other word keeps a trial out of everything.
    image_ids : ndarray of int64, shape (n_trials,)
        Trials with equal id showed the same image or clip (repeats).
    neurons : DataFrame, n_neurons rows
        Columns ``session, unit_id, animal, scan, area`` and, where known, ``x, y, z`` (micrometres).
    n_frames : ndarray of int64, shape (n_trials,), optional
        Frames of each trial's clip, of stimulus and responses alike; None: every trial shows one image.
    notes : tuple of str
        What whoever registers the session should know of its files.
    """

    name: str
    images: Trials
    responses: Trials
    tiers: NDArray[np.str_]
    image_ids: NDArray[np.int64]
    neurons: pd.DataFrame
    n_frames: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every part speaks of the same trials and neurons."""
        counts = {
            "images": len(self.images),
            "responses": len(self.responses),
            "tiers": len(self.tiers),
            "image ids": len(self.image_ids),
        }
        if self.n_frames is not None:
            counts["clip lengths"] = len(self.n_frames)
        if len(set(counts.values())) != 1:
            found = ", ".join(f"{n} {name}" for name, n in counts.items())
            raise DatasetError(
                f"session {self.name!r} should hold as many images as responses, tiers and image ids,"
                f" but has {found}. Export the session again or remove the surplus trials."
            )
        missing = [name for name in NEURON_COLUMNS if name not in self.neurons]
        if missing:
            raise DatasetError(
                f"session {self.name!r}: the neuron table lacks {missing}; it needs {list(NEURON_COLUMNS)}."
            )

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return len(self.tiers)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.neurons)

    def trials(self, tier: str) -> NDArray[np.int64]:
        """Return the indices of the trials of one tier, ascending."""
        return np.flatnonzero(self.tiers == tier).astype(np.int64)

    def stacks(self, trials: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
        """Divide trials, in their order, into runs that `Trials.read` can stack.

        Parameters
        ----------
        trials : ndarray of int64
            Which trials.
        size : int
            Trials per run, at most; clips of different lengths never share a run.
        """
        if self.n_frames is None:
            edges = np.empty(0, dtype=np.int64)
        else:
            edges = np.flatnonzero(np.diff(self.n_frames[trials])) + 1
        for run in np.split(trials, edges):
            yield from (run[begin : begin + size] for begin in range(0, len(run), size))


class _Digest:
    """Field that takes a digest or a function that computes it; the function runs once, when first asked.

    Hashing a folder reads every file of it: opening one to list its neurons must not pay for that.
    """

    @overload
    def __get__(self, recordings: None, owner: type) -> _Digest: ...
    @overload
    def __get__(self, recordings: object, owner: type) -> str: ...
    def __get__(self, recordings: object | None, owner: type) -> _Digest | str:
        if recordings is None:
            # dataclasses reads the class attribute for a default; the field has none
            raise AttributeError("content_sha256 belongs to an instance")
        value = recordings.__dict__["content_sha256"]
        if not isinstance(value, str):
            value = recordings.__dict__["content_sha256"] = value()
        return str(value)

    def __set__(self, recordings: object, value: str | Callable[[], str]) -> None:
        recordings.__dict__["content_sha256"] = value


@dataclass(frozen=True, repr=False)
class Recordings:
    """Sessions in a fixed order; the neurons of all sessions, concatenated, have one index each.

    Parameters
    ----------
    sessions : sequence of Session
        At least one; names are unique; all images have one shape.
    image_shape : tuple of int
        (n_channels, height, width).
    content_sha256 : str
        Digest of everything a result can depend on (files, or generator and its output). May be given as a
        function without arguments, which then runs once, when the digest is first read.
    truth : ndarray of int64, shape (n_neurons,), optional
        Known functional type of every neuron (simulated data only).
    frame_rate : float, optional
        Frames per second of clips and of the responses to them; None for images.
    """

    sessions: Sequence[Session]
    image_shape: tuple[int, int, int]
    content_sha256: _Digest = _Digest()
    truth: NDArray[np.int64] | None = field(default=None)
    frame_rate: float | None = None

    def __post_init__(self) -> None:
        """Check session names, the length of the truth, and that all sessions show images or all show clips."""
        names = [session.name for session in self.sessions]
        if not names:
            raise DatasetError("recordings need at least one session, none was found.")
        if len(set(names)) != len(names):
            raise DatasetError(f"session names must be unique, but they are {names}. Rename the folders.")
        if self.truth is not None and len(self.truth) != self.n_neurons:
            raise DatasetError(f"truth has {len(self.truth)} labels for {self.n_neurons} neurons.")
        shows_clips = {session.name: session.n_frames is not None for session in self.sessions}
        if set(shows_clips.values()) != {self.is_video}:
            raise DatasetError(
                "recordings show images, without a frame rate, or clips of one frame rate; here the frame rate is"
                f" {self.frame_rate} and sessions that show clips are"
                f" {[name for name, clips in shows_clips.items() if clips]}. Register images and movies apart,"
                " and say at how many frames per second movies were shown."
            )
        if self.frame_rate is not None and not 0 < self.frame_rate < float("inf"):
            raise DatasetError(f"a frame rate is a positive number of Hz, got {self.frame_rate}.")

    @property
    def is_video(self) -> bool:
        """Whether trials are clips of a movie, not images."""
        return self.frame_rate is not None

    def __repr__(self) -> str:
        """Show counts, not arrays (and never compute a digest for it)."""
        names = ", ".join(session.name for session in self.sessions)
        return f"Recordings({self.n_neurons} neurons, images {self.image_shape}, sessions {names})"

    @property
    def n_neurons(self) -> int:
        """Number of neurons over all sessions."""
        return sum(session.n_neurons for session in self.sessions)

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """All neurons in order; the row number is the ``neuron_idx`` of every array and table."""
        table = pd.concat([session.neurons for session in self.sessions], ignore_index=True)
        table.index.name = "neuron_idx"
        return table

    @property
    def slices(self) -> dict[str, slice]:
        """Where each session's neurons lie in the concatenated order."""
        ends = np.cumsum([session.n_neurons for session in self.sessions])
        return {
            session.name: slice(int(end) - session.n_neurons, int(end))
            for session, end in zip(self.sessions, ends, strict=True)
        }

    @cached_property
    def neuron_order_sha256(self) -> str:
        """Digest of the neurons' identities in order; guards every array that is kept per neuron."""
        return identities_sha256(
            self.neurons[["session", "animal", "scan", "unit_id"]].itertuples(index=False)
        )


def identities_sha256(identities: Iterable[Iterable[object]]) -> str:
    """Digest of neurons' identities, each (session, animal, scan, unit), in order."""
    digest = hashlib.sha256()
    for identity in identities:
        digest.update("\x1f".join(str(value) for value in identity).encode() + b"\x1e")
    return digest.hexdigest()
