"""The simulated video retina and cortex: neurons whose types differ in time, from a configuration and a seed.

As in the simulated cortex of images, a neuron's drive is a mixture of eight mechanisms
(`decortex.data.simulation.space_time`) with spread s; its rate per frame is a softplus of the drive, its counts are
Poisson. Retinal types differ in the sign and the time course of one receptive field: whoever is blind to time cannot
tell transient from sustained, nor fast from slow.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from decortex.config import canonical_json
from decortex.data.recordings import InMemoryTrials, Recordings, Session
from decortex.data.simulation.fixations import natural_clips
from decortex.data.simulation.mechanisms import ReceptiveFields
from decortex.data.simulation.simulate import (
    PopulationConfig,
    check_types,
    draw_fields,
    draw_weights,
    rates_of_drive,
)
from decortex.data.simulation.space_time import CORTEX, RETINA, VideoMechanism, video_drives
from decortex.data.simulation.stimuli import TEST_STRIP, TRAINING_STRIP, Strip, check_fit
from decortex.data.video import RepeatedTrials

GENERATOR_VERSION = 1  # part of the digest: raise it whenever the same configuration gives other data


def _types_of(tissue: str) -> tuple[VideoMechanism, ...]:
    return CORTEX if tissue == "cortex" else RETINA


class VideoSimulationConfig(PopulationConfig):
    """Parameters of the simulated video retina and cortex."""

    tissue: Literal["retina", "cortex"] = Field(
        "retina",
        description="retina: on or off, transient or sustained, fast or slow; cortex: on or off, transient"
        " or sustained, energy and direction-selective cells, fast or slow",
    )
    n_neurons: int = Field(240, ge=1, description="neurons over all animals, shared out evenly")
    n_animals: int = Field(1, ge=1, description="animals, one session each; all see the same clips")
    n_train: int = Field(240, ge=2, description="training clips, shown once")
    n_validation: int = Field(20, ge=1, description="validation clips, shown once")
    n_test: int = Field(20, ge=1, description="test clips, from parts of the photographs of their own")
    n_frames: int = Field(50, ge=10, le=1000, description="frames per clip")
    frame_rate: float = Field(30.0, gt=0, le=1000, description="frames per second")
    max_scale: float = Field(
        1.5, ge=1.0, le=4.0, description="largest number of photograph pixels an image pixel spans"
    )
    types: tuple[VideoMechanism, ...] = Field(
        default_factory=lambda values: _types_of(values.get("tissue", "retina")),
        min_length=1,
        description="mechanisms that occur; one type each (default: the tissue's eight)",
    )
    gain_median: float = Field(0.5, gt=0, description="median over neurons of the mean spike count per frame")

    @model_validator(mode="after")
    def _fits(self) -> VideoSimulationConfig:
        check_types(self.types)
        known = _types_of(self.tissue)
        foreign = [name for name in self.types if name not in known]
        if foreign:
            raise ValueError(f"the types {foreign} are not of the {self.tissue}, which has {list(known)}")
        for strip in (TRAINING_STRIP, TEST_STRIP):
            check_fit(strip, size=self.image_size, max_scale=self.max_scale * 1.25)  # a fixation zooms
        return self


@dataclass(frozen=True)
class SimulatedVideo:
    """Recordings of movies together with everything that is known about them.

    Parameters
    ----------
    recordings : Recordings
        What an experiment would see, and the true types. All animals saw the same clips.
    clips : ndarray of float32, shape (n_clips, n_frames, height, width)
        The distinct clips: training, then validation, then test; the row number is the clip's id.
    rates : ndarray of float64, shape (n_clips, n_frames, n_neurons)
        Expected spike count of every neuron for every frame, free of noise.
    weights : ndarray of float64, shape (n_neurons, n_types)
        Mixture weights in the order of ``config.types``; rows sum to one.
    fields : ReceptiveFields
        True position, preferred orientation and filter sizes of every neuron.
    time_scale : ndarray of float64, shape (n_neurons,)
        Factor on each neuron's time constants.
    config : VideoSimulationConfig
        Parameters of the generator.
    seed : int
        Seed of the generator.
    """

    recordings: Recordings
    clips: NDArray[np.float32]
    rates: NDArray[np.float64]
    weights: NDArray[np.float64]
    fields: ReceptiveFields
    time_scale: NDArray[np.float64]
    config: VideoSimulationConfig
    seed: int

    @property
    def test_rates(self) -> NDArray[np.float64]:
        """Expected counts for the test clips, (n_test, n_frames, n_neurons)."""
        return self.rates[self.config.n_train + self.config.n_validation :]


def simulate_video(config: VideoSimulationConfig, seed: int) -> SimulatedVideo:
    """Simulate recordings of movies whose neurons' functional types are known.

    Parameters
    ----------
    config : VideoSimulationConfig
        Parameters of the generator.
    seed : int
        Seed, not negative; the same configuration and seed give the same bytes.

    Returns
    -------
    SimulatedVideo
        ``recordings`` has one session per animal, in memory, with ``truth``: the index of each neuron's type in
        ``config.types``.

    Examples
    --------
    >>> retina = simulate_video(VideoSimulationConfig(n_neurons=16, n_train=4, n_test=2, n_frames=20), seed=0)
    >>> retina.rates.shape
    (26, 20, 16)
    """
    # one stream per purpose: a longer test set does not change who the neurons are
    for_training, for_test, for_neurons, for_spikes = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )

    def clips_of(n_clips: int, strip: Strip, rng: np.random.Generator) -> NDArray[np.float32]:
        return natural_clips(
            n_clips, config.n_frames, strip, size=config.image_size, max_scale=config.max_scale, rng=rng
        )

    clips = np.concatenate(
        [
            clips_of(config.n_train + config.n_validation, TRAINING_STRIP, for_training),
            clips_of(config.n_test, TEST_STRIP, for_test),
        ]
    )
    animal = np.sort(np.arange(config.n_neurons) % config.n_animals)
    weights = draw_weights(config, animal, n_types=len(config.types), rng=for_neurons)
    fields = draw_fields(config, animal, rng=for_neurons)
    time_scale = np.exp(config.jitter * for_neurons.standard_normal(config.n_neurons))
    training = slice(0, config.n_train)
    drive = np.zeros((len(clips) * config.n_frames, config.n_neurons))
    mechanisms = video_drives(clips, fields, time_scale, config.types, reference=training)
    for weight, mechanism in zip(weights.T, mechanisms, strict=True):
        drive += weight * mechanism.reshape(drive.shape)
    rates = rates_of_drive(
        config, drive, animal, reference=slice(0, config.n_train * config.n_frames), rng=for_neurons
    ).reshape(len(clips), config.n_frames, config.n_neurons)
    sessions = _sessions(config, clips, rates, animal, rng=for_spikes)
    recordings = Recordings(
        sessions=sessions,
        image_shape=(1, config.image_size, config.image_size),
        content_sha256=_digest(config, seed, clips, sessions),
        truth=weights.argmax(axis=1),
        frame_rate=config.frame_rate,
    )
    return SimulatedVideo(recordings, clips, rates, weights, fields, time_scale, config, seed)


def _sessions(
    config: VideoSimulationConfig,
    clips: NDArray[np.float32],
    rates: NDArray[np.float64],
    animal: NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> list[Session]:
    n_single = config.n_train + config.n_validation
    shown = np.concatenate(
        [np.arange(n_single), np.repeat(np.arange(n_single, n_single + config.n_test), config.n_repeats)]
    )
    tiers = np.repeat(
        ["train", "validation", "test"],
        [config.n_train, config.n_validation, config.n_test * config.n_repeats],
    )
    trials = RepeatedTrials(clips[:, None], shown)
    counts = np.stack([rng.poisson(rates[clip]).astype(np.float32) for clip in shown])
    area = f"{config.tissue} (simulated)"
    sessions = []
    for one in range(config.n_animals):
        name, own = f"animal-{one + 1}", np.flatnonzero(animal == one)
        neurons = pd.DataFrame(
            {"session": name, "unit_id": np.arange(1, len(own) + 1), "animal": name, "scan": 0, "area": area}
        )
        sessions.append(
            Session(
                name=name,
                images=trials,
                responses=InMemoryTrials(np.ascontiguousarray(counts[:, :, own])),
                tiers=tiers,
                image_ids=shown,
                neurons=neurons,
                n_frames=np.full(len(shown), config.n_frames, dtype=np.int64),
            )
        )
    return sessions


def _digest(
    config: VideoSimulationConfig, seed: int, clips: NDArray[np.float32], sessions: list[Session]
) -> str:
    """Digest of the generator's parameters and of what it made: another machine must make the same."""
    made_by = {"generator": "video", "version": GENERATOR_VERSION, "seed": seed, "config": config.resolved()}
    digest = hashlib.sha256(canonical_json(made_by).encode())
    digest.update(clips.tobytes())
    for session in sessions:
        digest.update(session.responses.read(np.arange(session.n_trials)).tobytes())
    return digest.hexdigest()
