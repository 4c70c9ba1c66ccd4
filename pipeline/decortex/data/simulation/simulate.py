"""The simulated cortex: neurons of known functional type, from a configuration and a seed. No files here.

A neuron's drive is a mixture of eight mechanisms (`decortex.data.simulation.mechanisms`)::

    w = (1 - s) onehot(type) + s v,   v ~ Dirichlet(1, ..., 1)             s: spread
    d = zscore( sum_k w_k m_k )                                            m_k: drive of mechanism k
    rate = gain softplus(slope d + b) / mean softplus,   b ~ N(-0.5, 0.2)  gain: mean count, lognormal
    count ~ Poisson(rate)

s = 0 gives discrete types, s = 1 a continuum. The true type of a neuron is its largest weight.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from decortex.config import Config, canonical_json
from decortex.data.recordings import InMemoryTrials, Recordings, Session
from decortex.data.simulation.mechanisms import (
    MECHANISMS,
    Mechanism,
    ReceptiveFields,
    mechanism_drives,
    zscore,
)
from decortex.data.simulation.stimuli import TEST_STRIP, TRAINING_STRIP, check_fit, natural_crops

GENERATOR_VERSION = 1  # part of the digest: raise it whenever the same configuration gives other data
AREA = "V1 (simulated)"


class PopulationConfig(Config):
    """What the simulated populations share: neurons, their types and receptive fields, how they count."""

    n_neurons: int = Field(360, ge=1, description="neurons over all animals, shared out evenly")
    n_animals: int = Field(3, ge=1, description="animals, one session each")
    n_repeats: int = Field(10, ge=1, description="showings of every test image or clip")
    image_size: int = Field(36, ge=16, le=96, description="side of the images in pixels")
    spread: float = Field(
        0.3, ge=0.0, le=1.0, description="spread inside a type: 0 discrete types, 1 a continuum"
    )
    orientation: Literal["uniform", "fixed"] = Field(
        "uniform", description="preferred orientations: random, or 0 for every neuron (no nuisance: a bound)"
    )
    slope: float = Field(1.5, gt=0, description="gain of the drive inside the softplus")
    bias_mean: float = Field(-0.5, description="mean of the offset inside the softplus")
    bias_sd: float = Field(0.2, ge=0, description="standard deviation of the offset over neurons")
    gain_median: float = Field(1.5, gt=0, description="median over neurons of the mean spike count a trial")
    gain_log_sd: float = Field(0.5, ge=0, description="standard deviation of the log gain over neurons")
    animal_gain_log_sd: float = Field(
        0.15, ge=0, description="standard deviation of an animal's log gain factor"
    )
    position_range: float = Field(
        6.0, ge=0, description="receptive fields lie within this many pixels of the centre"
    )
    animal_offset: float = Field(
        1.0, ge=0, description="largest shift, in pixels, of an animal's receptive fields"
    )
    jitter: float = Field(
        0.05, ge=0, le=0.3, description="relative standard deviation of a neuron's filter sizes"
    )

    @model_validator(mode="after")
    def _population_fits(self) -> PopulationConfig:
        if self.n_neurons < self.n_animals:
            raise ValueError(f"{self.n_neurons} neurons do not fill {self.n_animals} animals")
        if self.position_range + self.animal_offset > self.image_size / 2:
            raise ValueError(
                f"receptive fields up to {self.position_range + self.animal_offset:g} pixels off centre leave"
                f" an image of {self.image_size} pixels"
            )
        return self


class SimulationConfig(PopulationConfig):
    """Parameters of the simulated cortex; the defaults are the demo's."""

    n_train: int = Field(2000, ge=2, description="training images, shown once")
    n_validation: int = Field(300, ge=1, description="validation images, shown once")
    n_test: int = Field(100, ge=1, description="test images, from parts of the photographs of their own")
    max_scale: float = Field(
        2.5, ge=1.0, le=4.0, description="largest number of photograph pixels an image pixel spans"
    )
    types: tuple[Mechanism, ...] = Field(
        MECHANISMS, min_length=1, description="mechanisms that occur; one type each"
    )

    @model_validator(mode="after")
    def _fits(self) -> SimulationConfig:
        check_types(self.types)
        for strip in (TRAINING_STRIP, TEST_STRIP):
            check_fit(strip, size=self.image_size, max_scale=self.max_scale)
        return self


@dataclass(frozen=True)
class SimulatedCortex:
    """Recordings together with everything that is known about them.

    Parameters
    ----------
    recordings : Recordings
        What an experiment would see, and the true types. All animals saw the same images.
    images : ndarray of float32, shape (n_images, height, width)
        The distinct images: training, then validation, then test; the row number is the image id.
    rates : ndarray of float64, shape (n_images, n_neurons)
        Expected spike count of every neuron for every image, free of noise.
    weights : ndarray of float64, shape (n_neurons, n_types)
        Mixture weights in the order of ``config.types``; rows sum to one.
    fields : ReceptiveFields
        True position, preferred orientation and filter sizes of every neuron.
    config : SimulationConfig
        Parameters of the generator.
    seed : int
        Seed of the generator.
    """

    recordings: Recordings
    images: NDArray[np.float32]
    rates: NDArray[np.float64]
    weights: NDArray[np.float64]
    fields: ReceptiveFields
    config: SimulationConfig
    seed: int

    @property
    def test_rates(self) -> NDArray[np.float64]:
        """Expected counts for the test images, (n_test, n_neurons), in the order of their image ids."""
        return self.rates[self.config.n_train + self.config.n_validation :]


def simulate(config: SimulationConfig, seed: int) -> Recordings:
    """Simulate recordings of neurons whose functional types are known.

    Parameters
    ----------
    config : SimulationConfig
        Parameters of the generator.
    seed : int
        Seed, not negative; the same configuration and seed give the same bytes.

    Returns
    -------
    Recordings
        One session per animal, in memory, with ``truth``: the index of each neuron's type in ``config.types``.
    """
    return simulate_cortex(config, seed).recordings


def simulate_cortex(config: SimulationConfig, seed: int) -> SimulatedCortex:
    """Simulate recordings and keep what only a simulation knows: rates, weights, receptive fields."""
    # one stream a purpose: a longer test set does not change who the neurons are
    for_training, for_test, for_neurons, for_spikes = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )
    images = np.concatenate(
        [
            natural_crops(
                config.n_train + config.n_validation,
                TRAINING_STRIP,
                size=config.image_size,
                max_scale=config.max_scale,
                rng=for_training,
            ),
            natural_crops(
                config.n_test, TEST_STRIP, size=config.image_size, max_scale=config.max_scale, rng=for_test
            ),
        ]
    )
    animal = np.sort(np.arange(config.n_neurons) % config.n_animals)
    weights = draw_weights(config, animal, n_types=len(config.types), rng=for_neurons)
    fields = draw_fields(config, animal, rng=for_neurons)
    rates = expected_counts(config, images, weights, fields, animal, rng=for_neurons)
    sessions = _sessions(config, images, rates, animal, rng=for_spikes)
    recordings = Recordings(
        sessions=sessions,
        image_shape=(1, config.image_size, config.image_size),
        content_sha256=_digest(config, seed, images, sessions),
        truth=weights.argmax(axis=1),
    )
    return SimulatedCortex(recordings, images, rates, weights, fields, config, seed)


def check_types(types: tuple[str, ...]) -> None:
    """Refuse mechanisms that are named twice."""
    if len(set(types)) != len(types):
        raise ValueError("a mechanism is named twice in types")


def draw_weights(
    config: PopulationConfig, animal: NDArray[np.int64], *, n_types: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw every neuron's mixture weights, (n_neurons, n_types).

    Each animal has as many neurons of one type as of another, up to one: type and animal are independent.
    """
    in_turn = np.arange(config.n_neurons) % n_types
    types = np.concatenate([rng.permutation(in_turn[animal == one]) for one in np.unique(animal)])
    mixed = rng.dirichlet(np.ones(n_types), size=config.n_neurons)
    weights: NDArray[np.float64] = (1 - config.spread) * np.eye(n_types)[types] + config.spread * mixed
    return weights


def draw_fields(
    config: PopulationConfig, animal: NDArray[np.int64], *, rng: np.random.Generator
) -> ReceptiveFields:
    """Draw where every neuron looks, its preferred orientation and the sizes of its filters."""
    n_neurons, centre = len(animal), (config.image_size - 1) / 2
    offset = rng.uniform(-config.animal_offset, config.animal_offset, size=(config.n_animals, 2))
    position = rng.uniform(-config.position_range, config.position_range, size=(n_neurons, 2))
    position += centre + offset[animal]
    factors = np.exp(config.jitter * rng.standard_normal((n_neurons, 3)))
    orientation = rng.uniform(0.0, 2 * np.pi, n_neurons)
    return ReceptiveFields(
        row=position[:, 0],
        column=position[:, 1],
        orientation=orientation if config.orientation == "uniform" else np.zeros(n_neurons),
        high_scale=factors[:, 0],
        low_scale=factors[:, 1],
        centre_scale=factors[:, 2],
    )


def expected_counts(
    config: SimulationConfig,
    images: NDArray[np.float32],
    weights: NDArray[np.float64],
    fields: ReceptiveFields,
    animal: NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Compute the expected spike count of every neuron for every image, (n_images, n_neurons)."""
    training = slice(0, config.n_train)
    drives = mechanism_drives(images, fields, reference=training)
    chosen = [MECHANISMS.index(name) for name in config.types]
    drive = np.einsum("kin,nk->in", drives[chosen], weights)
    return rates_of_drive(config, drive, animal, reference=training, rng=rng)


def rates_of_drive(
    config: PopulationConfig,
    drive: NDArray[np.float64],
    animal: NDArray[np.int64],
    *,
    reference: slice,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Turn the mixed drives of all neurons into expected counts, (n_images or n_frames, n_neurons).

    The mixed drive is scaled to unit variance: otherwise a mixture of mechanisms, whose parts average out,
    would be a weaker signal, and the spread would change the noise ceiling along with the types.
    Rates are rounded to six decimals: the last bits of a matrix product depend on the processor and its
    library, and the counts drawn from the rates must not.

    Parameters
    ----------
    config : PopulationConfig
        Slope, offsets and gains.
    drive : ndarray of float64, shape (n_images or n_frames, n_neurons)
        Mixture of the mechanisms' drives.
    animal : ndarray of int64, shape (n_neurons,)
        Animal of each neuron.
    reference : slice
        Rows that define mean and standard deviation (those of training).
    rng : numpy.random.Generator
        Source of offsets and gains.
    """
    drive = zscore(drive, axis=0, reference=reference)
    bias = rng.normal(config.bias_mean, config.bias_sd, size=len(animal))
    animal_gain = np.exp(config.animal_gain_log_sd * rng.standard_normal(config.n_animals))
    gain = config.gain_median * np.exp(config.gain_log_sd * rng.standard_normal(len(animal)))
    response = np.logaddexp(0.0, config.slope * drive + bias)
    mean: NDArray[np.float64] = response[reference].mean(axis=0)
    rates: NDArray[np.float64] = np.round(response * (gain * animal_gain[animal] / mean), 6)
    return rates


def _sessions(
    config: SimulationConfig,
    images: NDArray[np.float32],
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
    counts = rng.poisson(rates[shown]).astype(np.float32)
    trials = InMemoryTrials(images[shown, None])
    sessions = []
    for one in range(config.n_animals):
        name, own = f"animal-{one + 1}", np.flatnonzero(animal == one)
        neurons = pd.DataFrame(
            {"session": name, "unit_id": np.arange(1, len(own) + 1), "animal": name, "scan": 0, "area": AREA}
        )
        sessions.append(Session(name, trials, InMemoryTrials(counts[:, own]), tiers, shown, neurons))
    return sessions


def _digest(config: SimulationConfig, seed: int, images: NDArray[np.float32], sessions: list[Session]) -> str:
    """Digest of the generator's parameters and of what it made: another machine must make the same."""
    made_by = {"version": GENERATOR_VERSION, "seed": seed, "config": config.resolved()}
    digest = hashlib.sha256(canonical_json(made_by).encode())
    digest.update(images.tobytes())
    for session in sessions:
        digest.update(session.responses.read(np.arange(session.n_trials)).tobytes())
    return digest.hexdigest()
