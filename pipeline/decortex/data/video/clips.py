"""Clips of a movie and the traces beside them, one file per trial: read whole, cut to their valid frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decortex.data.npy import read_array, read_first_row, single_precision
from decortex.data.recordings import InMemoryTrials, Trials
from decortex.errors import DatasetError, InputError

# Deconvolution leaves values just below zero. Down to this share of a neuron's standard deviation they count as zero.
NEGATIVE_TOLERANCE = 1e-3
# Training trials that this standard deviation is taken from, at most.
_REFERENCE_TRIALS = 16


@dataclass(frozen=True)
class _Files:
    """What videos and traces share: files by trial, and how many of their frames are used.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    names : tuple of str
        File names in the order of the trials.
    n_frames : ndarray of int64, shape (n_trials,)
        Frames of each trial that are used, from its first.
    """

    folder: Path
    names: tuple[str, ...]
    n_frames: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.names)

    def values(self, trial: int) -> NDArray[np.float32]:
        """Return one file's numbers up to the last frame that is used, time last, float32."""
        path = self.folder / self.names[trial]
        values = read_array(path)
        n_frames = int(self.n_frames[trial])
        if values.ndim < 2 or values.shape[-1] < n_frames:
            raise DatasetError(
                f"{path} now has shape {values.shape}, {n_frames} frames when the folder was opened."
                " Do not change a folder in use; open it again."
            )
        return single_precision(values[..., :n_frames])

    def length(self, trials: NDArray[np.int64]) -> int:
        """Return the one length of these clips, in frames."""
        return one_length(self.n_frames[trials])


class VideoFiles(_Files):
    """Videos, (height, width, n_frames) or (channels, height, width, n_frames) per file."""

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return clips of one length, (len(trials), channels, n_frames, height, width)."""
        self.length(trials)
        clips = [self.values(trial) for trial in trials.tolist()]
        grey = [clip[None] if clip.ndim == 3 else clip for clip in clips]
        return np.ascontiguousarray(np.moveaxis(np.stack(grey), -1, 2))


class TraceFiles(_Files):
    """Responses or behaviour, (n_values, n_frames) per file."""

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the traces of clips of one length, (len(trials), n_frames, n_values)."""
        self.length(trials)
        return np.ascontiguousarray(np.stack([self.values(trial).T for trial in trials.tolist()]))


@dataclass(frozen=True)
class ClipsWithBehaviour:
    """Clips with what the animal did beside them, as channels that are constant over a frame and vary in time.

    Parameters
    ----------
    clips : Trials
        (channels, n_frames, height, width) per trial.
    behaviour : tuple of Trials
        (n_frames, n_values) per trial; their values become the last channels, in this order.
    """

    clips: Trials
    behaviour: tuple[Trials, ...]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.clips)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return clips of one length with their behaviour, (len(trials), channels, n_frames, height, width)."""
        shown = self.clips.read(trials)
        values = np.concatenate([one.read(trials) for one in self.behaviour], axis=2)
        channels = np.broadcast_to(
            values.transpose(0, 2, 1)[..., None, None],
            (len(trials), values.shape[2], values.shape[1], *shown.shape[3:]),
        )
        return np.concatenate([shown, channels], axis=1)


@dataclass(frozen=True)
class DeconvolvedTraces:
    """Responses whose values just below zero, which deconvolution leaves, are read as zero.

    Parameters
    ----------
    traces : Trials
        Responses as they are, (n_frames, n_neurons) per trial.
    reference : ndarray of int64
        Training trials; each neuron's standard deviation over up to 16 of them says what 'just below' is.
    n_frames : ndarray of int64, shape (n_trials,)
        Frames of each trial.
    """

    traces: Trials
    reference: NDArray[np.int64]
    n_frames: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.traces)

    @cached_property
    def tolerance(self) -> NDArray[np.float32]:
        """How far below zero each neuron's responses count as zero, (n_neurons,), in their own unit."""
        if not len(self.reference):
            return np.zeros(1, dtype=np.float32)
        step = -(-len(self.reference) // _REFERENCE_TRIALS)
        total = squares = count = np.zeros(1)
        for trial in self.reference[::step]:
            read = self.traces.read(np.array([trial]))[0].astype(np.float64)
            known = np.isfinite(read)  # a broken value is a full pass's to report, here it must not spread
            values = np.where(known, read, 0.0)
            total, squares = total + values.sum(axis=0), squares + np.square(values).sum(axis=0)
            count = count + known.sum(axis=0)
        n_frames = np.maximum(count, 1)
        variance = np.maximum(squares / n_frames - np.square(total / n_frames), 0.0)
        return (NEGATIVE_TOLERANCE * np.sqrt(variance)).astype(np.float32)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the responses to clips of one length, (len(trials), n_frames, n_neurons)."""
        values = self.traces.read(trials)
        values[(values < 0) & (values >= -self.tolerance)] = 0.0
        return values


@dataclass(frozen=True)
class RepeatedTrials:
    """Trials that show some of a number of arrays, again and again, without copies of them.

    Parameters
    ----------
    values : ndarray of float32, shape (n_shown, ...)
        What is shown.
    which : ndarray of int64, shape (n_trials,)
        Which of them each trial shows.
    """

    values: NDArray[np.float32]
    which: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.which)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the arrays of these trials, stacked."""
        return self.values[self.which[trials]]


@dataclass(frozen=True)
class InMemoryClips:
    """Clips, or responses to them, in memory, each of its own length.

    Parameters
    ----------
    clips : tuple of ndarray of float32
        (channels, n_frames, height, width) or (n_frames, n_values) per trial.
    """

    clips: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.clips)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return clips of one length, stacked."""
        chosen = [self.clips[trial] for trial in trials.tolist()]
        if len({clip.shape for clip in chosen}) > 1:
            raise InputError(
                f"clips of different shapes do not stack: {sorted({clip.shape for clip in chosen})}."
                " Session.stacks groups trials of one length."
            )
        return np.stack(chosen)


def is_in_memory(trials: Trials) -> bool:
    """Whether reading these trials touches no disk, so that keeping them would only double them."""
    return isinstance(trials, InMemoryTrials | InMemoryClips | RepeatedTrials)


def one_length(lengths: NDArray[np.int64]) -> int:
    """Return the length that all of these clips have.

    Raises
    ------
    InputError
        If they differ.
    """
    found = np.unique(lengths)
    if len(found) != 1:
        raise InputError(
            f"clips of different lengths do not stack: {found.tolist()} frames. Session.stacks groups trials of"
            " one length."
        )
    return int(found[0])


def valid_frames(path: Path) -> int:
    """Frames in front of the NaN that fill a file up behind them (time is the last axis).

    The first row tells; where it holds nothing but NaN, as that of a neuron that was lost, the whole file does.
    """
    row = read_first_row(path)
    if row.dtype.kind != "f":
        return len(row)
    known = np.flatnonzero(~np.isnan(row))
    if not len(known):
        values = read_array(path)
        known = np.flatnonzero(~np.isnan(values).all(axis=tuple(range(values.ndim - 1))))
    return int(known[-1]) + 1 if len(known) else 0
