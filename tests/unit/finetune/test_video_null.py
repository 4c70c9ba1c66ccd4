"""Recordings of movies drawn from a network: frames that it says nothing of stay empty, means stay."""

from __future__ import annotations

import numpy as np
import pytest

from decortex.data import Recordings, VideoSimulationConfig, simulate_video
from decortex.errors import InputError
from decortex.finetune.null import draw_null, null_recordings
from decortex.models import Network, NetworkConfig, predictions
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig
from decortex.models.training import TrainingConfig, fit_network


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    config = VideoSimulationConfig(
        n_neurons=10,
        n_animals=2,
        n_train=12,
        n_validation=4,
        n_test=2,
        n_repeats=2,
        n_frames=20,
        image_size=18,
        position_range=3,
    )
    return simulate_video(config, 0).recordings


@pytest.fixture(scope="module")
def network(recordings: Recordings) -> Network:
    core = SpaceTimeConfig(
        layers=(SpaceTimeLayerConfig(channels=3, kernel=6, stride=3, frames=5),), warm_up=7
    )
    built = Network.build(NetworkConfig(space_time=core), recordings, seed=0)
    fit_network(built, recordings, TrainingConfig(max_epochs=1, batch_size=4), seed=0, device="cpu")
    return built


def test_responses_are_drawn_for_the_frames_that_the_network_predicts(
    network: Network, recordings: Recordings
) -> None:
    draw = draw_null(network, recordings, "gaussian", seed=3, device="cpu")
    again = draw_null(network, recordings, "gaussian", seed=3, device="cpu")
    null = null_recordings(recordings, draw.responses, "drawn")
    assert draw.noise == "poisson"
    assert null.frame_rate == 30.0
    assert null.truth is None
    for session, recorded in zip(null.sessions, recordings.sessions, strict=True):
        np.testing.assert_array_equal(draw.responses[session.name], again.responses[session.name])
        values = session.responses.read(np.arange(session.n_trials))
        assert values.shape == (recorded.n_trials, 20, recorded.n_neurons)
        assert (values[:, :7] == 0).all()  # the warm-up, which nobody reads
        assert (values[:, 7:].sum(axis=(0, 1)) > 0).all()
        train = session.trials("train")
        kept = predictions(network, recorded, train, device="cpu").mean(axis=0)
        own = network.slices[session.name]
        np.testing.assert_allclose(draw.rates[own], kept, rtol=1e-3)
    outcome = fit_network(
        Network.build(network.config, null, seed=1),
        null,
        TrainingConfig(max_epochs=1, batch_size=4, trains="readout"),
        seed=1,
        device="cpu",
    )
    assert outcome.stop_reason == "max_epochs"


def test_responses_of_another_length_are_refused(network: Network, recordings: Recordings) -> None:
    draw = draw_null(network, recordings, "permuted", seed=0, device="cpu")
    short = {name: values[:-1] for name, values in draw.responses.items()}
    with pytest.raises(InputError, match="needs drawn responses of shape"):
        null_recordings(recordings, short, "drawn")
