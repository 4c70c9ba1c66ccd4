"""The fine-tuned null: what drawn responses keep of the recording, and what the retrained readout may not touch."""

import numpy as np
import pytest
import torch

from decortex.data import InMemoryTrials, Recordings
from decortex.errors import InputError
from decortex.finetune import (
    choose_noise,
    draw_null,
    draw_responses,
    null_recordings,
    readout_on_core,
    recorded_dispersion,
    surrogate_network,
)
from decortex.models import predictions
from decortex.models.training import fit_network


@pytest.mark.parametrize("noise", ["poisson", "gamma"])
def test_drawn_responses_have_the_right_mean_and_variance(noise):
    expected = np.tile([0.3, 2.0, 9.0], (40_000, 1))
    dispersion = np.array([1.0, 1.0, 1.0]) if noise == "poisson" else np.array([0.5, 1.5, 0.2])
    drawn = draw_responses(expected, dispersion, noise, np.random.default_rng(0)).astype(float)
    variance = dispersion * expected[0]
    np.testing.assert_allclose(drawn.mean(axis=0), expected[0], atol=5 * np.sqrt(variance.max() / 40_000))
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.06)
    assert drawn.min() >= 0
    assert (noise == "poisson") == bool((drawn == np.round(drawn)).all())


def test_what_has_no_noise_is_its_expectation():
    expected = np.array([[0.0, 2.0], [1.5, 0.0]])
    drawn = draw_responses(expected, np.array([1.0, 0.0]), "gamma", np.random.default_rng(0))
    assert drawn[0].tolist() == [0.0, 2.0]
    assert drawn[1, 1] == 0.0


def test_noise_follows_the_recording(network, recordings):
    assert choose_noise(recordings) == "poisson"
    half = Recordings(
        sessions=[
            type(s)(
                s.name,
                s.images,
                InMemoryTrials(s.responses.values + np.float32(0.5)),
                s.tiers,
                s.image_ids,
                s.neurons,
            )
            for s in recordings.sessions
        ],
        image_shape=recordings.image_shape,
        content_sha256="1" * 64,
    )
    assert choose_noise(half) == "gamma"
    first = recordings.sessions[0]
    trials = first.trials("validation")
    expected = predictions(network, first, trials).astype(np.float64)
    own = ((first.responses.read(trials) - expected) ** 2).sum(axis=0) / expected.sum(axis=0)
    found = recorded_dispersion(network, recordings)
    np.testing.assert_allclose(found[: first.n_neurons], own)
    assert found.shape == (24,)


@pytest.mark.parametrize("kind", ["gaussian", "permuted"])
def test_a_surrogate_keeps_every_mean_response_and_the_core(network, recordings, kind):
    before = network.embedding().detach().clone()
    changed = surrogate_network(network, recordings, kind, np.random.default_rng(1))
    features = changed.embedding().detach().numpy()
    assert np.abs(features - before.numpy()).max() > 0.01
    if kind == "permuted":
        np.testing.assert_array_equal(np.sort(features, axis=0), np.sort(before.numpy(), axis=0))
    else:
        np.testing.assert_allclose(np.cov(features.T), np.cov(before.numpy().T), atol=1e-4)
    for session in recordings.sessions:
        trials = session.trials("train")
        kept = predictions(network, session, trials).mean(axis=0)
        np.testing.assert_allclose(predictions(changed, session, trials).mean(axis=0), kept, rtol=1e-3)
    for name, value in network.core.state_dict().items():
        assert torch.equal(value, changed.core.state_dict()[name])
    assert torch.equal(network.embedding(), before)


def test_a_draw_is_that_of_its_seed_and_scatters_around_the_surrogate(network, recordings):
    draw = draw_null(network, recordings, "gaussian", seed=4)
    again = draw_null(network, recordings, "gaussian", seed=4)
    other = draw_null(network, recordings, "gaussian", seed=5)
    assert draw.noise == "poisson"
    assert (draw.dispersion == 1.0).all()
    for name, values in draw.responses.items():
        np.testing.assert_array_equal(values, again.responses[name])
        assert (values != other.responses[name]).any()
        assert values.dtype == np.float32
    joined = np.concatenate([draw.responses[s.name][s.tiers == "train"] for s in recordings.sessions], axis=1)
    sd = np.sqrt(draw.rates / len(joined))
    assert (np.abs(joined.mean(axis=0) - draw.rates) < 4.5 * sd + 1e-6).all()
    gamma = draw_null(network, recordings, "gaussian", seed=4, noise="gamma")
    np.testing.assert_array_equal(gamma.features, draw.features)
    np.testing.assert_array_equal(gamma.dispersion, gamma.recorded_dispersion)


def test_the_readout_is_retrained_on_the_core_as_it_is(network, recordings, schedule):
    draw = draw_null(network, recordings, "copula", seed=0)
    null = null_recordings(recordings, draw.responses, "2" * 64)
    assert null.truth is None
    assert null.neuron_order_sha256 == recordings.neuron_order_sha256
    trained, how = readout_on_core(network, null, schedule, seed=3)
    assert (how.trains, how.max_epochs) == ("readout", schedule.max_epochs)
    fit_network(trained, null, how, seed=3, device="cpu")
    for name, value in network.core.state_dict().items():
        assert torch.equal(value, trained.core.state_dict()[name])
    moved = trained.embedding().detach()
    assert not torch.allclose(moved, network.embedding().detach())
    correlation = np.corrcoef(moved.numpy().ravel(), draw.features.ravel())[0, 1]
    assert correlation > 0.5  # it finds the features that made the responses


def test_responses_of_other_neurons_are_refused(network, recordings):
    draw = draw_null(network, recordings, "gaussian", seed=0)
    with pytest.raises(InputError, match=r"'b' needs drawn responses of shape \(160, 10\), got None"):
        null_recordings(recordings, {"a": draw.responses["a"]}, "3" * 64)
