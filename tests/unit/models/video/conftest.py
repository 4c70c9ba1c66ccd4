"""Small movies in memory, and networks of them whose weights are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from decortex.data import Recordings, Session
from decortex.data.video import InMemoryClips

MakeSession = Callable[..., Session]


def session_of(
    clips: Sequence[np.ndarray],
    responses: Sequence[np.ndarray],
    tiers: Sequence[str],
    ids: Sequence[int] | None = None,
    name: str = "s",
) -> Session:
    """A session of clips, (channels, n_frames, height, width), and responses, (n_frames, n_neurons)."""
    n_neurons = responses[0].shape[1]
    return Session(
        name=name,
        images=InMemoryClips(tuple(np.asarray(clip, dtype=np.float32) for clip in clips)),
        responses=InMemoryClips(tuple(np.asarray(one, dtype=np.float32) for one in responses)),
        tiers=np.array(tiers),
        image_ids=np.arange(len(clips)) if ids is None else np.array(ids),
        neurons=pd.DataFrame(
            {"session": name, "unit_id": np.arange(n_neurons), "animal": "a", "scan": 0, "area": "V1"}
        ),
        n_frames=np.array([clip.shape[1] for clip in clips], dtype=np.int64),
    )


def recordings_of(*sessions: Session, frame_rate: float = 30.0) -> Recordings:
    """Recordings of these sessions."""
    first = sessions[0].images.read(np.array([0]))[0]
    return Recordings(
        sessions, (first.shape[0], *first.shape[2:]), "in memory " + sessions[0].name, frame_rate=frame_rate
    )


@pytest.fixture
def copying() -> Recordings:
    """White noise; neuron n copies pixel n three frames ago. Clips of 40 and 30 frames."""
    rng = np.random.default_rng(0)
    lengths = [40, 40, 30, 30, 40, 40, 30, 30]
    tiers = ["train", "train", "train", "validation", "validation", "test", "test", "test"]
    clips = [rng.normal(size=(1, n, 2, 3)) for n in lengths]
    answers = []
    for clip in clips:
        pixels = clip[0].reshape(clip.shape[1], -1)
        answers.append(np.concatenate([rng.normal(size=(3, 6)), pixels[:-3]]))
    return recordings_of(session_of(clips, answers, tiers))
