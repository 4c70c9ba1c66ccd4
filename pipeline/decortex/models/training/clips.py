"""Batches of windows cut from clips, and the responses to them, mixed over sessions. No network here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.data import Recordings
from decortex.data.video import is_in_memory
from decortex.errors import DatasetError
from decortex.models.cores import SpaceTimeConfig
from decortex.models.training.batches import Batch, Batches

_WINDOW_STREAM = 3  # windows have a random stream of their own: the batch order does not depend on them
_VALIDATION_CLIPS = 4


class ClipBatches(Batches):
    """All clips of one tier, over all sessions; an order of training says which window of each clip is shown.

    Every window lies inside one clip, so that its history is what was shown. The responses of a batch are those that
    the core predicts: the last ``window - lag`` of each window, one row per frame, clip after clip.

    Parameters
    ----------
    recordings : Recordings
        Every session must have trials in the tier.
    tier : str
        'train', 'validation' or 'test'.
    core : SpaceTimeConfig
        Its lag and warm-up.
    window : int, optional
        Frames of a window; None: as many as the shortest clip has.
    batch_size : int
        Windows per batch.
    max_cache_bytes : int
        Clips and responses that are read from disk are kept in memory, as float32, up to this size.

    Raises
    ------
    DatasetError
        If a session has no trial in the tier, or a clip is shorter than the window or than the lag.
    """

    def __init__(
        self,
        recordings: Recordings,
        tier: str,
        core: SpaceTimeConfig,
        *,
        window: int | None,
        batch_size: int,
        max_cache_bytes: int,
    ) -> None:
        super().__init__(recordings, tier, batch_size=batch_size)
        self.core = core
        self._left = max_cache_bytes
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        lengths = [_frames_of(session.n_frames) for session in self.sessions]
        self.n_frames = np.concatenate(
            [frames[trials] for frames, trials in zip(lengths, self.trials, strict=True)]
        ).astype(np.int64)
        usable = self.n_frames - core.first_frame
        self._check_lengths(tier, usable, window)
        self.window = int(usable.min()) if window is None else window

    @property
    def in_memory(self) -> bool:
        """Whether every clip is in memory already."""
        return all(
            is_in_memory(session.images) or all((index, trial) in self._kept for trial in trials.tolist())
            for index, (session, trials) in enumerate(zip(self.sessions, self.trials, strict=True))
        )

    @cached_property
    def responses(self) -> list[Tensor]:
        """Responses of every session that are scored, (n_frames over its clips, n_neurons), clip after clip."""
        found = []
        for index, trials in enumerate(self.trials):
            clips = [self._clip(index, trial)[1][self.core.skipped :] for trial in trials.tolist()]
            found.append(torch.cat(clips))
        return found

    def order(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Clips and first frames of the windows of every batch of an epoch; they depend on (seed, epoch) alone.

        Returns
        -------
        list of ndarray of int64, shape (n_windows, 2)
            Row of the clip, counted over the tier, and first frame of its window, sorted by clip.
        """
        rng = np.random.default_rng([seed, epoch, _WINDOW_STREAM])
        starts = rng.integers(self.core.first_frame, self.n_frames - self.window + 1)
        return [np.stack([rows, starts[rows]], axis=1) for rows in super().order(seed, epoch)]

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Cut the windows of one batch out of their clips."""
        parts: list[tuple[str, int]] = []
        responses: list[Tensor] = []
        windows: list[Tensor] = []
        which = self._session_of[rows[:, 0]]
        for index in np.unique(which).tolist():
            answered = []
            for row, start in rows[which == index].tolist():
                clip, traces = self._clip(index, int(self.trials[index][row - self._first_row[index]]))
                windows.append(clip[:, start : start + self.window])
                answered.append(traces[start + self.core.lag : start + self.window])
            responses.append(torch.cat(answered))
            parts.append((self.sessions[index].name, len(responses[-1])))
        return Batch(torch.stack(windows), parts, responses)

    def in_order(self) -> Iterator[Batch]:
        """Yield whole clips once, session after session, without their frames in front of the first that is shown."""
        for index, (session, trials) in enumerate(zip(self.sessions, self.trials, strict=True)):
            for run in session.stacks(trials, _VALIDATION_CLIPS):
                read = [self._clip(index, trial) for trial in run.tolist()]
                inputs = torch.stack([clip[:, self.core.first_frame :] for clip, _ in read])
                answered = torch.cat([traces[self.core.skipped :] for _, traces in read])
                yield Batch(inputs, [(session.name, len(answered))], [answered])

    def _clip(self, index: int, trial: int) -> tuple[Tensor, Tensor]:
        """One clip and the responses to it, from memory where they are."""
        if (index, trial) in self._kept:
            return self._kept[index, trial]
        session = self.sessions[index]
        one = np.array([trial])
        clip = torch.from_numpy(session.images.read(one)[0])
        traces = torch.from_numpy(session.responses.read(one)[0])
        n_bytes = 4 * (clip.numel() + traces.numel())
        if not is_in_memory(session.images) and n_bytes <= self._left:
            self._left -= n_bytes
            self._kept[index, trial] = clip, traces
        return clip, traces

    def _check_lengths(self, tier: str, usable: NDArray[np.int64], window: int | None) -> None:
        for row in np.flatnonzero((usable <= self.core.lag) | (usable < (window or 0))).tolist():
            index = int(self._session_of[row])
            trial = self.trials[index][row - self._first_row[index]]
            name, n_frames = self.sessions[index].name, self.n_frames[row]
            where = f"session {name!r}, {tier} trial {trial}: the clip has {n_frames} frames"
            if usable[row] <= self.core.lag:
                raise DatasetError(
                    f"{where}, no more than the network skips at its start (lag {self.core.lag}, warm-up"
                    f" {self.core.warm_up}). Use shorter temporal kernels or a shorter warm-up, or give the trial the"
                    " tier 'none'."
                )
            raise DatasetError(
                f"{where}, of which {usable[row]} can be shown, fewer than a window of {window}. Use a shorter window,"
                " or give the trial the tier 'none'."
            )
        if window is not None and window <= self.core.lag:
            raise DatasetError(
                f"a window of {window} frames is no longer than the core's lag of {self.core.lag}: nothing of it would"
                " be predicted. Use a longer window or shorter temporal kernels."
            )


def _frames_of(n_frames: NDArray[np.int64] | None) -> NDArray[np.int64]:
    assert n_frames is not None, "batches of clips need recordings of movies"
    return n_frames
