"""Predictions of a network: right rows, no gradients, nothing left changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from decortex.errors import ConfigError, DatasetError, InputError
from decortex.models import Network, predict, predictions, resolve_device


@pytest.fixture
def network(make_recordings, tiny_config) -> Network:
    return Network.build(tiny_config, make_recordings(), seed=0)


def test_predictions_are_the_forward_pass_in_evaluation_mode(network, make_recordings) -> None:
    session = make_recordings().sessions[1]
    trials = np.array([7, 3, 30, 4, 3])
    found = predictions(network, session, trials, device="cpu")
    network.eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(session.images.read(trials)), session.name).numpy()
    assert found.dtype == np.float32
    assert found.shape == (5, 3)
    np.testing.assert_array_equal(found, expected)


def test_batch_size_changes_nothing(network, make_recordings) -> None:
    session = make_recordings().sessions[0]
    trials = session.trials("train")
    whole = predictions(network, session, trials, device="cpu")
    pieces = predictions(network, session, trials, batch_size=7, device="cpu")
    np.testing.assert_allclose(pieces, whole, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_statistics_are_as_before(network, make_recordings, training: bool) -> None:
    network.train(training)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    predictions(network, make_recordings().sessions[0], np.arange(5), device="cpu")
    assert network.training is training
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())


def test_mode_is_restored_after_an_error(network, make_recordings) -> None:
    session = make_recordings(side=13).sessions[0]
    with pytest.raises(InputError, match="images of shape"):
        predictions(network, session, np.arange(5), device="cpu")
    assert network.training


def test_predict_gives_every_session_of_a_tier(network, make_recordings) -> None:
    recordings = make_recordings()
    found = predict(network, recordings, "test", device="cpu")
    assert list(found) == ["one", "two.b"]
    for session in recordings.sessions:
        one, trials = found[session.name], session.trials("test")
        np.testing.assert_array_equal(one.trials, trials)
        np.testing.assert_array_equal(one.image_ids, session.image_ids[trials])
        np.testing.assert_array_equal(one.responses, session.responses.read(trials))
        np.testing.assert_array_equal(one.predictions, predictions(network, session, trials, device="cpu"))


def test_an_absent_tier_is_named(network, make_recordings) -> None:
    recordings = make_recordings()
    tiers = np.full(recordings.sessions[0].n_trials, "train")
    first = dataclasses.replace(recordings.sessions[0], tiers=tiers)
    recordings = dataclasses.replace(recordings, sessions=[first, recordings.sessions[1]])
    with pytest.raises(DatasetError, match=r"'one' has no 'test' trials; its tiers: \['train'\]"):
        predict(network, recordings, "test", device="cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_devices_that_are_not_there_are_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here"):
        resolve_device(device)
