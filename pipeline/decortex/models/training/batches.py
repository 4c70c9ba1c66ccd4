"""Batches of images and responses, mixed over sessions: order, cache, shifts. No network here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from decortex.data import Recordings
from decortex.errors import DatasetError

_AHEAD = 2  # batches that are read while one is trained on
_PIECE = 64  # trials read at once when the cache is filled; larger pieces leave the processor's cache


@dataclass(frozen=True)
class Batch:
    """Inputs of several sessions and the responses to them.

    Parameters
    ----------
    inputs : Tensor, shape (batch, ...)
        Images, or the core's maps of them; sorted by session.
    parts : list of (session name, number of inputs)
        How the batch divides; sessions without an image in it are absent.
    responses : list of Tensor, shapes (number of inputs, n_neurons of the session)
        One for each part.
    """

    inputs: Tensor
    parts: list[tuple[str, int]]
    responses: list[Tensor]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(self.inputs.to(device), self.parts, [one.to(device) for one in self.responses])


class Batches(ABC):
    """Trials of one tier over all sessions, and the order in which an epoch shows them.

    Parameters
    ----------
    recordings : Recordings
        Every session must have trials in the tier.
    tier : str
        'train', 'validation' or 'test'.
    batch_size : int
        Images or clips per batch.

    Attributes
    ----------
    responses : list of Tensor, shapes (n_rows, n_neurons of the session)
        What the network predicts over all trials, in their order: a row per trial, of clips a row per frame.

    Raises
    ------
    DatasetError
        If a session has no trial in the tier.
    """

    def __init__(self, recordings: Recordings, tier: str, *, batch_size: int) -> None:
        self.sessions = list(recordings.sessions)
        self.batch_size = batch_size
        self.trials = [session.trials(tier) for session in self.sessions]
        for session, trials in zip(self.sessions, self.trials, strict=True):
            if len(trials) == 0:
                found = ", ".join(sorted(set(session.tiers.tolist()))) or "none"
                raise DatasetError(
                    f"session {session.name!r} has no {tier} trials (its tiers: {found}). Give every session"
                    " train and validation trials, or leave it out."
                )
        self.n_trials = sum(len(trials) for trials in self.trials)
        self.n_batches = -(-self.n_trials // batch_size)
        self._session_of = np.repeat(np.arange(len(self.sessions)), [len(trials) for trials in self.trials])
        self._first_row = np.cumsum([0, *(len(trials) for trials in self.trials)])

    def order(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Rows of every batch of an epoch, mixed over sessions; they depend on (seed, epoch) alone.

        No batch is much smaller than the others: batch norm would follow its few images.
        """
        order = np.random.default_rng([seed, epoch]).permutation(self.n_trials)
        return [np.sort(rows) for rows in np.array_split(order, self.n_batches)]

    def stream(self, order: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the batches of an epoch; those that come from disk are read ahead by one thread, in order."""
        if self.in_memory:
            yield from (self.batch(rows) for rows in order)
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decortex-read") as reader:
            ahead: deque[Future[Batch]] = deque()
            try:
                for rows in order:
                    ahead.append(reader.submit(self.batch, rows))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()

    @property
    @abstractmethod
    def in_memory(self) -> bool:
        """Whether batches are gathered from memory, so that reading ahead would gain nothing."""

    @property
    @abstractmethod
    def responses(self) -> list[Tensor]:
        """Responses of every session, in the order of its trials."""

    @abstractmethod
    def in_order(self) -> Iterator[Batch]:
        """Yield all trials once, session after session."""

    @abstractmethod
    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Gather the trials of one batch of an order."""


class TierBatches(Batches):
    """All images of one tier, over all sessions.

    Parameters
    ----------
    recordings : Recordings
        Every session must have trials in the tier.
    tier : str
        'train', 'validation' or 'test'.
    batch_size : int
        Images per batch.
    max_cache_bytes : int
        Images are kept in memory when they need no more than this, else read batch by batch.

    Raises
    ------
    DatasetError
        If a session has no trial in the tier.
    """

    def __init__(self, recordings: Recordings, tier: str, *, batch_size: int, max_cache_bytes: int) -> None:
        super().__init__(recordings, tier, batch_size=batch_size)
        self._responses = [
            torch.from_numpy(session.responses.read(trials))
            for session, trials in zip(self.sessions, self.trials, strict=True)
        ]
        self._inputs: Tensor | None = None  # all trials', in order; None: read batch by batch
        if self.n_trials * int(np.prod(recordings.image_shape)) * 4 <= max_cache_bytes:
            self._inputs = self.collect(lambda images: images, recordings.image_shape)

    @property
    def in_memory(self) -> bool:
        """Whether batches are gathered from memory."""
        return self._inputs is not None

    @property
    def responses(self) -> list[Tensor]:
        """Responses of every session, (n_trials, n_neurons), in the order of its trials."""
        return self._responses

    def keep_inputs(self, inputs: Tensor) -> None:
        """Take these in place of the images, (n_trials, ...), in order; they are not written to."""
        self._inputs = inputs

    def in_order(self) -> Iterator[Batch]:
        """Yield all trials once, session after session."""
        for begin in range(0, self.n_trials, self.batch_size):
            yield self.batch(np.arange(begin, min(begin + self.batch_size, self.n_trials)))

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Gather trials by their ascending row numbers, counted over the tier, sessions one after another."""
        parts, responses = [], []
        which = self._session_of[rows]
        for index in np.unique(which).tolist():
            local = rows[which == index] - self._first_row[index]
            responses.append(self.responses[index][torch.from_numpy(local)])
            parts.append((self.sessions[index].name, len(local)))
        inputs = self._read(rows) if self._inputs is None else self._inputs[torch.from_numpy(rows)]
        return Batch(inputs, parts, responses)

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        which = self._session_of[rows]
        pieces = []
        for index in np.unique(which).tolist():
            trials = self.trials[index][rows[which == index] - self._first_row[index]]
            pieces.append(torch.from_numpy(self.sessions[index].images.read(trials)))
        return torch.cat(pieces)

    def collect(self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Tensor:
        """Return a fixed function of all images, (n_trials, *shape), piece by piece."""
        inputs = torch.empty(self.n_trials, *shape)
        for begin in range(0, self.n_trials, _PIECE):
            rows = np.arange(begin, min(begin + _PIECE, self.n_trials))
            images = self._read(rows) if self._inputs is None else self._inputs[torch.from_numpy(rows)]
            inputs[begin : begin + _PIECE] = function(images)
        return inputs


def shift_images(images: Tensor, reach: int, rng: np.random.Generator) -> Tensor:
    """Shift every image by its own whole number of pixels, -reach..reach along both axes; borders repeat.

    Parameters
    ----------
    images : Tensor, shape (batch, n_channels, height, width), or clips with their frames in front of the height
        Any unit; the frames of a clip shift together.
    reach : int
        Largest shift in pixels; 0 returns the images as they are.
    rng : numpy.random.Generator
        Source of the shifts.

    Returns
    -------
    Tensor, same shape
        Shifted images.
    """
    if reach == 0:
        return images
    if images.ndim == 5:  # all frames of a clip shift together
        shifted = shift_images(images.flatten(1, 2), reach, rng)
        return shifted.reshape(images.shape)
    n_images, _, height, width = images.shape
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    down, right = rng.integers(0, 2 * reach + 1, size=(2, n_images)).tolist()
    return torch.stack(
        [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, down, right, strict=True)]
    )
