"""What evaluation needs of recordings beside scores: mean responses, and whether test images were ever trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.data.recordings import Recordings, Session

_CHUNK_TRIALS = 256


@dataclass(frozen=True)
class RecordingsSummary:
    """Mean responses, and the images that scores are read from.

    Parameters
    ----------
    mean_responses : ndarray of float64, shape (n_neurons,)
        Over the training trials of the neuron's session, in the order of the neurons.
    n_test_images : int
        Different test images over all sessions, by content.
    n_shared_images : int
        Those among them that any session showed for training or validation: a network with one core for all
        sessions has seen them.
    """

    mean_responses: NDArray[np.float64]
    n_test_images: int
    n_shared_images: int


def summarise_recordings(recordings: Recordings) -> RecordingsSummary:
    """Read every training response and every different image once, in chunks."""
    test: set[bytes] = set()
    seen: set[bytes] = set()
    means = []
    for session in recordings.sessions:
        test |= _images(session, ("test",))
        seen |= _images(session, ("train", "validation"))
        means.append(_mean_responses(session))
    return RecordingsSummary(np.concatenate(means), len(test), len(test & seen))


def _mean_responses(session: Session) -> NDArray[np.float64]:
    trials = session.trials("train")
    total = np.zeros(session.n_neurons)
    for start in range(0, len(trials), _CHUNK_TRIALS):
        total += session.responses.read(trials[start : start + _CHUNK_TRIALS]).sum(axis=0, dtype=np.float64)
    return total / len(trials) if len(trials) else np.full(session.n_neurons, np.nan)


def _images(session: Session, tiers: tuple[str, ...]) -> set[bytes]:
    """Digests of the different images of some tiers."""
    trials = np.concatenate([session.trials(tier) for tier in tiers])
    first = trials[np.unique(session.image_ids[trials], return_index=True)[1]]
    digests = set()
    for start in range(0, len(first), _CHUNK_TRIALS):
        for image in session.images.read(first[start : start + _CHUNK_TRIALS]):
            digests.add(hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest())
    return digests
