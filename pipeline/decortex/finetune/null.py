"""The fine-tuned null: recordings drawn from a network with surrogate readouts, and the readout to train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.data import TIERS, InMemoryTrials, Recordings, Session, Trials
from decortex.data.video import InMemoryClips, frame_rows
from decortex.errors import InputError
from decortex.evaluation.nulls import NullKind, surrogate
from decortex.models import Network, frames_skipped, predict, predictions
from decortex.models.training import TrainingConfig

Noise = Literal["poisson", "gamma"]
NoiseRule = Literal["auto", "poisson", "gamma"]

_BATCH = 64
_CLIPS = 4
# Bisection of a bias: each step halves a bracket of some tens of units of drive.
_STEPS = 45
# A drive at which softplus and elu + 1 are zero to single precision.
_SILENT = 40.0


@dataclass(frozen=True)
class NullDraw:
    """Responses of neurons without types, to the images that the recorded neurons saw.

    Parameters
    ----------
    responses : mapping of str to ndarray of float32, each of shape (n_trials, n_neurons of the session)
        By session; zero in trials of no tier. Of movies a row is a frame, clip after clip over all trials; zero in
        frames that the network says nothing of, too.
    features : ndarray of float32, shape (n_neurons, n_features)
        The surrogate readout features that made them.
    rates : ndarray of float64, shape (n_neurons,)
        Expected response, mean over training trials; that of the network itself.
    noise : {'poisson', 'gamma'}
        Distribution of a response around its expectation.
    dispersion : ndarray of float64, shape (n_neurons,)
        Variance over mean of that distribution; 1 for 'poisson'.
    recorded_dispersion : ndarray of float64, shape (n_neurons,)
        The recording's: squared residuals of the network over its predictions, on validation trials.
    """

    responses: Mapping[str, NDArray[np.float32]]
    features: NDArray[np.float32]
    rates: NDArray[np.float64]
    noise: Noise
    dispersion: NDArray[np.float64]
    recorded_dispersion: NDArray[np.float64]


def draw_null(
    network: Network,
    recordings: Recordings,
    kind: NullKind,
    *,
    seed: int,
    noise: NoiseRule = "auto",
    device: str = "auto",
) -> NullDraw:
    r"""Draw the responses that neurons without types would have given.

    Each neuron keeps its position on the image, its unit of response and its mean expected response; its readout
    features are those of a surrogate population. The response to every trial's image is drawn around the
    expectation :math:`\mu` of the changed network:

    * 'poisson': Poisson counts;
    * 'gamma': variance :math:`\phi_i \mu`, with the dispersion :math:`\phi_i` of the recording around the
      network (whatever the network does not explain counts as noise). A gamma distribution, because responses
      are never negative and a normal one would have to be clipped, which moves its mean.

    Parameters
    ----------
    network : Network
        Trained on the recordings; not changed.
    recordings : Recordings
        Images, sessions and tiers, and the responses that the noise is matched to.
    kind : {'gaussian', 't', 'permuted', 'copula'}
        Surrogate of the readout features, see `decortex.evaluation.nulls.surrogates`.
    seed : int
        Seed, not negative. Features and noise have streams of their own.
    noise : {'auto', 'poisson', 'gamma'}
        'auto': Poisson where every response is a whole number, else gamma.
    device : str
        Where the network runs.

    Raises
    ------
    InputError
        If the features cannot be drawn from (a surrogate needs at least two neurons).
    DatasetError
        If a session has no training or validation trials.
    """
    for_features, for_noise = (np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(2))
    recorded = recorded_dispersion(network, recordings, device=device)
    chosen: Noise = choose_noise(recordings) if noise == "auto" else noise
    dispersion = np.ones_like(recorded) if chosen == "poisson" else recorded
    changed = surrogate_network(network, recordings, kind, for_features, device=device)
    responses, rates = {}, []
    for session in recordings.sessions:
        used = np.flatnonzero(np.isin(session.tiers, TIERS)).astype(np.int64)
        expected = np.maximum(predictions(changed, session, used, device=device).astype(np.float64), 0.0)
        places, trials = _rows(session, used, frames_skipped(network))
        drawn = np.zeros((_n_rows(session), session.n_neurons), dtype=np.float32)
        drawn[places] = draw_responses(expected, dispersion[network.slices[session.name]], chosen, for_noise)
        responses[session.name] = drawn
        rates.append(expected[session.tiers[trials] == "train"].mean(axis=0))
    return NullDraw(
        responses=responses,
        features=changed.embedding().detach().cpu().numpy(),
        rates=np.concatenate(rates),
        noise=chosen,
        dispersion=dispersion,
        recorded_dispersion=recorded,
    )


def draw_responses(
    expected: NDArray[np.float64], dispersion: NDArray[np.float64], noise: Noise, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw responses around their expectations.

    Parameters
    ----------
    expected : ndarray of float64, shape (n_trials, n_neurons)
        Not negative.
    dispersion : ndarray of float64, shape (n_neurons,)
        Variance over mean; used by 'gamma', where 0 means no noise.
    noise : {'poisson', 'gamma'}
        Distribution.
    rng : numpy.random.Generator
        Every random number comes from it.

    Returns
    -------
    ndarray of float32, shape (n_trials, n_neurons)
        Not negative.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> draw_responses(np.full((2, 3), 4.0), np.ones(3), "poisson", rng).shape
    (2, 3)
    """
    if noise == "poisson":
        return rng.poisson(expected).astype(np.float32)
    noisy = (expected > 0) & (dispersion > 0)
    scale = np.broadcast_to(np.where(dispersion > 0, dispersion, 1.0), expected.shape)
    drawn = rng.gamma(np.where(noisy, expected / scale, 1.0), scale)
    return np.where(noisy, drawn, expected).astype(np.float32)


def choose_noise(recordings: Recordings) -> Noise:
    """'poisson' where all training responses are whole numbers, else 'gamma'."""
    for session in recordings.sessions:
        for run in session.stacks(session.trials("train"), _batch(session)):
            values = session.responses.read(run)
            if (values != np.round(values)).any():
                return "gamma"
    return "poisson"


def recorded_dispersion(
    network: Network, recordings: Recordings, *, device: str = "auto"
) -> NDArray[np.float64]:
    """Sum of squared residuals over sum of predictions on validation trials, (n_neurons,); 0 for a silent neuron."""
    found = []
    for one in predict(network, recordings, "validation", device=device).values():
        expected = np.maximum(one.predictions.astype(np.float64), 0.0)
        squares = np.square(one.responses - expected).sum(axis=0)
        total = expected.sum(axis=0)
        found.append(np.where(total > 0, squares / np.where(total > 0, total, 1.0), 0.0))
    return np.concatenate(found)


def surrogate_network(
    network: Network,
    recordings: Recordings,
    kind: NullKind,
    rng: np.random.Generator,
    *,
    device: str = "auto",
) -> Network:
    """Copy a network and give its neurons the readout features of a surrogate population.

    Features are drawn over all sessions together. Every neuron's bias is set anew, so that its expected
    response to the training images keeps its mean; else a neuron that got another's features would fall
    silent, or run off.

    Returns
    -------
    Network
        On the CPU, with the same places, units and core.
    """
    changed = Network.from_checkpoint(network.checkpoint())
    features = surrogate(network.embedding().detach().cpu().double().numpy(), kind, rng)
    with torch.no_grad():
        for session in recordings.sessions:
            readout, own = changed.readout(session.name), changed.slices[session.name]
            readout.features.copy_(torch.from_numpy(features[own]))
            readout.bias.zero_()
            trials = session.trials("train")
            kept = predictions(network, session, trials, device=device).astype(np.float64).mean(axis=0)
            readout.bias.copy_(match_bias(changed, session, trials, torch.from_numpy(kept)))
    return changed


@torch.no_grad()
def match_bias(
    network: Network, session: Session, trials: NDArray[np.int64], target: torch.Tensor
) -> torch.Tensor:
    """Bias at which each neuron's mean expected response over some trials is a target, (n_neurons,).

    Found by bisection: outputs rise with their drive. The lowest bias stands where a target cannot be
    reached, as that of a neuron that never responds.
    """
    network.eval()
    readout = network.readout(session.name)
    drive = torch.cat(
        [
            network.drive(network.maps(_shown(network, session, run)), session.name)
            for run in session.stacks(trials, _batch(session))
        ]
    )  # (n_trials, or n_frames over all of them, n_neurons), without bias
    drive = drive - readout.bias
    scale = network.response_scale[network.slices[session.name]].double()
    wanted = target / scale
    low = wanted.clamp_max(0.0) - drive.max(dim=0).values - _SILENT
    high = wanted.clamp_min(0.0) - drive.min(dim=0).values + 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        mean = network.respond(drive + middle.to(drive.dtype), session.name).double().mean(dim=0) / scale
        below = mean < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return ((low + high) / 2).to(readout.bias.dtype)


def null_recordings(
    recordings: Recordings, responses: Mapping[str, NDArray[np.float32]], content_sha256: str
) -> Recordings:
    """The same images, sessions and neurons with drawn responses; nobody knows types of these neurons.

    Raises
    ------
    InputError
        If a session has no responses, or of another shape.
    """
    sessions = []
    for session in recordings.sessions:
        shape = (_n_rows(session), session.n_neurons)
        values = responses.get(session.name)
        if values is None or values.shape != shape:
            raise InputError(
                f"session {session.name!r} needs drawn responses of shape {shape}, got "
                f"{None if values is None else values.shape}; draw them from a network of these recordings."
            )
        sessions.append(replace(session, responses=_by_trial(session, values)))
    return Recordings(
        sessions=sessions,
        image_shape=recordings.image_shape,
        content_sha256=content_sha256,
        frame_rate=recordings.frame_rate,
    )


def _batch(session: Session) -> int:
    return _BATCH if session.n_frames is None else _CLIPS


def _shown(network: Network, session: Session, run: NDArray[np.int64]) -> torch.Tensor:
    """What a network is shown of some trials: images, or clips from their first frame on that is shown."""
    images = session.images.read(run)
    core = network.config.space_time
    return torch.from_numpy(images if core is None else images[:, :, core.first_frame :])


def _n_rows(session: Session) -> int:
    """Rows of a session's responses: trials, or the frames of all clips."""
    return session.n_trials if session.n_frames is None else int(session.n_frames.sum())


def _rows(
    session: Session, trials: NDArray[np.int64], skipped: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place among all rows, and trial, of everything that a network predicts of some trials."""
    if session.n_frames is None:
        return trials, trials
    rows = frame_rows(session, trials, skipped=skipped)
    starts = np.cumsum(session.n_frames) - session.n_frames
    return starts[rows.trials] + rows.frames, rows.trials


def _by_trial(session: Session, values: NDArray[np.float32]) -> Trials:
    if session.n_frames is None:
        return InMemoryTrials(values)
    return InMemoryClips(tuple(np.split(values, np.cumsum(session.n_frames)[:-1])))


def readout_on_core(
    donor: Network, recordings: Recordings, training: TrainingConfig, *, seed: int
) -> tuple[Network, TrainingConfig]:
    """Start a readout on another network's core, which stays as it is.

    Parameters
    ----------
    donor : Network
        Gives architecture, core and pixel statistics.
    recordings : Recordings
        Recordings, or a null, of the same images and neurons.
    training : TrainingConfig
        How the donor was trained.
    seed : int
        Seed of the readout's start.

    Returns
    -------
    network : Network
        To be trained.
    training : TrainingConfig
        The donor's, but for what is trained.
    """
    network = Network.build(donor.config, recordings, seed=seed)
    network.core.load_state_dict(donor.core.state_dict())
    network.pixel_mean.copy_(donor.pixel_mean)
    network.pixel_std.copy_(donor.pixel_std)
    return network, training.model_copy(update={"trains": "readout"})
