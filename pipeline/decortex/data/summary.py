"""What evaluation needs of recordings beside scores: mean responses, and whether test images were ever trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.data.filetree import ImagesWithBehaviour
from decortex.data.recordings import Recordings, Session

_CHUNK_TRIALS = 256
_CHUNK_CLIPS = 4


@dataclass(frozen=True)
class RecordingsSummary:
    """Mean responses, and the images that scores are read from.

    Parameters
    ----------
    mean_responses : ndarray of float64, shape (n_neurons,)
        Over the training trials (of clips: their frames) of the neuron's session, in the order of the neurons.
    n_test_images : int
        Different test images, or clips, over all sessions, by content.
    n_shared_images : int
        Those among them that any session showed for training or validation: a network with one core for all
        sessions has seen them.
    n_repeated_images : int
        Test images, or clips, that a session shows at least twice, of the session with fewest: explainable variance
        (FEV, FEVE) and reliability rest on so many.
    """

    mean_responses: NDArray[np.float64]
    n_test_images: int
    n_shared_images: int
    n_repeated_images: int


def summarise_recordings(recordings: Recordings) -> RecordingsSummary:
    """Read every training response and every different image once, in chunks."""
    test: set[bytes] = set()
    seen: set[bytes] = set()
    means, repeated = [], []
    for session in recordings.sessions:
        test |= _images(session, ("test",))
        seen |= _images(session, ("train", "validation"))
        means.append(_mean_responses(session))
        counts = np.unique(session.image_ids[session.trials("test")], return_counts=True)[1]
        repeated.append(int((counts >= 2).sum()))
    return RecordingsSummary(np.concatenate(means), len(test), len(test & seen), min(repeated))


def _mean_responses(session: Session) -> NDArray[np.float64]:
    trials = session.trials("train")
    total, n_stacked = np.zeros(session.n_neurons), 0
    for chunk in session.stacks(trials, _size(session)):
        responses = session.responses.read(chunk).reshape(-1, session.n_neurons)
        total += responses.sum(axis=0, dtype=np.float64)
        n_stacked += len(responses)
    return total / n_stacked if n_stacked else np.full(session.n_neurons, np.nan)


def _images(session: Session, tiers: tuple[str, ...]) -> set[bytes]:
    """Identities of the different images or clips of some tiers, by content, whatever the animal did."""
    trials = np.concatenate([session.trials(tier) for tier in tiers])
    if session.n_frames is not None:  # a clip's id is its content already
        return {int(identity).to_bytes(8, "big", signed=True) for identity in session.image_ids[trials]}
    first = trials[np.unique(session.image_ids[trials], return_index=True)[1]]
    shown = session.images.images if isinstance(session.images, ImagesWithBehaviour) else session.images
    digests = set()
    for start in range(0, len(first), _CHUNK_TRIALS):
        for image in shown.read(first[start : start + _CHUNK_TRIALS]):
            digests.add(hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest())
    return digests


def _size(session: Session) -> int:
    return _CHUNK_TRIALS if session.n_frames is None else _CHUNK_CLIPS
