"""Predictions of a trained network, without gradients. Scores are computed in `decortex.evaluation`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decortex.data import Recordings, Session
from decortex.data.video import frame_responses, frame_rows
from decortex.errors import ConfigError, DatasetError, InputError
from decortex.models.checkpoints import BuiltNetwork
from decortex.models.network import Network

_CLIPS = 4  # clips at once; changes nothing but memory and time


@dataclass(frozen=True)
class SessionPredictions:
    """What one session's neurons did and what the network says they do, trial by trial.

    Parameters
    ----------
    session : str
        Name.
    trials : ndarray of int64, shape (n_rows,)
        Index in the session of each row's trial. A row is a trial; of clips, a frame that is scored.
    image_ids : ndarray of int64, shape (n_rows,)
        Rows with equal id are repeats of one image, or of one frame of one clip.
    responses, predictions : ndarray of float32, shape (n_rows, n_neurons)
        In the recordings' own units.
    clip_ids : ndarray of int64, shape (n_rows,), optional
        Of clips: the clip that each row is a frame of. Frames are not samples: whatever is resampled is clips.
    """

    session: str
    trials: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    responses: NDArray[np.float32]
    predictions: NDArray[np.float32]
    clip_ids: NDArray[np.int64] | None = None


def resolve_device(device: str) -> torch.device:
    """Turn 'auto', 'cpu', 'mps', 'cuda', 'cuda:1', ... into a device that is there.

    Raises
    ------
    ConfigError
        If torch does not know the device or cannot use it here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]})."
            " Use 'auto', 'cpu', or a GPU that torch.cuda.is_available() or torch.backends.mps sees."
        ) from error
    return found


@contextmanager
def evaluating(network: Network | BuiltNetwork, device: str) -> Iterator[torch.device]:
    """A network on a device and in evaluation mode, as long as the block lasts; then as it was.

    Parameters
    ----------
    network : Network or BuiltNetwork
        Moved and switched in place.
    device : str
        See `resolve_device`.

    Yields
    ------
    torch.device
        Where the network is.
    """
    target, home, was_training = resolve_device(device), _home(network), network.training
    try:
        network.to(target).eval()
        yield target
    finally:
        network.to(home).train(was_training)


def predictions(
    network: Network | BuiltNetwork,
    session: Session,
    trials: NDArray[np.int64],
    *,
    name: str | None = None,
    batch_size: int = 64,
    device: str = "auto",
) -> NDArray[np.float32]:
    """Predict the responses of one session to some of its trials.

    Parameters
    ----------
    network : Network or BuiltNetwork
        Runs in evaluation mode; its mode and device are as before when the call ends.
    session : Session
        Whose images are shown.
    trials : ndarray of int64, shape (n_trials,)
        Which trials, in any order.
    name : str, optional
        Session of the network that answers; default: the one of this name.
    batch_size : int
        Images at once; changes nothing but memory and time.
    device : str
        See `resolve_device`.

    Returns
    -------
    ndarray of float32, shape (n_trials, n_neurons)
        In the recordings' own units; of clips a row per frame behind `frames_skipped`, clip after clip.

    Raises
    ------
    InputError
        If the network has no such session, or takes images where the session shows clips.
    """
    name = session.name if name is None else name
    if name not in network.slices:
        raise InputError(f"the network has no session {name!r}; it has {', '.join(network.session_names)}.")
    own = network.slices[name]
    predicted = np.empty((len(trials), own.stop - own.start), dtype=np.float32)
    with evaluating(network, device) as target:
        if session.n_frames is not None:
            return _of_clips(network, session, trials, name, target)
        with torch.no_grad():
            for begin in range(0, len(trials), batch_size):
                images = torch.from_numpy(session.images.read(trials[begin : begin + batch_size]))
                predicted[begin : begin + batch_size] = network(images.to(target), name).cpu().numpy()
    return predicted


@torch.no_grad()
def _of_clips(
    network: Network | BuiltNetwork,
    session: Session,
    trials: NDArray[np.int64],
    name: str,
    device: torch.device,
) -> NDArray[np.float32]:
    core = network.config.space_time if isinstance(network, Network) else None
    if core is None:
        raise InputError(
            f"session {session.name!r} shows clips of movies, but the network takes images: it has no space-time core."
        )
    rows = [np.empty((0, network.slices[name].stop - network.slices[name].start), dtype=np.float32)]
    for run in session.stacks(trials, _CLIPS):
        clips = torch.from_numpy(session.images.read(run)[:, :, core.first_frame :])
        rows.append(network(clips.to(device), name).flatten(0, 1).cpu().numpy())
    return np.concatenate(rows)


def frames_skipped(network: Network | BuiltNetwork) -> int:
    """Frames at the start of every clip that a network is not scored on: its lag, or its warm-up if longer."""
    core = network.config.space_time if isinstance(network, Network) else None
    return 0 if core is None else core.skipped


def _home(network: nn.Module) -> torch.device:
    """Device that a network's numbers are on."""
    values = [*network.parameters(), *network.buffers()]
    return values[0].device if values else torch.device("cpu")


def predict(
    network: Network | BuiltNetwork,
    recordings: Recordings,
    tier: str,
    *,
    batch_size: int = 64,
    device: str = "auto",
) -> dict[str, SessionPredictions]:
    """Predict every session's responses to the trials of one tier.

    Parameters
    ----------
    network : Network or BuiltNetwork
        Trained on these recordings.
    recordings : Recordings
        Sessions in order.
    tier : str
        'train', 'validation' or 'test'.
    batch_size : int
        Images at once.
    device : str
        See `resolve_device`.

    Returns
    -------
    dict of str to SessionPredictions
        By session name, in the recordings' order.

    Raises
    ------
    DatasetError
        If a session has no trial in the tier.
    InputError
        If the recordings have another frame rate than the network.
    """
    if isinstance(network, Network) and network.geometry.frame_rate != recordings.frame_rate:
        raise InputError(
            f"the network was trained at a frame rate of {network.geometry.frame_rate} Hz, the recordings are at"
            f" {recordings.frame_rate} Hz (None: images). Resample them (decortex.data.video.resample), or train again."
        )
    found: dict[str, SessionPredictions] = {}
    for session in recordings.sessions:
        trials = session.trials(tier)
        if len(trials) == 0:
            raise DatasetError(
                f"session {session.name!r} has no {tier!r} trials;"
                f" its tiers: {sorted(set(session.tiers.tolist()))}."
            )
        predicted = predictions(network, session, trials, batch_size=batch_size, device=device)
        if session.n_frames is None:
            found[session.name] = SessionPredictions(
                session=session.name,
                trials=trials,
                image_ids=session.image_ids[trials],
                responses=session.responses.read(trials),
                predictions=predicted,
            )
            continue
        skipped = frames_skipped(network)
        rows = frame_rows(session, trials, skipped=skipped)
        found[session.name] = SessionPredictions(
            session=session.name,
            trials=rows.trials,
            image_ids=rows.image_ids,
            responses=frame_responses(session, trials, skipped=skipped),
            predictions=predicted,
            clip_ids=rows.clip_ids,
        )
    return found
